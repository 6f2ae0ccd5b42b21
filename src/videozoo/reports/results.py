"""The result files of test and infer."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from textwrap import indent
from typing import Any, BinaryIO

from videozoo.answers import NONE_OF_THESE, Inferred, Result
from videozoo.evaluate import Evaluation
from videozoo.files import csv_line, json_text, sha256_of, write_json, writing

MOST_CLASSES = 100  # of a confusion matrix that is written cell by cell


def write_test_result(
    path: Path,
    found: Evaluation,
    *,
    listing: str | None,
    protocol: dict[str, Any],
    predictions: str,
) -> None:
    """Writes what a test found, as JSON.

    `confusion` has a row a class and a column a prediction; of more than 100 classes there is
    `confusion_counts` in its place: [class, prediction, videos] of all pairs that occur. Both go by
    index, the order of `classes`.

    Args:
        path: of the file.
        found: by the test.
        listing: the list, as it was named.
        protocol: how the scores were made.
        predictions: name of the file beside it that has every video.
    """
    result: dict[str, Any] = {
        **{name: value if isfinite(value) else None for name, value in found.metrics.items()},
        "listed": found.listed,
        "evaluated": found.evaluated,
        "unlabelled": found.unlabelled,
        "unreadable": [{"video": u.video, "reason": u.reason} for u in found.unreadable],
        "damaged": [{"video": d.video, "reason": d.reason} for d in found.damaged],
        "seconds": round(found.seconds, 3),
        "videos_per_second": round(found.evaluated / found.seconds, 3),
        "notes": found.notes,
        "list": listing,
        "protocol": protocol,
        "predictions": predictions,
        "files": {predictions: sha256_of(path.with_name(predictions))},
    }
    if found.class_names is not None:
        result["class_names"] = found.class_names
    if found.confusion is not None and len(found.confusion) <= MOST_CLASSES:
        result["confusion"] = found.confusion.tolist()
    elif found.confusion is not None:
        pairs = found.confusion.nonzero().tolist()
        counts = found.confusion[found.confusion > 0].tolist()
        result["confusion_counts"] = [[*pair, n] for pair, n in zip(pairs, counts, strict=True)]
    if found.classes is not None:
        result["classes"] = [
            {"class": found.name(i), **asdict(figures)} for i, figures in enumerate(found.classes)
        ]
    if found.confusion is None and found.average_precision is not None:
        result["average_precision"] = [
            {"class": found.name(i), "value": value}
            for i, value in enumerate(found.average_precision)
        ]
    write_json(path, result)


def write_predictions(
    stem: Path,
    results: Iterable[Result],
    form: str,
    *,
    answered: bool,
    protocol: dict[str, Any],
) -> Inferred:
    """Writes STEM_result.json or .csv, STEM_summary.json and the original's pickle STEM_result.

    Results are written as they come, and not kept.

    Args:
        stem: of the files' names.
        results: in the order of the list.
        form: "json" or "csv".
        answered: results have answers: a video's labels stand beside its predictions.
        protocol: how the scores were made.

    Returns:
        Counts, and what the command prints.
    """
    found = Inferred()
    readable = stem.with_name(f"{stem.name}_result.{form}")
    pickled = stem.with_name(f"{stem.name}_result")
    with writing(readable) as file, writing(pickled) as original:
        add = (_csv_rows if form == "csv" else _json_items)(file, answered)
        add_original = _pickled_items(original)
        for result in results:
            found.add(result)
            if result.unreadable is None:
                add(result)
                add_original(result)
        add(None)
        add_original(None)
    summary = {
        "listed": found.listed,
        "predicted": found.predicted,
        **({"rejected": found.rejected} if answered else {}),
        "unreadable": [{"video": video, "reason": reason} for video, reason in found.unreadable],
        "damaged": [{"video": video, "reason": reason} for video, reason in found.damaged],
        "protocol": protocol,
        "files": {path.name: sha256_of(path) for path in (readable, pickled)},
    }
    write_json(stem.with_name(f"{stem.name}_summary.json"), summary)
    return found


def result_size(result: Result) -> int:
    """Returns about how many bytes a result has as JSON and in the pickle."""
    labels = sum(len(p.label) for p in result.predictions)
    return 60 + len(result.video) * 2 + labels + 115 * len(result.predictions)


Add = Callable[[Result | None], None]
"""Writes one result; None: it was the last."""


def _json_items(file: BinaryIO, answered: bool) -> Add:
    """Returns what writes results as one JSON array."""
    before = b"["

    def add(result: Result | None) -> None:
        nonlocal before
        if result is None:
            file.write(b"[]\n" if before == b"[" else b"\n]\n")
            return
        item = {"video": result.video, **_answer_keys(result)}
        item |= {"predictions": [asdict(p) for p in result.predictions]}
        file.write(before + b"\n" + indent(json_text(item), "  ").encode())
        before = b","

    return add


def _csv_rows(file: BinaryIO, answered: bool) -> Add:
    """Returns what writes results as rows of a csv, one a prediction."""
    header = ["video", "rank", "index", "label", "score", *(["answer"] if answered else [])]
    file.write(csv_line(header))

    def add(result: Result | None) -> None:
        for rank, p in enumerate(() if result is None else result.predictions, 1):
            assert result is not None
            row = (result.video, rank, p.index, p.label, repr(p.score), *_answer_column(result))
            file.write(csv_line(row))

    return add


def _pickled_items(file: BinaryIO) -> Add:
    """Returns what writes results as the original's list, a pickle that Python 2 reads too."""
    file.write(pickle.PROTO + bytes([2]) + pickle.EMPTY_LIST)

    def add(result: Result | None) -> None:
        if result is None:
            file.write(pickle.STOP)
            return
        indices = [p.index for p in result.predictions]
        item = (result.video, [p.score for p in result.predictions], indices)
        alone = pickle.dumps(item, protocol=2)
        file.write(alone[2 : -len(pickle.STOP)] + pickle.APPEND)  # without the beginning and end

    return add


def _answer_keys(result: Result) -> dict[str, Any]:
    if result.answer is None:
        return {}
    return {"labels": [p.label for p in result.answer], "rejected": result.rejected}


def _answer_column(result: Result) -> list[str]:
    if result.answer is None:
        return []
    return ["; ".join(p.label for p in result.answer) or NONE_OF_THESE]
