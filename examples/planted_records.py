"""Writes YouTube-8M-like TFRecord shards in which it is known how each class can be seen.

Classes are as frequent as 1 / (rank + 2), a long tail. A class is of one of four kinds:

* seen: frames of its own look and sound; the mean of all frames shows it;
* hidden: its frames point both ways equally often, so that their mean shows nothing;
* sound: a sound of its own, under frames that are noise;
* order: two classes share the same two looks, one shows them in this order, the other in that.

A video has one to four classes, and each frame belongs to one of them, under noise.

    python examples/planted_records.py dataset/planted --videos 20000 --valid 2000
    python examples/planted_records.py dataset/mixed --videos 200 --add real.tfrecord

writes train*.tfrecord, valid*.tfrecord, train.list, valid.list and eigenvals.npy (ones, for
NeXtVLAD) into the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import RecordReader, index_shard, write_tfrecord

KINDS = (
    "seen", "hidden", "sound", "order", "order", "hidden", "sound", "hidden", "seen", "hidden",
)  # fmt: skip
DIMS = {"rgb": 1024, "audio": 128}
STRENGTH = {"rgb": 0.4, "audio": 0.6}  # of a class, beside noise of 0.6
NOISE = 0.6
SHARD = 500

Float32Array = npt.NDArray[np.float32]


def kind_of(label: int) -> str:
    """Returns how a class can be seen: seen, hidden, sound or order."""
    return KINDS[label % len(KINDS)]


def twin_of(label: int) -> int:
    """Returns the class with the same looks in the other order; without one, the class itself."""
    if kind_of(label) != "order":
        return label
    return label + 1 if kind_of(label - 1) != "order" else label - 1


def draw_labels(rng: np.random.Generator, classes: int) -> list[int]:
    """Returns one to four classes, never both of a pair that differs in order alone."""
    share = 1 / np.arange(3, classes + 3)
    drawn = rng.choice(classes, size=rng.integers(1, 5), replace=False, p=share / share.sum())
    return sorted(
        x for x in drawn.tolist() if twin_of(x) == x or twin_of(x) not in drawn or x < twin_of(x)
    )


def looks(
    labels: list[int],
    shown: npt.NDArray[np.intp],
    table: Float32Array,
    *,
    name: str,
    rng: np.random.Generator,
) -> Float32Array:
    """Returns what frames show before noise.

    Args:
        labels: the video's classes.
        shown: which of them each frame belongs to, [frames].
        table: a direction a class, and one for the last one's twin, [classes + 1, dim].
        name: rgb or audio.
        rng: decides where a hidden class points which way.

    Returns:
        float32 [frames, dim].
    """
    values = np.zeros((len(shown), table.shape[1]), np.float32)
    for place, label in enumerate(labels):
        rows = np.flatnonzero(shown == place)
        kind = kind_of(label)
        if kind == "order":
            looked = np.where(rows < len(shown) / 2, label, twin_of(label))  # [rows]
            values[rows] = table[looked]
        elif kind == "hidden":
            signs = np.ones(len(rows), np.float32)  # [rows]
            signs[::2] = -1
            values[rows] = rng.permutation(signs)[:, None] * table[label]
        elif kind == "seen" or name == "audio":
            values[rows] = table[label]
    return STRENGTH[name] * values


def video(
    number: int, *, seed: int, split: int, table: dict[str, Float32Array], frames: list[int]
) -> bytes:
    """Returns one record, its number of frames within `frames` [least, most]."""
    rng = np.random.default_rng([seed, split, number])
    labels = draw_labels(rng, len(table["rgb"]) - 1)
    shown = rng.permutation(np.arange(rng.integers(frames[0], frames[1] + 1)) % len(labels))
    features = {}
    for name, dim in DIMS.items():
        values = looks(labels, shown, table[name], name=name, rng=rng)  # [frames, dim]
        values += NOISE * rng.standard_normal((len(shown), dim), np.float32)
        features[name] = np.clip((values + 2) * 255 / 4, 0, 255).astype(np.uint8)
    return encode_example(video=f"p{split}{number:06d}", labels=labels, features=features)


def stored_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a shard as they are."""
    index, reader = index_shard(path), RecordReader()
    for offset, length in zip(index.offsets.tolist(), index.lengths.tolist(), strict=True):
        yield reader.read(path, offset, length)


def main() -> None:
    """Writes both splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=2000, help="of the train list")
    parser.add_argument("--valid", type=int, default=400, help="videos of the valid list")
    parser.add_argument("--classes", type=int, default=3862)
    parser.add_argument("--frames", type=int, nargs=2, default=[60, 180], help="least and most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--add", type=Path, help="a shard whose records go into both splits")
    options = parser.parse_args()
    table = {
        name: np.random.default_rng([options.seed, dim])
        .normal(size=(options.classes + 1, dim))
        .astype(np.float32)
        for name, dim in DIMS.items()
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    np.save(options.folder / "eigenvals.npy", np.ones(DIMS["rgb"], np.float32))
    added = list(stored_records(options.add)) if options.add else []
    for split, (name, count) in enumerate((("train", options.videos), ("valid", options.valid))):
        paths = []
        for first in range(0, count, SHARD):
            numbers = range(first, min(first + SHARD, count))
            records = (
                video(i, seed=options.seed, split=split, table=table, frames=options.frames)
                for i in numbers
            )
            paths.append(options.folder / f"{name}{first // SHARD:03d}.tfrecord")
            write_tfrecord(paths[-1], [*(added if first == 0 else []), *records])
        (options.folder / f"{name}.list").write_text("".join(f"{path}\n" for path in paths))
        print(f"{name}: {count + len(added)} videos in {len(paths)} shards")


if __name__ == "__main__":
    main()
