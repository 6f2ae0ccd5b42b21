"""infer over many small videos: in one process, and by the workers of a Ray cluster.

    python benchmarks/fleet.py --videos 5000
    python benchmarks/fleet.py --videos 100000 --keep many

It makes the videos (one, with its number behind it), runs `videozoo infer` alone, with one worker,
with two, and with two of which one is killed in the middle, and says videos/s, how much memory was
resident at most in the first and in the last third of each run, and whether results are the same.
The cluster is one of this machine; TSN reads each video anew, so that nothing comes from a cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from reports import describe_machine, machine, text_table
from videozoo.classifier import build_classifier, save_weights
from videozoo.config import load_experiment
from videozoo.files import sha256_of
from videozoo.specs import find_spec

CONFIG = """
[MODEL]
name = "TSN"
format = "mp4"
num_layers = 18
num_classes = 5
seg_num = 3
short_size = 36
target_size = 32
batch_size = 32
use_gpu = False
"""
FRAMES, SIZE, FOLDER = 12, (64, 48), 1000  # of a video; videos in a folder
RESULT, SUMMARY = "TSN_infer_result.json", "TSN_infer_summary.json"
RUNS = [
    ("alone", 0, False),
    ("1 worker", 1, False),
    ("2 workers", 2, False),
    ("2 workers, one killed", 2, True),
]  # name, workers of the cluster, one is killed
TICK = 0.5  # seconds between two looks at memory


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--videos", type=int, default=5000)
    parser.add_argument("--keep", type=Path, help="folder for videos and results, which stay")
    names = [name for name, *_ in RUNS]
    parser.add_argument("--only", nargs="+", default=names, choices=names, help="runs (all)")
    arguments = parser.parse_args()
    print(describe_machine(machine(("videozoo", "torch", "av", "ray"))), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        listing = made_videos(folder, arguments.videos)
        weights = made_weights(folder)
        rows = []
        for name, workers, kill in (run for run in RUNS if run[0] in arguments.only):
            how = (name, folder, listing, weights)
            if not workers:
                rows.append(measured(*how))
                continue
            with ray_cluster(workers) as address:
                ray = ("--cluster", "ray", "--address", address)
                rows.append(measured(*how, *ray, kill=kill))
        rows = [[*row[:-1], "yes" if row[-1] == rows[0][-1] else "NO"] for row in rows]
        head = ["infer", "videos/s", "s", "MB command", "MB worker", "listed", "read", "bad"]
        table = [list(map(str, row)) for row in rows]
        print(text_table([*head, "killed", "same"], table, markdown=False))


def made_videos(folder: Path, count: int) -> Path:
    """Makes videos that differ in a few bytes, where they are not there; returns their list."""
    listing = folder / f"{count}.list"
    if listing.is_file():
        return listing
    folder.mkdir(parents=True, exist_ok=True)
    data = encoded(folder / "one.mp4").read_bytes()
    start, paths = time.perf_counter(), []
    for number in range(count):
        path = folder / "videos" / f"{number // FOLDER:04d}" / f"{number:07d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data + struct.pack(">I4sQ", 16, b"free", number))
        paths.append(f"{path}\n")
    listing.write_text("".join(paths))
    print(f"{count:,} videos of {len(data):,} bytes in {time.perf_counter() - start:.1f} s")
    return listing


def encoded(path: Path) -> Path:
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(12))
        stream.width, stream.height = SIZE
        for _ in range(FRAMES):
            image = random.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
            image = image.repeat(8, axis=0).repeat(8, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode(None))
    return path


def made_weights(folder: Path) -> Path:
    config, weights = folder / "config.txt", folder / "TSN.safetensors"
    config.write_text(CONFIG)
    experiment = load_experiment(find_spec("TSN").keys, str(config))
    torch.manual_seed(0)
    classifier = build_classifier(experiment["INFER"])
    save_weights(weights, classifier, experiment, [f"class {n}" for n in range(5)])
    return weights


@contextmanager
def ray_cluster(workers: int) -> Iterator[str]:
    """Gives the address of a cluster with room for so many workers."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2 * workers, "object_store_memory": 100 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield made.address
    finally:
        made.shutdown()


def measured(
    name: str, folder: Path, listing: Path, weights: Path, *more: str, kill: bool = False
) -> list[Any]:
    """Runs infer once; returns a row of the table, with what the results are at its end."""
    out = folder / name.replace(", ", " ").replace(" ", "-")
    words = ["--weights", str(weights), "--filelist", str(listing), "--save-dir", str(out)]
    often = "4" if more else "20"  # a cluster tells twice a second, one process of each batch
    command = [sys.executable, "-m", "videozoo", "infer", *words, "--log-interval", often, *more]
    for old in (out / RESULT, out / SUMMARY):
        old.unlink(missing_ok=True)
    start = time.perf_counter()
    plain = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=plain)
    memory = Memory(process.pid)
    killed = 0
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"(?:infer (\d+)/(\d+)|about|Ray|going)", line):
            print(f"{name}: {line.strip()}", flush=True)
            if kill and not killed and found[1] and 2 * int(found[1]) > int(found[2]):
                killed = memory.newest_worker()
                os.kill(killed, signal.SIGKILL)
                print(f"{name}: process {killed} killed", flush=True)
    process.wait()
    seconds = time.perf_counter() - start
    memory.ended.set()
    memory.join()
    if process.returncode:
        sys.exit(f"{name}: exit code {process.returncode}")
    found = json.loads((out / SUMMARY).read_text())
    sizes = [memory.thirds("command"), memory.thirds("worker")]
    counts = [found["listed"], found["predicted"], len(found["unreadable"])]
    rate = f"{found['listed'] / seconds:.1f}"
    return [name, rate, f"{seconds:.1f}", *sizes, *counts, int(killed > 0), sha256_of(out / RESULT)]


class Memory(threading.Thread):
    """Looks at what the command and the largest worker have resident, each with its readers."""

    def __init__(self, command: int) -> None:
        super().__init__(daemon=True)
        self._command, self.ended = command, threading.Event()
        self._seen: list[dict[str, int]] = []
        self.start()

    def run(self) -> None:
        while not self.ended.wait(TICK):
            tree = processes()
            workers = [of_family(worker, tree) for worker in self._workers(tree)]
            command = of_family(self._command, tree)
            self._seen.append({"command": command, "worker": max(workers, default=0)})

    def thirds(self, what: str) -> str:
        """Returns the most of the first third and of the last: 480-482."""
        third = max(1, len(self._seen) // 3)
        parts = (self._seen[:third], self._seen[-third:])
        return "-".join(f"{max(one[what] for one in part) / 1e6:.0f}" for part in parts)

    def newest_worker(self) -> int:
        return max(self._workers(processes()))

    def _workers(self, tree: dict[int, list[int]]) -> list[int]:
        return [pid for pid in below(os.getpid(), tree) if b"MapWorker" in said_of(pid, "cmdline")]


def processes() -> dict[int, list[int]]:
    """Returns the children of each process."""
    found: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*"):
        stat = said_of(int(path.name), "stat")
        if stat:
            found[int(stat.rpartition(b")")[2].split()[1])].append(int(path.name))
    return found


def below(pid: int, tree: dict[int, list[int]]) -> list[int]:
    return [one for child in tree.get(pid, ()) for one in (child, *below(child, tree))]


def of_family(pid: int, tree: dict[int, list[int]]) -> int:
    """Returns the bytes that a process and its readers have resident, what they share once."""
    said = b"".join(said_of(one, "smaps_rollup") for one in (pid, *below(pid, tree)))
    return sum(int(size) << 10 for size in re.findall(rb"^Pss: +(\d+)", said, re.MULTILINE))


def said_of(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
