"""The benchmark of the models on a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "models.py"


def test_models(tmp_path: Path) -> None:
    """Each measurement is made in a process of its own, beside this one that holds the GPU."""
    out = tmp_path / "models.json"
    words = ("--model-name", "AttentionCluster", "--precision", "bf16", "--seconds", "0.1")
    words += ("--device", "cuda", "--json", str(out))
    subprocess.run([sys.executable, SCRIPT, *words], check=True)
    figures = json.loads(out.read_text())["figures"]
    assert [figure["training"] for figure in figures] == [False, True]
    assert all(figure["peak"] > 0 and figure["videos/s"] > 0 for figure in figures)
