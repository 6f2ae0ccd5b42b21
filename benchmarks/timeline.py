"""How right a timeline is, how much memory it takes and how fast it is.

    python benchmarks/timeline.py WEIGHTS [--minutes 60] [--window 4] [--stride 1]

Clips of the demo's classes are drawn and joined into one long video, four to ten of a class (12 to
30 seconds) before the next class comes. Weights are trained on the demo's clips, see
docs/own-videos.md. A segment is right where it covers a true one of its class with an intersection
over union of 0.5 or more; each true one counts once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from videozoo.distributed import settle_process

settle_process()  # before torch, as the command does
sys.path.append(str(Path(__file__).parents[1] / "examples" / "demo"))
import av  # noqa: E402
from peak_memory import status_bytes  # noqa: E402

import videozoo  # noqa: E402
from demo_clips import _X264  # noqa: E402
from demo_scenes import CLASSES, FRAME_RATE, HEIGHT, SOUND_RATE, WIDTH, draw_scene  # noqa: E402
from videozoo.timeline.segments import Segment  # noqa: E402

CLIP = 3  # seconds
FEWEST, MOST = 4, 10  # clips of a class, one after another


def write_long(path: Path, minutes: float, *, rate: int, seed: int) -> list[Segment]:
    """Writes the video; returns what it truly shows.

    Args:
        path: of the file.
        minutes: its length, about.
        rate: frames a second: pictures are shown several times where it is above the demo's.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    names, truth, second, label = sorted(CLASSES), list[Segment](), 0, ""
    times = rate // FRAME_RATE
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=rate, options=_X264 | {"x264-params": "keyint=50"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
        shown = 0
        while second < 60 * minutes:
            label = str(rng.choice([name for name in names if name != label]))
            start = second
            for clip in range(int(rng.integers(FEWEST, MOST + 1))):
                scene = draw_scene(label, seed=(seed, 7, second, clip), frames=CLIP * FRAME_RATE)
                for pixels in scene.frames:
                    for _ in range(times):
                        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                        picture.pts, picture.time_base = shown, Fraction(1, rate)
                        file.mux(video.encode(picture))
                        shown += 1
                sound = av.AudioFrame.from_ndarray(
                    np.clip(scene.sound, -1, 1)[None], format="fltp", layout="mono"
                )
                sound.sample_rate, sound.pts = SOUND_RATE, second * SOUND_RATE
                sound.time_base = Fraction(1, SOUND_RATE)
                file.mux(audio.encode(sound))
                second += CLIP
            truth.append(Segment(start, second, label, 1.0))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))
    return truth


def right_segments(found: list[Segment], truth: list[Segment], least: float = 0.5) -> int:
    """Returns how many found segments cover a true one of their class well enough."""
    left, right = list(truth), 0
    for one in found:
        for other in left:
            both = min(one.end, other.end) - max(one.start, other.start)
            either = max(one.end, other.end) - min(one.start, other.start)
            if one.label == other.label and both / either >= least:
                left.remove(other)
                right += 1
                break
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", help="trained on the demo's clips")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=30, help="frames a second, a multiple of 10")
    parser.add_argument("--window", type=float, default=4.0)
    parser.add_argument("--stride", type=float, default=1.0)
    parser.add_argument("--min-duration", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        truth = write_long(path, given.minutes, rate=given.rate, seed=given.seed)
        predictor = videozoo.load(given.weights, use_gpu=False)
        start, worked = time.perf_counter(), time.process_time()
        windows = list(predictor.timeline(path, window=given.window, stride=given.stride))
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
    found = predictor.segments(windows, min_duration=given.min_duration)
    right = right_segments(found, truth)
    peak = status_bytes("VmHWM")
    print(f"{windows[-1].end:.0f} s of video, {len(windows)} windows of {given.window:g} s")
    print(f"{len(truth)} true segments, {len(found)} found, {right} of them right")
    print(f"segment F1 at IoU 0.5: {2 * right / (len(truth) + len(found)):.4f}")
    print(f"{windows[-1].end / seconds:.2f} s of video a second, {worked:.0f} s of processor time")
    print("peak memory: " + ("not told here" if peak is None else f"{peak / 2**20:.0f} MiB"))


if __name__ == "__main__":
    sys.exit(main())
