"""Which videos are clips of one recording: as a pattern says, or guessed from their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from videozoo.errors import VideozooError

_KINETICS = re.compile(r"([\w-]{11})_\d{6}_\d{6}")
_NUMBERED = re.compile(
    r"(.+?)(?:[-_. ]+(?:c|clip|part|pt|seg|segment|shot|chunk|cut)?[-_. ]?\d+| ?\(\d+\))",
    re.IGNORECASE,
)
# What cameras, phones and people call everything: a number behind it is a video, not a clip of one.
_COUNTERS = {
    *("clip", "dsc", "dscn", "file", "gopr", "img", "mov", "movie", "mvi", "pxl", "rec", "sample"),
    *("vid", "video", "vlc"),
}
_OTHERWISE = "--group-by REGEX says what belongs together"
_LEAST = 0.5  # of the share to validate, that the groups beside a class's largest must hold


@dataclass(frozen=True)
class Recordings:
    """What belongs together.

    Attributes:
        groups: of each video; None where it is on its own.
        note: what was decided, for people; empty where there was nothing to decide.
    """

    groups: list[str | None]
    note: str


def match_recordings(names: Sequence[str], pattern: str) -> Recordings:
    """Groups videos by a regular expression: its first group, or all that it matches.

    Args:
        names: of each video, the path below its class's folder.
        pattern: searched for in each name.

    Raises:
        VideozooError: the pattern has a fault, or matches no name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise VideozooError(
            f"--group-by {pattern}: is no regular expression: {error}; or give none"
        ) from None
    groups: list[str | None] = []
    for name in names:
        match = compiled.search(name)
        groups.append(match[1 if compiled.groups else 0] if match else None)
    if not any(groups):
        raise VideozooError(
            f"--group-by {pattern}: matches none of the {len(names)} names (the first: {names[0]})"
        )
    return Recordings([group or None for group in groups], counted(groups, f"--group-by {pattern}"))


def counted(groups: Sequence[str | None], by: str) -> str:
    """Says how many recordings there are."""
    alone = sum(not group for group in groups)
    rest = f", {alone} videos belong to none" if alone else ""
    number = len({group for group in groups if group})
    return f"recordings kept together by {by}: {number}, of {len(groups) - alone} videos{rest}"


def guess_recordings(names: Sequence[str], classes: Sequence[str], *, share: float) -> Recordings:
    """Guesses which videos are clips of one recording: by sub-folders, else by their names.

    `a_01`, `a_02`, `a-3`, `a (4)`, `a_c05` are clips of `a`; `ID_000010_000020`, as Kinetics names
    its clips, one of ID. A guess that would leave a class a single recording, or next to nothing
    beside its largest, takes plain numbers for clips, and is not made.

    Args:
        names: of each video, the path below its class's folder, with slashes.
        classes: the name of each video's class.
        share: that is to go to validation.
    """
    paths = [PurePosixPath(name) for name in names]
    numbered = {base for path in paths if (base := _base(path)) != str(path.with_suffix(""))}
    bases = [base if (base := _base(path)) in numbered else None for path in paths]
    words = [{_plain(name), "", *_COUNTERS} for name in classes]
    own = [_plain(PurePosixPath(b or "").name) in w for b, w in zip(bases, words, strict=True)]
    refused = ""
    for by, groups in (
        ("sub-folders", [str(path.parent) if len(path.parts) > 1 else None for path in paths]),
        ("names", [None if alone else base for base, alone in zip(bases, own, strict=True)]),
    ):
        example = _example(names, groups)
        if not example:
            continue
        harm = _harm(groups, classes, share)
        if not harm:
            note = f"{counted(groups, by)} ({example}); --group-by none switches this off"
            return Recordings(groups, note)
        refused = f"not grouped by {by} ({example}): {harm}; {_OTHERWISE}"
    if not refused and (example := _example(names, bases)):
        refused = f"not grouped by names ({example}): these are plain numbers; {_OTHERWISE}"
    return Recordings([None] * len(names), refused)


def _example(names: Sequence[str], groups: Sequence[str | None]) -> str:
    """Returns two names of the largest group and what it is called; empty where all are single."""
    members = Counter(group for group in groups if group)
    group = max(members, key=lambda group: members[group], default="")
    if members[group] < 2:
        return ""
    first, second = [n for n, g in zip(names, groups, strict=True) if g == group][:2]
    return f"{first}, {second} ... -> {group}"


def _base(path: PurePosixPath) -> str:
    """Returns the name of the recording that a file's name speaks of, with its folder."""
    match = _KINETICS.fullmatch(path.stem) or _NUMBERED.fullmatch(path.stem)
    return str(path.with_name(match[1] if match else path.stem))


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _harm(groups: Sequence[str | None], classes: Sequence[str], share: float) -> str:
    """Says what a guess would do to a class; empty where it does no harm."""
    by_class: dict[str, list[str]] = {}
    for i, (group, name) in enumerate(zip(groups, classes, strict=True)):
        by_class.setdefault(name, []).append(group or f"\0{i}")
    for name, found in sorted(by_class.items()):
        largest = max(Counter(found).values())
        if len(found) > 1 and len(found) - largest < max(_LEAST * share * len(found), 1):
            return f"{largest} of the {len(found)} videos of class '{name}' would be one recording"
    return ""
