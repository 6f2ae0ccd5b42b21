"""Writes the demo's clips: real mp4 files, H.264 picture and AAC sound.

python examples/demo/demo_clips.py toy --train 20 --test 5
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from demo_scenes import CLASSES, FRAME_RATE, SOUND_RATE, Scene, draw_scene

# Every frame is coded by itself with one quantiser, so that decoding a clip and decoding its
# reversal give the same frames: prediction from earlier frames would leave trails that point
# into the past and show the direction of time in a single frame.
_X264 = {"preset": "veryfast", "qp": "22", "threads": "1", "x264-params": "keyint=1"}


@dataclass(frozen=True)
class DemoClips:
    """What make_clips wrote.

    Attributes:
        names: the classes, sorted: a label is an index into them.
        train: path and label of each training clip, sorted by path.
        test: the same of the test clips.
    """

    names: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]


def make_clips(
    folder: Path,
    *,
    per_class_train: int = 80,
    per_class_test: int = 30,
    frames: int = 30,
    seed: int = 0,
    workers: int = 2,
) -> DemoClips:
    """Writes the clips folder/train/CLASS/NAME.mp4 and folder/test/CLASS/NAME.mp4.

    Clip i of a class and clip i of its time twin are each other's reversal.

    Args:
        folder: made where it is missing; files of the same names are replaced.
        per_class_train: training clips of each class.
        per_class_test: test clips of each class.
        frames: frames of a clip, FRAME_RATE a second.
        seed: the key of all random draws; train and test never share any.
        workers: threads (drawing and encoding leave Python's lock for most of the time).
    """
    names = tuple(sorted(CLASSES))
    wanted: list[list[tuple[Path, int]]] = []
    jobs: list[tuple[Path, str, tuple[int, ...]]] = []
    for part, (split, count) in enumerate((("train", per_class_train), ("test", per_class_test))):
        clips = []
        for label, name in enumerate(names):
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                path = place / f"{name.replace(' ', '_')}_{i:03d}.mp4"
                clips.append((path, label))
                jobs.append((path, name, (seed, part, i)))
        wanted.append(clips)
    with ThreadPoolExecutor(workers) as pool:
        made = [pool.submit(_make_clip, *job, frames) for job in jobs]
        for clip in made:
            clip.result()
    return DemoClips(names=names, train=tuple(wanted[0]), test=tuple(wanted[1]))


def _make_clip(path: Path, name: str, seed: tuple[int, ...], frames: int) -> None:
    write_clip(path, draw_scene(name, seed=seed, frames=frames))


def write_clip(path: Path, scene: Scene) -> None:
    """Writes one scene as an mp4 file: H.264 at FRAME_RATE, mono AAC at SOUND_RATE.

    Raises:
        av.error.FFmpegError: FFmpeg could not encode or write.
        OSError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _encode(temporary, scene)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _encode(path: Path, scene: Scene) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options=dict(_X264))
        video.height, video.width = scene.frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for i, pixels in enumerate(scene.frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, FRAME_RATE)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        samples = np.clip(scene.sound, -1, 1)[None]  # [1, samples]
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def main() -> None:
    """Writes clips as the command line says."""
    parser = argparse.ArgumentParser(description="Writes the demo's clips, a folder a class.")
    parser.add_argument("folder", type=Path, help="gets the folders train and test")
    parser.add_argument("--train", type=int, default=80, help="training clips of each class")
    parser.add_argument("--test", type=int, default=30, help="test clips of each class")
    parser.add_argument("--seed", type=int, default=0, help="another number draws other clips")
    given = parser.parse_args()
    make_clips(
        given.folder, per_class_train=given.train, per_class_test=given.test, seed=given.seed
    )


if __name__ == "__main__":
    main()
