"""Compares checkpoints on records of planted_records.py, beside a linear model on mean features.

    python examples/planted_compare.py dataset/planted --weights a.safetensors b.safetensors

The linear model (logistic regression on the mean frame, as in the YouTube-8M paper, section 6)
trains here, which takes some minutes. For each model: GAP, Hit@1, and for each kind of class the
share of labels that are among a video's n best classes, n the number of its labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from planted_records import KINDS, kind_of
from torch import Tensor, nn

from videozoo.classifier import load_weights
from videozoo.config import load_experiment
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.shards import list_shards
from videozoo.inputs import open_samples
from videozoo.metrics.losses import feature_loss
from videozoo.metrics.youtube8m import YouTube8MMetrics
from videozoo.scoring import score_batches
from videozoo.specs import find_spec

CPU = torch.device("cpu")


def mean_frames(path: Path) -> tuple[Tensor, Tensor]:
    """Reads a list: mean frames [N, 1152], of length 1 a video, and labels [N, K] of 0 and 1."""
    settings = load_experiment(find_spec("NEXTVLAD").keys, None)["TEST"]
    source = YouTube8MDataset(
        list_shards(str(path)),
        feature_names=["rgb", "audio"],
        feature_dims=[1024, 128],
        num_classes=settings.num_classes,
    )
    means, labels = [], torch.zeros(len(source), settings.num_classes)
    for number in range(len(source)):
        sample = source.read(number)
        frames = [torch.tensor(f).float().mean(dim=0) * 4 / 255 - 2 for f in sample.features]
        means.append(nn.functional.normalize(torch.cat(frames), dim=0))
        labels[number, torch.from_numpy(sample.labels)] = 1
    return torch.stack(means), labels


def linear_scores(train: Path, valid: Path, *, epochs: int) -> tuple[Tensor, Tensor]:
    """Trains the linear model; returns its logits [N, K] on the valid list, and the labels."""
    x, labels = mean_frames(train)
    torch.manual_seed(0)
    model = nn.Linear(x.shape[1], labels.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            feature_loss(model(x[rows]), labels[rows]).mean().backward()
            optimizer.step()
        schedule.step()
    x, labels = mean_frames(valid)
    with torch.inference_mode():
        return model(x), labels


def scores_of(weights: Path, valid: Path) -> tuple[Tensor, Tensor]:
    """Returns a checkpoint's logits [N, K] on the valid list, and the labels."""
    loaded = load_weights(weights)
    settings = loaded.experiment["TEST"].model_copy(update={"batch_size": 32})
    dataset = open_samples(settings, str(valid)).dataset
    scoring = loaded.classifier.for_inference("32")
    scored = list(score_batches(scoring, dataset, settings=settings, device=CPU))
    return torch.cat([s for _, s in scored]), torch.cat([b.labels for b, _ in scored])


def row(name: str, scores: Tensor, labels: Tensor) -> Iterator[str]:
    """Yields the cells of a model: name, GAP, Hit@1, the share found of each kind."""
    labels = labels.bool()
    metric = YouTube8MMetrics(num_classes=labels.shape[1])
    metric.update(scores.sigmoid(), labels)
    found = metric.compute()
    place = scores.argsort(dim=1, descending=True).argsort(dim=1)  # [N, K]
    named = place < labels.sum(dim=1, keepdim=True)  # [N, K]
    yield name
    yield from (f"{found[key]:.3f}" for key in ("gap", "hit_at_1"))
    for kind in sorted(set(KINDS)):
        of_kind = torch.tensor([kind_of(c) == kind for c in range(labels.shape[1])])
        yield f"{named[labels & of_kind].float().mean():.3f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what planted_records.py wrote")
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--epochs", type=int, default=20, help="of the linear model; 0: none")
    options = parser.parse_args()
    train, valid = (options.folder / f"{name}.list" for name in ("train", "valid"))
    print("|", " | ".join(["model", "GAP", "Hit@1", *sorted(set(KINDS))]), "|")
    print("|---" * (3 + len(set(KINDS))) + "|")
    if options.epochs:
        linear = linear_scores(train, valid, epochs=options.epochs)
        print("|", " | ".join(row("linear", *linear)), "|")
    for path in options.weights:
        print("|", " | ".join(row(path.stem, *scores_of(path, valid))), "|")


if __name__ == "__main__":
    main()
