"""Finds clip files on disk."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from videozoo.errors import VideozooError

PICKLE_SUFFIXES = (".pkl", ".pickle")
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m1v", ".m2ts"),
    *(".m2v", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf"),
    *(".ogm", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv"),
)
CLIP_SUFFIXES = VIDEO_SUFFIXES + PICKLE_SUFFIXES


def find_clips(folder: Path) -> list[Path]:
    """Returns all videos and pickles of a folder and its sub-folders, sorted by path.

    Clips are known by the ends of their names. Hidden files and folders, and __MACOSX, are left
    out; links are followed, into each folder once.
    """
    clips: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        identity = os.stat(place)
        if (identity.st_dev, identity.st_ino) in seen:
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        clips += [Path(place, n) for n in names if _is_clip(n)]
    return sorted(clips)


def _is_clip(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(CLIP_SUFFIXES)


def expand_path(text: str) -> list[Path]:
    """Returns the clip files that an argument of a command means.

    Args:
        text: a file (of any ending), a folder (all clips inside, sorted) or a pattern such as
            `clips/*.mp4` (`**` crosses folders).

    Raises:
        VideozooError: it leads to no clip.
    """
    path = Path(os.path.expanduser(text))
    there = os.path.exists(path)
    places = [path] if there else map(Path, sorted(glob.glob(str(path), recursive=True)))
    clips = [clip for place in places for clip in _clips_at(place, named=place == path)]
    if not clips:
        what = "holds no video" if path.is_dir() else "no such file, folder or pattern"
        raise VideozooError(f"{text}: {what}")
    return clips


def _clips_at(place: Path, *, named: bool) -> list[Path]:
    if place.is_dir():
        return find_clips(place)
    return [place] if named or _is_clip(place.name) else []
