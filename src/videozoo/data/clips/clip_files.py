"""Finds clip files on disk, and says of every file that is none what it is."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from videozoo.addresses.copies import local
from videozoo.addresses.places import address_of, brought, is_file, walk
from videozoo.errors import VideozooError
from videozoo.text import counted, escaped

PICKLE_SUFFIXES = (".pkl", ".pickle")
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m1v", ".m2ts"),
    *(".m2v", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf"),
    *(".ogm", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv"),
)
CLIP_SUFFIXES = VIDEO_SUFFIXES + PICKLE_SUFFIXES
_OTHERS = {
    "picture": ".apng .avif .bmp .dpx .exr .heic .heif .ico .jfif .jp2 .jpe .jpeg .jpg .jxl .pbm"
    " .pgm .png .pnm .ppm .psd .raw .svg .tga .thm .tif .tiff .webp",
    "sound file": ".aac .ac3 .aif .aiff .amr .au .caf .dts .flac .m4a .m4b .mid .midi .mka .mp3"
    " .oga .opus .wav .weba .wma",
    "archive": ".7z .bz2 .gz .iso .lz4 .rar .tar .tgz .xz .zip .zst",
    "other file": ".aae .ass .bat .c .cfg .conf .cpp .css .csv .db .desktop .dfxp .doc .docx .eaf"
    " .exe .h .h5 .hdf5 .htm .html .idx .ini .ipynb .js .json .jsonl .list .lnk .log .lrc .lst"
    " .m3u .m3u8 .mat .md .md5 .mpd .nfo .npy .npz .ods .odt .parquet .pdf .ppt .pptx .pt .pth .py"
    " .r .rst .rtf .safetensors .sbv .sh .sha1 .sha256 .smi .sqlite .srt .ssa .sub .tex .tfrecord"
    " .toml .torrent .tsv .ttml .txt .url .vtt .webloc .xls .xlsx .xml .xmp .yaml .yml",
}
_KINDS = {suffix: kind for kind, suffixes in _OTHERS.items() for suffix in suffixes.split()}
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:/{1,2}[^/]", re.IGNORECASE)
_CAMERA = re.compile(r"\d{1,2}|/dev/video\d+|-|/dev/stdin")
_NAMED = 8  # kinds of files that a sentence names


@dataclass(frozen=True)
class Content:
    """What lies in a folder, or what a pattern finds.

    Attributes:
        clips: videos and pickles, sorted by path.
        others: files that are none.
        hidden: how many hidden files there are.
        apart: folders that were not looked into, below the folder.
        empty: the folder's own sub-folders that hold no clip.
    """

    clips: list[Path]
    others: list[Path]
    hidden: int = 0
    apart: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def notes(self, of: Path | str) -> list[str]:
        """Says what was passed over, for people.

        Args:
            of: the folder or pattern.
        """
        notes = []
        if over := sorted({*self.apart, *self.empty}):
            passed = ", ".join(f"{name}/{self._inside(Path(of) / name)}" for name in over)
            notes.append(f"{of}: passed over, as no video is taken from it: {passed}")
        kinds, verb = self.kinds(), "is" if self.hidden == 1 else "are"
        hidden = f"{counted(self.hidden, 'hidden file')} {verb} passed over" if self.hidden else ""
        if kinds:
            what = "file is no video" if len(self.others) == 1 else "files are no videos"
            hidden = f"; {hidden}" if hidden else ""
            notes.append(f"{of}: {len(self.others)} {what}: {kinds}{hidden}")
        elif hidden:
            notes.append(f"{of}: {hidden}")
        return notes

    def _inside(self, folder: Path) -> str:
        inside = [path for path in self.others if folder in path.parents]
        return f" ({_kinds(inside)})" if inside else ""

    def kinds(self) -> str:
        """Returns the endings of the files that are no clips, with their counts."""
        return _kinds(self.others)

    def why_none(self) -> str:
        """Says why there is no clip, and what can be done."""
        if not self.others:
            return "holds no video"
        kinds = Counter(_KINDS.get(path.suffix.lower(), "other file") for path in self.others)
        kind, number = kinds.most_common(1)[0]
        first = next(p for p in self.others if _KINDS.get(p.suffix.lower(), "other file") == kind)
        what = f"holds no video, but {counted(number, kind)} ({self.kinds()})"
        if kind == "picture":
            pattern = str(first.parent / f"*{first.suffix}").replace("'", r"'\''")
            return (
                f"{what}: frames that were saved as pictures are not read; make a video of each"
                f" folder of them, such as: ffmpeg -framerate 25 -pattern_type glob -i '{pattern}'"
                f" {re.sub('[^A-Za-z0-9_-]', '_', first.parent.name) or 'video'}.mp4"
            )
        return f"{what}: unpack what holds videos" if kind == "archive" else what


def _kinds(paths: Iterable[Path]) -> str:
    found = Counter(escaped(p.suffix.lower()) or "without an ending" for p in paths)
    more = f" and {counted(len(found) - _NAMED, 'other')}" if len(found) > _NAMED else ""
    return ", ".join(f"{suffix} {number}" for suffix, number in found.most_common(_NAMED)) + more


def look_through(folder: Path) -> Content:
    """Looks for the clips of a folder and its sub-folders.

    A file is a video by the ending of its name; one of an ending that says nothing is looked into.
    Pictures, sound, texts, subtitles and archives are none. Hidden files and folders, and __MACOSX,
    are left out; links are followed, into each folder once.
    """
    clips: list[Path] = []
    others: list[Path] = []
    hidden, apart = 0, []
    seen: set[tuple[int, int]] = set()
    for place, folders, names in walk(folder):
        identity = os.stat(place)
        if (identity.st_dev, identity.st_ino) in seen:
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        apart += [os.path.relpath(Path(place, f), folder) for f in folders if _is_apart(f)]
        folders[:] = sorted(f for f in folders if not _is_apart(f))
        seen_names = [name for name in names if not name.startswith(".")]
        hidden += len(names) - len(seen_names)
        for path in (Path(place, name) for name in seen_names):
            (clips if _is_clip(path) else others).append(path)
    filled = {clip.relative_to(folder).parts[0] for clip in clips}
    empty = [f.name for f in _sub_folders(folder) if f.name not in filled]
    return Content(sorted(clips), sorted(others), hidden, tuple(apart), tuple(empty))


def find_clips(folder: Path) -> list[Path]:
    """Returns all videos and pickles of a folder and its sub-folders, see look_through."""
    return look_through(folder).clips


def _sub_folders(folder: Path) -> list[Path]:
    """Returns the sub-folders in order, without those that are never looked into."""
    names = next(walk(folder), ("", [], []))[1]
    return sorted(folder / name for name in names if not _is_apart(name))


def _is_apart(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_clip(path: Path) -> bool:
    """Says whether a file is a clip; one that cannot be looked at is what its ending says."""
    suffix = path.suffix.lower()
    if suffix in _KINDS:
        return False
    if path.exists() and not path.is_file():  # a pipe, a device
        return False
    if suffix in CLIP_SUFFIXES or address_of(path):  # where none is fetched to be looked into
        return suffix in CLIP_SUFFIXES
    try:
        state = path.stat()
    except OSError:
        return False
    return state.st_size > 0 and _is_video(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _is_video(path: Path, size: int, modified: int) -> bool:
    from videozoo.video.sniff import is_video  # FFmpeg is not needed where all endings are known

    return is_video(path)


def expand_path(text: str, notes: list[str] | None = None) -> list[Path]:
    """Returns the clip files that an argument of a command means.

    Args:
        text: a file (of any ending), a folder (all clips inside, sorted) or a pattern such as
            `clips/*.mp4` (`**` crosses folders).
        notes: gets what was passed over, for people.

    Raises:
        VideozooError: it leads to no clip, or to a list of clips.
    """
    path = brought(os.path.expanduser(text))
    if is_file(path):
        if path.suffix.lower() not in CLIP_SUFFIXES and _is_text(path):
            raise VideozooError(
                f"{text}: is a text, not a video; a list of videos is given as --filelist {text}"
            )
        return [path]
    content = look_through(path) if path.is_dir() else match_pattern(text)
    if content is None:
        missing = "is no file" if path.exists() else "no such file, folder or pattern"
        raise VideozooError(f"{text}: {why_missing(text) or missing}")
    if not content.clips:
        raise VideozooError(f"{text}: {content.why_none()}")
    if notes is not None:
        notes += content.notes(text)
    return content.clips


def match_pattern(text: str) -> Content | None:
    """Returns what a pattern such as `clips/*.mp4` finds; None: nothing at all, or it is none."""
    path = os.path.expanduser(text)
    if os.path.exists(path) or not glob.has_magic(path):
        return None
    places = [Path(place) for place in sorted(glob.glob(path, recursive=True))]
    if not places:
        return None
    inside = [look_through(place) for place in places if place.is_dir()]
    files = [place for place in places if not place.is_dir()]
    clips = {*(file for file in files if _is_clip(file)), *(c for one in inside for c in one.clips)}
    others = {*files, *(other for one in inside for other in one.others)} - clips
    return Content(sorted(clips), sorted(others), sum(one.hidden for one in inside))


def _is_text(path: Path) -> bool:
    """Says whether a file is a text, by its beginning."""
    try:
        with local(path) as here, here.open("rb") as file:
            head = file.read(4096)
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the last letter may be cut in two
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8-sig")
    except OSError:
        return False
    return bool(text.strip()) and not re.search("[\0-\x08\x0e-\x1a]", text)


def why_missing(text: str) -> str:
    """Says what is wrong with what is no file at all: an address or a camera; empty: it is none."""
    if _ADDRESS.match(text):
        return "is an address; videos are read from disk, so download it and give the file"
    if _CAMERA.fullmatch(text):
        return "cameras and standard input are not read; record into a file and give that"
    return ""
