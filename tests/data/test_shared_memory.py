"""Memory is used again when nothing shows it any more, and not before."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import weakref
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import torch

from videozoo.data import shared_memory
from videozoo.data.shared_memory import RecycledArrays, SharedBlocks


@dataclass
class Parcel:
    """Anything that holds tensors."""

    name: str
    tensors: tuple[torch.Tensor, ...]


class Duplicated:
    """A file that goes along with a process that is being started."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def detach(self) -> int:
        return os.dup(self.fd)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> SharedBlocks:
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no such memory: workers send batches as PyTorch does")
    monkeypatch.setattr(shared_memory, "_SHARED_BYTES", 2 << 14)
    return SharedBlocks(2)


def sent(blocks: SharedBlocks, value: Any) -> Any:
    """What comes out at the other end of a worker's queue."""
    block = blocks.take()
    assert block is not None
    return pickle.loads(bytes(ForkingPickler.dumps(block.packed(value))))


def free(blocks: SharedBlocks) -> int:
    """Counts the free blocks."""
    taken = []
    while (block := blocks.take()) is not None:
        taken.append(block)
    for block in taken:
        block.give_back()
    return len(taken)


def test_arrays_come_again_when_the_last_view_is_gone() -> None:
    arrays = RecycledArrays()
    first = arrays.empty((4, 100, 8))
    address = first.ctypes.data
    tensor = torch.from_numpy(first)[2:, 5]  # a view of a view
    del first
    tensor[:] = 7
    others = [arrays.empty((4, 100, 8)) for _ in range(5)]
    assert address not in [other.ctypes.data for other in others]
    assert (tensor == 7).all()
    shown = tensor.numpy()
    del tensor
    assert arrays.empty((4, 100, 8)).ctypes.data != address
    del shown
    assert arrays.empty((4, 100, 8)).ctypes.data == address


def test_arrays_have_the_size_that_is_asked_for() -> None:
    arrays = RecycledArrays()
    for shape in ((2, 3, 4), (2, 9, 4), (1, 1, 4), (2, 3, 4), (0, 3, 4), (3, 3, 5)):
        array = arrays.empty(shape)
        assert array.shape == shape
        assert array.dtype == np.uint8
        array[...] = 1  # may be written to
        del array
    assert pickle.loads(pickle.dumps(arrays)).empty((1, 2)).shape == (1, 2)


def test_few_arrays_are_kept() -> None:
    arrays = RecycledArrays()
    many = [arrays.empty((1, 10, 4)) for _ in range(20)]
    del many
    assert sum(len(kept) for kept in arrays._kept.values()) <= 2


def test_what_is_sent_arrives(blocks: SharedBlocks) -> None:
    tensors = (
        torch.arange(12, dtype=torch.uint8).reshape(3, 4),
        torch.tensor([True, False, True]),
        torch.tensor([2**40, -1]),
        torch.tensor([0.5, 1.5]),
        torch.empty(0, 4, dtype=torch.int64),
        torch.arange(12).reshape(3, 4).T,
        torch.tensor(3.0),
    )
    parcel = sent(blocks, Parcel("p", tensors))
    assert isinstance(parcel, Parcel)
    assert parcel.name == "p"
    for found, wanted in zip(parcel.tensors, tensors, strict=True):
        assert torch.equal(found, wanted)
        assert found.dtype == wanted.dtype
        assert found.untyped_storage().nbytes() == wanted.nbytes, "saving it saves no more"
    parcel.tensors[0].fill_(9)  # its receiver may change it
    assert (parcel.tensors[1] == tensors[1]).all()


def test_what_was_made_in_the_block_is_not_copied(blocks: SharedBlocks) -> None:
    block = blocks.take()
    assert block is not None
    array = block.empty((10, 100))
    array[:] = 5
    message = block.packed(Parcel("p", (torch.from_numpy(array), torch.from_numpy(array[2:4]))))
    array[:] = 6
    found = pickle.loads(bytes(ForkingPickler.dumps(message)))
    assert [t.shape for t in found.tensors] == [(10, 100), (2, 100)]
    assert all((t == 6).all() for t in found.tensors)


def test_a_block_is_free_when_the_last_view_is_gone(blocks: SharedBlocks) -> None:
    assert free(blocks) == 2
    parcel = sent(blocks, Parcel("p", (torch.ones(5), torch.zeros(5))))
    assert free(blocks) == 1
    view = parcel.tensors[1][2:].numpy()
    del parcel
    assert free(blocks) == 1
    assert view.tolist() == [0, 0, 0]
    del view
    gc.collect()
    assert free(blocks) == 2


def test_blocks_run_out_and_nobody_waits(blocks: SharedBlocks) -> None:
    parcels = [sent(blocks, Parcel("p", (torch.full((4,), i),))) for i in range(2)]
    assert blocks.take() is None
    assert [int(p.tensors[0][0]) for p in parcels] == [0, 1]


def test_what_is_too_large_goes_another_way(blocks: SharedBlocks) -> None:
    block = blocks.take()
    assert block is not None
    assert block.empty((1 << 15,)).shape == (1 << 15,)
    block.give_back()
    large = torch.arange(1 << 15, dtype=torch.int32)
    found = sent(blocks, Parcel("p", (large, large[:3].clone())))
    assert torch.equal(found.tensors[0], large)
    assert found.tensors[1].tolist() == [0, 1, 2]


def test_another_process_gives_no_block_back(blocks: SharedBlocks) -> None:
    parcel = sent(blocks, Parcel("p", (torch.ones(5),)))
    child = os.fork()
    if child == 0:
        del parcel
        gc.collect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert free(blocks) == 1
    assert parcel.tensors[0].tolist() == [1] * 5


def test_a_process_that_is_sent_blocks_has_them_beside_its_own(
    blocks: SharedBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "get_spawning_popen", object)
    monkeypatch.setattr(reduction, "DupFd", Duplicated)
    data = bytes(ForkingPickler.dumps(blocks))
    monkeypatch.setattr(
        shared_memory, "_pools", weakref.WeakValueDictionary()
    )  # the other process's
    own = SharedBlocks(2)
    there = pickle.loads(data)
    first, second = (
        sent(b, Parcel("p", (torch.full((4,), i),))) for i, b in enumerate((own, there))
    )
    assert first.tensors[0].tolist() == [0] * 4
    assert second.tensors[0].tolist() == [1] * 4
    assert (free(own), free(there), free(blocks)) == (1, 1, 1)
    del second
    assert (free(own), free(there), free(blocks)) == (1, 2, 2)


def test_files_are_closed_and_copies_have_no_blocks(blocks: SharedBlocks) -> None:
    assert pickle.loads(pickle.dumps(blocks)) is None
    assert copy.copy(blocks) is None
    before = len(os.listdir("/proc/self/fd"))
    more = SharedBlocks(3)
    assert len(os.listdir("/proc/self/fd")) == before + 4  # and the descriptor of the map
    del more
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
