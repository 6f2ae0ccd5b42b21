"""How much of a data set cannot be read: what is said of it, and when training stops for it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from videozoo.config.keys import Settings
from videozoo.data.dataset import VideoDataset
from videozoo.distributed import gathered
from videozoo.errors import SampleError, VideozooError
from videozoo.evaluate import Evaluation
from videozoo.training.state import Position

NAMED = 5  # classes or reasons in a sentence
FEW = 10  # videos to validate on
SECONDS = 10.0  # for a look at one video of each class
Indices = dict[int, list[int]]


def is_too_much(bad: int, of: int, share: float) -> bool:
    """Says whether more than a share of the samples cannot be read; a single one is no share."""
    return bad > 1 and bad > share * of


def too_much_error(
    bad: int, of: str, found: Collection[tuple[str, str]], share: float
) -> VideozooError:
    """Returns the error that ends a training: how many of how many, and why.

    Args:
        bad: samples that cannot be read.
        of: what they are some of, such as "40 training samples".
        found: name and reason of each, or of some.
        share: how many may be.
    """
    first = "; ".join(why if name in why else f"{name}: {why}" for name, why in [*found][:NAMED])
    return VideozooError(
        f"{bad} of the {of} cannot be read, more than max_bad = {share:g} allows; the first:"
        f" {first}; mend or remove them (videozoo scan lists all), or give --max-bad 1 to go on"
        " without them"
    )


def too_many(position: Position, steps: int, samples: int, settings: Settings) -> bool:
    """Says whether training is to stop for what could not be read in this epoch so far.

    Args:
        position: behind a step.
        steps: an epoch.
        samples: of the training list.
        settings: of TRAIN.
    """
    if not position.videos and position.step == steps:
        return False  # see nothing_read
    return is_too_much(position.skipped, samples, settings.max_bad)


def too_many_error(position: Position, samples: int, settings: Settings) -> VideozooError:
    """Returns what ends a training for which `too_many` holds, in every process."""
    share_unreadable(position)
    seen = min(position.step * settings.batch_size, samples)
    of = f"{seen} training samples seen in this epoch"
    return too_much_error(position.skipped, of, position.unreadable.values(), settings.max_bad)


def share_unreadable(position: Position) -> None:
    """Lets every process know the samples that any of them could not read."""
    for share in gathered(position.unreadable):
        position.unreadable.update(share)


def nothing_read(position: Position) -> VideozooError:
    """Returns the error of an epoch of which not one sample could be read."""
    _, reason = next(iter(position.unreadable.values()))
    return VideozooError(
        f"not one of the {len(position.unreadable)} training samples could be read;"
        f" the first: {reason}"
    )


def validation_warnings(
    valid: VideoDataset, evaluation: Evaluation, names: Sequence[str] | None
) -> list[str]:
    """Returns what makes a validation say little, where `first_warnings` did not know it."""
    said = []
    if evaluation.evaluated < FEW <= len(valid):
        said.append(few_to_validate(evaluation.evaluated))
    if evaluation.unreadable:
        listed = by_class(valid)
        lost = lost_classes(listed, {one.index for one in evaluation.unreadable})
        said += lost_warnings(listed, lost, names, "validation")
    return said


def by_class(dataset: VideoDataset) -> Indices | None:
    """Returns the samples of each class as their list names them; None: it does not."""
    found: Indices = {}
    for index in range(len(dataset)):
        classes = dataset.listed_classes(index)
        if classes is None:
            return None
        for label in classes:
            found.setdefault(label, []).append(index)
    return found


def first_warnings(
    train: VideoDataset, valid: VideoDataset | None, names: Sequence[str] | None, num_classes: int
) -> list[str]:
    """Returns what there is to warn of before training: classes without a video, or too few.

    One video of each class is read, for a few seconds, so that a class of which nothing can be
    read shows at once.

    Args:
        train: the training samples.
        valid: the validation samples.
        names: of the classes, where they are known.
        num_classes: K.
    """
    said = []
    if valid is not None and len(valid) < FEW:
        said.append(few_to_validate(len(valid)))
    learnt = by_class(train)
    if learnt is None:
        return said
    none = [label for label in range(num_classes) if label not in learnt]
    if none:
        said.append(f"warning: nothing to train on in {_named(none, names)}")
    tested = None if valid is None else by_class(valid)
    if tested is not None and (none := sorted(learnt.keys() - tested)):
        said.append(f"warning: nothing to validate in {_named(none, names)}")
    end = time.monotonic() + SECONDS
    lost = {label for label in sorted(learnt) if _is_lost(train, learnt[label], end)}
    return said + lost_warnings(learnt, lost, names, "training")


def few_to_validate(count: int) -> str:
    """Returns the warning that a score of so few videos means little."""
    return (
        f"warning: {count} video{'s' if count > 1 else ''} to validate: a score of so few says"
        " little of other videos"
    )


def lost_classes(listed: Indices | None, unreadable: Collection[int]) -> set[int]:
    """Returns the classes of which not one listed sample could be read."""
    lost = set(unreadable)
    return {label for label, own in (listed or {}).items() if lost.issuperset(own)}


def lost_warnings(
    listed: Indices | None, lost: Collection[int], names: Sequence[str] | None, side: str
) -> list[str]:
    """Returns the warning of classes of which nothing can be read, if there are any."""
    if listed is None or not lost:
        return []
    count = sum(len(listed[label]) for label in lost)
    return [
        f"warning: none of the {count} {side} videos of {_named(sorted(lost), names)} can be read"
    ]


def _is_lost(dataset: VideoDataset, indices: Sequence[int], end: float) -> bool:
    """Reads samples until one can be read, or the time has come."""
    for index in indices:
        if time.monotonic() > end:
            return False
        try:
            dataset.read(index, None)
        except SampleError:
            continue
        except VideozooError:
            pass  # training will say what is wrong
        return False
    return True


def _named(labels: Sequence[int], names: Sequence[str] | None) -> str:
    words = [str(label) if names is None else names[label] for label in labels[:NAMED]]
    more = f" and {len(labels) - NAMED} more classes" if len(labels) > NAMED else ""
    return ("class " if names is None else "") + ", ".join(words) + more
