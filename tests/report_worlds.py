"""Results of tests, written by hand, for reports to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videozoo.files import write_csv

HEADER = ("video", "true", "predicted", "score", "second", "margin")
ROWS = [
    ("cat/0.mp4", "cat", "cat", 0.9, "dog", 0.85),
    ("cat/1.mp4", "cat", "dog", 0.95, "cat", 0.92),  # its label is probably wrong
    ("dog/0.mp4", "dog", "dog", 0.8, "cat", 0.7),
    ("dog/1.mp4", "dog", "dog", 0.55, "cat", 0.1),
    ("dog/2.mp4", "dog", "cat", 0.6, "dog", 0.25),
]


def write_result(
    folder: Path,
    *,
    model: str = "LINEAR",
    rows: Sequence[Sequence[Any]] | None = ROWS,
    names: Sequence[str] = ("cat", "dog"),
    **more: Any,
) -> Path:
    """Writes MODEL_test_result.json, and the table of the videos unless `rows` is None."""
    folder.mkdir(parents=True, exist_ok=True)
    known = list(ROWS if rows is None else rows)
    confusion = [[sum(r[1] == a and r[2] == b for r in known) for b in names] for a in names]
    right = sum(row[1] == row[2] for row in known)
    f1 = [
        2 * confusion[i][i] / max(1, sum(confusion[i]) + sum(r[i] for r in confusion))
        for i in range(len(names))
    ]
    result = {
        "top1": right / len(known),
        "macro_f1": sum(f1) / len(f1),
        "ece": 0.125,
        "loss": 0.5,
        "listed": len(known) + 2,
        "evaluated": len(known),
        "unreadable": [{"video": "dog/9.mp4", "reason": "the file is empty"}],
        "damaged": [{"video": "cat/0.mp4", "reason": "4 of 60 frames decode"}],
        "notes": ["few videos say little"],
        "list": "val.list",
        "protocol": {"weights": "nowhere/LINEAR_best.safetensors", "versions": {"videozoo": "1"}},
        "confusion": confusion,
        "classes": [
            {"class": n, "precision": f1[i], "recall": f1[i], "f1": f1[i],
             "support": sum(confusion[i])}
            for i, n in enumerate(names)
        ],
    } | more  # fmt: skip
    if rows is not None:
        write_csv(folder / f"{model}_test_predictions.csv", HEADER, rows)
    path = folder / f"{model}_test_result.json"
    path.write_text(json.dumps(result))
    return path


def write_beside(folder: Path) -> None:
    """Writes what else a training leaves: curves, a split and a config."""
    lines = ["step,epoch,split,metric,value", "10,1,train,loss,2.0", "20,2,train,loss,0.5",
             "20,2,valid,top1,0.75", "20,2,train,lo"]  # fmt: skip
    (folder / "LINEAR_curves.csv").write_text("\n".join(lines))
    rows = [("/v/cat/0.mp4", "cat", "train", "", ""), ("/v/dog/7.mp4", "dog", "train", "", ""),
            ("/v/cat/5.mp4", "cat", "train", "", "/v/cat/0.mp4"),
            ("/v/dog/1.mp4", "dog", "val", "", "/v/dog/7.mp4")]  # fmt: skip
    write_csv(folder / "split.csv", ("path", "class", "side", "group", "near-copy-of"), rows)
    text = "# Made from the videos in v.\n# videozoo train v --save-dir out\n[MODEL]\nx = 1\n"
    (folder / "LINEAR_config.txt").write_text(text)
