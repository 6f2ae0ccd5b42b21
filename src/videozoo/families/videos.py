"""Lists of videos, as both families open them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videozoo.config.keys import Settings
from videozoo.data.clips.clip_files import CLIP_SUFFIXES, VIDEO_SUFFIXES
from videozoo.data.sample import label_fault
from videozoo.data.youtube8m.shards import is_shard
from videozoo.data.youtube8m.tfrecord import HEADER_SIZE, is_header
from videozoo.errors import VideozooError
from videozoo.families.family import each_once

if TYPE_CHECKING:
    from videozoo.data.clips.clip_list import ClipEntry


_ENOUGH = 1 << 16  # bytes that show what a list holds


def holds_videos(source: str | Sequence[str]) -> bool:
    """Says whether what a feature model is given is videos, not shards of records.

    Args:
        source: see Family.open; what leads nowhere is taken for shards, whose reader says so.
    """
    if not isinstance(source, str):
        return any(holds_videos(one) for one in source[:1])
    path = Path(source).expanduser()
    if path.is_dir():
        names = (name for _, _, names in os.walk(path, followlinks=True) for name in names)
        return any(_is_video(name) for name in names)
    if not path.is_file():
        return _is_video(source)
    if _is_video(path.name) or path.suffix.lower() == ".csv":
        return True
    if is_shard(path):
        return False
    with open(path, "rb") as file:
        head = file.read(_ENOUGH)
    try:
        lines = head[: head.rfind(b"\n") if len(head) == _ENOUGH else None].decode("utf-8-sig")
    except UnicodeDecodeError:
        return True  # no list and no shard: FFmpeg will know
    given = lines.splitlines()
    first = next((line for line in given if line.strip(" ") and line[0] != "#"), "")
    return any(_is_video(word) for word in (first.strip(), *first.rsplit(None, 1)[:1]))


def _is_video(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES)


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
) -> tuple[list[ClipEntry], list[str] | None]:
    """Finds the videos of a list, folder, csv or glob; or of several paths, without labels.

    Args:
        source: see Family.open.
        settings: of the mode.
        labelled: every video needs a label.
        class_names: known from elsewhere.
        video_folder: where the videos of Kinetics' csv lie.

    Returns:
        The videos, and the class names where they are known.

    Raises:
        VideozooError: something is missing, or a label is out of range.
    """
    from videozoo.data.clips.clip_files import expand_path
    from videozoo.data.clips.clip_list import ClipEntry, read_listing

    names = None if class_names is None else list(class_names)
    if not isinstance(source, str):
        found = each_once(source, expand_path)
        return [ClipEntry(path, None, str(path)) for path in found], names
    listing = read_listing(
        source,
        class_names=names,
        video_folder=video_folder,
        labelled=labelled,
        multi_label=settings.multi_label,
    )
    check_labels(listing.entries, settings.num_classes, source)
    return listing.entries, names or listing.class_names


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
