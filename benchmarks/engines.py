"""Exported files beside the models they were made of: how fast, and how far apart.

    python benchmarks/engines.py [MODEL ...]

A model of the published size with drawn weights is exported to every format, outside the timing.
Each engine then scores the same bytes on two threads, as test and infer do it; what it gives is
compared with PyTorch's. With --precision bf16 those that can compute in bfloat16.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from models_peers import draw_norms, two_torch_threads
from turns import OURS, Bench, Peer, Table, chosen, compare, measure, started

from reports import Group, heading, machine, options, show, write_json

DISTRIBUTIONS = ("videozoo", "torch", "onnxruntime", "openvino", "onnx", "numpy")
WEIGHTS = "weights.safetensors"
FILES = {"ONNX Runtime": "weights.onnx", "OpenVINO": "weights.xml", "torch.export": "weights.pt2"}


@dataclass(frozen=True)
class Scoring:
    """Videos of a model that are scored `passes` times in a round."""

    model: str
    videos: int
    length: int  # frames, or segments
    passes: int
    shortest: int | None = None  # of the videos; None: all are equally long
    precision: str = "32"

    @property
    def title(self) -> str:
        lengths = "" if self.shortest is None else f"{self.shortest}-"
        short = " bfloat16" if self.precision == "bf16" else ""
        return f"{self.model} {self.videos}x{lengths}{self.length}{short}"


CASES = [
    Scoring("AttentionCluster", 32, 100, 20),
    Scoring("AttentionLSTM", 8, 300, 1),
    Scoring("AttentionLSTM", 8, 300, 1, 120),
    Scoring("LINEAR", 32, 300, 50),
    Scoring("NEXTVLAD", 16, 300, 3),
    Scoring("NEXTVLAD", 16, 300, 3, 120),
    Scoring("STNET", 2, 7, 1),
    Scoring("TSN", 4, 3, 2),
]


def write_files(folder: Path, model: str) -> None:
    """Writes weights of a model and their exports, in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_write_files, args=(folder, model))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{model} could not be exported")


def _write_files(folder: Path, model: str) -> None:
    import torch

    from videozoo.classifier import build_classifier, save_weights
    from videozoo.experiments import open_experiment
    from videozoo.exporting.export import export

    torch.manual_seed(0)
    experiment = open_experiment(
        model, None, overrides=["MODEL.eigen_file=None"] if model == "NEXTVLAD" else []
    )
    classifier = build_classifier(experiment["INFER"]).eval()
    draw_norms(classifier)
    save_weights(folder / WEIGHTS, classifier, experiment, None)
    for format in ("onnx", "openvino", "pt2"):
        export(folder / WEIGHTS, format)


class Engine(Bench):
    """Weights or an export of them, opened as test and infer open them.

    Args:
        path: the file.
        case: what is scored.
    """

    def __init__(self, path: Path, case: Scoring) -> None:
        two_torch_threads()
        import torch

        from videozoo.classifier import load_weights
        from videozoo.experiments import Weights, open_experiment
        from videozoo.families import family_of

        experiment = open_experiment(
            None,
            None,
            weights=Weights.named(str(path)),
            overrides=[f"MODEL.precision='{case.precision}'"],
        )
        loaded = load_weights(path, experiment)
        self.precision = case.precision
        self.classifier = loaded.classifier.for_inference(case.precision)
        family = family_of(loaded.experiment["INFER"])
        draw = torch.Generator().manual_seed(0)
        sizes = {"batch": case.videos, "length": case.length, "segments": case.length}
        tensors = []
        for one in family.graph_inputs():
            shape = [sizes[size] if isinstance(size, str) else size for size in one.shape]
            if one.dtype == "int64":
                shortest = case.shortest or case.length
                tensors.append(torch.linspace(shortest, case.length, case.videos).long())
            else:
                tensors.append(torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8))
        self.batch = family.graph_batch(tuple(tensors))

    def once(self) -> np.ndarray:
        import torch

        from videozoo.models.layers import autocast

        with torch.inference_mode(), autocast(torch.device("cpu"), self.precision):
            return self.classifier(self.batch).float().numpy()

    def run(self, case: Scoring) -> None:
        for _ in range(case.passes):
            self.once()

    def check(self, case: Scoring) -> np.ndarray:
        return self.once()


def engines(folder: Path, case: Scoring) -> list[Peer]:
    """Returns videozoo in PyTorch, and the files in those engines that have the precision."""

    def peer(name: str, file: str) -> Peer:
        return Peer(name, Engine, (folder / file, case), many_threads=True)

    return [
        peer(OURS, WEIGHTS),
        *(
            peer(name, file)
            for name, file in FILES.items()
            if case.precision == "32" or name == "OpenVINO"
        ),
    ]


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns the largest difference of logits, by the largest of ours."""
    return float(np.abs(theirs - ours).max() / np.abs(ours).max())


def main() -> None:
    parser = options(__doc__.partition("\n")[0], rounds=7)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="(all)")
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    arguments = parser.parse_args()
    cases = [
        replace(case, precision=arguments.precision)
        for case in CASES
        if not arguments.models or case.model in arguments.models
    ]
    about = machine(DISTRIBUTIONS)
    groups: list[Group] = []
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            folder = Path(name) / case.model
            if not folder.is_dir():
                folder.mkdir()
                write_files(folder, case.model)
            table = Table(case.title, case, case.videos * case.passes, "videos")
            with started(chosen(engines(folder, case), arguments.only)) as running:
                compare(table, running, difference)
                measure([table], running, arguments.rounds)
            groups.append(([table], running))
            show(groups[-1], markdown=arguments.markdown)
            if arguments.json:
                write_json(arguments.json, groups, about)
    print(heading(about, arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
