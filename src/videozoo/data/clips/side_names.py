"""Which sub-folders of a data set are its sides, such as train/ and val/, and which its classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from videozoo.data.clips.metadata import read_metadata
from videozoo.errors import VideozooError

_NAMES = {
    "train": "train training trn tr trainval 训练",
    "val": "val valid validate validation dev devel development eval evaluation evaluate 验证",
    "test": "test testing tst holdout heldout unseen 测试",
}
_SIDES = {name: side for side, names in _NAMES.items() for name in names.split()}
# What stands around the name of a side, or for one.
_AROUND = {"split", "splits", "set", "subset", "data", "dataset", "video", "videos", "clips"}
_PARTS = _AROUND | {"fold", "part", "batch"}


@dataclass(frozen=True)
class Sides:
    """The sides among the sub-folders of a data set.

    Attributes:
        of: the sub-folder by side; empty: the sub-folders are classes.
        left: sub-folders that hold videos and are no side.
        doubt: why the sub-folders may be no classes, for people; empty: there is none.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    doubt: str = ""


def tell_sides(folder: Path, clips: Iterable[Path]) -> Sides:
    """Tells sides from classes by the names of the sub-folders, and by what lies in them.

    A side is called train, val, test or the like and holds folders of videos; one that holds
    videos itself is a class, such as that of trains, if no other is called like a side.

    Args:
        folder: of the data set.
        clips: all videos in it.

    Raises:
        VideozooError: names of sides stand among the sub-folders, and it is not clear which are
            sides, or which side each is.
    """
    inner: dict[str, set[str]] = {}  # sub-folders that hold videos, and their own
    for clip in clips:
        place, *deeper = clip.relative_to(folder).parts[:-1] or ("",)
        if place:
            inner.setdefault(place, set()).update(deeper[:1])
    exact = {name: side for name in inner if (side := _side_of(name, exactly=True))}
    named = {name: side for name in inner if (side := _side_of(name, exactly=False))}
    sides = {
        name: side for name, side in exact.items() if inner[name] or read_metadata(folder / name)
    }
    loose = {name: side for name, side in named.items() if inner[name]}
    if len(set(loose.values())) > 1 and set.intersection(*(inner[name] for name in loose)):
        sides = loose  # my_train/ and my_val/ with the same classes
    others = sorted(set(inner) - set(sides))
    if not sides:
        _refuse_flat(folder, {name: side for name, side in exact.items() if not inner[name]})
        _refuse_parts(folder, inner)
        return Sides(doubt=_doubt(folder, inner))
    by_side: dict[str, str] = {}
    for name, side in sorted(sides.items()):
        if other := by_side.get(side):
            raise VideozooError(
                f"{folder}: {other}/ and {name}/ are both the {side} side;"
                " rename one or take it away"
            )
        by_side[side] = name
    if len(sides) == 1 and [name for name in others if name not in exact]:
        (only,) = sides
        if len(inner[only]) < 2:
            return Sides()
        raise VideozooError(
            f"{folder}: {only}/ is called like a side and holds folders of videos, but"
            f" {listed(others)} beside it are not; if {only}/ is a class, rename it, and if it"
            f" holds the classes, give {folder / only}, or call the other side val/ or test/"
        )
    return Sides(by_side, tuple(others))


def _refuse_flat(folder: Path, exact: Mapping[str, str]) -> None:
    """Refuses test/ without class folders in it, which would become a class; train/ may be one."""
    if exact and [*exact] != ["train"]:
        verb, hold = ("is", "holds") if len(exact) == 1 else ("are", "hold")
        raise VideozooError(
            f"{folder}: {listed(exact)} {verb} called like sides, but {hold} videos and no class"
            " folders; rename what is a class, and put other videos into folders of their classes"
        )


def _refuse_parts(folder: Path, inner: Mapping[str, set[str]]) -> None:
    """Refuses fold1/ and fold2/ with the same classes; and sides within each class."""
    parts = [name for name in inner if _PARTS & {*_words(name)}]
    if len(parts) > 1 and len(set.intersection(*(inner[name] for name in parts))) > 1:
        raise VideozooError(
            f"{folder}: {listed(parts)} hold folders of the same names, so they are sides and no"
            " classes; call them train/, val/ and test/, or give one of them"
        )
    below = set().union(*inner.values()) if inner else set()
    within = {_SIDES.get(name.lower()) for name in below}
    if len(inner) > 1 and len(within) > 1 and None not in within and all(inner.values()):
        raise VideozooError(
            f"{folder}: {listed(below)} lie in the class folders; put the class folders into"
            f" them, such as {min(below)}/{min(inner)}/"
        )


def _doubt(folder: Path, inner: Mapping[str, set[str]]) -> str:
    """Says where all classes hold folders of the same names, as people or days with classes do."""
    common = set.intersection(*inner.values()) if len(inner) > 1 else set()
    if len(common) < 2:
        return ""
    return (
        f"warning: {folder}: the classes {listed(inner)} all hold {listed(common)}; if these are"
        f" the classes, put them above: {min(common)}/{min(inner)}/"
    )


def _words(name: str) -> list[str]:
    words = [word for word in re.split(r"[\W_\d]+", name.lower()) if word]
    for around in ("set", "data", "split", "集"):  # trainset
        words = [word.removesuffix(around) or word for word in words]
    return words


def _side_of(name: str, *, exactly: bool) -> str | None:
    """Returns the side that a folder is called like; exactly: no other word is in its name."""
    words = [word for word in _words(name) if word not in _AROUND | _PARTS]
    sides = {_SIDES[word] for word in words if word in _SIDES}
    if sides == {"train", "val"}:  # train_val
        sides = {"train"}
    if len(sides) != 1 or (exactly and not all(word in _SIDES for word in words)):
        return None
    return sides.pop()


def listed(names: Iterable[str]) -> str:
    """Returns some of the names of folders, and how many more there are."""
    found = sorted(names)
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return ", ".join(f"{name}/" for name in found[:4]) + more
