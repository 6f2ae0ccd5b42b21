"""What can be measured: a source of samples, and the stages of reading one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from videozoo.bench.blocks import Block, Span
from videozoo.data.batches import Chunk
from videozoo.data.loader import ChunkReader, SampleSource, checked

Pass = Callable[[Block], object]


@dataclass(frozen=True)
class Stage:
    """A part of the work of reading a sample.

    Attributes:
        name: a word for tables.
        doing: what goes on, for sentences.
    """

    name: str
    doing: str


class Subject(Protocol):
    """Samples to be measured."""

    @property
    def noun(self) -> str:
        """What a sample is called, in the plural."""
        ...

    @property
    def source(self) -> SampleSource:
        """The samples."""
        ...

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of reading one, plain reading first; empty where they cannot be told apart."""
        ...

    def choose(self, wanted: int, batch_size: int) -> list[int]:
        """Chooses about so many samples, evenly over the list."""
        ...

    def spans(self, indices: Sequence[int]) -> list[Span]:
        """Returns where the stored bytes of samples lie, without what cannot be found."""
        ...

    def passes(self) -> list[Pass]:
        """Returns new passes over blocks: what each of the stages takes, with all before it.

        The first stage is plain reading and has no pass here; the last pass is the whole, from the
        disk to a batch, also where there are no stages.
        """
        ...


def whole(source: SampleSource) -> Pass:
    """Returns the pass that makes batches, the way that test and infer do in their own process."""
    reader = ChunkReader(source, training=False)

    def run(block: Block) -> object:
        return checked(reader[as_chunk(block, 0)])

    return run


def as_chunk(block: Block, step: int) -> Chunk:
    """Returns a block as the loaders ask for it."""
    return Chunk(epoch=0, step=step, indices=block.indices, step_size=len(block.indices), last=True)
