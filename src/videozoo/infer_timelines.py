"""What `videozoo infer --timeline` does: windows and segments of videos, written to files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from videozoo.addresses.places import stamp
from videozoo.config import Experiment
from videozoo.data.clips.clip_files import expand_path
from videozoo.errors import SampleError, VideozooError, as_given
from videozoo.experiments import Weights
from videozoo.families.family import each_once
from videozoo.files import make_folder
from videozoo.part_recipe import list_sum
from videozoo.parts import Parts, opened_parts, say_done
from videozoo.predict import Predictor, open_predictor
from videozoo.progress import RELAY, progress
from videozoo.shards import Listed, Shard, Span, share_out
from videozoo.timeline.segments import Segment, Segmenter
from videozoo.timeline.source import is_stream
from videozoo.timeline.windows import Window, check_window
from videozoo.timeline.writing import FORMS, VideoTimeline, write_timelines

Each = Callable[[dict[str, Any]], None]
"""Told of each window as it comes: {"start", "end", "predictions"}."""


def infer_timelines(
    videos: Sequence[str],
    weights: Weights,
    experiment: Experiment,
    *,
    window: float = 8.0,
    stride: float = 2.0,
    onset: float | None = None,
    offset: float | None = None,
    min_duration: float = 0.0,
    reject: float | None = None,
    top_k: int = 20,
    save_dir: Path | None = None,
    form: str = "json",
    log_interval: int = 10,
    each: Each | None = None,
    console: Console | None = None,
    shard: Shard | None = None,
) -> list[VideoTimeline]:
    """Says what is in long videos, and when.

    Args:
        videos: files, folders or globs; or one stream, "-" or an address: what is found in it goes
            to `each` alone, and is not kept.
        weights: which.
        experiment: their config.
        window: seconds of a window.
        stride: seconds from one window to the next.
        onset: see Predictor.segments, as the next three.
        offset: score.
        min_duration: seconds.
        reject: score.
        top_k: predictions a window.
        save_dir: folder of MODEL_infer_timeline.json and others; None: nothing is written.
        form: "json", or "csv" or "srt" for such a file beside it.
        log_interval: of progress.
        each: see `videos`.
        console: where to show progress; None: nowhere.
        shard: the share of the videos to do; its parts stay in save_dir, which it needs, and no
            file is written. A run over all videos takes those of all shards.

    Returns:
        What was found in each; of those that cannot be read, why. Where files are written, a part
        a video as it comes, so that the same call goes on after a kill, each has its last window
        alone: the others are in the file, not in memory.

    Raises:
        VideozooError: a path does not exist, a number is none, or the stream cannot be read.
    """
    check_window(window, stride)
    if form not in FORMS:
        raise VideozooError(f"form '{form}': timelines are written as {', '.join(FORMS)}")
    console = console or Console(quiet=True)
    live = any(map(is_stream, videos))
    if live and len(videos) > 1:
        raise VideozooError(f"{' '.join(videos)}: a stream is read alone; give no other video")
    names = list(videos) if live else [str(path) for path in each_once(videos, expand_path)]
    predictor, how, dataset = open_predictor(weights, experiment, console, None if live else videos)
    thresholds = {"onset": onset, "offset": offset, "min_duration": min_duration, "reject": reject}
    hysteresis = predictor.hysteresis(**thresholds)  # type: ignore[arg-type]
    if save_dir is not None and not live:
        make_folder(save_dir)
    how |= {"window": window, "stride": stride, **thresholds}
    how |= {} if dataset is None else {"list_sha256": list_sum(None, dataset)}

    def of_video(name: str) -> VideoTimeline:
        one = VideoTimeline(as_given(name))
        segmenter = Segmenter(hysteresis, predictor.name)
        with progress(console, "timeline", 10 * log_interval, "s of video") as report:
            windows = predictor.timeline(
                name, window=window, stride=stride, say=one.note,
                report=lambda done, total: report(round(done), round(max(done, total or 0))),
            )  # fmt: skip
            try:
                for made in windows:
                    value = _value(made, predictor, top_k)
                    if each is not None:
                        each(value)
                    if not live:
                        segmenter.add(made)
                        one.windows.append(value)
                one.segments = segmenter.finish()
            except SampleError as error:
                if live:
                    raise
                one.windows, one.fault = [], error.reason
        return one

    if save_dir is None or live:
        return list(map(of_video, names))
    stem = save_dir / f"{experiment.model}_infer_timeline"
    span, relay = Span(len(names), shard=shard), RELAY.get()
    share_out(Listed(span, names.__getitem__))

    def recipe(span: Span) -> dict[str, Any]:
        samples = [_stamp(names[index]) for index in span.indices()]
        return {"protocol": how, "top_k": top_k, "samples": samples}

    with opened_parts(stem, recipe, span) as parts:
        say_done(parts, console)
        for number in parts.left:
            line = json.dumps([number, asdict(of_video(names[number]))])
            parts.add(line.encode(), steps_done=number + 1)
            if relay is not None:
                parts.report(partial(relay, "timeline"))(number + 1, len(names))
        if shard is None:
            write_timelines(stem, _Kept(parts), form, protocol=how)
        return [replace(one, windows=one.windows[-1:]) for one in _Kept(parts)]


@dataclass(frozen=True)
class _Kept:
    """Timelines in parts, one a video, of which one at a time is in memory."""

    parts: Parts

    def __len__(self) -> int:
        return self.parts.span.listed

    def __iter__(self) -> Iterator[VideoTimeline]:
        return self.parts.merged(lambda part: [_kept_in(part)])


def _kept_in(part: Path) -> tuple[int, VideoTimeline]:
    number, value = json.loads(part.read_bytes())
    segments = [Segment(**segment) for segment in value.pop("segments")]
    return number, VideoTimeline(**value, segments=segments)


def _stamp(video: str) -> list[str]:
    return [as_given(video), stamp(Path(video))]


def _value(window: Window, predictor: Predictor, top_k: int) -> dict[str, Any]:
    best = np.argsort(-window.scores, kind="stable")[:top_k].tolist()
    return {
        "start": round(window.start, 3),
        "end": round(window.end, 3),
        "predictions": [
            {"label": predictor.name(index), "score": float(window.scores[index])} for index in best
        ],
    }
