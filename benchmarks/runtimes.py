"""The models: videozoo beside ONNX Runtime, paddle.inference, torch.nn.LSTM and torch.compile.

    python benchmarks/runtimes.py [TEXT ...]

Every peer computes with the same weights on the same inputs, on two threads; what it gives is
compared with ours before it is timed. TEXTs choose the tables whose titles hold all of them, such
as TSN, LSTMs, forward-and-backward, bfloat16, 120-300. Without one it is all tables.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_lstm import OurLstms, OurModel, TorchLstms, TorchModel
from models_peers import Compiled, Videozoo, Work, Written
from models_runtimes import OnnxRuntime, Paddle, write_tsn
from turns import OURS, Peer, PeerError, Running, Table, Times, chosen, measure, started, version_of

from reports import Group, heading, machine, options, show, write_json

DISTRIBUTIONS = ("videozoo", "torch", "onnxruntime", "paddlepaddle", "onnx", "numpy")
PRECISIONS = {"32": "float32", "bf16": "bfloat16"}
# Largest difference, by the largest value: a peer beyond gives something else and is left out.
CLOSE = {"32": 1e-4, "bf16": 0.1}
EQUAL, VARIED = (300,) * 8, (300, 274, 249, 223, 197, 171, 146, 120)


@dataclass(frozen=True)
class Comparison:
    """One table: a piece of work and those who do it."""

    title: str
    work: Work
    peers: Sequence[Peer]


def peer(name: str, make: type, *arguments: object, needs: str = "") -> Peer:
    """Returns a peer that sets its number of threads itself."""
    return Peer(name, make, arguments, tuple(needs.split()), many_threads=True)


def comparisons(folder: Path) -> list[Comparison]:
    """Returns all tables, short ones first in each part."""
    found = [tsn(precision, folder) for precision in PRECISIONS]
    for lengths in (EQUAL, VARIED):
        for training in (False, True):
            for precision in PRECISIONS:
                found += [lstms(precision, training, lengths), whole(precision, training, lengths)]
    for model, lengths in (("NEXTVLAD", (300,) * 16), ("AttentionCluster", (100,) * 32)):
        for training in (False, True):
            found += [compiled(model, precision, training, lengths) for precision in PRECISIONS]
    return found


def title(what: str, work: Work) -> str:
    shortest, longest = min(work.lengths), max(work.lengths)
    frames = str(longest) if shortest == longest else f"{shortest}-{longest}"
    passes = "forward-and-backward" if work.training else "forward"
    return f"{what} {len(work.lengths)}x{frames} {passes} {PRECISIONS[work.precision]}"


def tsn(precision: str, folder: Path) -> Comparison:
    work = Work("TSN", precision, False, (3,) * 4, passes=2)
    peers = [
        peer(OURS, Videozoo, work),
        peer("paddle.inference, oneDNN", Paddle, folder, precision, needs="paddle"),
        peer("torch.compile", Compiled, work),
        peer("torch.compile, freezing", Compiled, work, True),
        peer("torch.compile, freezing, channels-last weights", Compiled, work, True, True),
        peer("PyTorch, as written", Written, work),
    ]
    if precision == "32":  # it has no bfloat16 convolutions for CPUs
        peers.insert(1, peer("ONNX Runtime", OnnxRuntime, folder, needs="onnxruntime onnx"))
    return Comparison(title("TSN", work), work, peers)


def lstms(precision: str, training: bool, lengths: tuple[int, ...]) -> Comparison:
    work = Work("LSTMs", precision, training, lengths, passes=1)
    named = "nn.LSTM" if precision == "32" else "nn.LSTM, autocast"
    peers = [peer(OURS, OurLstms, work), peer(f"{named}, packed", TorchLstms, work)]
    if precision == "bf16":
        peers.append(peer("nn.LSTM in bfloat16, packed", TorchLstms, work, True))
    if len(set(lengths)) == 1:
        peers.append(peer(f"{named}, not packed", TorchLstms, work, False, False))
        if precision == "bf16":
            peers.append(peer("nn.LSTM in bfloat16, not packed", TorchLstms, work, True, False))
    return Comparison(title("LSTMs", work), work, peers)


def whole(precision: str, training: bool, lengths: tuple[int, ...]) -> Comparison:
    work = Work("AttentionLSTM", precision, training, lengths, passes=1)
    named = "with nn.LSTM" if precision == "32" else "with nn.LSTM, autocast"
    peers = [peer(OURS, OurModel, work), peer(named, TorchModel, work)]
    if precision == "bf16":
        peers.append(peer("with nn.LSTM in bfloat16", TorchModel, work, True))
    return Comparison(title("AttentionLSTM", work), work, peers)


def compiled(model: str, precision: str, training: bool, lengths: tuple[int, ...]) -> Comparison:
    passes = (2 if training else 20) if model == "AttentionCluster" else (1 if training else 3)
    work = Work(model, precision, training, lengths, passes)
    peers = [peer(OURS, Videozoo, work), peer("torch.compile", Compiled, work)]
    if not training:
        peers.append(peer("torch.compile, freezing", Compiled, work, True))
        peers.append(peer("PyTorch, as written", Written, work))  # in training that is ours
    return Comparison(title(model, work), work, peers)


def compare(comparison: Comparison, only: Sequence[str] | None, rounds: int) -> Group:
    """Starts the peers of one table, compares what they give, and times those that agree."""
    work = comparison.work
    table = Table(comparison.title, work, len(work.lengths) * work.passes, "videos")
    with started(chosen(comparison.peers, only)) as running:
        able = check(table, running)
        measure([table], able, rounds)
    return [table], able


def check(table: Table[Work], running: Sequence[Running]) -> list[Running]:
    """Notes how far each peer is from ours, and returns those that give the same."""
    ours = next(one for one in running if one.peer.name == OURS)
    right = ours.ask("check", table.case)
    able = []
    for one in running:
        remark = ""
        if one is not ours:
            try:
                off = difference(right, one.ask("check", table.case))
            except PeerError as error:
                print(f"left out: {error}", flush=True)
                continue
            remark = f"differs by {off:.1g}"
            if not off <= CLOSE[table.case.precision]:
                print(f"left out: {one.peer.name}: {remark}", flush=True)
                continue
        table.times[one.peer.name] = Times(remark=remark)
        able.append(one)
    return able


def difference(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """Returns the largest difference by the largest value of the array that it is in."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


def main() -> None:
    parser = options(__doc__.partition("\n")[0], rounds=9)
    parser.add_argument(
        "tables", nargs="*", metavar="TEXT", help="tables with TEXT in their titles"
    )
    arguments = parser.parse_args()
    about = machine(DISTRIBUTIONS)
    groups: list[Group] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = [c for c in comparisons(folder) if all(t in c.title for t in arguments.tables)]
        if not wanted:
            raise SystemExit(f"no table's title holds {' and '.join(arguments.tables)}")
        clips = next((c.work for c in wanted if c.work.model == "TSN"), None)
        if clips is not None:
            write_tsn(folder, clips, onnx=version_of("onnx") is not None)
        for comparison in wanted:
            groups.append(compare(comparison, arguments.only, arguments.rounds))
            show(groups[-1], markdown=arguments.markdown)
            if arguments.json:
                write_json(arguments.json, groups, about)
    print(heading(about, arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
