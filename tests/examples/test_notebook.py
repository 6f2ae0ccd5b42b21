from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from notebook_runs import METADATA, NOTEBOOK, execute

from videos import write_video
from videozoo.config import load_experiment
from videozoo.specs import find_spec

ASK = """
import json
print(json.dumps({
    "names": names,
    "confusion": confusion.tolist(),
    "true": [dataset.classes(i)[0] for i in range(len(dataset))],
    "predicted": [r.predictions[0].index if r.predictions else None for r in results.values()],
}))
"""
# Two names at least, behind what begins a path; "videos/s" and closing tags are none.
ABSOLUTE = re.compile(r"(?:^|[\s\"'`(=:])(?:/[\w.-]+){2,}|\b[A-Za-z]:\\|(?:^|\s)~/", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What a run showed, and where it wrote."""

    cells: dict[str, NotebookNode]
    folder: Path
    asked: dict[str, Any]

    def text(self, cell: str) -> str:
        """What a cell printed."""
        return "".join(o.text for o in self.cells[cell].outputs if o.output_type == "stream")

    def numbers(self, cell: str) -> list[int]:
        """The whole numbers that a cell printed, in order."""
        return [int(number) for number in re.findall(r"(?<![\d.])\d+(?![\d.])", self.text(cell))]

    def table(self, cell: str) -> list[list[str]]:
        """The cells of its table, without the header."""
        html = next(o.data["text/html"] for o in self.cells[cell].outputs if "data" in o)
        rows = re.findall(r"<tr>(.*?)</tr>", html)
        return [re.findall(r"<td>(.*?)</td>", row) for row in rows[1:]]

    def rows_drawn(self, cell: str) -> int:
        """How many videos the figure of a cell has: two plots each."""
        drawn = [o.data["text/plain"] for o in self.cells[cell].outputs if "data" in o]
        return sum(int(re.search(r"with (\d+) Axes", plain)[1]) // 2 for plain in drawn)


def run(folder: Path, **settings: str) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / ".jupyter"))
        notebook = execute(
            folder, {"VIDEOZOO_NOTEBOOK_SMALL": "1", **settings}, timeout=600, ask=ASK
        )
    asked = json.loads(notebook.cells.pop().outputs[0].text)
    return Ran({cell.id: cell for cell in notebook.cells}, folder, asked)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.mark.slow
def test_its_numbers_are_those_of_the_predictions(ran: Ran) -> None:
    names = ran.asked["names"]
    confusion = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(confusion, (ran.asked["true"], ran.asked["predicted"]), 1)
    assert ran.asked["confusion"] == confusion.tolist()
    right, total = confusion.trace(), confusion.sum()
    assert total == 18
    assert ran.numbers("matrix") == [right, total - right]
    twice = confusion.sum(0) + confusion.sum(1)
    f1 = (2 * confusion.diagonal() / np.maximum(twice, 1))[twice > 0].mean()
    shown = [float(number) for number in re.findall(r"\d\.\d+", ran.text("evaluate"))]
    assert shown == pytest.approx([right / total, f1], abs=5e-4)
    assert ran.text("wilson").startswith(f"top-1 {right / total:.3f}; with {total} videos")


@pytest.mark.slow
def test_the_mistakes_that_it_shows_are_all_there_are(ran: Ran) -> None:
    right, wrong = ran.numbers("matrix")
    assert ran.numbers("show_wrong") == [wrong, right + wrong, min(wrong, 8)]
    assert ran.rows_drawn("show_wrong") == min(wrong, 8)
    assert ran.numbers("show_unsure") == [right, right + wrong, min(right, 5)]
    assert ran.rows_drawn("show_unsure") == min(right, 5)


@pytest.mark.slow
def test_its_tables_agree_with_the_confusion_matrix(ran: Ran) -> None:
    listed = {name: (int(train), int(valid)) for name, train, valid in ran.table("count")}
    assert listed == dict.fromkeys(ran.asked["names"], (4, 3))
    rows = ran.table("per_class")
    assert {row[0] for row in rows} == set(listed)
    confusion = np.array(ran.asked["confusion"])
    for name, train, named, share, taken_for in rows:
        counts = confusion[ran.asked["names"].index(name)]
        right = counts[ran.asked["names"].index(name)]
        assert (int(train), named) == (4, f"{right} of {counts.sum()}")
        assert share == f"{right / counts.sum():.0%}"
        assert bool(taken_for) == (right < counts.sum())
    shares = [int(row[3].rstrip("%")) for row in rows]
    assert shares == sorted(shares)


@pytest.mark.slow
def test_it_trains_on_the_sides_that_it_shows(ran: Ran) -> None:
    assert "24 videos to train and 18 to validate" in ran.text("fit")
    assert "split as the lists in own_videos/split say" in ran.text("fit")
    folders = ("split", "checkpoints")
    shown, tested = ((ran.folder / "own_videos" / f / "val.list").read_text() for f in folders)
    assert shown == tested


@pytest.mark.slow
def test_it_names_a_new_video(ran: Ran) -> None:
    lines = [line.split("  ") for line in ran.text("name").splitlines()]
    scores = [float(score) for score, _ in lines]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert {name for _, name in lines} < set(ran.asked["names"])


@pytest.mark.slow
def test_it_writes_into_its_own_folder_only(ran: Ran) -> None:
    visible = [path.name for path in ran.folder.iterdir() if not path.name.startswith(".")]
    assert visible == ["own_videos"]


@pytest.mark.slow
def test_it_takes_a_folder_with_a_broken_video(tmp_path: Path) -> None:
    videos = tmp_path / "my videos"
    for side, number in (("train", 2), ("val", 1)):
        for name, frames in (("cut & <paste>", 9), ("walk", 20)):
            (videos / side / name).mkdir(parents=True)
            for i in range(number):
                write_video(videos / side / name / f"{i}.mp4", frames + i)
    (videos / "val" / "walk" / "broken.mp4").write_bytes(b"no video")
    ran = run(tmp_path, VIDEOZOO_NOTEBOOK_FOLDER="my videos")
    assert ran.table("count") == [["cut &amp; &lt;paste&gt;", "2", "1"], ["walk", "2", "2"]]
    assert "on 2 of 3 held-back videos, 1 could not be read\n   broken.mp4" in ran.text("evaluate")
    assert str(tmp_path) not in ran.text("evaluate")
    right, wrong = ran.numbers("matrix")
    assert right + wrong == 2
    assert ran.rows_drawn("show_wrong") == wrong
    assert ran.rows_drawn("show_unsure") == right
    assert sorted(line.split("  ")[1] for line in ran.text("name").splitlines()) == [
        "cut & <paste>",
        "walk",
    ]


def test_stored_outputs_are_those_of_a_whole_run(stored: NotebookNode) -> None:
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"stream", "display_data"}
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    pictures = [o for o in outputs if {"image/jpeg", "image/png"} & set(o.get("data", ()))]
    assert len(pictures) == 5
    trained = next(cell for cell in code if cell.id == "fit").outputs[0].text
    assert "96 videos to train and 90 to validate" in trained
    assert "is taken, and trained on all of them" in trained


def test_stored_notebook_tells_nothing_of_the_machine(stored: NotebookNode) -> None:
    assert stored.metadata == METADATA
    assert not any(cell.metadata for cell in stored.cells)
    for cell in stored.cells:
        for output in cell.get("outputs", ()):
            texts = [output.get("text", "")]
            texts += [v for kind, v in output.get("data", {}).items() if kind.startswith("text")]
            for text in texts:
                assert not ABSOLUTE.search(text), (cell.id, ABSOLUTE.search(text))
    assert NOTEBOOK.stat().st_size < 600_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("checkpoint: /home/me/x.mp4", True),
        ("('/tmp/x/y')", True),
        (r"C:\Users\me", True),
        ("~/videos", True),
        ("own_videos/checkpoints: 3 videos/s, train/ and test/ <td>a</td><td></td>", False),
    ],
)
def test_absolute_paths_are_told_apart(text: str, found: bool) -> None:
    assert bool(ABSOLUTE.search(text)) == found


def test_what_its_prose_names_exists(stored: NotebookNode) -> None:
    prose = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)", prose)
    assert len(links) >= 5
    for link in links:
        assert (NOTEBOOK.parent / link).is_file(), link
    settings = re.findall(r"`((?:TRAIN|MODEL)\.\w+=[^`]+)`", prose)
    assert len(settings) >= 4
    load_experiment(find_spec("LINEAR").keys, None, overrides=settings)
