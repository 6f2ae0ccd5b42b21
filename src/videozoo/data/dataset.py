"""What every data set of videos answers, to our loader and to PyTorch's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from videozoo.data.batch import Batch
from videozoo.data.collate import Empty, empty_array
from videozoo.data.sampler import ReadGroups

if TYPE_CHECKING:  # FFmpeg comes with what is read
    from videozoo.video.reader import FramePlan

Float64Array = npt.NDArray[np.float64]
Report = Callable[[int, int], None]
"""Told how many of how many samples are done."""


class VideoDataset(Dataset[Any], ABC):
    """A list of videos with random access: YouTube8MDataset, ClipDataset, or your own.

    It is a PyTorch data set: `DataLoader(dataset, batch_size=8, collate_fn=dataset.collate)` gives
    batches. `loader.make_loader` gives them with exact resuming, with drawing that depends on
    (seed, epoch, index) alone, and leaves out what cannot be read.

    Attributes:
        draws: `read` makes use of `rng`; False saves the making of one.
        read_groups: which samples are best read near each other in time; None: it does not matter.
        recipe: how the videos became rows of features (encoders.recipe.Recipe); None: they did not,
            or it is not known.
    """

    draws: bool = True
    read_groups: ReadGroups | None = None
    recipe: Any = None

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of listed videos."""

    def __getitem__(self, index: int) -> Any:
        """Reads one sample with nothing drawn, see `read`.

        Raises:
            IndexError: there is none of that number.
        """
        return self.read(range(len(self))[index], None)

    @abstractmethod
    def name(self, index: int) -> str:
        """Returns what a sample is called in reports."""

    def file(self, index: int) -> Path | None:
        """Returns the file that a sample lies in; None: it lies in none, or it is not known."""
        return None

    def frame_plan(self, index: int) -> FramePlan | None:
        """Returns which frames of a sample's file are seen where nothing is drawn.

        None: the sample is no video file.
        """
        return None

    def row_seconds(self, index: int) -> Float64Array | None:
        """Returns when the rows of a sample that is no video file were seen, as `read` gives them.

        float64 [n], seconds; None: nothing tells.
        """
        return None

    @abstractmethod
    def read(self, index: int, rng: np.random.Generator | None = None) -> Any:
        """Reads one sample.

        Args:
            index: 0 to len(self) - 1.
            rng: draws in training; None (test): nothing is drawn.

        Returns:
            A sample: its `labels` are its classes, None where none is known; its `damage`, where
            it has such an attribute, is what is known to be missing of it, None: nothing.

        Raises:
            SampleError: the sample cannot be read; the message is the reason.
            VideozooError: the sample shows that the config is wrong: work must stop.
        """

    def damage(self, index: int) -> str | None:
        """Looks for what is missing of a sample, more closely than `read` does.

        Returns:
            What is known to be missing; None: nothing.

        Raises:
            SampleError: the sample cannot be read.
            VideozooError: see `read`.
        """
        damage: str | None = getattr(self.read(index, None), "damage", None)
        return damage

    def classes(self, index: int) -> tuple[int, ...]:
        """Returns the classes of a sample; none where none is known.

        Raises:
            SampleError: the sample must be read for them, and cannot be.
            VideozooError: one is out of range.
        """
        labels = self.read(index, None).labels
        return () if labels is None else tuple(sorted({int(label) for label in labels}))

    def listed_classes(self, index: int) -> tuple[int, ...] | None:
        """Returns the classes of a sample as its list names them; None: it does not."""
        return None

    def prepare(
        self,
        device: torch.device,
        report: Report | None = None,
        indices: Sequence[int] | None = None,
    ) -> None:
        """Does what must be done once before samples are read; by default that is nothing.

        Args:
            device: where what takes computing is computed.
            report: told how many of how many samples are done.
            indices: of the samples that will be read; None: all.

        Raises:
            VideozooError: it cannot be done for any sample.
        """
        return

    def fit_scale(self) -> None:
        """Fits on these samples, the training side, what `recipe` leaves open; else nothing.

        Raises:
            VideozooError: not one sample can be read.
        """
        return

    def prefetch(self, indices: Sequence[int]) -> None:
        """Lets the system fetch samples that will be read next; by default it is not told."""
        return

    @abstractmethod
    def placeholder(self) -> Any:
        """Returns a sample without labels that stands in a batch where none can be read."""

    @abstractmethod
    def collate(
        self,
        samples: Iterable[Any],
        *,
        indices: Sequence[int] | None = None,
        empty: Empty = empty_array,
    ) -> Batch:
        """Makes a batch of samples.

        Args:
            samples: at least one; they may be read only when they are asked for.
            indices: of the samples that may come, so that memory can be made for all of them;
                None: `samples` is a list.
            empty: gives the memory of large arrays.
        """
