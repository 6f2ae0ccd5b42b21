"""An encoder without weights, which counts what it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from videozoo.encoders import find
from videozoo.encoders.encoder import Encoder, Framing
from videozoo.encoders.find import recipe_of
from videozoo.encoders.recipe import Recipe, Sampling


class ToyEncoder(Encoder):
    """Gives the mean and the deviation of each colour, and the mean of the lower half."""

    name = "toy"
    sha256 = "0" * 64
    batch = 4

    def __init__(self) -> None:
        self.dims = {"rgb": 6, "lower": 3}
        self.framing = Framing(16, 12)
        self.batches = 0

    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        assert (frames.dtype, frames.shape) == (torch.uint8, (4, 1, 3, 12, 16))
        self.batches += 1
        values = frames[:, 0].float() / 255  # [4, 3, 12, 16]
        means = [values.mean(dim=(2, 3)), values.std(dim=(2, 3))]
        return torch.cat(means, dim=1), values[:, :, 6:].mean(dim=(2, 3))


def toy_recipe(**sampling: float | bool) -> Recipe:
    return recipe_of(ToyEncoder(), Sampling(**{"rate": 5.0, "sound": False} | sampling))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ToyEncoder:
    """The encoder of all recipes; it counts what it is asked."""
    encoder = ToyEncoder()
    monkeypatch.setattr(find, "open_encoder", lambda name, device: encoder)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return encoder
