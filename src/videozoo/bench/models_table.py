"""Prints how fast models are, as lines and tables."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from videozoo.bench.models import ModelBench, ModelFigures
from videozoo.bench.verdict import number

_IDLE = 0.25  # load a core
_MEASURED_WITH = ("videozoo", "Python", "torch")


def print_models(found: ModelBench, console: Console) -> None:
    """Prints the machine, what it can do, both tables and what they mean."""
    machine = found.machine
    load = "" if machine.load is None else f", load {machine.load} before"
    versions = ", ".join(
        f"{n} {machine.versions[n]}" for n in _MEASURED_WITH if n in machine.versions
    )
    cores = f"cores: {machine.cores}, threads: {found.threads}"
    console.print(f"machine: {machine.cpu}, {cores}{load}; {versions}")
    console.print(f"device: {found.device}; {'; '.join(describe_rates(found))}")
    if found.figures:
        console.print(_speed_table(found.figures))
        console.print(_model_table(found.figures))
        for sentence in explain(found):
            console.print(sentence)
    for what, reason in found.failed:
        console.print(f"not measured: {what}: {reason}", soft_wrap=True)


def describe_rates(found: ModelBench) -> list[str]:
    """Returns what the device can do, in words."""
    products = [
        f"products in {precision}: {number(rates.operations / 1e9)} GFLOP/s"
        for precision, rates in found.rates.items()
    ]
    copied = max(rates.copied for rates in found.rates.values())
    return [*products, f"copies: {number(copied / 1e9)} GB/s read and written"]


def explain(found: ModelBench) -> list[str]:
    """Returns what the columns mean, in sentences."""
    sentences = [
        "floor: how many times as long a batch takes as the operations at the speed of a large"
        " product, or, marked b, as the least bytes at the speed of a large copy.",
        "GFLOP: a multiplication and an addition are two operations; products and convolutions"
        " only.",
    ]
    if any(figures.original is not None for figures in found.figures):
        sentences.append(
            "times: how many times as fast as the original under PaddlePaddle Fluid 1.8.5, two"
            " threads on 2 cores; its figures are quoted, not re-run, and another machine's ratio"
            " says little: " + "; ".join(quoted(found.figures)) + "."
        )
    if any(figures.of_floor < 1 for figures in found.figures):
        sentences.append(
            "A floor below 1: other programs had the device while its own rates were measured, or a"
            " GPU computed convolutions in TF32."
        )
    load, cores = found.machine.load, found.machine.cores
    if load is not None and load > _IDLE * cores:
        sentences.append(
            f"Other programs run here (load {load} before measuring): the figures are lower than"
            " they could be."
        )
    said = {f"{f.model} {_pass(f)}: {text}" for f in found.figures for text in f.said}
    return [*sentences, *sorted(said)]


def quoted(figures: list[ModelFigures]) -> list[str]:
    """Returns the original's videos/s, a model a piece."""
    speeds: dict[str, dict[str, float]] = {}
    for each in figures:
        if each.original is not None:
            name = "train" if each.training else "infer"
            speeds.setdefault(each.model, {})[name] = each.original
    return [
        f"{model} {', '.join(f'{name} {speed}' for name, speed in by_pass.items())}"
        for model, by_pass in speeds.items()
    ]


def _pass(figures: ModelFigures) -> str:
    return f"{'train' if figures.training else 'infer'} {figures.precision}"


def _speed_table(all_figures: list[ModelFigures]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))  # within 80 columns
    table.add_column("model", no_wrap=True)
    table.add_column("pass", no_wrap=True)
    with_original = any(figures.original is not None for figures in all_figures)
    for column in ("videos/s", "low", "high", "peak MB", "floor"):
        table.add_column(column, justify="right", no_wrap=True)
    if with_original:
        table.add_column("times", justify="right", no_wrap=True)
    for figures in all_figures:
        videos = figures.videos
        row = [*map(number, (videos.middle, videos.lowest, videos.highest))]
        row.append("" if figures.peak is None else number(figures.peak / 1e6))
        row.append(f"{number(figures.of_floor)}{'b' if figures.floor.bound == 'bytes' else ''}")
        if with_original:
            row.append("" if figures.of_original is None else number(figures.of_original))
        table.add_row(figures.model, _pass(figures), *row)
    return table


def _model_table(all_figures: list[ModelFigures]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    table.add_column("batch")
    for column in ("parameters", "GFLOP/video", "training"):
        table.add_column(column, justify="right")
    for model in dict.fromkeys(figures.model for figures in all_figures):
        mine = [figures for figures in all_figures if figures.model == model]
        counts = {figures.training: number(figures.operations / 1e9) for figures in mine}
        table.add_row(
            model,
            mine[0].shape,
            f"{mine[0].parameters / 1e6:.1f} M",
            counts.get(False, ""),
            counts.get(True, ""),
        )
    return table
