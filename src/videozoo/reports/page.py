"""`videozoo report`: one HTML file that shows a person what a classifier did."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from videozoo import __version__
from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError, as_given
from videozoo.files import json_text, write_text
from videozoo.progress import progress
from videozoo.reports import charts
from videozoo.reports import report_facts as facts
from videozoo.reports.run_files import Predicted, TestedRun, open_run
from videozoo.text import harmless

STRIPS = 12  # of mistakes, and of successes
FEW, NARROW = 3, 0.9  # so many successes are shown however sure, the others by a smaller margin;
# of so many mistakes it is told why
ROWS = 200  # of a table; the files beside the report have all
AT_ONCE, IN_ALL = 15, 100  # classes of a confusion matrix
METRICS = {  # name, meaning
    "top1": ("Named right", "videos whose best score is that of their class (top-1)"),
    "top5": ("Among the best five", "videos whose class is among the five best scores (top-5)"),
    "hit_at_1": ("Hit@1", "videos whose best score is that of one of their classes"),
    "macro_f1": ("Macro F1", "the mean of the classes' F1: each counts the same, rare ones too"),
    "map": ("mAP", "the mean of the classes' average precision"),
    "gap": ("GAP", "average precision over all videos and classes together, as YouTube-8M has it"),
    "perr": ("PERR", "precision at as many answers as a video has classes"),
    "ece": ("ECE", "how far scores are from how often they are right: lower is better"),
    "loss": ("Loss", "cross-entropy: lower is better"),
}
FIGURES = {"precision": "#precision", "recall": "#recall", "f1": "#F1",
           "average_precision": "#AP", "support": "#videos"}  # fmt: skip
SECTIONS = {"scores": "Scores", "compare": "Comparison", "curves": "Training", "classes": "Classes",
            "confusion": "Confusion", "mistakes": "Mistakes", "narrow": "Narrow successes",
            "labels": "Labels", "copies": "Copies", "faults": "Faults",
            "calibration": "Calibration", "made": "How it was made"}  # fmt: skip
Strip = tuple[Predicted, list[tuple[float, str]], str, str]
"""A video, the seconds and addresses of its frames, and why there are none."""


def report(
    run: str | os.PathLike[str],
    *,
    compare: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    model: str | None = None,
    console: Console | None = None,
) -> Path:
    """Writes a page that shows what a classifier did; it needs no network and no other file.

    Args:
        run: the folder that a training or a test left, or its MODEL_test_result.json.
        compare: another one, to be set beside it.
        out: the page; None: MODEL_report.html beside the result.
        model: whose result, where `run` has several; None: the newest.
        console: where to show progress; None: nowhere.

    Returns:
        The page.

    Raises:
        VideozooError: there is no result, it is damaged, or the page cannot be written.
    """
    found = open_run(run, model)
    other = None if compare is None else open_run(compare)
    path = found.path.with_name(f"{found.model}_report.html") if out is None else Path(out)
    if path.is_dir():
        raise VideozooError(f"{path}: is a folder; give --out a file, such as report.html")
    page = _rendered(_content(found, other, console or Console(quiet=True)))
    write_text(path, as_given(page))
    return path


def report_line(run: Path, model: str, console: Console) -> str:
    """Writes the report of a training that is done; returns a line that says so, or why not."""
    if not is_first_process():
        return ""
    try:
        return f"report: {report(run, model=model, console=console)}"
    except Exception as error:  # whatever it is, the training is done and its weights are saved
        command = f"videozoo report {shlex.quote(str(run))}"
        return f"warning: there is no report: {error}; to try again: {command}"


def _rendered(content: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: harmless(value) if type(value) is str else value,
    )
    return pages.get_template("report.html.jinja").render(content)


def _content(run: TestedRun, other: TestedRun | None, console: Console) -> dict[str, Any]:
    """Returns what the template shows."""
    predictions, copies, classes = run.predictions or [], run.copies or [], _classes(run)
    wrong = sorted((p for p in predictions if not p.right), key=lambda p: -p.score)
    right = sorted((p for p in predictions if p.right), key=lambda p: p.margin)
    narrow = [p for k, p in enumerate(right[:STRIPS]) if k < FEW or p.margin < NARROW]
    strips, no_frames = _strips(run, [*wrong[:STRIPS], *narrow], console)
    beside = {"unlabelled": 0, "damaged": [], "notes": [], "list": "?", "ece": None}
    share = run.result.get("top1", run.result.get("hit_at_1"))
    return {
        "run": run,
        "other": other,
        "result": beside | run.result,
        "facts": facts,
        "charts": charts,
        "version": __version__,
        "most": ROWS,
        "when": datetime.fromtimestamp(run.path.stat().st_mtime),
        "sections": SECTIONS,
        "scores": _scores(run),
        "likely": share is not None and facts.likely_range(share, run.result["evaluated"]),
        "comparison": _comparison(run, other) if other else None,
        "classes": classes,
        "figures": {k: v for k, v in FIGURES.items() if any(c[k] is not None for c in classes)},
        "matrices": [facts.matrix_of(run.cells, most) for most in (AT_ONCE, IN_ALL)],
        "wrong": len(wrong),
        "mistakes": strips[: len(strips) - len(narrow)],
        "successes": strips[len(strips) - len(narrow) :],
        "no_frames": no_frames,
        "doubts": facts.doubtful_labels(predictions),
        "root": _root([p.video for p in predictions] + [row["path"] for row in copies]),
        "across": sum(row["side"] != row["of side"] for row in copies),
        "bins": facts.reliability(predictions),
        "commands": _commands(run),
        "protocol": json_text(run.protocol),
    }


def _root(paths: Sequence[str]) -> str:
    """Returns the folder that all files lie in, with a slash; empty: there is none."""
    named = all(map(os.path.isabs, paths)) and len(paths) > 1
    return os.path.join(os.path.commonpath(map(os.path.dirname, paths)), "") if named else ""


def _scores(run: TestedRun) -> list[tuple[str, str, str, float]]:
    """Returns name, value, meaning and number of each metric; not those that say nothing."""
    few = len(run.result.get("classes") or ()) in range(1, 6)
    known = {k: v for k, v in run.result.items() if k in METRICS and isinstance(v, float | int)}
    return [
        (name, f"{known[key]:.3g}" if key == "loss" else f"{known[key]:.1%}", meaning, known[key])
        for key, (name, meaning) in METRICS.items()
        if key in known and not (few and key == "top5")
    ]


def _classes(run: TestedRun) -> list[dict[str, Any]]:
    """Returns the figures of each class that occurs, the worst first."""
    rows = [dict.fromkeys(FIGURES) | row for row in run.result.get("classes") or ()]
    named = {name for cell in run.cells for name in cell[:2]}
    rows = [row for row in rows if row["support"] or row["class"] in named]

    def worth(row: dict[str, Any]) -> float:
        return next((row[k] for k in ("f1", "average_precision") if row[k] is not None), 2.0)

    return sorted(rows, key=worth)


def _commands(run: TestedRun) -> dict[str, str]:
    """Returns the commands that make all of it again, by what they do."""
    weights = shlex.quote(str(run.weights or run.protocol.get("weights", "WEIGHTS")))
    folder, listed = shlex.quote(str(run.path.parent)), run.result.get("list")
    of_list = f" --filelist {shlex.quote(str(listed))}" if listed else ""
    lines = (run.config or "").splitlines()
    train = next((line[2:] for line in lines if line.startswith("# videozoo train")), None)
    return {
        **({} if train is None else {"train again": train}),
        "test again": f"videozoo test --weights {weights}{of_list} --save-dir {folder}",
        "make this page again": f"videozoo report {folder} --model-name {run.model}",
        "name what is in new videos": f"videozoo infer --weights {weights} NEW_VIDEO.mp4",
    }


def _strips(
    run: TestedRun, wanted: Sequence[Predicted], console: Console
) -> tuple[list[Strip], str]:
    """Returns a strip of each video, and why none has frames, if so."""
    from videozoo.reports.strips import Reader

    try:
        read = Reader(run) if wanted else None
    except VideozooError as error:
        return [(one, [], "", "") for one in wanted], str(error)
    strips: list[Strip] = []
    with ThreadPoolExecutor(2) as pool, progress(console, "read frames", 2 * STRIPS) as tell:
        for one, (seen, fault) in zip(wanted, pool.map(read, wanted) if read else (), strict=True):
            frames = [(s.second, base64.b64encode(s.jpeg).decode()) for s in seen]
            why = read.reason(one) if read and not one.right and len(strips) < FEW else ""
            strips.append((one, frames, fault, why))
            tell(len(strips), len(wanted))
    return strips, ""


def _comparison(run: TestedRun, other: TestedRun) -> dict[str, Any]:
    """Returns two tests side by side."""
    theirs = {name: number for name, _, _, number in _scores(other)}
    others = {row["class"]: row["f1"] for row in _classes(other)}
    classes = [(row["class"], row["f1"], others.get(row["class"])) for row in _classes(run)]
    both = None not in (run.predictions, other.predictions)
    return {
        "metrics": [(n, v, theirs[n]) for n, _, _, v in _scores(run) if n in theirs],
        "classes": sorted(
            (row for row in classes if None not in row), key=lambda row: -abs(row[1] - row[2])
        ),
        "videos": facts.compared(run.predictions or [], other.predictions or []) if both else None,
        "missing": [_commands(r)["test again"] for r in (run, other) if r.predictions is None],
    }
