"""The models on this machine: videos/s of inference and training, peak memory, operations.

    python benchmarks/models.py
    python benchmarks/models.py --model-name TSN --precision bf16 --device cuda --json models.json

Nothing but the models is needed: weights and videos are made up. Sizes are those of the configs
that come with videozoo; --set changes them. Each measurement has a process of its own, which tells
its peak of memory.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any

import torch
from made_batches import describe_shape
from passes import Job, Passes, run_job
from torch.utils.benchmark import Timer

from reports import describe_machine, json_path, machine, number, save_json, text_table
from videozoo.config import load_experiment
from videozoo.distributed import settle_process
from videozoo.errors import VideozooError
from videozoo.specs import SPECS, find_spec

BATCH_SIZES = {"AttentionCluster": 32, "AttentionLSTM": 8, "NEXTVLAD": 16, "STNET": 2, "TSN": 4}
OTHER_BATCH_SIZE = 8
FRAMES = 300  # of a YouTube-8M video at most
COPIED = 1 << 28  # bytes
# How often a pass reads or writes all weights, or numbers as many: inference reads them; training
# reads them twice and writes gradients, then an optimizer reads these, weights and its averages,
# and writes weights and averages.
INFERENCE, BACKWARD, UPDATE = 1, 3, {"adam": 7, "centered_rmsprop": 7, "sgd": 5}
MATRIX = {"cpu": 2048, "cuda": 8192}  # rows and columns: far more than any cache holds
Row = dict[str, Any]


def main() -> None:
    settle_process()  # the processes that measure inherit it: OpenMP reads once how threads wait
    parser = options()
    arguments = parser.parse_args()
    try:
        jobs = list(make_jobs(arguments))
    except VideozooError as error:
        parser.error(str(error))
    about = machine(("videozoo", "torch")) | {"device": device_name(arguments.device)}
    about["threads"] = torch.get_num_threads()
    rates = {p: product_rate(arguments.device, p) for p in arguments.precision}
    copied = copy_rate(arguments.device)
    rows = [measured(job, rates[job.settings.precision], copied) for job in jobs]
    print(f"{describe_machine(about)}; {about['device']}, {about['threads']} threads")
    for precision, rate in rates.items():
        print(f"products of large matrices in {precision}: {number(rate / 1e9)} GFLOP/s")
    print(f"copies: {number(copied / 1e9)} GB/s read and written")
    show(rows)
    if arguments.json:
        save_json(
            arguments.json,
            {"machine": about, "operations/s": rates, "bytes/s": copied, "figures": rows},
        )
    if all("fault" in row for row in rows):
        raise SystemExit(1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--model-name", nargs="+", default=list(SPECS), metavar="NAME", help="(all)")
    add("--precision", nargs="+", default=["32", "bf16"], choices=["32", "bf16"], help="(both)")
    add("--batch-size", type=int, help=f"videos a batch {BATCH_SIZES}")
    add(
        "--frames", type=frame_range,
        help="of a feature model's videos: 300, or 120-300 (AttentionCluster 100, others 300)",
    )  # fmt: skip
    add("--seconds", type=float, default=10.0, help="how long to repeat a pass (%(default)s)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    add("--json", type=json_path, metavar="FILE", help="also write the figures there")
    add("--set", nargs="+", default=[], metavar="MODEL.key=value", help="change the config")
    return parser


def frame_range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?", text)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise argparse.ArgumentTypeError(f"{text}: give a number such as 300, or a range: 120-300")
    return int(found[1]), int(found[2] or found[1])


def make_jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """Yields inference and training of each model in each precision.

    Both have the settings of TRAIN, to be comparable: StNet's config tests larger crops.

    Raises:
        VideozooError: there is no such model, or the config has faults.
    """
    for name in arguments.model_name:
        size = arguments.batch_size or BATCH_SIZES.get(name, OTHER_BATCH_SIZE)
        for precision in arguments.precision:
            own = [f"TRAIN.batch_size={size}", f"TRAIN.precision={precision}"]
            # The weights must stay finite, not learn.
            own += ["TRAIN.num_gpus=1", "TRAIN.learning_rate=1e-6"]
            keys = find_spec(name).keys
            settings = load_experiment(keys, None, overrides=[*arguments.set, *own])["TRAIN"]
            usual = getattr(settings, "seg_num", FRAMES)  # AttentionCluster takes a sample
            frames = arguments.frames or (usual, usual)
            for training in (False, True):
                yield Job(settings, training, frames, arguments.seconds, arguments.device)


def measured(job: Job, rate: float, copied: float) -> Row:
    """Measures in a new process; returns what is known of it.

    Args:
        job: what is measured.
        rate: operations a second of large products, in the job's precision.
        copied: bytes a second that a copy reads and writes.
    """
    name, size = job.settings.NAME, job.settings.batch_size
    row: Row = {"model": name, "precision": job.settings.precision, "training": job.training}
    row["batch"] = describe_shape(job.settings, job.frames)
    print(f"measuring {name} {pass_name(row)} ...", flush=True)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found: Passes = pool.submit(run_job, job).result()
    except Exception as error:  # the others are measured none the less
        return row | {"fault": f"{type(error).__name__}: {error}"}
    speeds = [size / seconds for seconds in found.seconds]
    middle = statistics.median(speeds)
    row |= {"videos/s": middle, "lowest": min(speeds), "highest": max(speeds)} | asdict(found)
    sweeps = INFERENCE
    if job.training:
        sweeps = BACKWARD + UPDATE[find_spec(name).optimizer]
    floor = found.operations / rate + 4 * found.parameters * sweeps / copied  # seconds
    return row | {"operations": found.operations / size, "of_floor": size / middle / floor}


def product_rate(device: str, precision: str) -> float:
    """Returns the operations a second of a large matrix product.

    It is about what a model could reach at most. A multiplication and an addition are two.
    """
    size = MATRIX["cuda" if device.startswith("cuda") else "cpu"]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.rand(2, size, size, device=device).to(dtype)  # [size, size] both
    timer = Timer("a @ b", globals={"a": a, "b": b}, num_threads=torch.get_num_threads())
    best = min(timer.blocked_autorange(min_run_time=1.0).times)
    del a, b, timer
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the other processes need it
    return 2 * size**3 / best


def copy_rate(device: str) -> float:
    """Returns the bytes a second that a large copy reads and writes."""
    a, b = torch.zeros(2, COPIED // 2, dtype=torch.uint8, device=device)
    timer = Timer("b.copy_(a)", globals={"a": a, "b": b}, num_threads=torch.get_num_threads())
    return COPIED / min(timer.blocked_autorange(min_run_time=1.0).times)


def show(rows: list[Row]) -> None:
    """Prints the table, and what could not be measured."""
    head = ["model", "batch", "pass", "videos/s", "lowest", "highest", "peak MB", "parameters"]
    head += ["GFLOP/video", "of floor"]
    lines = []
    for row in rows:
        if "fault" in row:
            continue
        line = [row["model"], row["batch"], pass_name(row)]
        line += [number(row[key]) for key in ("videos/s", "lowest", "highest")]
        line.append("" if row["peak"] is None else number(row["peak"] / 1e6))
        line += [f"{row['parameters'] / 1e6:.1f} M", number(row["operations"] / 1e9)]
        lines.append([*line, f"{row['of_floor']:.2f} x"])
    print(text_table(head, lines, markdown=False))
    for row in rows:
        if "fault" in row:
            print(f"not measured: {row['model']} {pass_name(row)}: {row['fault']}")


def pass_name(row: Row) -> str:
    return f"{'train' if row['training'] else 'infer'} {row['precision']}"


def device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


if __name__ == "__main__":
    main()
