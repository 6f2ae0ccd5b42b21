"""What `videozoo explain` does: why videos were given their classes, in pictures and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from rich.console import Console

from videozoo.config import Experiment
from videozoo.errors import SampleError
from videozoo.experiments import Weights
from videozoo.explain.explanation import Explanation
from videozoo.files import make_folder, write_bytes, write_json
from videozoo.inputs import prepare
from videozoo.predict import open_predictor
from videozoo.progress import progress


def explain_videos(
    videos: Sequence[str],
    weights: Weights,
    experiment: Experiment,
    *,
    label: str | None = None,
    segments: int = 10,
    folder: Path,
    console: Console | None = None,
) -> Iterator[tuple[str, Explanation | SampleError]]:
    """Yields why videos were given their classes, and writes NAME.png and NAME.json of each.

    Args:
        videos: files, folders or globs; shards for a feature model.
        weights: which.
        experiment: their config.
        label: the class; None: the one of the highest score of each video.
        segments: moments of a video.
        folder: of the files.
        console: where to show progress; None: nowhere.

    Yields:
        The name of each video, and what was found; or why it cannot be read.

    Raises:
        VideozooError: a path or class does not exist, or something does not fit.
    """
    console = console or Console(quiet=True)
    predictor, how, dataset = open_predictor(weights, experiment, console, videos)
    assert dataset is not None
    explanations = predictor.explanations(dataset, label, segments=segments)
    make_folder(folder)
    prepare(dataset, predictor.device, console)
    names: set[str] = set()
    with progress(console, "explain", 10) as report:
        for number, (video, found) in enumerate(explanations, 1):
            if not isinstance(found, SampleError):
                stem, buffer = _free_name(found.video, names), BytesIO()
                found.picture().save(buffer, "png")
                write_bytes(folder / f"{stem}.png", buffer.getvalue())
                write_json(folder / f"{stem}.json", found.as_dict() | {"protocol": how})
            yield video, found
            report(number, len(dataset))


def _free_name(video: str, names: set[str]) -> str:
    """Returns what the files of a video are called; of two of one name the second gets a number."""
    base = re.sub(r"[^\w.-]+", "_", Path(video).stem)[:80]
    free = (f"{base}_{number}" if number > 1 else base for number in range(1, len(names) + 2))
    name = next(name for name in free if name not in names)
    names.add(name)
    return name
