"""What the figures mean, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Shares from which something is said to bound the rest.
_MOSTLY_READING = 0.5
_NEAR_PLAIN_READING = 0.7
_WORTH_NAMING = 0.1
_SCALES = 0.7  # of the gain that so many cores could give
_NEAR = 0.9  # of what the most workers give
_BUSY = 0.85  # of a core
_IDLE = 0.25  # load a core


def describe(
    *,
    stages: Sequence[tuple[str, float]],
    speeds: Mapping[int, float],
    megabytes: Mapping[int, float],
    of_plain: Mapping[int, float],
    cpu_share: float,
    cores: int,
    load: float | None,
    cold: bool,
) -> list[str]:
    """Says what takes the time, what bounds it and what is fastest.

    Args:
        stages: what one process does, reading bytes first, and the share of its time; or nothing.
        speeds: samples a second by number of workers; 0 is this process.
        megabytes: stored MB a second, likewise.
        of_plain: share of the speed of plain reading, likewise.
        cpu_share: which share of the time one process had a core.
        cores: of this machine.
        load: how many other programs wanted a core before, on average; None where not told.
        cold: files were dropped from memory before they were read.

    Returns:
        Sentences.
    """
    busy = (cpu_share < _BUSY and not cold) or (load or 0.0) > _IDLE * cores
    best = max(speeds, key=lambda workers: speeds[workers])
    sentences = [_most_time(stages)] if stages else []
    sentences.append(
        _reading(stages[0][1] if stages else 0.0, of_plain[best], cold)
        or _scaling(speeds, cores, busy=busy)
    )
    sentences.append(_fastest(best, megabytes[best], cold))
    if busy:
        told = "" if load is None else f" (load {load} before measuring)"
        sentences.append(
            f"Other programs run here{told}: the figures are lower than they could be."
        )
    return sentences


def _most_time(stages: Sequence[tuple[str, float]]) -> str:
    first, *others = sorted(stages, key=lambda stage: -stage[1])
    parts = [f"{first[1]:.0%} of the time is {first[0]}"]
    parts += [f"{share:.0%} {doing}" for doing, share in others[:1] if share >= _WORTH_NAMING]
    return f"One process: {', '.join(parts)}."


def _reading(share: float, of_plain: float, cold: bool) -> str | None:
    where = "the disk bounds it" if cold else "copying bytes out of memory bounds it"
    if share >= _MOSTLY_READING:
        return f"Reading the bytes takes {share:.0%}: {where}."
    if of_plain >= _NEAR_PLAIN_READING:
        return f"Bytes come at {of_plain:.0%} of the speed of plain reading: {where}."
    return None


def _scaling(speeds: Mapping[int, float], cores: int, *, busy: bool) -> str:
    most = max(speeds)
    if not most:
        return "No worker processes were tried: one core bounds it."
    if cores == 1:
        return "There is one core: it bounds it."
    gain = speeds[most] / speeds[1]
    gives = f"{most} workers give {gain:.2g} times what one gives"
    if most > 1 and gain >= _SCALES * min(most, cores):
        return f"{gives}: the cores bound it, and more of them would give more."
    if speeds[1] < _SCALES * speeds[0]:
        return (
            f"One worker gives {speeds[1] / speeds[0]:.2g} times what this process gives: handing"
            " batches from process to process bounds it."
        )
    if most == 1:
        return "One worker gives about what this process gives: more of them may give more."
    if busy:
        return f"{gives}: other programs have the cores; measure again when they have ended."
    near = [n for n, speed in speeds.items() if 1 < n < most and speed >= _NEAR * speeds[most]]
    as_many = f", {min(near)} as much" if near else ""
    return f"{gives}{as_many}: workers get in each other's way, by memory or disk."


def _fastest(best: int, megabytes: float, cold: bool) -> str:
    what = f"{best} worker{'s' if best > 1 else ''}" if best else "no workers"
    sentence = f"Fastest here: {what} (num_workers = {best})."
    if cold:
        return sentence
    return f"{sentence} For this speed a disk must give {number(megabytes)} MB/s; --cold tries it."


def number(value: float) -> str:
    """Writes three or more digits: 0.123, 12.3, 1,234."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
