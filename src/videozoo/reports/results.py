"""The result files of test and infer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videozoo.answers import NONE_OF_THESE, Result
from videozoo.config.keys import Settings
from videozoo.evaluate import Evaluation
from videozoo.files import write_csv, write_json, write_pickle

MOST_CLASSES = 100  # of a confusion matrix in a file


def write_test_result(
    path: Path,
    found: Evaluation,
    *,
    settings: Settings,
    protocol: dict[str, Any],
) -> None:
    """Writes what a test found, as JSON.

    Args:
        path: of the file.
        found: by the test.
        settings: of TEST.
        protocol: how the scores were made.
    """
    result: dict[str, Any] = {
        **found.metrics,
        "listed": found.listed,
        "evaluated": found.evaluated,
        "unlabelled": found.unlabelled,
        "unreadable": [{"video": u.video, "reason": u.reason} for u in found.unreadable],
        "damaged": [{"video": d.video, "reason": d.reason} for d in found.damaged],
        "seconds": round(found.seconds, 3),
        "videos_per_second": round(found.evaluated / found.seconds, 3),
        "list": settings.filelist,
        "protocol": protocol,
    }
    names = found.class_names
    if found.confusion is not None and names is not None and len(names) <= MOST_CLASSES:
        result["class_names"] = names
        result["confusion"] = found.confusion.tolist()
    if found.classes is not None:
        result["classes"] = [
            {"class": found.name(i), **asdict(figures)} for i, figures in enumerate(found.classes)
        ]
    if found.average_precision is not None:
        result["average_precision"] = [
            {"class": found.name(i), "value": value}
            for i, value in enumerate(found.average_precision)
        ]
    write_json(path, result)


def write_predictions(
    stem: Path, results: Sequence[Result], form: str, *, protocol: dict[str, Any]
) -> None:
    """Writes STEM_result.json or .csv, STEM_summary.json and the original's pickle STEM_result.

    Where results have answers, a video's labels stand beside its predictions.

    Args:
        stem: of the files' names.
        results: in the order of the list.
        form: "json" or "csv".
        protocol: how the scores were made.
    """
    good = [r for r in results if r.unreadable is None]
    answered = any(r.answer is not None for r in good)
    if form == "csv":
        write_csv(
            stem.with_name(stem.name + "_result.csv"),
            ["video", "rank", "index", "label", "score", *(["answer"] if answered else [])],
            (
                (r.video, rank, p.index, p.label, repr(p.score), *_answer_column(r))
                for r in good
                for rank, p in enumerate(r.predictions, 1)
            ),
        )
    else:
        write_json(
            stem.with_name(stem.name + "_result.json"),
            [
                {"video": r.video, **_answer_keys(r)}
                | {"predictions": [asdict(p) for p in r.predictions]}
                for r in good
            ],
        )
    write_pickle(
        stem.with_name(stem.name + "_result"),
        [
            (r.video, [p.score for p in r.predictions], [p.index for p in r.predictions])
            for r in good
        ],
    )
    write_json(
        stem.with_name(stem.name + "_summary.json"),
        {
            "listed": len(results),
            "predicted": len(good),
            **({"rejected": sum(r.rejected for r in good)} if answered else {}),
            "unreadable": [
                {"video": r.video, "reason": r.unreadable}
                for r in results
                if r.unreadable is not None
            ],
            "damaged": [
                {"video": r.video, "reason": r.damage} for r in results if r.damage is not None
            ],
            "protocol": protocol,
        },
    )


def _answer_keys(result: Result) -> dict[str, Any]:
    if result.answer is None:
        return {}
    return {"labels": [p.label for p in result.answer], "rejected": result.rejected}


def _answer_column(result: Result) -> list[str]:
    if result.answer is None:
        return []
    return ["; ".join(p.label for p in result.answer) or NONE_OF_THESE]
