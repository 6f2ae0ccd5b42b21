"""YouTube-8M shards to batches: videozoo and its peers side by side.

    python benchmarks/youtube8m.py [SHARD ...]

Videos of frame features become padded uint8 batches of 32 with lengths and bool labels. Without
shards it writes 1,000 videos of 120 to 300 frames from a formula. All peers must give equal batches
before they are timed.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from turns import OURS, Peer, Running, Table, chosen, measure, started
from youtube8m_peers import (
    BATCH_SIZE,
    DIMS,
    Checksum,
    OriginalFloats,
    Pickles,
    Protobuf,
    RawBytes,
    TfrecordPackage,
    Videozoo,
)
from youtube8m_tensorflow import StarterCode, TensorFlow

from reports import machine, options, report

DISTRIBUTIONS = ("videozoo", "torch", "numpy", "google-crc32c", "tensorflow", "tfrecord")
DISTRIBUTIONS += ("protobuf",)


def peers(paths: Sequence[str], pickles: Sequence[str]) -> list[Peer]:
    loader = f"{OURS}, DataLoader,"
    tf = ("tensorflow",)
    return [
        Peer(OURS, Videozoo, (paths, 0)),
        Peer(f"{loader} 1 worker", Videozoo, (paths, 1)),
        Peer(f"{loader} 2 workers", Videozoo, (paths, 2)),
        Peer("tf.data, 1 thread", TensorFlow, (paths, False, "single"), tf),
        Peer("tf.data, 1 thread, by batch", TensorFlow, (paths, False, "batch"), tf),
        Peer("tf.data, AUTOTUNE", TensorFlow, (paths, True, "single"), tf, many_threads=True),
        Peer("tf.data, AUTOTUNE, by batch", TensorFlow, (paths, True, "batch"), tf, True),
        Peer("starter code's way (floats)", StarterCode, (paths,), tf),
        Peer("tfrecord package", TfrecordPackage, (paths,), ("tfrecord",)),
        Peer("protobuf messages", Protobuf, (paths,), ("protobuf",)),
        Peer("the original's pickles", Pickles, (pickles,)),
        Peer("the original's pickles, to floats", OriginalFloats, (pickles,)),
        Peer("floor: bytes alone", RawBytes, (paths,), floor=True),
        Peer("floor: checksum alone", Checksum, (paths,), floor=True),
    ]


def write_shards(folder: Path, *, shards: int = 4, videos: int = 250) -> list[str]:
    """Writes shards like YouTube-8M's: random bytes, 120 to 300 frames, 1 to 5 classes."""
    from videozoo.data.youtube8m.example import encode_example
    from videozoo.data.youtube8m.tfrecord import write_tfrecord

    rng = np.random.default_rng(8)

    def record(number: int) -> bytes:
        n = int(rng.integers(120, 301))
        features = {m: rng.integers(0, 256, (n, d), dtype=np.uint8) for m, d in DIMS.items()}
        labels = rng.choice(3862, size=int(rng.integers(1, 6)), replace=False)
        return encode_example(video=f"v{number:05d}", labels=sorted(labels), features=features)

    paths = [folder / f"train{shard:02d}.tfrecord" for shard in range(shards)]
    for shard, path in enumerate(paths):
        write_tfrecord(path, (record(shard * videos + i) for i in range(videos)))
    return [str(path) for path in paths]


def write_pickles(folder: Path, shards: Sequence[str]) -> list[str]:
    """Writes each shard as the original's converter does: a list of dicts."""
    paths = []
    for shard in shards:
        videos = [
            {"video": video, "feature": rgb, "audio": audio, "label": labels, "nframes": len(rgb)}
            for video, rgb, audio, labels in Protobuf([shard]).videos()
        ]
        paths.append(str(folder / f"{Path(shard).stem}.pkl"))
        with open(paths[-1], "wb") as file:
            pickle.dump(videos, file, protocol=pickle.HIGHEST_PROTOCOL)
    return paths


def check(table: Table[None], running: Sequence[Running]) -> None:
    """Stops where a peer's batches are others than ours.

    A batch is known by the checksums of its ids, lengths, labels and features; peers that cannot
    have the same features (floats) give None for them.
    """
    ours = next(one for one in running if one.peer.name == OURS).ask("check", None)
    table.units = sum(batch["videos"] for batch in ours)
    for one in running:
        theirs = ours if one.peer.floor else one.ask("check", None)
        if len(theirs) != len(ours):
            raise SystemExit(f"{one.peer.name}: {len(theirs)} batches, ours are {len(ours)}")
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            wrong = [key for key in a if b[key] is not None and a[key] != b[key]]
            if wrong:
                raise SystemExit(f"{one.peer.name}: batch {number} has other {', '.join(wrong)}")
    print(f"equal: {len(ours)} batches of {BATCH_SIZE}, {table.units} videos", flush=True)


def main() -> None:
    parser = options(__doc__.partition("\n")[0], rounds=15)
    parser.add_argument("shards", nargs="*", help="TFRecord shards; none: made here")
    parser.add_argument(
        "--repeat", type=int, default=1, help="take them so often a round, as one list"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["VIDEOZOO_CACHE"] = str(folder / "cache")
        paths = [str(Path(shard).resolve()) for shard in arguments.shards] or write_shards(folder)
        about = machine(DISTRIBUTIONS)
        pickles = write_pickles(folder, paths)
        listed = peers(paths * arguments.repeat, pickles * arguments.repeat)
        table: Table[None] = Table("YouTube-8M", None, 0, "videos")
        with started(chosen(listed, arguments.only)) as running:
            check(table, running)
            measure([table], running, arguments.rounds)
    report([table], running, about, arguments)


if __name__ == "__main__":
    sys.exit(main())
