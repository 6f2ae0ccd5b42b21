"""What a list of clips becomes: which file is encoded into which, and the new list."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videozoo.data.clips.files import PICKLE_SUFFIXES, VIDEO_SUFFIXES
from videozoo.data.clips.listing import ClipEntry, read_listing
from videozoo.data.clips.rows import csv_columns, list_rows, read_text
from videozoo.errors import VideozooError
from videozoo.files import write_text
from videozoo.prepare.recipe import SETTINGS_FILE
from videozoo.prepare.report import REPORT_FILE


@dataclass(frozen=True)
class Job:
    """One clip to encode.

    Attributes:
        source: the video, absolute; it need not exist.
        target: the new file, relative to the folder of prepared clips, with / between folders.
    """

    source: Path
    target: str


@dataclass(frozen=True)
class Plan:
    """All clips to encode.

    Attributes:
        jobs: each file once, in the order of the list.
        listing: the list that they come from; None for a folder.
        text: the new list; None for a folder, whose tree says it all.
    """

    jobs: list[Job]
    listing: Path | None
    text: str | None

    def write_list(self, out: Path) -> Path:
        """Writes the new list into the folder of prepared clips; returns what to train on."""
        if self.listing is None or self.text is None:
            return out
        write_text(out / self.listing.name, self.text)
        return out / self.listing.name


def read_plan(spec: Path, out: Path, *, video_folder: Path | None = None) -> Plan:
    """Plans what a folder or list becomes in the folder `out`.

    A folder keeps its tree, and so do the videos that Kinetics' official csv names, below the
    folder that they lie in. What a list names by a relative path keeps that path; what it names by
    an absolute one, or by one that leads upwards, lies in `out` as it lies in the list's folder,
    or else by its whole path. The new list has the same lines with the new, absolute paths;
    Kinetics' csv stays as it is, since it names no paths. Lines of clips that cannot be read stay
    too: train and test then count them as they did.

    Args:
        spec: what `read_listing` takes.
        out: the folder of prepared clips.
        video_folder: as in `read_listing`.

    Raises:
        VideozooError: the list has faults or names pickles, two clips would get one file, or one
            folder lies in the other.
    """
    spec = Path(os.path.expanduser(spec))
    entries = read_listing(spec, video_folder=video_folder, labelled=False).entries
    refuse_pickles(entries, ", so there is nothing to gain: leave them out of the list")
    if spec.is_dir():
        _refuse_inside(out, spec)
        targets = [_as_mp4(entry.path.relative_to(spec)) for entry in entries]
        return Plan(_jobs(entries, targets, out), None, None)
    if spec.name in (SETTINGS_FILE, REPORT_FILE):
        raise VideozooError(f"{spec}: a file of this name is written beside it; rename the list")
    text = read_text(spec)
    columns = csv_columns(text, spec)
    if columns is not None and "path" not in columns:
        videos = video_folder or spec.parent
        _refuse_inside(out, videos)
        targets = [_as_mp4(entry.path.relative_to(videos)) for entry in entries]
        return Plan(_jobs(entries, targets, out), spec, text)
    targets = [_target(entry, spec.parent) for entry in entries]
    jobs = _jobs(entries, targets, out)
    paths = [os.path.abspath(out / target) for target in targets]
    if columns is None:
        return Plan(jobs, spec, _new_lines(text, spec, paths))
    return Plan(jobs, spec, _new_csv(text, columns, paths))


def refuse_pickles(entries: Sequence[ClipEntry], instead: str) -> None:
    """Raises VideozooError where a list names pickles; `instead` says what to do."""
    pickles = [e.video for e in entries if e.path.suffix.lower() in PICKLE_SUFFIXES]
    if pickles:
        raise VideozooError(
            f"{pickles[0]}: is a pickle ({len(pickles)} of {len(entries)} clips are); pickles hold "
            f"single images already{instead}"
        )


def _refuse_inside(out: Path, folder: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise VideozooError(
            f"{out}: lies in {folder}, so its clips would be listed as well; give a folder "
            "outside it"
        )


def _as_mp4(path: Path) -> str:
    named = path.suffix.lower() in VIDEO_SUFFIXES
    return (path.with_suffix(".mp4") if named else path.with_name(f"{path.name}.mp4")).as_posix()


def _target(entry: ClipEntry, folder: Path) -> str:
    """Returns where a clip of a list goes: it hangs on nothing but the clip's own line."""
    listed = Path(os.path.expanduser(entry.video))
    if not listed.is_absolute() and ".." not in listed.parts:
        return _as_mp4(listed)
    absolute = Path(os.path.abspath(entry.path))
    beside = Path(os.path.abspath(folder))
    root = beside if absolute.is_relative_to(beside) else Path(absolute.anchor)
    return _as_mp4(absolute.relative_to(root))


def _jobs(entries: Sequence[ClipEntry], targets: Sequence[str], out: Path) -> list[Job]:
    sources: dict[str, str] = {}
    jobs = []
    clashes = []
    folder = Path(os.path.abspath(out))
    for entry, target in zip(entries, targets, strict=True):
        source = os.path.abspath(entry.path)
        if Path(source).is_relative_to(folder):
            raise VideozooError(
                f"{entry.video}: lies in {out}, where the prepared clips go; give another folder"
            )
        if target not in sources:
            sources[target] = source
            jobs.append(Job(Path(source), target))
        elif sources[target] != source:
            clashes.append(f"{sources[target]} and {source} would both become {out / target}")
    if clashes:
        more = f" ({len(clashes) - 1} more such pairs)" if len(clashes) > 1 else ""
        raise VideozooError(f"{clashes[0]}{more}; rename one or prepare them apart")
    return jobs


def _new_lines(text: str, spec: Path, paths: Sequence[str]) -> str:
    rows = list_rows(text, spec, labelled=False)
    return "".join(
        f"{path}\n" if row.label is None else f"{path} {row.label}\n"
        for row, path in zip(rows, paths, strict=True)
    )


def _new_csv(text: str, columns: Sequence[str], paths: Sequence[str]) -> str:
    """Returns the csv with other paths; all its other columns stay as they are."""
    header, *rows = _filled(csv.reader(io.StringIO(text, newline="")))
    new = io.StringIO(newline="")
    writer = csv.writer(new, lineterminator="\n")
    writer.writerow(header)
    place = columns.index("path")
    for row, path in zip(rows, paths, strict=True):
        writer.writerow([*row[:place], path, *row[place + 1 :]])
    return new.getvalue()


def _filled(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    return (row for row in rows if any(cell.strip() for cell in row))
