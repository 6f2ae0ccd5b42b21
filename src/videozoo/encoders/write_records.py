"""Describes lists of videos by features, in shards like YouTube-8M's, for the feature models."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from videozoo.data.clips.clip_list import ClipEntry, Listing, read_listing
from videozoo.data.clips.prepare_plan import refuse_pickles
from videozoo.data.sample import UInt8Array
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.distributed import gathered, is_first_process, process_place
from videozoo.encoders.describe import (
    Describing,
    FeatureRecipe,
    FrameDescriber,
    read_moments,
)
from videozoo.encoders.quantiser import Float, Quantiser, store_scale, stored_scale
from videozoo.errors import SampleError, VideozooError
from videozoo.files import make_folder, write_csv, write_json, write_text

RECIPE_FILE, LABEL_FILE = "features.json", "labels.txt"
SHARD = 500  # videos
MODALITIES = ("rgb", "audio")
FIT_ROWS = 50_000  # that decide the scale, of videos drawn from the whole list


@dataclass(frozen=True)
class FeatureList:
    """What a list of videos has become.

    Attributes:
        path: the new list, of shards.
        listed: videos of the old one.
        rows: rows of features of all videos.
        unreadable: path and reason of those that could not be described.
    """

    path: Path
    listed: int
    rows: int
    unreadable: list[tuple[str, str]]


def prepare_features(
    sources: Sequence[Path],
    out: Path,
    *,
    describer: FrameDescriber,
    recipe: FeatureRecipe,
    weights_sha256: str,
    workers: int,
    labelled: bool = True,
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[FeatureList]:
    """Describes the videos of folders and lists; `out` gets a list of shards for each.

    The scale on which features become bytes is fitted on videos of the first list and kept in
    `out`; what is prepared into the same folder later is put on the same scale. A list appears when
    all of its shards are there.

    Args:
        sources: folders or lists of videos, the one to train on first.
        out: a folder.
        describer: computes the features of frames.
        recipe: which moments of a video are described.
        weights_sha256: of the describer.
        workers: threads that read ahead.
        labelled: whether the lists must name classes.
        report: told the list's name and how many of how many videos are done.

    Returns:
        What each has become.

    Raises:
        VideozooError: a list has faults, two have one name, `out` holds features of another
            recipe, no video can be read, or `out` cannot be written to.
    """
    names = [_name_of(source) for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise VideozooError(f"{name}: two lists have this name; give each another folder")
    listings = _listings(sources, labelled)
    make_folder(out)
    _claim(out, {"weights": weights_sha256, **asdict(recipe)})
    work = Describing(
        describer, partial(read_moments, recipe=recipe, settings=describer.settings), workers
    )
    scale = _scale(out, listings[0].entries, work, partial(report, "scale"))
    class_names = listings[0].class_names
    if class_names is not None:
        write_text(out / LABEL_FILE, "".join(f"{name}\n" for name in class_names))
    return [
        _write(listing.entries, out / f"{name}.list", work, scale, partial(report, name))
        for name, listing in zip(names, listings, strict=True)
    ]


def _name_of(source: Path) -> str:
    return source.resolve().name if source.is_dir() else source.stem


def _listings(sources: Sequence[Path], labelled: bool) -> list[Listing]:
    names: Sequence[str] | None = None
    found = []
    for source in sources:
        listing = read_listing(source, class_names=names, labelled=labelled)
        refuse_pickles(listing.entries, "; features are made of videos, list those")
        names = names or listing.class_names
        found.append(listing)
    return found


def _claim(out: Path, recipe: dict[str, object]) -> None:
    """Writes down how the folder's features are made.

    Raises:
        VideozooError: those that are there already are made in another way.
    """
    path = out / RECIPE_FILE
    if not path.exists():
        write_json(path, recipe)
        return
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise VideozooError(f"{path}: cannot be read ({error}); take another folder") from None
    other = [key for key in recipe if kept.get(key) != recipe[key]]
    if other:
        raise VideozooError(
            f"{out}: holds features made with another {' and '.join(other)}; take another folder"
        )


def _scale(
    out: Path, entries: Sequence[ClipEntry], work: Describing, done: Progress
) -> tuple[Quantiser, ...]:
    """Returns the scale that `out` holds; where there is none, the first process fits one.

    Raises:
        VideozooError: no video can be read.
    """
    scale, fault = stored_scale(out), None
    if scale is None and is_first_process():
        shuffled = list(entries)
        random.Random(0).shuffle(shuffled)
        try:
            scale = _fit(shuffled, work, done)
            store_scale(out, scale)
        except VideozooError as error:  # raised in every process: the others wait here
            fault = str(error)
    fitted: tuple[Quantiser, ...] | None
    fitted, fault = gathered((scale, fault))[0]
    if fitted is None:
        raise VideozooError(str(fault))
    return fitted


Progress = Callable[[int, int], None]


def _fit(entries: Sequence[ClipEntry], work: Describing, done: Progress) -> tuple[Quantiser, ...]:
    """Fits the scale of each modality.

    Raises:
        VideozooError: no video can be read.
    """
    rows: list[tuple[Float, ...]] = []
    count, reason = 0, ""
    for number, (_, described) in enumerate(work.rows(entries), 1):
        if isinstance(described, SampleError):
            reason = reason or str(described)
        else:
            rows.append(described)
            count += len(described[0])
        done(number, len(entries))
        if count >= FIT_ROWS:
            break
    if not rows:
        raise VideozooError(f"no video of the first list can be read; the first fault: {reason}")
    return tuple(Quantiser.fit(np.concatenate(modality)) for modality in zip(*rows, strict=True))


def _write(
    entries: Sequence[ClipEntry],
    path: Path,
    work: Describing,
    scale: tuple[Quantiser, ...],
    done: Progress,
) -> FeatureList:
    """Writes a list's shards, what is unreadable, and then the list.

    Several processes share the shards among them.
    """
    rank, world = process_place()
    size = min(SHARD, -(-len(entries) // world))
    unreadable: list[tuple[str, str]] = []
    seen = rows = 0

    def records(part: Sequence[ClipEntry]) -> Iterator[bytes]:
        nonlocal seen, rows
        for entry, described in work.rows(part):
            seen += 1
            done(min(seen * world, len(entries)), len(entries))
            if isinstance(described, SampleError):
                unreadable.append((str(entry.path), str(described)))
                continue
            rows += len(described[0])
            features = [q(values) for q, values in zip(scale, described, strict=True)]
            yield record_of(entry, features)

    shards: list[tuple[int, Path]] = []
    for number, first in enumerate(range(0, len(entries), size)):
        if number % world != rank:
            continue
        part = entries[first : first + size]
        shard = path.with_name(f"{path.stem}{number:05d}.tfrecord")
        before = len(unreadable)
        write_tfrecord(shard, records(part))
        if len(unreadable) - before == len(part):
            shard.unlink()  # holds no video
        else:
            shards.append((number, shard))
    shares = gathered((shards, unreadable, rows))
    shards = sorted(shard for share in shares for shard in share[0])
    unreadable = [fault for share in shares for fault in share[1]]
    found = FeatureList(path, len(entries), sum(share[2] for share in shares), unreadable)
    if not is_first_process():
        return found
    reasons = path.with_name(f"{path.stem}_unreadable.csv")
    if unreadable:
        write_csv(reasons, ["path", "reason"], unreadable)
    else:
        reasons.unlink(missing_ok=True)
    if not shards:
        raise VideozooError(f"{path.stem}: not one of its videos can be read, see {reasons}")
    write_text(path, "".join(f"{shard.resolve()}\n" for _, shard in shards))
    return found


def record_of(entry: ClipEntry, features: Sequence[UInt8Array]) -> bytes:
    """Returns a video as a record like YouTube-8M's; its id is the path as it was listed.

    Args:
        entry: the video.
        features: uint8 [n, D] of rgb and, where sound is wanted, of audio.
    """
    labels = entry.labels or ()
    named = dict(zip(MODALITIES, features, strict=False))
    return encode_example(video=entry.video, labels=labels or None, features=named)
