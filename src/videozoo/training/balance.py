"""How many samples of each class a training list has, for class weights and balanced sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from videozoo.data.dataset import VideoDataset
from videozoo.distributed import gathered, process_place
from videozoo.errors import SampleError, VideozooError


@dataclass
class ListedClasses:
    """The classes of a list's samples.

    Attributes:
        classes: of each sample; empty where none is known.
        unreadable: name and reason, by index, of the samples of which none is known.
    """

    classes: list[tuple[int, ...]] = field(default_factory=list)
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)


def listed_classes(dataset: VideoDataset) -> ListedClasses:
    """Finds the classes of all samples: in the list where they stand there, else in the data.

    Each of the processes that have joined reads its share.

    Raises:
        VideozooError: no sample names a class, or one is out of range.
    """
    (rank, world), count = process_place(), len(dataset)
    mine: ListedClasses | VideozooError
    try:
        mine = _classes_of(dataset, range(rank, count, world))
    except VideozooError as error:
        mine = error
    listed = ListedClasses([()] * count)
    for first, share in enumerate(gathered(mine)):
        if isinstance(share, VideozooError):
            raise share
        listed.classes[first::world] = share.classes
        listed.unreadable |= share.unreadable
    if len(listed.unreadable) == count:
        reasons = [reason for _, (_, reason) in sorted(listed.unreadable.items())]
        raise VideozooError(f"no training sample has a known class; the first: {reasons[0]}")
    return listed


def _classes_of(dataset: VideoDataset, indices: Sequence[int]) -> ListedClasses:
    listed = ListedClasses()
    for index in indices:
        try:
            classes = tuple(dataset.classes(index))
            if not classes:
                raise SampleError("names no class, so nothing can be learnt from it")
        except SampleError as error:
            classes = ()
            listed.unreadable[index] = (dataset.name(index), str(error))
        listed.classes.append(classes)
    return listed


def balanced_weights(classes: Sequence[Sequence[int]], *, num_classes: int) -> Tensor:
    """Returns the weight of each class: labels in all / (classes that occur * labels of the class).

    Over a list of one label a sample the mean weight is 1. A class that does not occur has 1.

    Args:
        classes: of each sample.
        num_classes: K.

    Returns:
        float32 [K].
    """
    numbers = np.array([number for labels in classes for number in labels], dtype=np.int64)
    counts = np.bincount(numbers, minlength=num_classes)  # [K]
    mean = len(numbers) / np.count_nonzero(counts)
    weights = np.where(counts > 0, mean / np.maximum(counts, 1), 1.0)  # [K]
    return torch.from_numpy(weights.astype(np.float32))
