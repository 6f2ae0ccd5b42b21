"""Tiny weights, published as the original's were: archives of Fluid folders."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tiny import World
from videozoo.classifier import export_fluid, load_weights
from videozoo.errors import VideozooError
from videozoo.models.resnet import ResNet
from videozoo.zoo import store
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.store import pull


def archive_of(world: World, folder: Path) -> bytes:
    """Returns a .tar.gz of a Fluid folder with the weights of a world."""
    path = folder / "exported.tar.gz"
    export_fluid(path, load_weights(world.weights))
    data = path.read_bytes()
    path.unlink()
    return data


def weights_of(world: World, *addresses: str, **more: Any) -> VideoWeights:
    """Returns what the table of published weights would say of a world's."""
    facts = {"data": "made up", "scores": "", "config": str(world.config)} | more
    return VideoWeights(
        name="tiny", file="tiny.tar.gz", addresses=addresses, model=world.experiment.model, **facts
    )


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Returns a .tar.gz of any members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def image_resnet(classes: int = 5) -> dict[str, Tensor]:
    """Returns the state dict of a ResNet-18 that packs well."""
    state = {k: torch.full_like(v, 0.25) for k, v in ResNet(num_layers=18).state_dict().items()}
    return state | {"fc.weight": torch.ones(classes, 512), "fc.bias": torch.zeros(classes)}


def left() -> list[str]:
    """Returns the names of what lies in the folder of weights; locks left aside."""
    return sorted(p.name for p in store.folder().iterdir() if p.suffix != ".lock")


def refused(published: VideoWeights | ImageResNet) -> str:
    """Pulls; it must fail. Returns the sentence."""
    with pytest.raises(VideozooError) as error:
        pull(published)
    assert store.pulled(published) is None
    return str(error.value)
