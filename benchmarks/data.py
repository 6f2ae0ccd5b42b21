"""How fast stored videos become batches on this machine, in this process and in workers.

    python benchmarks/data.py --youtube8m dataset/youtube8m/train.list
    python benchmarks/data.py --clips videos --model-name STNET --json clips.json

Nothing but the files is needed: no weights, no labels, no GPU. Whole files are read, spread evenly
over the list, again and again, each way of reading in turn; "plain read" reads their bytes alone.
Settings are those of TEST in the model's config; --set changes them.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from reports import describe_machine, json_path, machine, number, save_json, text_table
from videozoo.config import load_experiment
from videozoo.config.keys import Settings
from videozoo.data.clips.clip_files import CLIP_SUFFIXES, expand_path
from videozoo.data.clips.clip_list import read_listing
from videozoo.data.dataset import VideoDataset
from videozoo.data.loader import make_loader, raise_if_fatal
from videozoo.data.sampler import MicroBatch, StepSampler
from videozoo.data.youtube8m.shards import list_shards
from videozoo.distributed import settle_process, usable_cores
from videozoo.errors import VideozooError
from videozoo.inputs import open_samples
from videozoo.specs import find_spec

DISTRIBUTIONS = ("videozoo", "torch", "numpy", "av", "google-crc32c")
MODELS = {"youtube8m": "AttentionLSTM", "clips": "TSN"}  # all frames; 3 of them
MOST = {"youtube8m": 1000, "clips": 200}
PIECE = memoryview(bytearray(2**20))  # bytes read at once: enough that calls cost nothing
Row = dict[str, Any]


def main() -> None:
    settle_process()
    torch.set_num_threads(1)
    parser = options()
    arguments = parser.parse_args()
    if arguments.cold and not hasattr(os, "posix_fadvise"):
        parser.error("--cold: this system cannot drop files from memory; leave it away")
    kind = "youtube8m" if arguments.youtube8m else "clips"
    path = arguments.youtube8m or arguments.clips
    about = machine(DISTRIBUTIONS)
    try:
        model = arguments.model_name or MODELS[kind]
        keys = find_spec(model).keys
        settings = load_experiment(keys, arguments.config, overrides=arguments.set)["TEST"]
        dataset, files = open_some(settings, kind, path, arguments.videos or MOST[kind])
        counts = [0, *worker_counts(arguments.workers)]
        readers = [Reader(dataset, count, arguments.batch_size) for count in counts]
        read = readers[0].once()
    except VideozooError as error:
        parser.error(str(error))
    unreadable = readers[0].unreadable
    if not read:
        parser.error(f"{path}: nothing can be read; the first: {next(iter(unreadable.items()))}")
    size = sum(file.stat().st_size for file in files)
    print(f"{describe_machine(about)}; load {about['load before']:.1f}")
    print(f"{path}: {read:,} videos of {len(files):,} files, {number(size / 1e6)} MB")
    for video, reason in unreadable.items():
        print(f"unreadable: {video}: {reason}")
    rows = measured(files, readers, arguments)
    for row in rows:
        add_rates(row, read, size)
    show(rows)
    if arguments.profile:
        profile(readers[0])
    if arguments.json:
        what = {"path": path, "videos": read, "bytes": size, "cold": arguments.cold}
        what |= {"batch_size": arguments.batch_size, "unreadable": unreadable}
        save_json(arguments.json, {"machine": about, **what, "readers": rows})


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    path = parser.add_mutually_exclusive_group(required=True)
    path.add_argument("--youtube8m", metavar="PATH", help="shards: a folder, list, glob or shard")
    path.add_argument("--clips", metavar="PATH", help="clips: a folder, list, csv, glob or video")
    add = parser.add_argument
    add("--model-name", help=f"whose config is used {MODELS}")
    add("--config", metavar="FILE", help="of that model (the one that comes with it)")
    add("--set", nargs="+", default=[], metavar="TEST.key=value", help="change the config")
    add(
        "--workers", type=int, default=usable_cores(), help="reader processes at most (%(default)s)"
    )
    add("--batch-size", type=int, default=32, help="videos a batch (%(default)s)")
    add("--videos", type=int, help=f"how many to read, roughly {MOST}")
    add("--rounds", type=int, default=5, help="measurements of each reader (%(default)s)")
    add("--seconds", type=float, default=1.0, help="of each of them, at least (%(default)s)")
    add("--cold", action="store_true", help="drop the files from memory before each pass")
    add("--profile", action="store_true", help="also tell what one process does in that time")
    add("--json", type=json_path, metavar="FILE", help="also write the figures there")
    return parser


def open_some(
    settings: Settings, kind: str, path: str, wanted: int
) -> tuple[VideoDataset, list[Path]]:
    """Opens whole files, spread evenly over the list, that hold about so many videos.

    Raises:
        VideozooError: there is nothing.
    """
    files = [file for file in list_files(kind, path) if file.is_file()]
    if not files:
        raise VideozooError(f"{path}: none of the listed files is there")
    first = open_samples(settings, [str(files[0])], labelled=False).dataset
    count = min(len(files), max(1, wanted // max(1, len(first))))
    chosen = [files[i * len(files) // count] for i in range(count)]
    return open_samples(settings, list(map(str, chosen)), labelled=False).dataset, chosen


def list_files(kind: str, path: str) -> list[Path]:
    """Returns the shards or clips that a path leads to."""
    if kind == "youtube8m":
        return list_shards(path)
    if path.lower().endswith(CLIP_SUFFIXES):  # a video, or a pattern of videos
        return expand_path(path)
    return [entry.path for entry in read_listing(path, labelled=False).entries]


def worker_counts(most: int) -> list[int]:
    """Returns the numbers of workers to try: 1, 2, 4, ... and `most`."""
    counts = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*counts, most] if most else []


class Endless(StepSampler):
    """Goes over the list again and again, so that workers never start anew."""

    def __iter__(self) -> Iterator[MicroBatch]:
        while True:
            yield from super().__iter__()


class Reader:
    """Makes batches of all samples, again and again, as test and infer do.

    Args:
        dataset: the samples.
        workers: processes; 0: this one.
        batch_size: videos a batch.
    """

    def __init__(self, dataset: VideoDataset, workers: int, batch_size: int) -> None:
        self.workers = workers
        self.unreadable: dict[str, str] = {}
        sampler = Endless(
            len(dataset), batch_size=batch_size, micro_batch_size=batch_size, shuffle=False
        )
        self._steps = len(sampler)
        loader = make_loader(dataset, sampler, training=False, num_workers=workers)
        self._batches = iter(loader)

    def once(self) -> int:
        """Reads all samples once; returns how many could be read."""
        read = 0
        for _ in range(self._steps):
            batch = raise_if_fatal(next(self._batches))
            read += int(batch.weights.sum())  # a placeholder weighs nothing
            self.unreadable |= {u.video: u.reason for u in batch.unreadable}
        return read


def measured(
    files: Sequence[Path], readers: Sequence[Reader], arguments: argparse.Namespace
) -> list[Row]:
    """Times plain reading and all readers in turn; the first passes only warm up."""
    rows: list[Row] = [{"reader": "plain read", "seconds": []}]
    for reader in readers:
        name = f"workers: {reader.workers}" if reader.workers else "this process"
        rows.append({"reader": name, "seconds": []})
    passes: list[Callable[[], object]] = [lambda: read_plainly(files)]
    passes += [reader.once for reader in readers]
    before = (lambda: drop(files)) if arguments.cold else (lambda: None)
    for run in passes:
        run()
    for _ in range(arguments.rounds):
        for row, run in zip(rows, passes, strict=True):
            row["seconds"].append(seconds_of(run, before, arguments.seconds))
    return rows


def seconds_of(run: Callable[[], object], before: Callable[[], None], least: float) -> float:
    """Returns the mean time of a pass, over as many as take `least` seconds."""
    passes, taken = 0, 0.0
    while not passes or taken < least:
        before()
        start = time.perf_counter()
        run()
        taken += time.perf_counter() - start
        passes += 1
    return taken / passes


def add_rates(row: Row, videos: int, size: int) -> None:
    """Adds what so many videos and bytes a pass make a second, by the median pass."""
    seconds = row["seconds"]
    row |= {"videos/s": videos / statistics.median(seconds), "lowest": videos / max(seconds)}
    row |= {"highest": videos / min(seconds), "MB/s": size / 1e6 / statistics.median(seconds)}


def read_plainly(files: Sequence[Path]) -> None:
    """Reads files into the same piece of memory again and again."""
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(PIECE):
                pass


def drop(files: Sequence[Path]) -> None:
    """Asks the system to forget what it keeps of files; one that lies in memory it cannot."""
    for path in files:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def profile(reader: Reader) -> None:
    """Prints in which functions one process spends its time."""
    profiler = cProfile.Profile()
    profiler.runcall(reader.once)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def show(rows: Sequence[Row]) -> None:
    """Prints the table, and which number of workers is best."""
    keys = ("videos/s", "lowest", "highest", "MB/s")
    plain = rows[0]["MB/s"]
    lines = [
        [row["reader"], *(number(row[key]) for key in keys), f"{row['MB/s'] / plain:.1%}"]
        for row in rows
    ]
    print(text_table(["reader", *keys, "of plain"], lines, markdown=False))
    best = max(rows[1:], key=lambda row: row["videos/s"])
    print(f"fastest here: {best['reader']}; a disk must give {number(best['MB/s'])} MB/s for it")


if __name__ == "__main__":
    main()
