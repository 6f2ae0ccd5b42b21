"""Batches on their way to a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peak_memory import PeakMemory

from tiny import World, clip_world, feature_world
from videozoo.data.batch import Batch, FeatureBatch
from videozoo.data.loader import make_loader, raise_if_fatal
from videozoo.data.sampler import StepSampler
from videozoo.inputs import open_samples

EPOCHS = 8  # more than batches that are kept for their memory
PAUSE = 1_000_000_000  # of a GPU's clock, about half a second in which it copies nothing


def read(world: World, device: torch.device, *, workers: int, epochs: int) -> list[Batch]:
    """Reads batches of two videos, moves them to the device and lets go of those of the host."""
    settings = world.experiment["TEST"]
    dataset = open_samples(settings, str(world.listing)).dataset
    sampler = StepSampler(len(dataset), batch_size=2, micro_batch_size=2, shuffle=False)
    loader = make_loader(
        dataset, sampler, training=False, num_workers=workers, pin_memory=device.type == "cuda"
    )
    moved = []
    for _ in range(epochs):
        for batch in map(raise_if_fatal, loader):
            assert batch.weights.is_pinned() == (device.type == "cuda")
            moved.append(batch.to(device))
    return moved


def content(batch: Batch) -> list[torch.Tensor]:
    values = batch.features if isinstance(batch, FeatureBatch) else (batch.clips,)
    return [x.cpu() for x in (*values, batch.weights, batch.labels)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("make", [feature_world, clip_world])
def test_batches_arrive_as_they_were_read(
    make: object, workers: int, tmp_path: Path, device: torch.device
) -> None:
    assert callable(make)
    world = make(tmp_path)
    wanted = read(world, torch.device("cpu"), workers=0, epochs=1)
    torch.cuda._sleep(PAUSE)
    found = read(world, device, workers=workers, epochs=EPOCHS)
    assert len(found) == EPOCHS * len(wanted)
    for i, batch in enumerate(found):
        assert batch.videos == wanted[i % len(wanted)].videos
        assert batch.weights.device == device
        for ours, theirs in zip(content(batch), content(wanted[i % len(wanted)]), strict=True):
            assert torch.equal(ours, theirs)


def one_video(frames: torch.Tensor) -> FeatureBatch:
    """A batch on the device of its frames [L, D]."""
    device = frames.device
    return FeatureBatch(
        videos=["v"],
        weights=torch.ones(1, device=device),
        unreadable=[],
        micro_batch=None,
        features=(frames[None],),
        lengths=torch.tensor([len(frames)], device=device),
        labels=torch.zeros(1, 2, dtype=torch.bool, device=device),
        labelled=torch.ones(1, dtype=torch.bool, device=device),
    )


def test_memory_that_is_written_to_again_is_read_before(device: torch.device) -> None:
    """As readers do with the memory of a batch that is gone."""
    frames = torch.zeros(64, 1 << 20, dtype=torch.uint8)
    torch.cuda._sleep(PAUSE)
    moved = one_video(frames).to(device)
    frames.fill_(1)
    assert not moved.features[0].any()


def test_batches_come_back_whole(device: torch.device) -> None:
    frames = torch.zeros(64, 1 << 20, dtype=torch.uint8, device=device)
    torch.cuda._sleep(PAUSE)
    frames.fill_(1)
    assert one_video(frames).to("cpu").features[0].all()


def test_peak_memory_begins_anew(device: torch.device) -> None:
    large = torch.ones(64 << 20, dtype=torch.uint8, device=device)
    del large
    memory = PeakMemory(device)
    assert memory.taken() == 0
    small = torch.ones(1 << 20, dtype=torch.uint8, device=device)
    del small
    assert memory.taken() == 1 << 20
