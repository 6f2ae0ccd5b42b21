"""Writes YouTube-8M-like TFRecord shards whose labels can be learned.

Each class has a direction of its own in rgb and in audio; a video's frames are a
noisy mixture of the directions of its classes. Labels follow a long tail (Zipf).

    python examples/planted_records.py dataset/planted --videos 2000 --valid 400
    python examples/planted_records.py dataset/mixed --videos 200 --add real.tfrecord

writes train*.tfrecord, valid*.tfrecord, train.list and valid.list into the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import RecordReader, index_shard, write_tfrecord

DIMS = {"rgb": 1024, "audio": 128}
SHARD = 500


def directions(classes: int, dim: int, seed: int) -> np.ndarray:
    """Returns one direction a class: float32 [classes, dim]."""
    return np.random.default_rng([seed, dim]).normal(size=(classes, dim)).astype(np.float32)


def video(number: int, *, seed: int, split: int, table: dict[str, np.ndarray]) -> bytes:
    """Returns one record: 60 to 180 frames, one to four labels."""
    rng = np.random.default_rng([seed, split, number])
    classes = len(table["rgb"])
    rank = 1 / np.arange(1, classes + 1)
    labels = rng.choice(classes, size=rng.integers(1, 5), replace=False, p=rank / rank.sum())
    frames = int(rng.integers(60, 181))
    features = {}
    for name, dim in DIMS.items():
        # Each frame shows one of the video's classes, faintly, under noise.
        shown = table[name][rng.choice(labels, size=frames)]  # [frames, dim]
        values = 0.35 * shown + 0.6 * rng.normal(size=(frames, dim))  # [frames, dim]
        features[name] = np.clip((values + 2) * 255 / 4, 0, 255).astype(np.uint8)
    return encode_example(
        video=f"p{split}{number:06d}", labels=sorted(labels.tolist()), features=features
    )


def stored_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a shard as they are."""
    index, reader = index_shard(path), RecordReader()
    for offset, length in zip(index.offsets.tolist(), index.lengths.tolist(), strict=True):
        yield reader.read(path, offset, length)


def main() -> None:
    """Writes both splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--valid", type=int, default=400)
    parser.add_argument("--classes", type=int, default=3862)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--add", type=Path, help="a shard whose records go into both splits")
    options = parser.parse_args()
    table = {name: directions(options.classes, dim, options.seed) for name, dim in DIMS.items()}
    options.folder.mkdir(parents=True, exist_ok=True)
    added = list(stored_records(options.add)) if options.add else []
    for split, (name, count) in enumerate((("train", options.videos), ("valid", options.valid))):
        paths = []
        for first in range(0, count, SHARD):
            numbers = range(first, min(first + SHARD, count))
            records = [video(i, seed=options.seed, split=split, table=table) for i in numbers]
            paths.append(options.folder / f"{name}{first // SHARD:03d}.tfrecord")
            write_tfrecord(paths[-1], [*(added if first == 0 else []), *records])
        (options.folder / f"{name}.list").write_text("".join(f"{path}\n" for path in paths))
        print(f"{name}: {count + len(added)} videos in {len(paths)} shards")


if __name__ == "__main__":
    main()
