"""Timelines as files: JSON of windows and segments, csv, subtitles, and a picture of the strip."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from textwrap import indent
from typing import Any, Protocol

from videozoo.errors import FileError
from videozoo.files import json_text, write_bytes, write_csv, write_text, writing
from videozoo.fonts import font_files
from videozoo.reading import parse_json, read_text
from videozoo.text import harmless
from videozoo.timeline.segments import Segment

FORMS = ("json", "csv", "srt")
_STRIPS = 12  # classes in a picture


@dataclass
class VideoTimeline:
    """What was found in a video.

    Attributes:
        video: as it was named.
        windows: {"start", "end", "predictions": [{"label", "score"}, ...]}, best class first.
        segments: by their start.
        fault: what could not be read of it; where there are no windows: why.
    """

    video: str
    windows: list[dict[str, Any]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    fault: str | None = None

    def note(self, fault: str) -> None:
        """Keeps what could not be read."""
        self.fault = fault

    @property
    def end(self) -> float:
        """Seconds at which the last window ends."""
        return self.windows[-1]["end"] if self.windows else 0.0


class Timelines(Protocol):
    """A list of timelines, or what reads them one by one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[VideoTimeline]: ...


def write_timelines(
    stem: Path, found: Timelines, form: str, *, protocol: dict[str, Any]
) -> list[Path]:
    """Writes STEM.json, beside it STEM.csv or .srt where that is the form, and STEM.png.

    One timeline at a time is in memory. Of several videos subtitles and pictures are numbered:
    STEM_1.png.

    Args:
        stem: of the files' names.
        found: the videos.
        form: "json", "csv" or "srt".
        protocol: how the scores were made.

    Returns:
        What was written.
    """
    written = [stem.with_name(f"{stem.name}.json")]
    faults: list[dict[str, Any]] = []
    rows: list[tuple[Any, ...]] = []
    number = 0
    with writing(written[0]) as file:
        file.write(b'{\n  "videos": [')
        for one in found:
            if one.fault is not None:
                faults.append({"video": one.video, "reason": one.fault})
            if not one.windows:
                continue
            number += 1
            segments = [asdict(s) for s in one.segments]
            value = {"video": one.video, "segments": segments, "windows": one.windows}
            text = indent(json_text(value), "    ")
            file.write(f"{',' if number > 1 else ''}\n{text}".encode())
            rows += ((one.video, *segment.values()) for segment in segments)
            name = stem.name if len(found) == 1 else f"{stem.name}_{number}"
            if form == "srt":
                written.append(stem.with_name(f"{name}.srt"))
                write_text(written[-1], subtitles(one.segments))
            written.append(stem.with_name(f"{name}.png"))
            write_bytes(written[-1], picture(one))
        rest = json_text({"unreadable": faults, "protocol": protocol})
        file.write(f"{chr(10) + '  ' if number else ''}],{rest[1:]}\n".encode())
    if form == "csv":
        written.append(stem.with_name(f"{stem.name}.csv"))
        write_csv(written[-1], ["video", "start", "end", "label", "score"], rows)
    return written


def subtitles(segments: Sequence[Segment]) -> str:
    """Returns segments as SubRip subtitles: what is seen, while it is seen."""
    return "".join(
        f"{number}\n{_clock(s.start)} --> {_clock(s.end)}\n{s.label} ({s.score:.2f})\n\n"
        for number, s in enumerate(segments, 1)
    )


def _clock(seconds: float) -> str:
    whole = round(seconds * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"


def shown_classes(found: VideoTimeline) -> list[str]:
    """Returns the classes of a picture: those of segments, longest first; else the best."""
    weight: dict[str, float] = {}
    for segment in found.segments:
        weight[segment.label] = weight.get(segment.label, 0) + segment.end - segment.start
    if not weight:
        for window in found.windows:
            for one in window["predictions"][:3]:
                weight[one["label"]] = weight.get(one["label"], 0) + one["score"]
    return sorted(weight, key=lambda label: -weight[label])[:_STRIPS]


def picture(found: VideoTimeline) -> bytes:
    """Draws the scores over time, a strip a class, and the segments as bars; returns a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fonts = list(font_files())
    labels = shown_classes(found)
    figure = Figure(figsize=(11, 1.1 + 0.55 * max(1, len(labels))), layout="constrained")
    axes = figure.subplots(max(1, len(labels)), sharex=True, squeeze=False)[:, 0]
    middles = [(window["start"] + window["end"]) / 2 for window in found.windows]
    between = [(left + right) / 2 for left, right in pairwise(middles)]
    edges = [found.windows[0]["start"], *between, found.end]  # of what each window speaks for
    for strip, label in zip(axes, labels, strict=False):
        scores = [
            next((p["score"] for p in window["predictions"] if p["label"] == label), 0.0)
            for window in found.windows
        ]
        scores.append(scores[-1])
        strip.fill_between(edges, scores, step="post", color="#9db8d6", linewidth=0)
        for s in (s for s in found.segments if s.label == label):
            strip.axvspan(s.start, s.end, ymax=0.12, color="#1f5fa8", linewidth=0)
        text = harmless(label).replace("$", r"\$")
        strip.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9, family=fonts)
    for strip in axes:
        strip.set(ylim=(0, 1), yticks=[], xlim=(0, found.end or 1))
        strip.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].xaxis.set_major_formatter(lambda seconds, _: _clock(seconds)[:8].removeprefix("00:"))
    title = harmless(Path(found.video).name).replace("$", r"\$")
    axes[0].set_title(title, fontsize=10, loc="left", family=fonts)
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    with warnings.catch_warnings():  # a script without a font has boxes, which the picture shows
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def read_segments(path: Path) -> list[VideoTimeline]:
    """Reads the segments of a JSON file that `write_timelines` wrote.

    Raises:
        VideozooError: it is none.
    """
    try:
        videos = parse_json(read_text(path))["videos"]
        return [
            VideoTimeline(v["video"], segments=[Segment(**s) for s in v["segments"]])
            for v in videos
        ]
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise FileError(
            path, "is no timeline; videozoo infer VIDEO --timeline writes MODEL_infer_timeline.json"
        ) from None
