"""How well the demo's models do, within the time pairs too, and the table that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from demo_scenes import TWINS
from videozoo.answers import Result
from videozoo.files import write_csv


@dataclass(frozen=True)
class Row:
    """What the demo found of a model: shares from 0 to 1, and videos a second of the test."""

    model: str
    data: str
    metric: str
    score: float
    accuracy: float
    in_pairs: float
    videos_per_second: float


def true_class(video: str, names: Sequence[str]) -> str:
    """Returns the class of a demo video: its folder, or the part of its id before the slash."""
    folder = Path(video).parent.name
    assert folder in names, video
    return folder


def accuracy(results: Sequence[Result], names: Sequence[str]) -> float:
    """Returns the share of videos whose first class is the true one."""
    right = [r.predictions[0].label == true_class(r.video, names) for r in results]
    return float(np.mean(right))


def accuracy_in_pairs(results: Sequence[Result]) -> float:
    """Returns the share of videos of time pairs whose true class scores above its twin."""
    twin = {a: b for pair in TWINS for a, b in (pair, pair[::-1])}
    right = []
    for result in results:
        name = Path(result.video).parent.name
        if name in twin:
            scores = {p.label: p.score for p in result.predictions}
            right.append(scores[name] > scores[twin[name]])
    return float(np.mean(right))


def print_rows(rows: Sequence[Row], folder: Path, seconds: float, console: Console) -> None:
    """Prints the demo's table and writes it as folder/table.csv."""
    table = Table(title="models on unseen videos")
    table.add_column("model", no_wrap=True)
    table.add_column("on")
    for column in ("score", "accuracy", "in time pairs", "videos/s"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.model,
            row.data,
            f"{row.metric} {row.score:.3f}",
            f"{row.accuracy:.1%}",
            f"{row.in_pairs:.1%}",
            f"{row.videos_per_second:.0f}",
        )
    console.print()
    console.print(table)
    console.print(
        "In time pairs, the two classes differ in the order of frames alone, and chance is"
        " 50 %: TSN averages over frames and cannot tell them apart; StNet, AttentionLSTM and, by"
        " motion, the head on a pretrained encoder can.",
        highlight=False,
    )
    write_csv(
        folder / "table.csv",
        ["model", "data", "metric", "score", "accuracy", "in_pairs", "videos_per_second"],
        (list(vars(row).values()) for row in rows),
    )
    console.print(
        f"{seconds:.0f} s in all; pictures in {folder / 'pictures'}, the table in"
        f" {folder / 'table.csv'}",
        highlight=False,
    )
