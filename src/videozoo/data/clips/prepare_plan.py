"""What a folder or list of clips becomes: which file is written anew into which, and the list."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videozoo import __version__
from videozoo.data.clips.clip_files import PICKLE_SUFFIXES, VIDEO_SUFFIXES
from videozoo.data.clips.clip_list import ClipEntry, read_listing
from videozoo.data.clips.clip_rows import csv_columns, list_line, list_rows, quoted, read_list_text
from videozoo.errors import VideozooError
from videozoo.files import write_json
from videozoo.reading import csv_lines, lines_of, parse_json, read_text
from videozoo.video.write import ENCODER, Encoding

REPORT_FILE, SETTINGS_FILE = "prepare.csv", "prepare.json"
_MADE_BY = "videozoo prepare clips"


@dataclass(frozen=True)
class Plan:
    """What a folder or list of clips becomes.

    Attributes:
        jobs: the old files, absolute, by the new ones' paths below the folder, each once in the
            order of the list.
        text: of the new list; None for a folder.
        notes: what was passed over, for people.
    """

    jobs: dict[str, Path]
    text: str | None
    notes: list[str]


def plan_clips(source: Path, out: Path, video_folder: Path | None) -> Plan:
    """Plans what a folder or list becomes in the folder `out`.

    A folder keeps its tree, and so do the videos that Kinetics' official csv names, below the
    folder that they lie in. What a list names by a relative path keeps that path; what it names by
    an absolute one, or by one that leads upwards, lies in `out` as it lies in the list's folder,
    or else by its whole path. The new list has the same lines with the new, absolute paths;
    Kinetics' csv stays as it is, since it names no paths. Lines of clips that cannot be read stay
    too: train and test then count them as they did.

    Raises:
        VideozooError: the list has faults or names pickles, two clips would get one file, or one
            folder lies in the other.
    """
    listing = read_listing(source, video_folder=video_folder, labelled=False)
    entries = listing.entries
    refuse_pickles(entries, ", so there is nothing to gain: leave them out of the list")
    if source.name in (SETTINGS_FILE, REPORT_FILE):
        raise VideozooError(f"{source}: a file of this name is written beside it; rename the list")
    text = None if source.is_dir() else read_list_text(source)
    columns = None if text is None else csv_columns(text, source)
    root = source if text is None else None  # of a tree that stays
    if columns is not None and "path" not in columns:
        root = video_folder or source.parent
    if root is None:
        targets = [_as_mp4(_below(entry, source.parent)) for entry in entries]
    elif out.resolve().is_relative_to(root.resolve()):
        raise VideozooError(
            f"{out}: lies in {root}, so its clips would be listed as well; give a folder outside it"
        )
    else:
        targets = [_as_mp4(entry.path.relative_to(root)) for entry in entries]
    jobs = _jobs(entries, targets, out)
    if text is not None and root is None:
        text = _with_paths(text, source, columns, [os.path.abspath(out / t) for t in targets])
    return Plan(jobs, text, listing.notes)


def _below(entry: ClipEntry, folder: Path) -> Path:
    """Returns where a clip of a list goes: it hangs on nothing but the clip's own line."""
    listed = Path(os.path.expanduser(entry.video))
    if not listed.is_absolute() and ".." not in listed.parts:
        return listed
    absolute, beside = Path(os.path.abspath(entry.path)), Path(os.path.abspath(folder))
    return absolute.relative_to(beside if absolute.is_relative_to(beside) else absolute.anchor)


def _as_mp4(path: Path) -> str:
    named = path.suffix.lower() in VIDEO_SUFFIXES
    return (path.with_suffix(".mp4") if named else path.with_name(f"{path.name}.mp4")).as_posix()


def _jobs(entries: Sequence[ClipEntry], targets: Sequence[str], out: Path) -> dict[str, Path]:
    jobs: dict[str, Path] = {}
    for entry, target in zip(entries, targets, strict=True):
        path = Path(os.path.abspath(entry.path))
        if path.is_relative_to(os.path.abspath(out)):
            raise VideozooError(
                f"{entry.video}: lies in {out}, where the prepared clips go; give another folder"
            )
        if jobs.setdefault(target, path) != path:
            raise VideozooError(
                f"{jobs[target]} and {path} would both become {out / target}; rename one or prepare"
                " them apart"
            )
    return jobs


def _with_paths(
    text: str, source: Path, columns: Sequence[str] | None, paths: Sequence[str]
) -> str:
    """Returns a list with other paths; labels, and all other columns, stay as they are."""
    if columns is None:
        rows = list_rows(text)
        lines = [list_line(p, row.label or "") for p, row in zip(paths, rows, strict=True)]
        return "".join(f"{line}\n" for line in lines)
    header, *cells = (line for _, line in csv_lines(text, source))
    for line, path in zip(cells, paths, strict=True):
        line[columns.index("path")] = quoted(path)
    new = io.StringIO(newline="")
    csv.writer(new, lineterminator="\n").writerows([header, *cells])
    return new.getvalue()


def claim_folder(out: Path, encoding: Encoding) -> None:
    """Makes the folder and writes down how its clips are made, or goes on in one made so.

    Raises:
        VideozooError: the folder was made in another way, holds something else, or cannot be used.
    """
    file = out / SETTINGS_FILE
    wanted = {**asdict(encoding), "codec": "h264", "encoder": ENCODER}
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            if any(out.iterdir()):
                raise VideozooError(
                    f"{out}: holds files, but none of `{_MADE_BY}`; give an empty or a new folder"
                )
            about = {"made_by": _MADE_BY, "videozoo": __version__, "settings": wanted}
            write_json(file, about)
        found = parse_json(read_text(file))["settings"]
        other = [key for key in wanted if found.get(key) != wanted[key]]
    except OSError as error:
        raise VideozooError(f"{out}: cannot be used: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise VideozooError(f"{file}: is not a file of `{_MADE_BY}`; give another folder") from None
    if other:
        was, now = (
            ", ".join(f"{key} {values.get(key)}" for key in other) for values in (found, wanted)
        )
        raise VideozooError(
            f"{out}: was prepared with {was}, not with {now}; give the same settings or another"
            " folder"
        )


def check_list(listing: Path, text: str) -> None:
    """Makes sure that a list may be written: what is there of its name has no other lines.

    Raises:
        VideozooError: it is another list, and would be lost.
    """
    there = listing.read_text("utf-8", "surrogateescape") if listing.exists() else ""
    if not set(lines_of(there)) <= set(lines_of(text)):
        raise VideozooError(
            f"{listing}: holds lines of another list of this name; take it away, rename yours, or"
            " give another folder"
        )


def refuse_pickles(entries: Sequence[ClipEntry], instead: str) -> None:
    """Raises VideozooError where a list names pickles; `instead` says what to do."""
    pickles = [e.video for e in entries if e.path.suffix.lower() in PICKLE_SUFFIXES]
    if pickles:
        raise VideozooError(
            f"{pickles[0]}: is a pickle ({len(pickles)} of {len(entries)} clips are); pickles hold "
            f"single images already{instead}"
        )
