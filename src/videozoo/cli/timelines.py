"""How timelines are printed: segments of files, a JSON line a window of streams."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from videozoo.cli.tables import GOES_ON, print_unreadable, shard_done
from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError
from videozoo.shards import SHARED_OUT, Shard
from videozoo.terminal import Terminal
from videozoo.text import counted, escaped

if TYPE_CHECKING:
    from videozoo.config import Experiment
    from videozoo.experiments import Weights
    from videozoo.timeline.writing import VideoTimeline

Window = Annotated[float, typer.Option("--window", help="Seconds of a window of a timeline.")]
Stride = Annotated[
    float, typer.Option("--stride", help="Seconds from one window to the next, at most --window.")
]
Onset = Annotated[
    float | None,
    typer.Option(
        "--onset",
        help="Score from which a segment begins. (default: the class's own threshold where the"
        " weights are calibrated, else 0.5; with one class a video: the best class of a window)",
        show_default=False,
    ),
]
Offset = Annotated[
    float | None,
    typer.Option(
        "--offset",
        help="Score below which a segment ends. (default: 0.15 below --onset)",
        show_default=False,
    ),
]
MinDuration = Annotated[
    float,
    typer.Option(
        "--min-duration",
        help="Seconds of the shortest segment; shorter gaps of one class are closed.",
    ),
]

TIMELINE_OPTIONS = ("window", "stride", "onset", "offset", "min_duration")
_MOST = 20  # segments that are printed of a video


def run_timeline(
    videos: Sequence[str] | None,
    weights: Weights,
    experiment: Experiment,
    shard: Shard | None,
    **how: Any,
) -> None:
    """Scores videos over time, in one process; see infer_timelines.

    Raises:
        VideozooError: lists every fault found.
        typer.Exit: 2 where videos could not be read.
    """
    from videozoo.infer_timelines import infer_timelines
    from videozoo.timeline.source import is_stream

    if not is_first_process():
        return
    if not videos:
        raise VideozooError("--timeline: name the videos, or - for the standard input")
    live = any(map(is_stream, videos))
    if live and (shard is not None or SHARED_OUT.get() is not None):
        raise VideozooError(f"{' '.join(videos)}: a stream is read by one process, from its start")
    console = Terminal(highlight=False, soft_wrap=True, quiet=live)
    try:
        found = infer_timelines(
            videos, weights, experiment, each=_print_line if live else None, console=console,
            shard=shard, **how,
        )  # fmt: skip
    except KeyboardInterrupt:
        console.print(GOES_ON)
        raise
    for one in found:
        print_segments(one, console)
    faults = [(one.video, one.fault) for one in found if one.fault is not None]
    if live:
        for video, fault in faults:
            print(f"{video}: {fault}", file=sys.stderr)
        return
    print_unreadable(faults, console, heading="unreadable, or in part: {}")
    stem = Path(how["save_dir"]) / f"{experiment.model}_infer_timeline"
    written = f"written to {stem}.json, with the picture of the strip beside it"
    console.print(written if shard is None else shard_done(shard))
    if not all(one.windows for one in found):
        raise typer.Exit(2)


def print_segments(found: VideoTimeline, console: Console) -> None:
    """Prints the first segments of a video."""
    if found.windows:
        count = counted(len(found.segments), "segment")
        console.print(f"{escaped(found.video)}: {count} in {found.end:.1f} s")
    for segment in found.segments[:_MOST]:
        console.print(
            f"  {segment.start:9.2f} - {segment.end:9.2f} s  {segment.label}  {segment.score:.3f}"
        )
    if len(found.segments) > _MOST:
        console.print(f"  ... and {len(found.segments) - _MOST} more")


def _print_line(window: dict[str, Any]) -> None:
    print(json.dumps(window, ensure_ascii=False), flush=True)
