"""Describes lists of videos by features, in shards like YouTube-8M's, for the feature models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from videozoo.data.clips.clip_list import Listing, read_listing
from videozoo.data.clips.prepare_plan import refuse_pickles
from videozoo.data.labels import read_label_file
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.distributed import gathered, is_first_process, process_place
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.recipe import RECIPE_FILE, SCALE_FILE, Recipe, store_recipe, stored_recipe
from videozoo.errors import SampleError, VideozooError, as_given
from videozoo.files import make_folder, write_csv, write_text
from videozoo.shards import Listed, Shard, Span, share_out
from videozoo.text import counted, escaped, valid

LABEL_FILE = "labels.txt"
CLAIMED_BY = (RECIPE_FILE, SCALE_FILE, LABEL_FILE)  # what later runs into a folder keep to
SHARD = 500  # videos
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FeatureList:
    """What a list of videos has become.

    Attributes:
        path: the new list, of shards.
        listed: videos of the old one.
        rows: rows of features of all videos.
        unreadable: path and reason of those that could not be described.
        damaged: path of those that were described though something is known to be missing of them,
            and what that is.
        notes: what was passed over or decided, for people.
    """

    path: Path
    listed: int
    rows: int
    unreadable: list[tuple[str, str]]
    damaged: list[tuple[str, str]]
    notes: Sequence[str] = ()


def prepare_features(
    sources: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    device: torch.device,
    cached: bool = True,
    threads: int | None = None,
    labelled: bool = True,
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
    shard: Shard | None = None,
) -> list[FeatureList]:
    """Describes the videos of folders and lists; `out` gets a list of shards for each.

    The scale on which features become bytes is fitted on the videos of the first list and kept in
    `out`; what is prepared into the same folder later is put on the same scale. A list appears when
    all of its shards are there. Rows that are kept from before are not computed again.

    Args:
        sources: folders or lists of videos, the one to train on first.
        out: a folder.
        recipe: how videos become rows; `out` may have a scale for it.
        device: where the encoder computes.
        cached: keep the rows for other runs.
        threads: that read videos; None: the cores.
        labelled: whether the lists must name classes.
        report: told the list's name and how many of how many videos are done.
        shard: only keep the rows of this share of each list, for a run without it, which then has
            the records to write alone.

    Returns:
        What each has become; nothing of a shard.

    Raises:
        VideozooError: a list has faults, two have one name, `out` holds features of another
            recipe, no video can be read, or `out` cannot be written to.
    """
    names = [_name_of(source) for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise VideozooError(f"{name}: two lists have this name; give each another folder")
    known = out / LABEL_FILE
    listings = _listings(
        sources, labelled, read_label_file(str(known)) if known.is_file() else None
    )
    make_folder(out)
    recipe, new = _claimed(out, recipe), not (out / RECIPE_FILE).exists()
    found = []
    share_out(*(_listed(listing, shard) for listing in listings))
    for name, listing in zip(names, listings, strict=True):
        dataset = EncodedVideos(
            listing.entries,
            recipe=recipe,
            feature_names=list(recipe.dims),
            num_classes=len(listing.class_names or [name]),
            cached=cached,
            threads=threads,
        )
        indices = Span(len(dataset), shard=shard).indices()
        dataset.prepare(device, partial(report, name), indices)
        if shard is not None:
            continue
        if new:
            recipe, new = _fitted(out, dataset, listing.class_names), False
        found.append(replace(_write(dataset, out / f"{name}.list"), notes=_notes(name, listing)))
    return found


def _listed(listing: Listing, shard: Shard | None) -> Listed:
    entries = listing.entries
    return Listed(Span(len(entries), shard=shard), lambda index: entries[index].video)


def _fitted(out: Path, dataset: EncodedVideos, class_names: Sequence[str] | None) -> Recipe:
    """Fits the scale on the first list, unless there is one, and keeps it, with the class names.

    Raises:
        VideozooError: no video can be read.
    """
    dataset.fit_scale()
    if is_first_process():
        if class_names is not None:
            write_text(out / LABEL_FILE, "".join(f"{name}\n" for name in class_names))
        store_recipe(out, dataset.recipe)
    fitted: Recipe = dataset.recipe
    return fitted


def _name_of(source: Path) -> str:
    return escaped(source.resolve().name if source.is_dir() else source.stem)


def _notes(name: str, listing: Listing) -> list[str]:
    none = sum(not entry.labels for entry in listing.entries) if listing.many else 0
    said = f"{name}: {counted(none, 'video')} of none of the classes; records cannot tell this from"
    return listing.notes + ([f"{said} no label, so train and test leave them out"] if none else [])


def _listings(
    sources: Sequence[Path], labelled: bool, names: Sequence[str] | None
) -> list[Listing]:
    """Reads the lists; their classes are numbered as those that were prepared before are."""
    found = []
    for source in sources:
        listing = read_listing(source, class_names=names, labelled=labelled, multi_label=None)
        refuse_pickles(listing.entries, "; features are made of videos, list those")
        names = names or listing.class_names
        found.append(listing)
    return found


def _claimed(out: Path, recipe: Recipe) -> Recipe:
    """Returns the recipe with the scale that `out` has for it, if any.

    Raises:
        VideozooError: the features that are there already are made in another way.
    """
    kept = stored_recipe(out)
    if kept is None:
        if (out / RECIPE_FILE).exists():
            raise VideozooError(
                f"{out}: holds features made by another version of videozoo; take another folder"
            )
        return recipe
    if other := recipe.differences(kept):
        raise VideozooError(
            f"{out}: holds features made with another {' and '.join(other)}; take another folder"
        )
    return recipe.scaled(kept.scale)


def _write(dataset: EncodedVideos, path: Path) -> FeatureList:
    """Writes a list's shards, what is unreadable, and then the list.

    Several processes share the shards among them.
    """
    rank, world = process_place()
    size = min(SHARD, -(-len(dataset) // world))
    unreadable: list[tuple[str, str]] = []
    damaged: list[tuple[str, str]] = []
    shards: list[tuple[int, Path]] = []
    rows = 0

    def records(part: range) -> Iterator[bytes]:
        nonlocal rows
        for index in part:
            try:
                sample = dataset.read(index)
            except SampleError as error:
                unreadable.append((str(dataset.path(index)), str(error)))
                continue
            if sample.damage is not None:
                damaged.append((str(dataset.path(index)), sample.damage))
            rows += len(sample.features[0])
            named = dict(zip(dataset.feature_names, sample.features, strict=True))
            labels = None if sample.labels is None else sample.labels.tolist()
            yield encode_example(video=valid(sample.video), labels=labels, features=named)

    for number, first in enumerate(range(0, len(dataset), size)):
        if number % world != rank:
            continue
        part = range(first, min(first + size, len(dataset)))
        shard = path.with_name(f"{path.stem}{number:05d}.tfrecord")
        before = len(unreadable)
        write_tfrecord(shard, records(part))
        if len(unreadable) - before == len(part):
            shard.unlink()  # holds no video
        else:
            shards.append((number, shard))
    shares = gathered((shards, unreadable, rows, damaged))
    shards = sorted(shard for share in shares for shard in share[0])
    unreadable = [fault for share in shares for fault in share[1]]
    damaged = [note for share in shares for note in share[3]]
    found = FeatureList(path, len(dataset), sum(share[2] for share in shares), unreadable, damaged)
    if not is_first_process():
        return found
    _write_reasons(path.with_name(f"{path.stem}_damaged.csv"), damaged)
    reasons = path.with_name(f"{path.stem}_unreadable.csv")
    _write_reasons(reasons, unreadable)
    if not shards:
        raise VideozooError(f"{path.stem}: not one of its videos can be read, see {reasons}")
    # of what is uploaded, names alone: they are looked for beside the list
    uploaded = as_given(path) != str(path)
    lines = (shard.name if uploaded else str(shard.resolve()) for _, shard in shards)
    lines = (line if valid(line) == line else Path(line).name for line in lines)
    write_text(path, "".join(f"{line}\n" for line in lines))
    return found


def _write_reasons(path: Path, reasons: Sequence[tuple[str, str]]) -> None:
    """Writes the reasons; where there are none, no file of an earlier run stays."""
    if reasons:
        write_csv(path, ["path", "reason"], reasons)
    else:
        path.unlink(missing_ok=True)
