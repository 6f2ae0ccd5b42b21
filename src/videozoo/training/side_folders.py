"""What the sub-folders of a data set are: its classes, or its sides, with the classes inside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from videozoo.data.clips.clip_files import Content, look_through, why_missing
from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.metadata import read_metadata
from videozoo.data.clips.side_names import listed, tell_sides
from videozoo.errors import VideozooError
from videozoo.text import counted
from videozoo.training.side_lists import Listed, names_below, read_list


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
    """Tells sides from classes, see tell_sides.

    Args:
        folder: of the data set.

    Raises:
        VideozooError: the folder is missing, two folders are the same side, or the side to train
            on is missing or cannot be told.
    """
    if not folder.is_dir():
        missing = why_missing(str(folder)) or "no such folder"
        raise VideozooError(f"{folder}: {missing}; give a folder with one sub-folder a class")
    content = look_through(folder)
    found = tell_sides(folder, content.clips)
    if not found.of:
        return SideFolders(folder, notes=[found.doubt] if found.doubt else [])
    left = [f"left aside beside them: {listed(found.left)}"] if found.left else []
    left += _beside(folder, content)
    sides = {side: folder / name for side, name in found.of.items()}
    return _sides(folder, sides, left)


def _beside(folder: Path, content: Content) -> list[str]:
    """Says what lies in a data set and in none of its sub-folders."""
    clips = [clip for clip in content.clips if clip.parent == folder]
    notes = [f"{folder}: {counted(len(clips), 'video')} of no side left aside"] if clips else []
    own = replace(
        content,
        others=[path for path in content.others if path.parent == folder],
        hidden=0,
        apart=tuple(name for name in content.apart if "/" not in name),
    )
    return notes + own.notes(folder)


def _sides(folder: Path, sides: dict[str, Path], left: list[str]) -> SideFolders:
    if len(sides) == 1:
        (only,) = sides.values()
        return SideFolders(
            only, notes=[f"{only.name}/ has no other side: its videos are split", *left]
        )
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


def read_classes(
    folder: Path, class_names: list[str] | None = None, column: str | None = None
) -> Listed:
    """Reads a folder of videos with their classes, and says what of it is no video of a class.

    Args:
        folder: with one sub-folder a class, or a metadata.csv that says the classes.
        class_names: by number, where they are known; None: those that have videos.
        column: of metadata.csv, see read_list.

    Raises:
        VideozooError: no video, a video outside the class folders, or one of an unknown class.
    """
    if read_metadata(folder):
        return read_list(folder, column, class_names)
    listing = read_listing(folder, class_names=class_names)
    names = listing.class_names or []
    below = names_below(listing.entries, folder, names)
    return Listed(listing.entries, names, below, None, listing.notes)
