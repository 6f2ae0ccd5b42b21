"""Reads every sample of a dataset in parallel and keeps what it found, so that it can go on."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from torch.utils.data import DataLoader, Dataset, Subset

from videozoo.data.dataset import VideoDataset
from videozoo.data.loader import as_it_is, one_thread
from videozoo.distributed import usable_cores
from videozoo.errors import VideozooError
from videozoo.files import appending, write_csv
from videozoo.text import csv_value

HEADER = ("index", "sample", "status", "reason")
Found = tuple[int, str, str]


class _Checks(Dataset[Found]):
    def __init__(self, dataset: VideoDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Found:
        try:
            self.dataset.read(index, None)
        except VideozooError as error:
            return index, self.dataset.name(index), str(error)
        return index, self.dataset.name(index), ""

    def __len__(self) -> int:
        return len(self.dataset)


def scan_samples(
    dataset: VideoDataset,
    out: Path,
    *,
    workers: int | None,
    restart: bool,
    report: Callable[[int, int], None],
) -> list[tuple[str, str]]:
    """Reads every sample; keeps what it finds beside `out` until all are read.

    Args:
        dataset: the samples.
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
    stamp = _stamp(dataset)
    found = {} if restart else _read_part(part, stamp)
    left = [i for i in range(len(dataset)) if i not in found]
    # Written anew, for the last line of a stopped scan may be half there.
    write_csv(part, [stamp], ((index, *found[index]) for index in sorted(found)))
    with appending(part) as add:
        for index, name, reason in _check(dataset, left, workers):
            found[index] = (name, reason)
            add([index, name, reason])
            report(len(found), len(dataset))
    rows = [found[index] for index in range(len(dataset))]
    write_csv(
        out,
        HEADER,
        ((i, n, "unusable" if r else "ok", r) for i, (n, r) in enumerate(rows)),
    )
    part.unlink()
    return rows


def _check(dataset: VideoDataset, left: list[int], workers: int | None) -> Iterator[Found]:
    processes = min(workers or usable_cores(), max(1, len(left) // 4))
    loader: DataLoader[Found] = DataLoader(
        Subset(_Checks(dataset), left),
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=processes if processes > 1 else 0,
        worker_init_fn=one_thread,
    )
    yield from loader


def _stamp(dataset: VideoDataset) -> str:
    names = hashlib.sha256()
    for index in range(len(dataset)):
        names.update(dataset.name(index).encode("utf-8", "surrogateescape") + b"\0")
    return f"scan of {len(dataset)} samples {names.hexdigest()[:16]}"


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
    return {
        int(row[0]): (csv_value(row[1]), csv_value(row[2]))
        for row in rows[1:]
        if len(row) == 3 and row[0].isdigit()
    }
