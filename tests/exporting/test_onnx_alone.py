"""The example of a program without PyTorch names videos as videozoo does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import videozoo
from tiny import World

ROOT = Path(__file__).parents[2]
BLOCKED = """
import runpy, sys
sys.modules.update({"torch": None, "videozoo": None})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_an_export_names_videos_without_pytorch(clip_data: World, tmp_path: Path) -> None:
    (file,) = videozoo.export(clip_data.weights, out=tmp_path / "TSN.onnx")
    results = videozoo.infer([str(f) for f in clip_data.files], weights=clip_data.weights)
    for video, result in zip(clip_data.files, results, strict=True):
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED, ROOT / "examples" / "onnx_alone.py", file.path, video],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"{p.score:.3f}  {p.label}" for p in result.predictions]
