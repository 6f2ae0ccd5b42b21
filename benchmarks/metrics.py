"""GAP, Hit@1, PERR and mAP of many videos, beside NeXtVLAD's inference of as many.

    python benchmarks/metrics.py [--videos 100000] [--rounds 3]

Scores are drawn anew for every batch, skewed towards 0 as a model's are; drawing is not timed.
NeXtVLAD is scored as `videozoo test` scores it, 16 videos of 300 frames a batch. Both in turn on
the same threads; the memory is what the metrics add at their peak.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from passes import Job, run_job
from peak_memory import PeakMemory

from videozoo.config import load_experiment
from videozoo.metrics.youtube8m import YouTube8MMetrics
from videozoo.specs import find_spec

CLASSES, BATCH, LABELS = 3862, 250, 3


def metrics_seconds(videos: int) -> float:
    """Updates and computes the metrics of many videos; returns the seconds of that alone."""
    draws = torch.Generator().manual_seed(0)
    metrics = YouTube8MMetrics(num_classes=CLASSES)
    seconds = 0.0
    for _ in range(videos // BATCH):
        scores = torch.rand(BATCH, CLASSES, generator=draws).pow_(6)  # [B, K]
        classes = torch.randint(CLASSES, (BATCH, LABELS), generator=draws)
        labels = torch.zeros(BATCH, CLASSES, dtype=torch.bool).scatter_(1, classes, value=True)
        start = time.perf_counter()
        metrics.update(scores, labels)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    metrics.compute()
    return seconds + time.perf_counter() - start


def scoring_seconds(precision: str, videos: int) -> float:
    """Scores a few batches by NeXtVLAD; returns the seconds that so many videos would take."""
    values = ["INFER.batch_size=16", f"INFER.precision={precision}"]
    settings = load_experiment(find_spec("NEXTVLAD").keys, None, overrides=values)["INFER"]
    job = Job(settings, training=False, frames=(300, 300), seconds=3.0, device="cpu")
    return statistics.median(run_job(job).seconds) / settings.batch_size * videos


def main() -> None:
    """Prints both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    metrics_seconds(BATCH)
    memory = PeakMemory(torch.device("cpu"))
    ours = [metrics_seconds(options.videos)]
    taken = memory.taken()
    peers: dict[str, list[float]] = {"32": [], "bf16": []}
    for turn in range(options.rounds):
        if turn:
            ours.append(metrics_seconds(options.videos))
        for precision, found in peers.items():
            found.append(scoring_seconds(precision, options.videos))
    own = statistics.median(ours)
    print(f"{options.videos} videos x {CLASSES} classes, medians of {options.rounds} rounds")
    print(f"metrics: {own:.1f} s" + ("" if taken is None else f", {taken / 1e6:.0f} MB"))
    for precision, found in peers.items():
        other = statistics.median(found)
        print(f"NeXtVLAD in {precision}: {other:.0f} s; the metrics are {own / other:.2%} of it")


if __name__ == "__main__":
    main()
