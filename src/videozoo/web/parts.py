"""The parts of the page as HTML: names with bars, the timeline, the frames. All text is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from videozoo.explain.explanation import Explanation
    from videozoo.timeline.segments import Segment
    from videozoo.web.look import Found

_MOST = 12  # classes in the rows of a timeline


def title_part(model: str, names: list[str]) -> str:
    """Returns the head of the page: which model, which classes."""
    return _macro("title")(model, names, _file("page.css"))


def player_part(video: str | None) -> str:
    """Returns a player of a file; None: nothing."""
    return _macro("player")(video and f"gradio_api/file={quote(video)}")


def found_parts(found: Found) -> list[str]:
    """Returns names with bars, the timeline a row a class, and the frames, of a video."""
    rows: dict[str, list[Segment]] = {}
    for one in found.segments or ():
        rows.setdefault(one.label, []).append(one)
    long = sorted(rows.items(), key=lambda row: -sum(one.end - one.start for one in row[1]))[:_MOST]
    long.sort(key=lambda row: row[1][0].start)
    timeline = _macro("timeline")(found, long, len(rows) - len(long))
    return [_macro("names")(found), timeline, _macro("frames")(found)]


def why_part(found: Explanation) -> str:
    """Returns why a video was given its class, in words and as a picture."""
    file = BytesIO()
    found.picture().save(file, "JPEG", quality=90)
    return _macro("why")(str(found), file.getvalue())


def word(text: str, kind: str = "quiet") -> str:
    """Returns a sentence in place of a part; `kind`: quiet, busy or fault."""
    return _macro("word")(text, kind)


def clock(seconds: float | None) -> str:
    """Returns a time as players write it, 1:02:03.4."""
    tenths = round(10 * (seconds or 0.0))
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}" if hours else str(minutes)
    return f"{shown}:{rest // 10:02}.{rest % 10}"


def script() -> str:
    """Returns what lets clicks move the player, for js_on_load of gr.HTML."""
    return _file("page.js")


@cache
def _file(name: str) -> str:
    return files("videozoo.web").joinpath(name).read_text("utf-8")


def _macro(name: str) -> Callable[..., str]:
    """Returns a macro of parts.html."""
    macro = getattr(_macros(), name)
    return lambda *given: str(macro(*given))


@cache
def _macros() -> Any:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True)
    filters: dict[str, Any] = {"clock": clock, "base64": lambda data: b64encode(data).decode()}
    environment.filters.update(filters)
    return environment.from_string(_file("parts.html")).module
