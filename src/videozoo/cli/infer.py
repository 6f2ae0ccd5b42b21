"""videozoo infer: what is in these videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

import videozoo
from videozoo import experiments
from videozoo.cli import arguments as args
from videozoo.cli.tables import print_unreadable
from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videozoo.predict import Result


def infer(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, folders or globs; YouTube-8M shards for feature models."),
    ] = None,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    filelist: args.FileList = None,
    batch_size: args.BatchSize = None,
    use_gpu: args.UseGpu = None,
    devices: args.Devices = None,
    infer_topk: Annotated[
        int, typer.Option("--infer-topk", min=1, help="Predictions a video.")
    ] = 20,
    save_dir: Annotated[str, typer.Option("--save-dir", help="Folder of the result files.")] = ".",
    format_: Annotated[
        Literal["json", "csv"], typer.Option("--format", help="Form of the result file.")
    ] = "json",
    log_interval: args.LogInterval = 10,
    set_: args.Set = None,
    no_use_pyreader: args.NoPyreader = False,
    no_memory_optimize: args.NoMemoryOptimize = False,
    no_parallel: args.NoParallel = False,
) -> None:
    """Name what is in videos: prints the best class of each and writes MODEL_infer_result.

    Exit code 2 where videos could not be read; the results of the others are written all the same.
    """
    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    if paths and filelist:
        raise VideozooError("give videos or --filelist, not both")
    console = Console(quiet=not is_first_process(), markup=False)  # paths may hold brackets
    named = experiments.Weights.named(weights)
    experiment = experiments.open_experiment(
        model_name,
        config,
        weights=named,
        overrides=set_ or (),
        flags=experiments.flags_of(
            "INFER",
            batch_size=(batch_size, "--batch-size"),
            filelist=(filelist, "--filelist"),
            use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        ),
    )
    settings = experiment["INFER"]
    if args.launched(
        context, use_gpu=settings.use_gpu, num_gpus=settings.num_gpus, devices=devices
    ):
        return
    results = videozoo.infer(
        paths,
        named,
        experiment=experiment,
        top_k=infer_topk,
        save_dir=save_dir,
        form=format_,
        log_interval=log_interval,
        console=console,
    )
    print_results(results, console)
    unreadable = sum(result.unreadable is not None for result in results)
    console.print(
        f"{len(results) - unreadable} of {len(results)} videos; written to"
        f" {Path(save_dir) / f'{experiment.model}_infer_result'}.{format_}",
        highlight=False,
        soft_wrap=True,
    )
    if unreadable and is_first_process():
        raise typer.Exit(2)


def print_results(results: Sequence[Result], console: Console, *, most: int = 20) -> None:
    """Prints the best classes of the first videos."""
    good = [r for r in results if r.unreadable is None]
    for result in good[:most]:
        best = "  ".join(f"{p.label} {p.score:.3f}" for p in result.predictions[:3])
        console.print(f"{result.video}: {best}", highlight=False, markup=False, soft_wrap=True)
    if len(good) > most:
        console.print(f"... and {len(good) - most} more, all in the result file", highlight=False)
    print_unreadable([(r.video, r.unreadable) for r in results if r.unreadable], console)
