"""Charts of a report: numbers become places in a box of 480 x 240, which templates draw."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import NamedTuple

from videozoo.reports.run_files import Curve

LEFT, RIGHT, TOP, BOTTOM = 48.0, 460.0, 12.0, 208.0
_MOST_POINTS = 300
Ticks = list[tuple[float, str]]


class Chart(NamedTuple):
    """A chart: what it shows, the same in words, lines (name, points, last point), axes."""

    title: str
    words: str
    lines: list[tuple[str, str, tuple[float, float]]]
    across: Ticks
    up: Ticks


def curve_charts(curves: dict[tuple[str, str], Curve]) -> list[Chart]:
    """Draws the curves of a training: the loss, and the scores on the videos that validate."""
    losses = {s: curve for (s, metric), curve in curves.items() if metric == "loss"}
    scores = {m: c for (s, m), c in curves.items() if s == "valid" and m not in ("loss", "ece")}
    charts = [
        _chart("Loss by step, lower is better", losses),
        _chart("Validation by step, higher is better", scores, top=1.0),
    ]
    return [chart for chart in charts if chart.lines]


def _chart(title: str, curves: dict[str, Curve], top: float = 0.0) -> Chart:
    known = [(name, [p for p in curve if isfinite(p[1])]) for name, curve in curves.items()]
    known = [(name, points) for name, points in known if points]
    # the first curve decides: what a validation begins with may lie far above all else
    highest = top or max([value for _, points in known[:1] for _, value in points] + [1e-9])
    last = max([step for _, points in known for step, _ in points] + [1])
    lines = []
    for name, points in known:
        thinned = [*points[: -1 : -(-len(points) // _MOST_POINTS)], points[-1]]
        places = [(_across(step / last), _up(value / highest)) for step, value in thinned]
        lines.append((name, " ".join(f"{x:.1f},{y:.1f}" for x, y in places), places[-1]))
    told = [f"{name} from {p[0][1]:.3g} to {p[-1][1]:.3g}" for name, p in known]
    across = [(_across(value / last), f"{value:,.0f}") for value in _round_numbers(last)]
    up = [(_up(value / highest), f"{value:g}") for value in _round_numbers(highest)]
    return Chart(title, f"{'; '.join(told)}, over {last:,} steps", lines, across, up)


def _across(share: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * share, 1)


def _up(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, share)), 1)


def _round_numbers(highest: float) -> list[float]:
    """Returns round numbers from 0 to `highest`, four to ten of them."""
    step: float = 10.0 ** floor(log10(highest))
    step *= 0.2 if highest < 2 * step else 0.5 if highest < 4 * step else 1
    return [round(k * step, 12) for k in range(floor(highest / step + 1e-9) + 1)]
