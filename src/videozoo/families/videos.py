"""Lists of videos, as both families open them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from videozoo.addresses.copies import local
from videozoo.addresses.places import brought, is_file
from videozoo.config.keys import Settings
from videozoo.data.clips.clip_files import (
    CLIP_SUFFIXES,
    PICKLE_SUFFIXES,
    VIDEO_SUFFIXES,
    Content,
    expand_path,
    look_through,
    match_pattern,
)
from videozoo.data.clips.clip_list import ClipEntry, Listing, read_listing
from videozoo.data.clips.clip_rows import split_line
from videozoo.data.clips.metadata import metadata_notes
from videozoo.data.sample import label_fault
from videozoo.data.youtube8m.shards import is_shard
from videozoo.data.youtube8m.tfrecord import HEADER_SIZE, is_header
from videozoo.errors import VideozooError, as_given
from videozoo.families.family import each_once
from videozoo.reading import lines_of

_ENOUGH = 1 << 16  # bytes that show what a list holds


def holds_videos(source: str | Sequence[str], *, otherwise: bool = False) -> bool:
    """Says whether what a feature model is given is videos, not shards of records.

    Args:
        source: see Family.open.
        otherwise: the answer for what leads nowhere, or to neither: whose reader says so.
    """
    if not isinstance(source, str):
        return any(holds_videos(one, otherwise=otherwise) for one in source[:1])
    path = brought(source).expanduser()
    if path.is_dir():
        return _has_videos(look_through(path), otherwise)
    if not is_file(path):
        found = match_pattern(source)
        named = path.suffix.lower() in VIDEO_SUFFIXES
        return _has_videos(found, otherwise) if found is not None else named or otherwise
    if path.suffix.lower() in (*VIDEO_SUFFIXES, ".csv", ".jsonl"):
        return True
    if is_shard(path):
        return False
    with local(path) as here, open(here, "rb") as file:
        head = file.read(_ENOUGH)
    try:
        lines = lines_of(
            head[: head.rfind(b"\n") if len(head) == _ENOUGH else None].decode("utf-8-sig")
        )
    except UnicodeDecodeError:
        return True  # no list and no shard: FFmpeg will know
    first = next((line.strip() for line in lines if line.strip() and line[0] != "#"), "")
    listed = Path(split_line(first)[0]) if first else path
    if listed.suffix.lower() in (*VIDEO_SUFFIXES, ".pkl", ".tfrecord") or not otherwise:
        return listed.suffix.lower() in VIDEO_SUFFIXES
    return True


def _has_videos(content: Content, otherwise: bool) -> bool:
    if any(clip.suffix.lower() not in PICKLE_SUFFIXES for clip in content.clips):
        return True
    shards = content.clips or any(o.suffix.lower() == ".tfrecord" for o in content.others)
    return otherwise and not shards


def refuse_records(paths: Iterable[Path], model: str) -> None:
    """Refuses files of records where videos are wanted; one of each file ending is looked at.

    Args:
        paths: what was given, or a list names.
        model: the model's name.

    Raises:
        VideozooError: one is a TFRecord file.
    """
    seen = set(CLIP_SUFFIXES)
    for path in paths:
        if path.suffix.lower() in seen or not path.is_file():
            continue
        seen.add(path.suffix.lower())
        with open(path, "rb") as file:
            if is_header(file.read(HEADER_SIZE)):
                raise VideozooError(
                    f"{path}: is a TFRecord file: records of features, as YouTube-8M's; {model}"
                    " takes videos; give it videos, and records to a model on features, such as"
                    " NEXTVLAD"
                )


def open_videos(
    source: str | Sequence[str],
    settings: Settings,
    *,
    labelled: bool,
    class_names: Sequence[str] | None,
    video_folder: Path | None = None,
) -> Listing:
    """Finds the videos of a list, folder, csv or glob; or of several paths, without labels.

    Args:
        source: see Family.open.
        settings: of the mode.
        labelled: every video needs a label.
        class_names: known from elsewhere.
        video_folder: where the videos of Kinetics' csv lie.

    Returns:
        The videos, the class names where they are known, and what was passed over.

    Raises:
        VideozooError: something is missing, or a label is out of range.
    """
    names = None if class_names is None else list(class_names)
    if not isinstance(source, str):
        notes: list[str] = []
        found = each_once(source, partial(expand_path, notes=notes))
        for folder in (Path(one).expanduser() for one in source if Path(one).expanduser().is_dir()):
            own = [clip for clip in found if folder in clip.parents]
            notes += metadata_notes(folder, own)
        return Listing([ClipEntry(path, None, as_given(path)) for path in found], names, notes)
    listing = read_listing(
        source,
        class_names=names,
        video_folder=video_folder,
        labelled=labelled,
        multi_label=settings.multi_label,
    )
    check_labels(listing.entries, settings.num_classes, source)
    return listing if names is None else replace(listing, class_names=names)


def check_labels(entries: Sequence[ClipEntry], num_classes: int, source: str) -> None:
    """Checks that the labels of a list are classes.

    Args:
        entries: of the list.
        num_classes: K.
        source: the list.

    Raises:
        VideozooError: one is out of range.
    """
    lowest = min((label for entry in entries for label in entry.labels or ()), default=0)
    for entry in entries:
        labels, of = entry.labels or (), f" of {entry.video}"
        if fault := label_fault(labels, num_classes, of=of, lowest=lowest):
            raise VideozooError(f"{source}: {fault}; check the list and num_classes")
