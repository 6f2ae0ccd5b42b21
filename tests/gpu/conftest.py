"""Tests that need a GPU: `make test-gpu`. Without one each of them is skipped, here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "training"))  # small_training
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # made_batches, peak_memory


@pytest.fixture(scope="session", autouse=True)
def device() -> torch.device:
    """The GPU."""
    if not torch.cuda.is_available():
        pytest.skip(f"needs a GPU, and a PyTorch that can use it: this is {torch.__version__}")
    gpu = torch.device("cuda", 0)
    torch.ones(1, device=gpu)  # wakes it: until then it has no figures of its memory
    return gpu


@pytest.fixture(autouse=True)
def _exact_float32() -> Iterator[None]:
    """Turns off TF32, which keeps 10 bits of a float32 and is PyTorch's default in cuDNN."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    yield
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
