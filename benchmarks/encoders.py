"""Frames to rows: each stage of the road, and the encoder's network beside other engines.

    python benchmarks/encoders.py [FOLDER]

The first table reads, resizes and encodes frames of the videos of FOLDER, each stage alone; without
a FOLDER it is left out. The second has batches of 32 frames of 224 x 224 encoded by
efficientnet_lite0 in PyTorch, OpenVINO and ONNX Runtime, on two threads.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from encoders_peers import (
    BATCH,
    EngineWork,
    Onnx,
    OpenVino,
    Stage,
    StageWork,
    TorchEngine,
    write_onnx,
)
from turns import OURS, Peer, Table, chosen, compare, measure, started, version_of

from reports import Group, heading, machine, options, show, write_json

DISTRIBUTIONS = ("videozoo", "torch", "openvino", "onnxruntime", "av", "numpy")
ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
PRECISIONS = {"32": "float32", "bf16": "bfloat16"}
AT_MOST = 20  # videos of the folder, evenly spread


def stages(folder: Path) -> tuple[Table[StageWork], list[Peer]]:
    """Returns the table of the stages; ours is the whole road, as commands take it."""
    videos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    if not videos:
        raise SystemExit(f"{folder}: holds no videos")
    work = StageWork(tuple(videos[:: max(1, len(videos) // AT_MOST)][:AT_MOST]))
    peers = [
        Peer(OURS, Stage, ("both at once",), many_threads=True),
        *(
            Peer(stage, Stage, (stage,), many_threads=True, floor=True)
            for stage in ("decode", "decode and resize", "encode", "one after the other")
        ),
    ]
    return Table(f"{folder.name}: stages", work, 0, "frames"), peers


def engines(precision: str, onnx: Path) -> tuple[Table[EngineWork], list[Peer]]:
    """Returns the table of one precision."""

    def peer(name: str, make: type, *arguments: object, needs: str = "") -> Peer:
        return Peer(name, make, arguments, tuple(needs.split()), many_threads=True)

    peers = [
        peer(OURS, TorchEngine, precision, "torch"),
        peer("videozoo with OpenVINO", TorchEngine, precision, "openvino", needs="openvino"),
        peer("OpenVINO, batch 32", OpenVino, precision, needs="openvino"),
        peer("PyTorch, as written", TorchEngine, precision, "written"),
    ]
    if precision == "32":  # it has no bfloat16 convolutions for CPUs
        peers.append(peer("ONNX Runtime", Onnx, onnx, needs="onnxruntime onnx onnxscript"))
    title = f"efficientnet_lite0 {PRECISIONS[precision]}"
    return Table(title, EngineWork(passes=1), BATCH, "frames"), peers


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns how far rows are from ours, by their length."""
    return float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))


def main() -> None:
    parser = options(__doc__.partition("\n")[0], rounds=9)
    parser.add_argument("folder", nargs="?", type=Path, help="of videos")
    arguments = parser.parse_args()
    about = machine(DISTRIBUTIONS)
    groups: list[Group] = []
    with tempfile.TemporaryDirectory() as name:
        onnx = Path(name) / "lite0.onnx"
        if version_of("onnxscript") and "ONNX" in str(arguments.only or "ONNX"):
            write_onnx(onnx)
        made = [engines(precision, onnx) for precision in PRECISIONS]
        if arguments.folder:
            made.insert(0, stages(arguments.folder))
        for table, peers in made:
            with started(chosen(peers, None if table.units == 0 else arguments.only)) as running:
                if table.units == 0:
                    table.units = running[0].ask("check", table.case)
                else:
                    compare(table, running, difference)
                measure([table], running, arguments.rounds)
            groups.append(([table], running))
            show(groups[-1], markdown=arguments.markdown)
            if arguments.json:
                write_json(arguments.json, groups, about)
    print(heading(about, arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
