"""Who knows whom, and what is imported when."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import videozoo

SOURCES = Path(videozoo.__file__).parent
APART = {"models", "data", "metrics", "checkpoints"}
# Of one family of models alone: whoever asks for one of these asks which family it is.
OF_A_FAMILY = r"\w*(?:Settings|Batch|Dataset|Metrics|Family|Inputs)\b"
ASKS = re.compile(rf"isinstance\([^)]*[\s,(|.]{OF_A_FAMILY}|\.FEATURES\b")


def parts() -> dict[str, list[Path]]:
    """Returns the files of each folder and each module at the top; the package itself is a door."""
    found: dict[str, list[Path]] = {}
    for file in sorted(SOURCES.rglob("*.py")):
        found.setdefault(file.relative_to(SOURCES).with_suffix("").parts[0], []).append(file)
    del found["__init__"]
    assert len(found) > 15
    return found


def imported_by(part: str) -> set[str]:
    """Returns the other parts that a part imports, anywhere in its files, functions included."""
    names: set[str] = set()
    for file in parts()[part]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    inner = {name.split(".")[1] for name in names if name.startswith("videozoo.")}
    if "videozoo" in names:
        inner.add("api")  # what the package's functions are
    return inner - {part, "__version__"}


def test_arrows_run_one_way() -> None:
    TopologicalSorter({part: imported_by(part) for part in parts()}).prepare()  # raises of a circle


def test_files_of_one_part_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for file in (file for files in parts().values() for file in files):
        name = ".".join(("videozoo", *file.relative_to(SOURCES).with_suffix("").parts))
        name = name.removesuffix(".__init__")
        tree = ast.parse(file.read_text())
        graph[name] = {
            node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("videozoo.")
        }  # fmt: skip
    TopologicalSorter(graph).prepare()


def test_the_ground_knows_little() -> None:
    assert imported_by("errors") == set()
    assert imported_by("text") == set()
    assert imported_by("files") <= {"errors", "text"}
    assert imported_by("addresses") <= {"distributed", "errors", "files", "shards"}
    assert imported_by("reading") <= {"addresses", "errors", "text"}
    assert imported_by("pickling") <= {"errors", "reading"}
    assert imported_by("video") <= {"addresses", "errors", "files", "reading", "text"}
    assert imported_by("config") <= {"errors", "files", "reading", "text"}


@pytest.mark.parametrize("part", sorted(APART))
def test_the_four_folders_import_none_of_each_other(part: str) -> None:
    below = {"addresses", "errors", "files", "reading", "text", "distributed", "pickling"} | (
        {"video"} if part == "data" else set()
    )
    assert imported_by(part) <= below


def test_the_zoo_stands_below_what_opens_an_encoder_by_name() -> None:
    assert not imported_by("zoo") & {"families", "encoders", "classifier", "predict"}


def test_nothing_but_the_commands_knows_the_commands() -> None:
    assert [part for part in parts() if "cli" in imported_by(part)] == ["__main__"]


def test_predicting_and_training_know_no_commands_and_no_library_door() -> None:
    assert not imported_by("predict") & {"zoo", "api", "training"}
    assert "api" not in imported_by("zoo") | imported_by("training") | imported_by("encoders")


def test_nothing_outside_the_families_asks_for_a_family() -> None:
    asked = []
    for file in sorted(SOURCES.rglob("*.py")):
        room = file.relative_to(SOURCES).parts[0]
        if room not in ("families", "data"):  # where its classes are made
            lines = enumerate(file.read_text().splitlines(), 1)
            asked += [f"{file}:{number}" for number, line in lines if ASKS.search(line)]
    assert asked == []


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("if isinstance(batch, ClipBatch):", True),
        ("x = isinstance(self.settings, FeatureSettings | None)", True),
        ("if settings.FEATURES:", True),
        ("isinstance(value, dict)", False),
        ("isinstance(found, VideoWeights)", False),
    ],
)
def test_what_asks_for_a_family(line: str, asks: bool) -> None:
    assert bool(ASKS.search(line)) == asks


def test_lightning_is_gone() -> None:
    assert not [f for f in SOURCES.rglob("*.py") if re.search("(?i)lightning", f.read_text())]
    project = SOURCES.parents[1] / "pyproject.toml"
    assert not project.is_file() or "lightning" not in project.read_text()


def loaded_after(code: str) -> set[str]:
    """Runs code in a fresh interpreter; returns which heavy libraries it has imported."""
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print('@', *(m for m in ('torch', 'lightning', 'av', 'numpy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "code",
    [
        "import videozoo; assert videozoo.__version__",
        "from videozoo.cli.main import main; main(['--help'])",
        "from videozoo.cli.main import main; main(['train', '--help'])",
        "from videozoo.cli.main import main; main(['prepare', 'clips', '--help'])",
        "from videozoo.cli.main import main; main(['config', '--keys'])",
        "from videozoo.cli.main import main; main(['config', 'configs/tsn.txt'])",
        "from videozoo.cli.main import main; main(['zoo', 'list'])",
    ],
)
def test_what_needs_no_tensor_imports_no_torch(code: str) -> None:
    assert not loaded_after(code) & {"torch", "lightning", "av"}


def test_the_library_imports_no_lightning() -> None:
    code = "import videozoo; videozoo.load, videozoo.train, videozoo.Predictor"
    found = loaded_after(code)
    assert found >= {"torch", "numpy"}
    assert "lightning" not in found
