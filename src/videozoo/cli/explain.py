"""videozoo explain: why the model said so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videozoo import experiments
from videozoo.cli import arguments as args
from videozoo.cli.tables import print_unreadable
from videozoo.errors import SampleError
from videozoo.terminal import Terminal


def explain(
    videos: Annotated[
        list[str],
        typer.Argument(help="Videos, folders or globs; YouTube-8M shards for feature models."),
    ],
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    class_: Annotated[
        str | None,
        typer.Option("--class", help="Class to explain. (default: the best of each video)"),
    ] = None,
    segments: Annotated[
        int, typer.Option("--segments", min=2, help="Moments that a video is divided into.")
    ] = 10,
    use_gpu: args.UseGpu = None,
    save_dir: Annotated[
        str, typer.Option("--save-dir", help="Folder that MODEL_explain/ is made in.")
    ] = ".",
) -> None:
    """Say which moments of a video its class was named for; clip models show where in the frames.

    Each moment is left out in turn: by how much the score falls is what it weighs. The folder
    MODEL_explain gets a picture (NAME.png) and the numbers (NAME.json) of each video.

    Exit code 2 where videos could not be read; the others are explained all the same.
    """
    named = experiments.Weights.named(weights)
    gpu = args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"
    experiment = experiments.open_experiment(
        model_name, config, weights=named, flags=experiments.flags_of("INFER", use_gpu=gpu)
    )
    from videozoo.explain_videos import explain_videos

    console = Terminal(highlight=False, soft_wrap=True)
    folder = Path(save_dir) / f"{experiment.model}_explain"
    unreadable = []
    for video, found in explain_videos(
        videos, named, experiment, label=class_, segments=segments, folder=folder, console=console
    ):
        if isinstance(found, SampleError):
            unreadable.append((video, found.reason))
        else:
            console.print(str(found))
    print_unreadable(unreadable, console, most=len(unreadable))  # no file has them
    console.print(f"pictures and numbers are in {folder}")
    if unreadable:
        raise typer.Exit(2)
