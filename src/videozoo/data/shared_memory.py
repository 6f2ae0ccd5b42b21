"""Memory of batches that is used again: fresh memory costs more than what is written into it.

The kernel gives memory page by page, cleared, at the first touch of each. For the features of a
batch that takes as long as reading them, and several times as long where the memory is shared
between processes, which has small pages only. So a reader keeps the memory of batches that are
gone for those to come. Gone means that no array, tensor or view is left that shows the memory: the
finalizer of the array behind them all says so.

Between processes a block has one owner at a time, and its number is the token of ownership:

    free        the number lies in the pipe; nobody touches the block
    reader      SharedBlocks.take has read the number out of the pipe, and the number went along
                with a task: the reader that has it alone writes. It makes the batch in the block
                (SharedBlock.empty) and packs it: what does not lie in the block yet is copied
                there, the rest becomes a _Message of a few hundred bytes that is the answer
    in transit  the number is in the _Message; the reader has let go of the block
    consumer    unpickling the _Message calls _received, which rebuilds the batch around the block.
                When the last tensor that shows it is gone, _gone puts the number into the pipe

The number of a reader that has died with its task is given back by who gave it.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import weakref
from collections import defaultdict, deque
from functools import partial
from math import prod
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from videozoo.data.collate import empty_array
from videozoo.data.sample import UInt8Array

_KEPT = 2  # arrays of one kind that are kept for later: a batch in use and one being built
_SHARED_BYTES = 2 << 30  # of all blocks together; only what is written to takes memory
_MOST_BLOCKS = 255  # a number is one byte
_ALIGNED = 64

Place = tuple[torch.dtype, tuple[int, ...], int]  # of a tensor in a block: offset in bytes

_pools: weakref.WeakValueDictionary[str, SharedBlocks] = weakref.WeakValueDictionary()


class RecycledArrays:
    """Arrays within one process, in the memory of such as are gone."""

    def __init__(self) -> None:
        kept: partial[deque[UInt8Array]] = partial(deque, maxlen=_KEPT)
        self._kept: defaultdict[int, deque[UInt8Array]] = defaultdict(kept)

    def __reduce__(self) -> tuple[type[RecycledArrays], tuple[()]]:
        return RecycledArrays, ()

    def empty(self, shape: tuple[int, ...]) -> UInt8Array:
        """Returns a uint8 array of that shape, its content undefined."""
        size = prod(shape)
        kept = self._kept[shape[-1]]  # features of one kind: they differ by the longest video
        try:
            memory = kept.pop()  # the last: some of it may still lie in a cache
        except IndexError:
            memory = empty_array((0,))
        if not size <= memory.size <= 4 * size:
            memory = empty_array((size + size // 8,))
        shown = np.frombuffer(memory.data, dtype=np.uint8)
        weakref.finalize(shown, kept.append, memory).atexit = False
        return shown[:size].reshape(shape)


class SharedBlocks:
    """Blocks of memory that reader processes write batches into and one process takes them from.

    The numbers of the free blocks lie in a pipe. One goes along with each task, and where there is
    none the reader sends its batch as PyTorch does: nobody waits for a block. The process that has
    the batch puts the number back when the batch is gone.

    Args:
        count: how many blocks.

    Raises:
        OSError: this system has no such memory.
    """

    def __init__(self, count: int) -> None:
        self._count = min(count, _MOST_BLOCKS)
        self._size = _SHARED_BYTES // self._count // mmap.PAGESIZE * mmap.PAGESIZE
        if not hasattr(os, "memfd_create"):
            raise OSError("memfd_create is Linux's")
        memory = os.memfd_create("videozoo-batches")
        os.ftruncate(memory, self._count * self._size)
        self._key = uuid4().hex  # a loader may be sent to a process with loaders of its own
        self._open(memory, *os.pipe())
        for end in self._ends:
            os.set_blocking(end, False)
        os.write(self._ends[1], bytes(range(self._count)))

    def _open(self, memory: int, free: int, freed: int) -> None:
        self._memory, self._ends = memory, (free, freed)
        weakref.finalize(self, _close, memory, free, freed)
        self._map = mmap.mmap(memory, self._count * self._size)
        _pools[self._key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        if get_spawning_popen() is None:  # a copy that goes to no process that is being started
            return type(None), ()
        from multiprocessing.reduction import DupFd  # not everywhere

        ends = [DupFd(end) for end in (self._memory, *self._ends)]
        return _opened, (self._count, self._size, self._key, ends)

    def take(self) -> SharedBlock | None:
        """Returns a free block, or None where there is none."""
        try:
            number = os.read(self._ends[0], 1)[0]
        except BlockingIOError:
            return None
        return SharedBlock(self, number)

    def give_back(self, number: int) -> None:
        """Makes a block free."""
        os.write(self._ends[1], bytes([number]))

    def memory(self, number: int) -> UInt8Array:
        """Returns the bytes of a block."""
        return np.frombuffer(self._map, np.uint8, self._size, number * self._size)

    def message(self, number: int, data: bytes) -> _Message:
        """Returns what becomes the batch in the process that made these blocks."""
        return _Message(self._key, number, data)


class SharedBlock:
    """A block that a reader writes one batch into."""

    def __init__(self, blocks: SharedBlocks, number: int) -> None:
        self._blocks = blocks
        self.number = number
        self._memory = blocks.memory(number)
        self._address = self._memory.ctypes.data
        self._used = 0

    def empty(self, shape: tuple[int, ...]) -> UInt8Array:
        """Returns a uint8 array in the block, or elsewhere where the block is full."""
        array = self._part(prod(shape))
        return empty_array(shape) if array is None else array.reshape(shape)

    def packed(self, batch: Any) -> Any:
        """Returns what a queue carries and what comes out at its other end as that batch.

        Tensors that do not lie in the block yet are copied into it; what finds no room goes the
        way in which PyTorch sends tensors.
        """
        file = io.BytesIO()
        _Packer(file, self).dump(batch)
        return self._blocks.message(self.number, file.getvalue())

    def give_back(self) -> None:
        """Makes the block free, with nothing sent."""
        self._blocks.give_back(self.number)

    def place(self, tensor: Tensor) -> Place | None:
        """Returns where a tensor lies in the block, copying it there; None: there is no room."""
        offset = tensor.data_ptr() - self._address
        if not (tensor.is_contiguous() and 0 <= offset < self._used):
            part = self._part(tensor.nbytes)
            if part is None:
                return None
            offset = part.ctypes.data - self._address
            _tensor(part, tensor.dtype, tuple(tensor.shape)).copy_(tensor)
        return tensor.dtype, tuple(tensor.shape), offset

    def _part(self, size: int) -> UInt8Array | None:
        start = self._used
        if start + size > len(self._memory):
            return None
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return self._memory[start : start + size]


class _Message:
    """What the queue carries in a batch's place: pickled by the reader, it becomes the batch.

    It holds the pool's key, since a consumer may have several loaders, the block's number, and the
    pickle of the batch in which every tensor is a Place in the block.
    """

    def __init__(self, key: str, number: int, data: bytes) -> None:
        self.key, self.number, self.data = key, number, data

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.key, self.number, self.data)


class _Packer(ForkingPickler):
    """Pickles a batch with its tensors left in the block; what finds no room goes PyTorch's way."""

    def __init__(self, file: io.BytesIO, block: SharedBlock) -> None:
        super().__init__(file)
        self._block = block

    def persistent_id(self, value: Any) -> Place | None:
        return self._block.place(value) if isinstance(value, Tensor) else None


class _Unpacker(pickle.Unpickler):
    """Reads a batch that _Packer wrote; its tensors are views of the block, without a copy."""

    def __init__(self, file: io.BytesIO, memory: UInt8Array) -> None:
        super().__init__(file)
        self._memory = memory

    def persistent_load(self, place: Place) -> Tensor:
        dtype, shape, offset = place
        size = prod(shape) * dtype.itemsize
        return _tensor(self._memory[offset : offset + size], dtype, shape)


def _tensor(memory: UInt8Array, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(memory).view(dtype).reshape(shape)


def _received(key: str, number: int, data: bytes) -> Any:
    """Returns the batch of a message, in the process that takes batches; it owns the block now.

    All tensors show one array, `memory`, and keep it alive through their views: its finalizer is
    the end of the batch, however it was cut up and handed on.
    """
    blocks = _pools[key]
    memory = blocks.memory(number)
    weakref.finalize(memory, _gone, blocks, number, os.getpid()).atexit = False
    return _Unpacker(io.BytesIO(data), memory).load()


def _gone(blocks: SharedBlocks, number: int, process: int) -> None:
    """Gives a block back when nothing shows it any more.

    A process that was forked since has the batch too, and ends it too, but does not own the block.
    """
    if os.getpid() == process:
        blocks.give_back(number)


def _opened(count: int, size: int, key: str, ends: list[Any]) -> SharedBlocks:
    """Returns the blocks in a reader that was started anew (spawned): the same memory and pipe.

    A forked reader needs none of this: it has them already.
    """
    blocks = SharedBlocks.__new__(SharedBlocks)
    blocks._count, blocks._size, blocks._key = count, size, key
    blocks._open(*(end.detach() for end in ends))
    return blocks


def _close(*ends: int) -> None:
    for end in ends:
        os.close(end)
