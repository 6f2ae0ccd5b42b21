"""Reads every sample of a dataset in parallel and keeps what it found, so that it can go on."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, starmap
from pathlib import Path
from typing import NamedTuple

from videozoo.data.dataset import VideoDataset
from videozoo.data.loader import READER_TIMEOUT
from videozoo.data.reader_process import Begin
from videozoo.data.readers import Readers, readers_can_be_made
from videozoo.distributed import usable_cores
from videozoo.errors import VideozooError
from videozoo.files import appending, write_csv
from videozoo.part_recipe import stamp_of
from videozoo.shards import Listed, Shard, Span, share_out
from videozoo.text import csv_value

HEADER = ("index", "sample", "status", "reason")
OK, DAMAGED, UNUSABLE = "ok", "damaged", "unusable"


class Checked(NamedTuple):
    """What was found of a sample: its name, OK, DAMAGED or UNUSABLE, and why it is not OK."""

    sample: str
    status: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a scan found: how many samples it read; name and reason of those that are not whole."""

    listed: int
    unusable: list[tuple[str, str]]
    damaged: list[tuple[str, str]]


@dataclass(frozen=True)
class _Check:
    dataset: VideoDataset

    def __call__(
        self, task: int, *, lost: Mapping[int, str], begin: Begin, block: object = None
    ) -> Checked:
        begin(0)
        name = self.dataset.name(task)
        if lost:
            return Checked(name, UNUSABLE, lost[0])
        try:
            damage = self.dataset.damage(task)
        except VideozooError as error:
            return Checked(name, UNUSABLE, str(error))
        except MemoryError:
            return Checked(name, UNUSABLE, "there is too little memory to read it")
        except OSError as error:
            return Checked(name, UNUSABLE, f"cannot be read: {error.strerror or error}")
        return Checked(name, OK if damage is None else DAMAGED, damage or "")


def scan_samples(
    dataset: VideoDataset,
    out: Path,
    *,
    workers: int | None,
    restart: bool,
    report: Callable[[int, int], None],
    timeout: float = READER_TIMEOUT,
    say: Callable[[str], None] = print,
    shard: Shard | None = None,
) -> Scan:
    """Reads every sample, of videos all frames; keeps what it finds beside `out` until then.

    Args:
        dataset: the samples.
        out: the csv to write: index, sample, status (ok, damaged, unusable), reason. A damaged
            sample can be used, though something of it is missing.
        workers: processes; None: the cores.
        restart: forget what an earlier, stopped scan of the same list found.
        report: told how many of how many samples are read.
        timeout: seconds that a sample may take, see data.readers.
        say: prints a line.
        shard: scan this share of the list, and keep what is found beside `out`; a scan of the whole
            list takes what all shards have found.

    Raises:
        VideozooError: `out` cannot be written, or some shards are not done.
    """
    span = Span(len(dataset), shard=shard)
    own = span.indices()
    share_out(Listed(span, dataset.name))
    part, stamp = _part_of(out, dataset, span)
    shards = {} if restart or shard else _shards_of(out, dataset)
    # Written anew, for the last line of a stopped scan may be half there.
    before = chain.from_iterable(starmap(_whole_rows, shards.items() or [(part, stamp)]))
    write_csv(part, [stamp], () if restart else ((i, *row) for i, row in enumerate(before)))
    done = sum(1 for _ in _whole_rows(part, stamp))
    if done:
        say(f"going on: {done:,} of {len(own):,} were done")
    with appending(part) as add:
        found = _check(dataset, own[done:], workers, timeout, say)
        for index, checked in enumerate(found, done):
            add([index, *checked])
            report(index + 1, len(own))
    if shard is None:
        write_csv(out, HEADER, ((i, *row) for i, row in enumerate(_whole_rows(part, stamp))))
    bad: dict[str, list[tuple[str, str]]] = {DAMAGED: [], UNUSABLE: []}
    for checked in _whole_rows(part, stamp):
        if checked.status != OK:
            bad[checked.status].append((checked.sample, checked.reason))
    for path in () if shard else (part, *shards):
        path.unlink()
    return Scan(len(own), bad[UNUSABLE], bad[DAMAGED])


def _part_of(out: Path, dataset: VideoDataset, span: Span) -> tuple[Path, str]:
    """Returns the file of what is found until all is, and the line that it begins with."""
    number = span.shard.suffix if span.shard else ""
    stamp = f"scan of {span.listed} samples {stamp_of(dataset, span.indices())}"
    return out.with_name(f"{out.name}{number}.part"), stamp


def _shards_of(out: Path, dataset: VideoDataset) -> dict[Path, str]:
    """Returns the files of all shards with the lines that they begin with; none of none.

    Raises:
        VideozooError: some are not done.
    """
    for path in out.parent.glob(f"{glob.escape(out.name)}.*-of-*.part"):
        count = int(path.stem.rpartition("-of-")[2])
        spans = [Span(len(dataset), shard=Shard(n, count)) for n in range(1, count + 1)]
        found = [_part_of(out, dataset, span) for span in spans]
        for span, one in zip(spans, found, strict=True):
            if sum(1 for _ in _whole_rows(*one)) != len(span.indices()):
                raise VideozooError(
                    f"{one[0]}: shard {span.shard and span.shard.number} of {count} is not done;"
                    f" run it again, or remove {out.name}.*-of-{count}.part"
                )
        return dict(found)
    return {}


def _check(
    dataset: VideoDataset,
    left: range,
    workers: int | None,
    timeout: float,
    say: Callable[[str], None],
) -> Iterator[Checked]:
    check = _Check(dataset)
    processes = min(workers or usable_cores(), max(1, len(left) // 4))
    if processes > 1 and readers_can_be_made():
        yield from Readers(check, processes, timeout=timeout, say=say)(left)
        return
    for index in left:
        yield check(index, lost={}, begin=lambda place: None)


def _whole_rows(part: Path, stamp: str) -> Iterator[Checked]:
    """Yields what a stopped scan of the same list found; a half-written last line is left out."""
    if not part.is_file():
        return
    with part.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != [stamp]:
            return
        before: list[str] | None = None
        for number, row in enumerate(rows):
            if before is not None:
                yield Checked(*map(csv_value, before[1:]))
            if len(row) != 4 or row[0] != str(number):
                return
            before = row
    with part.open("rb") as raw:
        raw.seek(-2, os.SEEK_END)
        if before is not None and raw.read() == b"\r\n":
            yield Checked(*map(csv_value, before[1:]))
