"""The result files of test and infer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videozoo.config.keys import Settings
from videozoo.evaluate import Evaluation
from videozoo.files import write_csv, write_json, write_pickle
from videozoo.predict import Result

MOST_CLASSES = 100  # of a confusion matrix in a file


def write_test_result(
    path: Path,
    found: Evaluation,
    *,
    settings: Settings,
    labels: Sequence[str] | None,
    protocol: dict[str, Any],
) -> None:
    """Writes what a test found, as JSON.

    Args:
        path: of the file.
        found: by the test.
        settings: of TEST.
        labels: class names, where they are known.
        protocol: how the scores were made.
    """
    result: dict[str, Any] = {
        **found.metrics,
        "listed": found.listed,
        "evaluated": found.evaluated,
        "unlabelled": found.unlabelled,
        "unreadable": [{"video": u.video, "reason": u.reason} for u in found.unreadable],
        "seconds": round(found.seconds, 3),
        "videos_per_second": round(found.evaluated / found.seconds, 3),
        "list": settings.filelist,
        "protocol": protocol,
    }
    if found.confusion is not None and labels is not None and len(labels) <= MOST_CLASSES:
        result["class_names"] = labels
        result["confusion"] = found.confusion.tolist()
    if found.average_precision is not None:
        named = labels or [str(number) for number in range(settings.num_classes)]
        rows = zip(named, found.average_precision, strict=True)
        result["average_precision"] = [{"class": name, "value": value} for name, value in rows]
    write_json(path, result)


def write_predictions(
    stem: Path, results: Sequence[Result], form: str, *, protocol: dict[str, Any]
) -> None:
    """Writes STEM_result.json or .csv, STEM_summary.json and the original's pickle STEM_result.

    Args:
        stem: of the files' names.
        results: in the order of the list.
        form: "json" or "csv".
        protocol: how the scores were made.
    """
    good = [r for r in results if r.unreadable is None]
    if form == "csv":
        write_csv(
            stem.with_name(stem.name + "_result.csv"),
            ["video", "rank", "index", "label", "score"],
            (
                (r.video, rank, p.index, p.label, repr(p.score))
                for r in good
                for rank, p in enumerate(r.predictions, 1)
            ),
        )
    else:
        write_json(
            stem.with_name(stem.name + "_result.json"),
            [{"video": r.video, "predictions": [asdict(p) for p in r.predictions]} for r in good],
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
            "unreadable": [
                {"video": r.video, "reason": r.unreadable}
                for r in results
                if r.unreadable is not None
            ],
            "protocol": protocol,
        },
    )
