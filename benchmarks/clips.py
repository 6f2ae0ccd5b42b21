"""Video files to clips: videozoo and its peers side by side, on one thread.

    python benchmarks/clips.py [PATH ...]

Each set of videos is read with each choice of frames: 3x1 (TSN's 3 segments of 1 frame), 7x5
(StNet's), 25x1. A PATH is a set: a video, a folder (40 of its videos, evenly spread), or the word
720p: two videos of 10 s that are written here once and kept. Without a PATH it is 720p.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from clips_peers import SHORT, Answer, Decord, OpenCV, PyAV, TorchCodec, Video, Videozoo, Work
from turns import OURS, Peer, PeerError, Running, Table, Times, chosen, measure, started

from reports import machine, options, report

DISTRIBUTIONS = ("videozoo", "torch", "av", "cv2", "decord", "torchcodec", "numpy", "pillow")
PEERS = [
    Peer(OURS, Videozoo),
    Peer("OpenCV, all frames", OpenCV, (False,), ("cv2",)),
    Peer("OpenCV, grab", OpenCV, (True,), ("cv2",)),
    Peer("decord", Decord, (), ("decord",)),
    Peer("torchcodec, exact", TorchCodec, ("exact", True), ("torchcodec",)),
    Peer("torchcodec, approximate", TorchCodec, ("approximate", True), ("torchcodec",)),
    Peer("torchcodec, torch resizes", TorchCodec, ("approximate", False), ("torchcodec",)),
    Peer("PyAV, all frames", PyAV, (False,)),
    Peer("PyAV, to the last wanted", PyAV, (True,)),
]
ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
TURNS = 4  # a single video is read so often a round
OTHER_PICTURES = 8.0  # mean absolute difference of 256 levels; other resizers stay below 4


def sets(paths: Sequence[Path], at_most: int) -> dict[str, list[Path]]:
    """Returns the videos of each set by its name."""
    found = {}
    for path in paths:
        if str(path) == "720p":
            found["720p"] = [written(number) for number in range(2)]
        elif path.is_dir():
            videos = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS)
            if not videos:
                raise SystemExit(f"{path}: holds no videos")
            found[path.name] = videos[:: max(1, len(videos) // at_most)][:at_most]
        elif path.is_file():
            found[path.stem] = [path] * TURNS
        else:
            raise SystemExit(f"{path}: there is no such video or folder")
    return found


def written(number: int, *, seconds: int = 10, fps: int = 30) -> Path:
    """Writes a video of moving textures by x264's defaults: 1280x720, a key frame in 250, B-frames.

    It stays in the folder for temporary files, for the next run.
    """
    folder = Path(tempfile.gettempdir()) / "videozoo-benchmarks"
    folder.mkdir(exist_ok=True)
    path = folder / f"textures{number}.mp4"
    if path.exists():
        return path
    print(f"writing {path}", flush=True)
    rng = np.random.default_rng(number)
    ground, patch = texture(rng, 1400, 2200), texture(rng, 320, 420)
    temporary = folder / f".{os.getpid()}.{path.name}"
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for i in range(seconds * fps):
            y, x = int(300 + 280 * np.sin(i / 70)), int(440 + 430 * np.cos(i / 90 + number))
            image = ground[y : y + 720, x : x + 1280].copy()
            top, left = int(200 + 190 * np.cos(i / 23)), int(430 + 420 * np.sin(i / 31))
            image[top : top + 320, left : left + 420] = patch
            noise = rng.integers(-3, 4, image.shape, dtype=np.int16)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    os.replace(temporary, path)
    return path


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns clouds with fine grain, uint8 [height, width, 3]."""
    total = np.zeros((height, width, 3))
    for cell, strength in ((160, 60), (40, 35), (10, 20), (3, 8)):
        coarse = rng.standard_normal((height // cell + 2, width // cell + 2, 3))
        total += strength * np.kron(coarse, np.ones((cell, cell, 1)))[:height, :width]
    return np.clip(128 + total / 2, 0, 255).astype(np.uint8)


def video_of(path: Path) -> Video:
    """Finds the size that a video's frames get: short side 256, the other int(256 * 4/3)."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    width, height = frame.width, frame.height
    if min(width, height) != SHORT:
        other = int(SHORT * 4 / 3)
        width, height = (SHORT, other) if width < height else (other, SHORT)
    return Video(str(path.resolve()), width, height)


def tables(files_of: dict[str, list[Path]], frames: Sequence[str]) -> list[Table[Work]]:
    """Returns one table for each set of videos and choice of frames."""
    made = []
    for name, files in files_of.items():
        known = {file: video_of(file) for file in set(files)}
        videos = tuple(known[file] for file in files)
        for text in frames:
            seg_num, seglen = map(int, text.split("x"))
            work = Work(videos, seg_num, seglen, checked=min(len(known), 4))
            made.append(Table(f"{name} {text}", work, len(videos), "clips"))
    return made


def check(tables: Sequence[Table[Work]], running: Sequence[Running]) -> list[Running]:
    """Notes how far each peer's clips are from ours, and whether it counts as many frames.

    Libraries resize and convert colours differently, so clips are never quite equal.

    Returns:
        The peers that can read everything.
    """
    able = [one for one in running if one.peer.name == OURS]
    ours = [able[0].ask("check", table.case) for table in tables]
    for one in running:
        try:
            theirs = [one.ask("check", table.case) for table in tables if one not in able]
        except PeerError as error:
            print(f"left out: {error}", flush=True)
            continue
        for table, a, b in zip(tables, ours, theirs, strict=False):
            table.times[one.peer.name] = Times(remark=remark(a, b))
        if one not in able:
            able.append(one)
    return able


def remark(ours: Sequence[Answer], theirs: Sequence[Answer]) -> str:
    """Returns in words how a peer's clips differ from ours."""
    differences = [
        float(np.abs(a.astype(np.int16) - b).mean())
        for (a, _), (b, _) in zip(ours, theirs, strict=True)
    ]
    text = f"differs by {max(differences):.2f}"
    if max(differences) > OTHER_PICTURES:
        text += ", OTHER PICTURES"
    counts, right = [n for _, n in theirs], [n for _, n in ours]
    return text if counts == right else f"{text}, COUNTS {counts} FRAMES OF {right}"


def main() -> None:
    parser = options(__doc__.partition("\n")[0], rounds=9)
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[Path("720p")], help="videos, folders, or 720p"
    )
    parser.add_argument("--videos", type=int, default=40, help="of a folder (%(default)s)")
    parser.add_argument(
        "--frames", nargs="+", default=["3x1", "7x5", "25x1"], metavar="TxL",
        help="segments and frames of each (%(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    about = machine(DISTRIBUTIONS)
    made = tables(sets(arguments.paths, arguments.videos), arguments.frames)
    with started(chosen(PEERS, arguments.only)) as running:
        able = check(made, running)
        measure(made, able, arguments.rounds)
    report(made, able, about, arguments)


if __name__ == "__main__":
    sys.exit(main())
