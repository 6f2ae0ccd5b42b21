"""Reads every sample of a source in parallel and keeps what it found, so that it can go on."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from torch.utils.data import DataLoader, Dataset, Subset

from videozoo.data.loader import SampleSource, as_it_is, one_thread
from videozoo.errors import VideozooError
from videozoo.files import write_csv
from videozoo.processes import usable_cores

HEADER = ("index", "sample", "status", "reason")
Found = tuple[int, str, str]


class _Checks(Dataset[Found]):
    def __init__(self, source: SampleSource) -> None:
        self.source = source

    def __getitem__(self, index: int) -> Found:
        try:
            self.source.read(index, None)
        except VideozooError as error:
            return index, self.source.name(index), str(error)
        return index, self.source.name(index), ""

    def __len__(self) -> int:
        return len(self.source)


def scan_samples(
    source: SampleSource,
    out: Path,
    *,
    workers: int | None,
    restart: bool,
    report: Callable[[int, int], None],
) -> list[tuple[str, str]]:
    """Reads every sample; keeps what it finds beside `out` until all are read.

    Args:
        source: the samples.
        out: the csv to write: index, sample, status (ok, unusable), reason.
        workers: processes; None: the cores.
        restart: forget what an earlier, stopped scan of the same list found.
        report: told how many of how many samples are read.

    Returns:
        (sample, reason) of each sample in order; the reason is empty where it can be used.

    Raises:
        VideozooError: `out` cannot be written.
    """
    part = out.with_name(f"{out.name}.part")
    stamp = _stamp(source)
    found = {} if restart else _read_part(part, stamp)
    left = [i for i in range(len(source)) if i not in found]
    # Written anew, for the last line of a stopped scan may be half there.
    write_csv(part, [stamp], ((index, *found[index]) for index in sorted(found)))
    try:
        with part.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            for index, name, reason in _check(source, left, workers):
                found[index] = (name, reason)
                writer.writerow([index, name, reason])
                file.flush()
                report(len(found), len(source))
    except OSError as error:
        raise VideozooError(f"{part}: cannot be written: {error.strerror}") from None
    rows = [found[index] for index in range(len(source))]
    write_csv(
        out,
        HEADER,
        ((i, n, "unusable" if r else "ok", r) for i, (n, r) in enumerate(rows)),
    )
    part.unlink()
    return rows


def _check(source: SampleSource, left: list[int], workers: int | None) -> Iterator[Found]:
    processes = min(workers or usable_cores(), max(1, len(left) // 4))
    loader: DataLoader[Found] = DataLoader(
        Subset(_Checks(source), left),
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=processes if processes > 1 else 0,
        worker_init_fn=one_thread,
    )
    yield from loader


def _stamp(source: SampleSource) -> str:
    names = hashlib.sha256()
    for index in range(len(source)):
        names.update(source.name(index).encode("utf-8", "surrogateescape") + b"\0")
    return f"scan of {len(source)} samples {names.hexdigest()[:16]}"


def _read_part(part: Path, stamp: str) -> dict[int, tuple[str, str]]:
    """Returns what a stopped scan of the same list found; a half-written last line is left out."""
    if not part.is_file():
        return {}
    text = part.read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != [stamp]:
        return {}
    if not text.endswith("\r\n"):
        rows.pop()
    return {int(row[0]): (row[1], row[2]) for row in rows[1:] if len(row) == 3 and row[0].isdigit()}
