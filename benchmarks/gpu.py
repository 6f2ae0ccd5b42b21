"""Beside the models: copies to the GPU, the encoder there, and the cores that keep it busy.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cpu --seconds 0.1

Nothing but videozoo is needed. The last line divides what the encoder takes by what one core
decodes of made-up videos of 720p: so many cores are needed for videos that are read once.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from videozoo.distributed import settle_process

settle_process()  # before torch
import numpy as np  # noqa: E402
import torch  # noqa: E402
from clips import written  # noqa: E402

from reports import describe_machine, json_path, machine, number, save_json  # noqa: E402
from videozoo.encoders.encoder import Encoder  # noqa: E402
from videozoo.encoders.lite0_encoder import EfficientNetLite0Encoder  # noqa: E402
from videozoo.video.reader import read_clip  # noqa: E402

COPY = 256 << 20  # bytes, of many batches
FRAMES = 8  # of a video


def rate(work: Callable[[], object], units: float, *, seconds: float, device: str) -> float:
    """Returns units a second: the median of passes that are repeated for so long."""

    def passed() -> float:
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    for _ in range(3):
        passed()
    times = [passed()]
    while sum(times) < seconds:
        times.append(passed())
    return units / statistics.median(times)


def decode(path: Path, encoder: Encoder) -> None:
    """Reads FRAMES frames, evenly spread, as the encoder takes them."""
    framing = encoder.framing

    def spread(count: int) -> np.ndarray:
        return (np.arange(FRAMES) * count // FRAMES).astype(np.int64)

    read_clip(path, spread, resize=framing.resize, crop=framing.cut)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    add("--seconds", type=float, default=5.0, help="how long to repeat a pass (%(default)s)")
    add("--json", type=json_path, metavar="FILE", help="also write the figures there")
    given = parser.parse_args()
    about = machine(("videozoo", "torch", "av"))
    on_gpu = given.device == "cuda"
    about["device"] = torch.cuda.get_device_name() if on_gpu else "cpu"
    print(f"{describe_machine(about)}; {about['device']}")
    figures = {}

    def tell(name: str, value: float, unit: str) -> None:
        figures[name] = value
        print(f"{name}: {number(value)} {unit}", flush=True)

    def measured(work: Callable[[], object], units: float) -> float:
        return rate(work, units, seconds=given.seconds, device=given.device)

    here = torch.empty(COPY, dtype=torch.uint8, pin_memory=on_gpu)
    there = torch.empty_like(here, device=given.device)
    copied = measured(lambda: there.copy_(here, non_blocking=True), COPY / 1e9)
    tell("copies from pinned memory", copied, "GB/s")
    for precision in ("32", "bf16"):
        encoder = EfficientNetLite0Encoder(torch.device(given.device), precision)
        pixels = torch.randint(0, 256, (encoder.batch, 1, 3, 224, 224), dtype=torch.uint8)
        pixels = pixels.pin_memory() if on_gpu else pixels
        encoded = measured(partial(encoder, pixels), encoder.batch)
        tell(f"efficientnet_lite0 in {precision}, copies included", encoded, "frames/s")
    decoded = measured(partial(decode, written(0), encoder), FRAMES)
    tell("decoding 720p on one core", decoded, "frames/s")
    tell("cores that decode what the encoder takes", encoded / decoded, "")
    if given.json:
        save_json(given.json, {"machine": about, "figures": figures})


if __name__ == "__main__":
    main()
