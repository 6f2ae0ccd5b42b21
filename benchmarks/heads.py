"""How right `videozoo train FOLDER` is: cross-validation over all videos, and with few of them.

    python benchmarks/heads.py FOLDER [--seeds 3] [--few 5 10 20 50] [--draws 5]

FOLDER has one sub-folder of videos a class. Each fold is held out once; all that is chosen, the
head and its strength, is chosen on the other folds. Videos are dealt out singly, as published
figures are made, and then so that near-copies and clips of one recording are in one fold. Last,
heads learn of a few videos a class and are tested on all that do not belong to them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from videozoo.distributed import settle_process

settle_process()  # before torch
import torch  # noqa: E402
from rich.console import Console  # noqa: E402

from videozoo.data.transforms import dequantise  # noqa: E402
from videozoo.encoders.find import DEFAULT  # noqa: E402
from videozoo.training.folder_encoder import FolderEncoder  # noqa: E402
from videozoo.training.folds import macro_f1, stratified_folds  # noqa: E402
from videozoo.training.heads import HEADS, choose_head  # noqa: E402
from videozoo.training.split import split_folder  # noqa: E402


class Folder:
    """The rows of a folder's videos, their classes and what belongs together."""

    def __init__(self, folder: Path, encoder: str, heads: Sequence[str]) -> None:
        describe = FolderEncoder(encoder, torch.device("cpu"), Console(stderr=True), print)
        split = split_folder(folder, seed=0, rows_of=describe)
        entries = [*split.train, *split.valid]
        data = describe.part(entries)
        data.fit_scale()  # moves no value by more than half of a byte's step
        self.heads, self.names = heads, list(data.feature_names)
        self.rows = [tuple(map(torch.from_numpy, data.read(i).features)) for i in range(len(data))]
        self.labels = np.array([data.classes(i)[0] for i in range(len(data))])
        self.units = np.array(split.units(entries))
        self.target = torch.eye(len(split.class_names))[self.labels]

    def scores(self, train: np.ndarray, held: np.ndarray, seed: int) -> tuple[torch.Tensor, str]:
        """Trains on some videos as `train FOLDER` does; returns the logits of others."""
        choice = choose_head(
            [self.rows[i] for i in train],
            [(int(self.labels[i]),) for i in train],
            groups=self.units[train].tolist(),
            feature_names=self.names,
            num_classes=self.target.shape[1],
            heads=self.heads,
            seed=seed,
        )
        places = [self.names.index(name) for name in choice.settings["feature_names"]]
        with torch.inference_mode():
            logits = []
            for i in held:
                rows = [self.rows[i][place][None] for place in places]
                features = [dequantise(x) for x in rows]
                logits.append(choice.module(features, torch.tensor([rows[0].shape[1]]))[0])
        return torch.stack(logits), choice.model

    def cross_validated(self, groups: list[int], seed: int) -> tuple[float, float, list[str]]:
        """Holds each fold out once; returns macro F1, top-1 and the models that were taken."""
        by_class = [(int(label),) for label in self.labels]
        fold_of = stratified_folds(by_class, groups, seed=seed)
        logits, models = torch.zeros_like(self.target), []
        for fold in range(fold_of.max() + 1):
            held = np.flatnonzero(fold_of == fold)
            logits[held], model = self.scores(np.flatnonzero(fold_of != fold), held, seed)
            models.append(model)
        return *self.figures(logits, np.arange(len(self.labels))), models

    def figures(self, logits: torch.Tensor, held: np.ndarray) -> tuple[float, float]:
        """Returns macro F1 and top-1."""
        right = logits.argmax(1).numpy() == self.labels[held]
        return macro_f1(logits, self.target[held]), float(right.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of videos, a sub-folder a class")
    parser.add_argument("--encoder", default=DEFAULT)
    parser.add_argument("--heads", nargs="*", default=list(HEADS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--few", nargs="*", type=int, default=[5, 10, 20, 50])
    parser.add_argument("--draws", type=int, default=5, help="of the few")
    given = parser.parse_args()
    folder = Folder(given.folder, given.encoder, given.heads)
    print(f"{len(folder.labels)} videos, {len(set(folder.units.tolist()))} that belong together")
    singly = list(range(len(folder.labels)))
    for how, groups in (("singly", singly), ("by units", folder.units.tolist())):
        for seed in range(given.seeds):
            f1, top1, models = folder.cross_validated(groups, seed)
            taken = ", ".join(f"{name} {models.count(name)}" for name in sorted(set(models)))
            print(
                f"{len(models)} folds {how}, seed {seed}: macro F1 {f1:.4f}  top-1 {top1:.4f}"
                f"  (took {taken})",
                flush=True,
            )
    for count in given.few:
        found = []
        for draw in range(given.draws):
            order = np.random.default_rng(draw).permutation(len(folder.labels))
            train = np.concatenate(
                [order[folder.labels[order] == label][:count] for label in set(folder.labels)]
            )
            held = np.flatnonzero(~np.isin(folder.units, folder.units[train]))
            logits, _ = folder.scores(train, held, draw)
            found.append(folder.figures(logits, held))
        f1, top1 = np.array(found).T
        print(
            f"{count} a class, {given.draws} draws:"
            f" macro F1 {f1.mean():.3f} +- {f1.std(ddof=1):.3f}"
            f"  top-1 {top1.mean():.3f} +- {top1.std(ddof=1):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
