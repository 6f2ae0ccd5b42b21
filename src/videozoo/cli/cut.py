"""videozoo cut: the segments of a video as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from videozoo import experiments
from videozoo.cli import arguments as args
from videozoo.cli import timelines
from videozoo.errors import VideozooError, did_you_mean
from videozoo.terminal import Terminal

if TYPE_CHECKING:
    from videozoo.timeline.writing import VideoTimeline

_OF_A_TIMELINE = ("weights", "window", "stride", "onset", "offset", "min_duration", "reject")


def cut(
    context: typer.Context,
    video: Annotated[Path, typer.Argument(help="A video file.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to cut out; may be repeated. (default: all)"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the files.")] = Path("clips"),
    timeline: Annotated[
        Path | None,
        typer.Option(
            "--timeline",
            help="MODEL_infer_timeline.json of this video; without one --weights find segments.",
        ),
    ] = None,
    keyframes: Annotated[
        bool,
        typer.Option(
            "--keyframes",
            help="Let segments begin and end at the key frames around them: longer, but all are"
            " copied.",
        ),
    ] = False,
    weights: args.Weights = None,
    window: timelines.Window = 8.0,
    stride: timelines.Stride = 2.0,
    onset: timelines.Onset = None,
    offset: timelines.Offset = None,
    min_duration: timelines.MinDuration = 0.0,
    reject: args.Reject = None,
) -> None:
    """Cut the segments that show a class out of a video, each into a file, with their sound.

    A segment that lies between key frames is copied, bit for bit. One that does not is exact all
    the same: all of its pictures are encoded anew (H.264, CRF 18); sound is copied, to the packet.
    Files of the MP4 family stay such, others become Matroska. segments.csv in the folder lists all.
    """
    from videozoo.files import make_folder, write_csv
    from videozoo.timeline.writing import read_segments
    from videozoo.video.cut import Stretch, cut_video, suffix_for

    console = Terminal(highlight=False, soft_wrap=True)
    if timeline is not None:
        args.refuse_given(context, _OF_A_TIMELINE, "the segments are those of --timeline")
        found = _of_video(read_segments(timeline), video, timeline)
    else:
        found = _timeline(
            video, weights, console, window=window, stride=stride, onset=onset, offset=offset,
            min_duration=min_duration, reject=reject,
        )  # fmt: skip
    labels = sorted({segment.label for segment in found.segments})
    for name in classes or ():
        if name not in labels:
            raise VideozooError(
                f"--class {name}: no segment of {video} shows it{did_you_mean(name, labels)}"
                f" (there are {', '.join(labels) or 'none'})"
            )
    wanted = [s for s in found.segments if not classes or s.label in classes]
    if not wanted:
        console.print(f"{video}: has no segments, so nothing is cut")
        return
    make_folder(out)
    named = {}
    for number, segment in enumerate(wanted, 1):
        name = re.sub(r"[^\w.-]+", "_", segment.label)[:80]
        target = out / f"{video.stem}_{number:03}_{name}{suffix_for(video)}"
        named[Stretch(segment.start, segment.end, target)] = segment
    rows = []
    for one in cut_video(video, list(named), keyframes=keyframes):
        segment, how = named[one.stretch], "copied" if one.copied else "encoded"
        console.print(f"{one.stretch.target}: {one.start:.2f} - {one.end:.2f} s, {how}")
        rows.append(
            (one.stretch.target.name, one.start, one.end, segment.label, segment.score, how)
        )
    write_csv(
        out / "segments.csv", ["file", "start", "end", "label", "score", "pictures"], sorted(rows)
    )
    console.print(f"{len(rows)} segments of {video} are in {out}")


def _of_video(found: list[VideoTimeline], video: Path, timeline: Path) -> VideoTimeline:
    """Returns the timeline of a video: the one of its path, else the only one of its name.

    Raises:
        VideozooError: there is none.
    """
    same = [one for one in found if one.video == str(video)]
    same = same or [one for one in found if Path(one.video).name == video.name]
    if len(same) != 1:
        listed = ", ".join(one.video for one in found) or "none"
        raise VideozooError(f"{timeline}: has no timeline of {video} (it has {listed})")
    return same[0]


def _timeline(
    video: Path, weights: str | None, console: Console, **how: float | None
) -> VideoTimeline:
    from videozoo.infer_timelines import infer_timelines

    if weights is None:
        raise VideozooError("give --timeline FILE.json, or --weights to find segments by")
    named = experiments.Weights.named(weights)
    experiment = experiments.open_experiment(None, None, weights=named)
    (found,) = infer_timelines([str(video)], named, experiment, console=console, **how)  # type: ignore[arg-type]
    if not found.windows:
        raise VideozooError(f"{video}: {found.fault}")
    return found
