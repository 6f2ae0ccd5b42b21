"""Prepares all clips of a folder or list, side by side, and goes on where it was stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from videozoo.errors import SampleError, VideozooError
from videozoo.prepare.encode import check_encoder, encode_clip, temporary_of
from videozoo.prepare.plan import Job, read_plan
from videozoo.prepare.recipe import ClipRecipe, claim_folder
from videozoo.prepare.report import (
    OK,
    UNREADABLE,
    Report,
    Row,
    belongs_to_another,
    is_done,
    open_report,
)
from videozoo.prepare.workers import Died, in_processes
from videozoo.processes import usable_cores

_LEFT_BEHIND = re.compile(r"\.[0-9]+\.mp4\.part")


@dataclass(frozen=True)
class Prepared:
    """What a run gave.

    Attributes:
        rows: one for each clip of the list, in its order.
        before: how many of them earlier runs had prepared.
        data: what to train on: the new list, or the folder.
    """

    rows: list[Row]
    before: int
    data: Path

    @property
    def good(self) -> list[Row]:
        """The clips that are prepared."""
        return [row for row in self.rows if row.status == OK]

    @property
    def unreadable(self) -> list[Row]:
        """The clips that could not be."""
        return [row for row in self.rows if row.status != OK]


def prepare_clips(
    spec: Path,
    out: Path,
    *,
    recipe: ClipRecipe,
    video_folder: Path | None = None,
    workers: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Encodes all clips of a folder or list anew, so that training reads them quicker.

    Clips that an earlier run into the same folder prepared from the same files are not made again.

    Args:
        spec: the folder or list, see `read_plan`.
        out: the folder for the new clips.
        recipe: how they are encoded.
        video_folder: of Kinetics' official csv.
        workers: processes; None: the cores.
        report: told how many of how many clips are done.

    Raises:
        VideozooError: the list or the folder has faults, or the folder cannot be written to.
    """
    check_encoder()
    plan = read_plan(spec, out, video_folder=video_folder)
    claim_folder(out, recipe, plan.listing)
    with open_report(out) as kept:
        left = _left(plan.jobs, kept, out)
        before = len(plan.jobs) - len(left)
        _sweep(out)
        work = partial(prepare_clip, out=out, recipe=recipe)
        processes = min(workers or usable_cores(), max(1, len(left) // 4))
        with closing(in_processes(work, left, processes)) as results:
            for number, (job, result) in enumerate(results, before + 1):
                row = result if isinstance(result, Row) else _row_of_dead(job, result, out)
                kept.add(row)
                report(number, len(plan.jobs))
        data = plan.write_list(out)
        kept.finish(job.target for job in plan.jobs)
    return Prepared([kept.rows[job.target] for job in plan.jobs], before, data)


def prepare_clip(job: Job, *, out: Path, recipe: ClipRecipe) -> Row:
    """Encodes one clip.

    Args:
        job: which.
        out: the folder of prepared clips.
        recipe: how.

    Raises:
        VideozooError: the new file cannot be written.
    """
    target = out / job.target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideozooError(f"{target.parent}: cannot be made: {error.strerror}") from None
    size = modified = 0
    try:
        if job.source.is_file():
            size, modified = job.source.stat().st_size, job.source.stat().st_mtime_ns
        clip = encode_clip(job.source, target, recipe)
    except SampleError as error:
        return _unreadable(job, str(error), out)
    return Row(
        path=str(job.source),
        new_path=job.target,
        status=OK,
        frames=clip.frames,
        width=clip.size[0],
        height=clip.size[1],
        new_width=clip.new_size[0],
        new_height=clip.new_size[1],
        bytes=size,
        new_bytes=target.stat().st_size,
        modified=modified,
    )


def _unreadable(job: Job, reason: str, out: Path) -> Row:
    (out / job.target).unlink(missing_ok=True)  # made of what the file was before
    path = str(job.source)
    return Row(path=path, new_path=job.target, status=UNREADABLE, reason=reason)


def _row_of_dead(job: Job, died: Died, out: Path) -> Row:
    temporary_of(out / job.target, died.process).unlink(missing_ok=True)
    reason = f"{job.source}: the process that encoded it died ({died.how})"
    return _unreadable(job, reason, out)


def _left(jobs: Sequence[Job], kept: Report, out: Path) -> list[Job]:
    """Returns the clips that are still to be made.

    Raises:
        VideozooError: the new file of one was made from another file.
    """
    left = [job for job in jobs if not is_done(kept.rows.get(job.target), job.source, out)]
    for job in left:
        row = kept.rows.get(job.target)
        if row is not None and belongs_to_another(row, job.source, out):
            raise VideozooError(
                f"{out / job.target}: was made from {row.path} and would be made from {job.source} "
                "now; give another folder"
            )
    return left


def _sweep(out: Path) -> None:
    """Takes away what processes that were killed left half written."""
    for place, _, names in os.walk(out):
        for name in filter(_LEFT_BEHIND.fullmatch, names):
            Path(place, name).unlink(missing_ok=True)
