"""Top-1, macro F1 and confusion of a result of `videozoo infer`, also of feature models.

    python examples/tank_state/score.py NEXTVLAD_infer_result.json dataset/tank_state/val.list

The list holds "PATH CLASS NUMBER" a line; videos are matched by the name of their file. Several
results of one list may be given before it: each is printed, then mean and deviation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from videozoo.metrics.clips import ClipMetrics


def score(result: Path, truth: dict[str, int]) -> tuple[float, float]:
    """Prints the figures of one result and returns top-1 and macro F1."""
    classes = max(truth.values()) + 1
    found = {Path(row["video"]).stem: row for row in json.loads(result.read_text())}
    if found.keys() != truth.keys():
        sys.exit(f"{result}: its videos are not those of the list")
    scores, confusion = torch.zeros(len(truth), classes), np.zeros((classes, classes), dtype=int)
    for line, (name, label) in zip(scores, truth.items(), strict=True):
        predictions = found[name]["predictions"]
        for prediction in predictions:
            line[prediction["index"]] = prediction["score"]
        confusion[label, predictions[0]["index"]] += 1
    metrics = ClipMetrics(num_classes=classes)
    metrics.update(scores, torch.tensor(list(truth.values())))
    figures = metrics.compute()
    top1, macro_f1 = float(figures["top1"]), float(figures["macro_f1"])
    rows = " / ".join(" ".join(str(count) for count in row) for row in confusion)
    print(f"{result}: top-1 {top1:.3f}  macro F1 {macro_f1:.3f}  confusion {rows}")
    return top1, macro_f1


def main() -> None:
    """Prints what is asked for."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    *results, listing = (Path(name) for name in sys.argv[1:])
    lines = [line.rsplit(maxsplit=1) for line in listing.read_text().splitlines()]
    truth = {Path(path).stem: int(label) for path, label in lines}
    figures = np.array([score(result, truth) for result in results])  # [results, 2]
    if len(results) > 1:
        mean, deviation = figures.mean(axis=0), figures.std(axis=0, ddof=1)
        print(
            f"{len(results)} results: top-1 {mean[0]:.3f} +- {deviation[0]:.3f}"
            f"  macro F1 {mean[1]:.3f} +- {deviation[1]:.3f}"
        )


if __name__ == "__main__":
    main()
