"""A data set of videos written anew, once, so that training reads it several times quicker.

The new folder has the same tree of small files. `prepare.csv` in it says what became of each video
and tells the next run what is done already; `prepare.json` keeps the settings.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

from videozoo.data.clips.prepare_plan import REPORT_FILE, check_list, claim_folder, plan_clips
from videozoo.distributed import usable_cores
from videozoo.errors import SampleError, VideozooError
from videozoo.files import appending, only_run, write_csv, write_text
from videozoo.reading import read_rows
from videozoo.text import valid
from videozoo.video.write import Encoding, write_clip


@dataclass(frozen=True)
class PreparedClip:
    """What became of one clip: a row of the report.

    Attributes:
        path: the old file, absolute.
        new_path: the new one, relative to the new folder, with / between folders.
        status: ok, damaged (what can be decoded of it is there) or unreadable.
        reason: why it is not ok.
        frames: how many.
        width, height: pixels of the old frames, upright.
        new_width, new_height: pixels of the new ones.
        bytes: of the old file.
        new_bytes: of the new one.
        modified: of the old file, in nanoseconds since 1970.
    """

    path: str
    new_path: str
    status: str
    reason: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    new_width: int = 0
    new_height: int = 0
    bytes: int = 0
    new_bytes: int = 0
    modified: int = 0


_COLUMNS = tuple(field.name for field in fields(PreparedClip))
Job = tuple[str, Path]  # a clip's new path, as in PreparedClip, and its old file


@dataclass(frozen=True)
class Prepared:
    """What a run gave.

    Attributes:
        rows: one for each clip of the list, in its order.
        before: how many of them earlier runs had prepared.
        data: what to train on: the new list, or the folder.
    """

    rows: list[PreparedClip]
    before: int
    data: Path
    notes: list[str]


def prepare_clips(
    source: Path,
    out: Path,
    *,
    encoding: Encoding,
    video_folder: Path | None = None,
    workers: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Writes all clips of a folder or list anew, those that no earlier run into `out` has written.

    Where they go, and what becomes of a list: see `plan_clips`.

    Args:
        source: what `read_listing` takes.
        out: the folder for the new clips.
        encoding: how they are encoded.
        video_folder: of Kinetics' official csv.
        workers: processes; None: the cores.
        report: told how many of how many clips are done.

    Raises:
        VideozooError: the list has faults or names pickles, two clips would get one file, one
            folder lies in the other, another run writes into `out`, or it was made in another way
            or cannot be written to.
    """
    plan = plan_clips(source, out, video_folder)
    jobs, text = plan.jobs, plan.text
    claim_folder(out, encoding)
    taken = VideozooError(f"{out}: another run is preparing clips into it; wait for it")
    with only_run(out / ".prepare.lock", taken):
        data = out if text is None else out / source.name
        if text is not None:
            check_list(data, text)
        file = out / REPORT_FILE
        rows = _read_rows(file)
        done = {name for name in jobs if _is_done(rows.get(valid(name)), name, jobs[name], out)}
        left = deque(job for job in jobs.items() if job[0] not in done)
        before = len(jobs) - len(left)
        write_csv(file, _COLUMNS, map(astuple, rows.values()))  # without half a line at its end
        _sweep(out)
        work = partial(_prepare, out=out, encoding=encoding)
        processes = min(workers or usable_cores(), max(1, len(left) // 4))
        with appending(file) as add:
            for number, row in enumerate(_each(work, left, processes, out), before + 1):
                rows[row.new_path] = row
                add(astuple(row))
                report(number, len(jobs))
        names = [valid(name) for name in jobs]
        order = dict.fromkeys([*names, *rows])
        write_csv(file, _COLUMNS, (astuple(rows[name]) for name in order))
        if text is not None:
            write_text(data, text)
        return Prepared([rows[name] for name in names], before, data, plan.notes)


def _prepare(job: Job, *, out: Path, encoding: Encoding) -> PreparedClip:
    name, source = job
    target = out / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideozooError(f"{target.parent}: cannot be made: {error.strerror}") from None
    try:
        old = source.stat() if source.exists() else None  # before it is read: it may change
        clip = write_clip(source, target, encoding=encoding)
    except SampleError as error:
        return _unreadable(job, str(error), out)
    assert old is not None
    sizes = (*clip.size, *clip.new_size, old.st_size, target.stat().st_size)
    found = ("ok", "") if clip.damage is None else ("damaged", str(clip.damage))
    names = valid(str(source)), valid(name)
    return PreparedClip(*names, *found, clip.frames, *sizes, old.st_mtime_ns)


def _unreadable(job: Job, reason: str, out: Path) -> PreparedClip:
    (out / job[0]).unlink(missing_ok=True)  # made of what the file was before
    return PreparedClip(valid(str(job[1])), valid(job[0]), "unreadable", valid(reason))


def _each(
    work: Callable[[Job], PreparedClip], left: deque[Job], processes: int, out: Path
) -> Iterator[PreparedClip]:
    """Yields what becomes of each clip, side by side; a process that dies costs one clip."""
    if processes == 1:
        yield from map(work, left)
        return
    while left:
        running: dict[Future[PreparedClip], Job] = {}
        try:
            with _pool(processes) as pool:
                while left or running:
                    while left and len(running) < processes:  # no more, so that few are in doubt
                        running[pool.submit(work, left[0])] = left[0]
                        left.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        row = future.result()
                        del running[future]
                        yield row
        except BrokenProcessPool:
            _sweep(out)
            for job in running.values():  # which of them it was shows when each is alone
                yield _alone(work, job, out)


def _alone(work: Callable[[Job], PreparedClip], job: Job, out: Path) -> PreparedClip:
    try:
        with _pool(1) as pool:
            return pool.submit(work, job).result()
    except BrokenProcessPool:
        _sweep(out)
        return _unreadable(job, f"{job[1]}: the process that encoded it died", out)


def _pool(processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # decoders' threads and locks bear no fork
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)


def _begin() -> None:
    """Leaves Ctrl-C to the first process, and ends with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sweep(out: Path) -> None:
    """Takes away what processes that were killed left half written."""
    for path in out.rglob(".*.mp4.part"):
        path.unlink(missing_ok=True)


def _read_rows(file: Path) -> dict[str, PreparedClip]:
    """Returns what runs into this folder did, the last word for each new path."""
    rows: dict[str, PreparedClip] = {}
    if file.exists():
        for cells in read_rows(file):
            # the header is none, nor is what a stopped run left of a line
            with suppress(ValueError, TypeError):
                row = PreparedClip(*cells[:4], *map(int, cells[4:]))  # type: ignore[arg-type]
                rows[row.new_path] = row
    return rows


def _is_done(row: PreparedClip | None, name: str, source: Path, out: Path) -> bool:
    """Whether the new file is whole and of the old one as it is now, or as it was when it was gone.

    Raises:
        VideozooError: it was made from another file, which is still there.
    """
    target = out / name
    if row is None or row.status == "unreadable" or not target.exists():
        return False
    if row.path != valid(str(source)) and os.path.exists(row.path):
        raise VideozooError(
            f"{target}: was made from {row.path} and would be made from {source} now; give another"
            " folder"
        )
    if target.stat().st_size != row.new_bytes:
        return False
    if not source.exists():
        return True
    return (source.stat().st_size, source.stat().st_mtime_ns) == (row.bytes, row.modified)
