"""videozoo export: weights as files that other programs run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

import videozoo
from videozoo import experiments
from videozoo.cli import arguments as args
from videozoo.errors import VideozooError
from videozoo.terminal import Terminal


def export(
    weights: args.NeededWeights = None,
    format_: Annotated[
        Literal["onnx", "pt2", "openvino"],
        typer.Option(
            "--format", help="onnx; pt2 (PyTorch's torch.export); openvino (.xml and .bin)."
        ),
    ] = "onnx",
    out: Annotated[
        str | None,
        typer.Option("--out", help="File to write. (default: beside the weights, named like them)"),
    ] = None,
    encoder: Annotated[
        bool,
        typer.Option(
            "--encoder/--no-encoder",
            help="Write what makes rows of frames too, for a model that takes videos by rows.",
        ),
    ] = True,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    set_: args.Set = None,
) -> None:
    """Export weights as a graph in float32 that other programs run, and compare it with PyTorch.

    infer and test take such a file as --weights too.
    """
    if weights is None:
        raise VideozooError("give --weights, such as checkpoints/LINEAR_best.safetensors")
    console = Terminal()
    named = experiments.Weights.named(weights)
    experiment = experiments.open_experiment(
        model_name, config, weights=named, overrides=set_ or ()
    )
    files = videozoo.export(
        named, format_, out, encoder=encoder, experiment=experiment, console=console
    )
    for file in files:
        lines = [
            f"written: {file.path}",
            *(f"  takes {one}" for one in file.inputs),
            f"  gives {', '.join(file.outputs)}",
            f"  differs from PyTorch by {file.difference:.1e} at most",
        ]
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
