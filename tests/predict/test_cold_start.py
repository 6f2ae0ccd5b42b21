"""What test and infer import: one clip must not wait for libraries that it has no use for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tiny import World

TRAINING = {"lightning", "tensorboard", "torchvision"}
COMPILERS = {"torch._dynamo", "torch._inductor", "sympy", "triton"}
METRICS = {"torchmetrics", "matplotlib"}


def imported(arguments: list[str]) -> set[str]:
    """Runs a command in a fresh interpreter; returns the modules that it has imported."""
    script = (
        "import sys\nfrom videozoo.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print('@', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("world", ["clip_data", "feature_data"])
@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("infer", TRAINING | COMPILERS | METRICS),
        pytest.param("test", TRAINING | COMPILERS, marks=pytest.mark.slow),
    ],
)
def test_modules(
    request: pytest.FixtureRequest, tmp_path: Path, world: str, command: str, unwanted: set[str]
) -> None:
    made: World = request.getfixturevalue(world)
    options = ["--weights", str(made.weights), "--save-dir", str(tmp_path)]
    given = [str(made.files[0])] if command == "infer" else []  # test has the list of the weights
    found = imported([command, *given, *options, "--use-gpu", "False"])
    assert found >= {"torch", "videozoo.predict"}
    assert not found & unwanted
