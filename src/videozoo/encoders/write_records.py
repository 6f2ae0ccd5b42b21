"""Describes lists of videos by features, in shards like YouTube-8M's, for the feature models."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from videozoo.data.clips.listing import ClipEntry, Listing, read_listing
from videozoo.data.clips.prepare_plan import refuse_pickles
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.encoders.describe import (
    FeatureRecipe,
    FrameDescriber,
    Moments,
    read_moments,
)
from videozoo.encoders.quantiser import Float, Quantiser, UInt8Array
from videozoo.errors import SampleError, VideozooError
from videozoo.files import make_folder, write_bytes, write_csv, write_json, write_text

SCALE_FILE, RECIPE_FILE, LABEL_FILE = "scale.safetensors", "features.json", "labels.txt"
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
    specs: Sequence[Path],
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
        specs: folders or lists of videos, the one to train on first.
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
    names = [_name_of(spec) for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise VideozooError(f"{name}: two lists have this name; give each another folder")
    listings = _listings(specs, labelled)
    make_folder(out)
    _claim(out, {"weights": weights_sha256, **asdict(recipe)})
    work = _Work(
        describer, partial(read_moments, recipe=recipe, settings=describer.settings), workers
    )
    scale = _stored_scale(out)
    if scale is None:
        entries = list(listings[0].entries)
        random.Random(0).shuffle(entries)
        scale = _fit(entries, work, partial(report, "scale"))
        _store_scale(out, scale)
    class_names = listings[0].class_names
    if class_names is not None:
        write_text(out / LABEL_FILE, "".join(f"{name}\n" for name in class_names))
    return [
        _write(listing.entries, out / f"{name}.list", work, scale, partial(report, name))
        for name, listing in zip(names, listings, strict=True)
    ]


def _name_of(spec: Path) -> str:
    return spec.resolve().name if spec.is_dir() else spec.stem


def _listings(specs: Sequence[Path], labelled: bool) -> list[Listing]:
    names: Sequence[str] | None = None
    found = []
    for spec in specs:
        listing = read_listing(spec, class_names=names, labelled=labelled)
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


def _stored_scale(out: Path) -> tuple[Quantiser, ...] | None:
    path = out / SCALE_FILE
    if not path.exists():
        return None
    try:
        stored = load(path.read_bytes())
        count = len(stored) // 2
        return tuple(Quantiser(stored[f"centre{i}"], stored[f"reach{i}"]) for i in range(count))
    except (OSError, SafetensorError, KeyError) as error:
        raise VideozooError(f"{path}: cannot be read ({error}); take another folder") from None


def _store_scale(out: Path, scale: tuple[Quantiser, ...]) -> None:
    arrays = {f"centre{i}": q.centre for i, q in enumerate(scale)}
    write_bytes(
        out / SCALE_FILE, save(arrays | {f"reach{i}": q.reach for i, q in enumerate(scale)})
    )


Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Work:
    """How videos are read and described.

    Attributes:
        describer: computes the features of frames.
        read: gives what is described of a video.
        threads: that read ahead.
    """

    describer: FrameDescriber
    read: Callable[[Path], Moments]
    threads: int

    def rows(
        self, entries: Sequence[ClipEntry]
    ) -> Iterator[tuple[ClipEntry, tuple[Float, ...] | SampleError]]:
        """Yields each video in order with float32 [n, D] a modality, or why it cannot be read."""
        for entry, moments in self._ahead(entries):
            if isinstance(moments, SampleError):
                yield entry, moments
            else:
                rgb = self.describer(moments.frames)  # [n, D]
                yield entry, (rgb,) if moments.audio is None else (rgb, moments.audio)

    def _ahead(
        self, entries: Sequence[ClipEntry]
    ) -> Iterator[tuple[ClipEntry, Moments | SampleError]]:
        waiting: deque[tuple[ClipEntry, Future[Moments | SampleError]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for entry in entries:
                    waiting.append((entry, pool.submit(self._tried, entry.path)))
                    if len(waiting) > 2 * self.threads:
                        first, future = waiting.popleft()
                        yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _tried(self, path: Path) -> Moments | SampleError:
        try:
            return self.read(path)
        except SampleError as error:
            return error


def _fit(entries: Sequence[ClipEntry], work: _Work, done: Progress) -> tuple[Quantiser, ...]:
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
    work: _Work,
    scale: tuple[Quantiser, ...],
    done: Progress,
) -> FeatureList:
    """Writes a list's shards, what is unreadable, and then the list."""
    unreadable: list[tuple[str, str]] = []
    seen = rows = 0

    def records(part: Sequence[ClipEntry]) -> Iterator[bytes]:
        nonlocal seen, rows
        for entry, described in work.rows(part):
            seen += 1
            done(seen, len(entries))
            if isinstance(described, SampleError):
                unreadable.append((str(entry.path), str(described)))
                continue
            rows += len(described[0])
            features = [q(values) for q, values in zip(scale, described, strict=True)]
            yield record_of(entry, features)

    shards = []
    for number, first in enumerate(range(0, len(entries), SHARD)):
        part = entries[first : first + SHARD]
        shard = path.with_name(f"{path.stem}{number:05d}.tfrecord")
        before = len(unreadable)
        write_tfrecord(shard, records(part))
        if len(unreadable) - before == len(part):
            shard.unlink()  # holds no video
        else:
            shards.append(shard)
    reasons = path.with_name(f"{path.stem}_unreadable.csv")
    if unreadable:
        write_csv(reasons, ["path", "reason"], unreadable)
    else:
        reasons.unlink(missing_ok=True)
    if not shards:
        raise VideozooError(f"{path.stem}: not one of its videos can be read, see {reasons}")
    write_text(path, "".join(f"{shard.resolve()}\n" for shard in shards))
    return FeatureList(path, len(entries), rows, unreadable)


def record_of(entry: ClipEntry, features: Sequence[UInt8Array]) -> bytes:
    """Returns a video as a record like YouTube-8M's; its id is the path as it was listed.

    Args:
        entry: the video.
        features: uint8 [n, D] of rgb and, where sound is wanted, of audio.
    """
    labels = entry.labels or (() if entry.label is None else (entry.label,))
    named = dict(zip(MODALITIES, features, strict=False))
    return encode_example(video=entry.video, labels=labels or None, features=named)
