"""What the sub-folders of a data set are: its classes, or its sides, with the classes inside."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from videozoo.data.clips.clip_files import CLIP_SUFFIXES, find_clips
from videozoo.data.clips.clip_list import read_listing
from videozoo.errors import VideozooError
from videozoo.training.side_lists import Listed, names_below

_NAMES = {
    "train": {"train", "training", "trn"},
    "val": {"val", "valid", "validation", "dev", "devel", "development", "eval", "evaluation"},
    "test": {"test", "testing", "tst"},
}
_AROUND = {"split", "set", "data", "dataset", "videos", "video", "clips", "fold"}


@dataclass(frozen=True)
class SideFolders:
    """The folders of a data set.

    Attributes:
        train: what training reads; all of the data where `val` is None.
        val: None: there is none, so that `train` must be split.
        test: None: there is none of its own.
        notes: what was passed over or decided, for people.
    """

    train: Path
    val: Path | None = None
    test: Path | None = None
    notes: list[str] = field(default_factory=list)


def find_sides(folder: Path) -> SideFolders:
    """Tells sides from classes.

    A side is called train, val, test or the like and holds folders of videos; one that holds
    videos itself is a class, such as that of trains.

    Args:
        folder: of the data set.

    Raises:
        VideozooError: the folder is missing, two folders are the same side, or the side to train
            on is missing.
    """
    if not folder.is_dir():
        raise VideozooError(f"{folder}: no such folder; give a folder with one sub-folder a class")
    filled = [path for path in _folders(folder) if find_clips(path)]
    sides: dict[str, Path] = {}
    for path in filled:
        side = _side_of(path)
        if side and side in sides:
            raise VideozooError(
                f"{folder}: {sides[side].name}/ and {path.name}/ are both the {side} side;"
                " rename one or take it away"
            )
        if side:
            sides[side] = path
    others = [path.name for path in filled if path not in sides.values()]
    if not sides or (others and len(sides) == 1):
        return SideFolders(folder)
    left = [f"passed over beside them: {', '.join(f'{n}/' for n in others)}"] if others else []
    return _sides(folder, sides, left)


def _sides(folder: Path, sides: dict[str, Path], left: list[str]) -> SideFolders:
    if len(sides) == 1:
        (only,) = sides.values()
        return SideFolders(only, notes=[f"{only.name}/ has no other side: its videos are split"])
    if "train" not in sides:
        names = " and ".join(f"{path.name}/" for path in sides.values())
        raise VideozooError(f"{folder}: holds {names}, but no train/ to train on")
    train, val, test = sides["train"], sides.get("val"), sides.get("test")
    note = f"split as the folders are: {train.name}/ and {(val or test or train).name}/"
    if val is None:
        return SideFolders(train, test, notes=[f"{note}, which validates", *left])
    if test is not None:
        note += f", {test.name}/ for the test"
    return SideFolders(train, val, test, [note, *left])


def _folders(folder: Path) -> list[Path]:
    """Returns the sub-folders in order, without those that are never a class."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not _is_no_class(path.name)
    )


def _is_no_class(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _side_of(path: Path) -> str | None:
    words = [word for word in re.split(r"[\W_\d]+", path.name.lower()) if word]
    for around in ("set", "data", "split"):  # trainset
        words = [word.removesuffix(around) or word for word in words]
    words = [word for word in words if word not in _AROUND]
    side = next((side for side, names in _NAMES.items() if words and words[0] in names), None)
    if side is None or len(words) > 1:
        return None
    clips = find_clips(path)
    return side if clips and all(clip.parent != path for clip in clips) else None


def read_classes(folder: Path, class_names: list[str] | None = None) -> Listed:
    """Reads a folder of class folders, and says what of it is no video of a class.

    Args:
        folder: with one sub-folder a class.
        class_names: by number, where they are known; None: the sub-folders that hold videos.

    Raises:
        VideozooError: no video, a video outside the class folders, or one of an unknown class.
    """
    folders = _folders(folder)
    filled = [path.name for path in folders if find_clips(path)]
    names = filled if class_names is None else class_names
    entries = read_listing(folder, class_names=names).entries
    apart = sorted(
        path.name for path in folder.iterdir() if path.is_dir() and _is_no_class(path.name)
    )
    over = apart + [path.name for path in folders if path.name not in filled]
    notes = []
    if over:
        passed = ", ".join(f"{name}/" for name in over)
        notes.append(f"{folder}: passed over, as no video is taken from it: {passed}")
    if other := _no_videos(folder):
        count = sum(other.values())
        kinds = ", ".join(f"{suffix} {number}" for suffix, number in other.most_common(8))
        what = "1 file is no video" if count == 1 else f"{count} files are no videos"
        notes.append(f"{folder}: {what}: {kinds}")
    return Listed(entries, names, names_below(entries, folder, names), None, notes)


def _no_videos(folder: Path) -> Counter[str]:
    """Counts the files below a folder that are no videos by their names' ends."""
    found: Counter[str] = Counter()
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_no_class(name)]
        for name in names:
            if not name.startswith(".") and not name.lower().endswith(CLIP_SUFFIXES):
                found[Path(name).suffix.lower() or "without an ending"] += 1
    return found
