"""Prints what was measured, as lines and tables."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from videozoo.bench.figures import DataBench
from videozoo.bench.verdict import number

_NOT_COLD = 0.1  # share in memory from which dropping has failed


def print_head(found: DataBench, reading: str, console: Console) -> None:
    """Prints what was measured, on what.

    Args:
        found: the figures.
        reading: what is read of each sample, in words.
        console: to print on.
    """
    machine = found.machine
    load = "" if machine.load is None else f", load {machine.load}"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    console.print(f"machine: {machine.cpu}, cores: {machine.cores}{load}; {versions}")
    plan = found.plan
    smaller = plan.batch_size < plan.wanted_batch_size
    instead = f" instead of {plan.wanted_batch_size}" if smaller else ""
    console.print(
        f"read: {found.measured:,} of {found.listed:,} {found.noun},"
        f" {number(found.stored / 1e6)} MB, {reading}; batches of {plan.batch_size}{instead};"
        f" turns: {found.turns}, readings in each: {plan.passes};"
        f" {found.seconds:.0f} s in all"
    )
    console.print(_memory(found))


def print_figures(found: DataBench, console: Console) -> None:
    """Prints speeds, stages and what they mean."""
    console.print(_speed_table(found))
    if found.stages:
        console.print(_stage_table(found))
    for sentence in found.verdict:
        console.print(sentence)


def _memory(found: DataBench) -> str:
    kept = "" if found.kept is None else f" ({found.kept:.0%} in memory)"
    if not found.cold:
        return f"warm: the files had been read before{kept}"
    if found.kept is not None and found.kept > _NOT_COLD:
        return (
            f"NOT COLD: the system kept {found.kept:.0%} of the files in memory when told to drop"
        )
    return f"cold: dropped from memory before each reading{kept}"


def _speed_table(found: DataBench) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("reader")
    for column in (f"{found.noun}/s", "lowest", "highest", "MB/s", "of plain"):
        table.add_column(column, justify="right")
    plain = found.plain
    a_sample = found.stored / found.measured / 1e6
    values = [value / a_sample for value in (plain.middle, plain.lowest, plain.highest)]
    table.add_row("plain read", *map(number, values), number(plain.middle), "100%")
    for speed in found.speeds:
        name = f"{speed.workers} worker{'s' if speed.workers > 1 else ''}"
        samples = speed.samples
        table.add_row(
            name if speed.workers else "this process",
            *map(number, (samples.middle, samples.lowest, samples.highest, speed.megabytes)),
            f"{speed.of_plain:.1%}",
        )
    return table


def _stage_table(found: DataBench) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage, one process")
    table.add_column(f"µs/{found.noun[:-1]}", justify="right")
    table.add_column("share", justify="right")
    for cost in found.stages:
        table.add_row(cost.stage.name, number(cost.microseconds), f"{cost.share:.0%}")
    total = sum(cost.microseconds for cost in found.stages)
    table.add_row("all", number(total), "100%")
    return table
