"""Who knows whom, and what is imported when."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import videozoo

SOURCES = Path(videozoo.__file__).parent
APART = {"models", "data", "metrics", "checkpoints"}
LIBRARY = APART | {"video", "tasks", "predict", "reports", "demo", "encoders", "bench", "zoo"}


def imported_by(package: str) -> set[str]:
    """Returns the parts of videozoo that a package imports anywhere in its files."""
    files = sorted((SOURCES / package).rglob("*.py"))
    assert files
    names: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("videozoo.")}


@pytest.mark.parametrize("package", sorted(APART))
def test_the_four_packages_import_none_of_each_other(package: str) -> None:
    below = {"errors", "processes"}
    if package == "data":
        below |= {"video", "reports", "__version__"}  # of reports the writing of files alone
    assert imported_by(package) - {package} <= below


def test_the_room_of_exact_frames_knows_errors_alone() -> None:
    assert imported_by("video") - {"video"} == {"errors"}


@pytest.mark.parametrize("package", sorted(LIBRARY))
def test_nothing_but_the_commands_knows_the_commands(package: str) -> None:
    assert not imported_by(package) & {"cli"}


def test_predicting_knows_no_zoo() -> None:
    assert not imported_by("predict") & {"zoo", "api"}  # zoo knows how to load and convert
    assert "api" not in imported_by("zoo")


def test_the_commands_join_the_packages() -> None:
    assert imported_by("cli") >= {"checkpoints", "config", "data", "predict", "reports", "tasks"}


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
        "from videozoo.cli.main import main; main(['config', 'configs/tsn.txt'])",
        "from videozoo.cli.main import main; main(['zoo', 'list'])",
    ],
)
def test_what_needs_no_tensor_imports_no_torch(code: str) -> None:
    assert not loaded_after(code) & {"torch", "lightning", "av"}


def test_predicting_imports_no_lightning() -> None:
    code = "import videozoo; import videozoo.cli.doors; videozoo.load, videozoo.Predictor"
    found = loaded_after(code)
    assert found >= {"torch", "numpy"}
    assert "lightning" not in found
