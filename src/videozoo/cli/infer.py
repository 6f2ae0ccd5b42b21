"""videozoo infer: what is in these videos."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from videozoo import experiments
from videozoo.addresses.results import parts_taken, results_folder
from videozoo.answers import NONE_OF_THESE
from videozoo.cli import arguments as args
from videozoo.cli import timelines
from videozoo.cli.cluster import Address, Cluster, on_cluster
from videozoo.cli.tables import (
    GOES_ON,
    print_damaged,
    print_unreadable,
    shard_done,
    warn_of_unreadable,
)
from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError
from videozoo.shards import Shard
from videozoo.terminal import Terminal
from videozoo.text import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videozoo.answers import Inferred, Prediction, Result


def infer(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, folders or globs; YouTube-8M shards for feature models."),
    ] = None,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    engine: args.Engine = "auto",
    filelist: args.FileList = None,
    batch_size: args.BatchSize = None,
    use_gpu: args.UseGpu = None,
    devices: args.Devices = None,
    infer_topk: Annotated[
        int, typer.Option("--infer-topk", min=1, help="Predictions a video.")
    ] = 20,
    reject: args.Reject = None,
    save_dir: Annotated[str, typer.Option("--save-dir", help="Folder of the result files.")] = ".",
    format_: Annotated[
        Literal["json", "csv", "srt"],
        typer.Option("--format", help="Form of the result file; srt: of a timeline, subtitles."),
    ] = "json",
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="Score windows over time and find segments; a stream (- or an address) is read"
            " as it comes, a JSON line a window.",
        ),
    ] = False,
    window: timelines.Window = 8.0,
    stride: timelines.Stride = 2.0,
    onset: timelines.Onset = None,
    offset: timelines.Offset = None,
    min_duration: timelines.MinDuration = 0.0,
    log_interval: args.LogInterval = 10,
    shard: args.ShardOf = None,
    cluster: Cluster = None,
    address: Address = None,
    dry_run: args.DryRun = False,
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
    console = Terminal(quiet=not is_first_process())
    named = experiments.Weights.named(weights, engine)
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
    share, settings = Shard.parse(shard), experiment["INFER"]
    stem = os.path.join(save_dir, f"{experiment.model}_infer_")
    on_ray = partial(on_cluster, context, cluster, address, use_gpu=settings.use_gpu)
    if timeline:
        args.refuse_given(context, ("dry_run",), "is not for --timeline")
        takes = parts_taken(share)
        with on_ray(result=f"{stem}timeline"), results_folder(save_dir, takes, share) as place:
            return timelines.run_timeline(
                paths, named, experiment, share, window=window, stride=stride, onset=onset,
                offset=offset, min_duration=min_duration, reject=reject, top_k=infer_topk,
                save_dir=place, form=format_, log_interval=log_interval,
            )  # fmt: skip
    args.refuse_given(context, timelines.TIMELINE_OPTIONS, "is for --timeline, which is not given")
    if format_ == "srt":
        raise VideozooError("--format srt: is for --timeline; give json or csv")
    from videozoo.inference import open_inference

    if not (dry_run or cluster) and args.launched(
        context, use_gpu=settings.use_gpu, num_gpus=settings.num_gpus, devices=devices
    ):
        return
    taken = parts_taken(share)
    with on_ray(result=f"{stem}result"), args.dry_run(dry_run, save_dir, taken, share) as folder:
        inference = open_inference(
            paths or (),
            named,
            experiment,
            top_k=infer_topk,
            reject=reject,
            save_dir=None if dry_run else Path(folder),
            form=format_,
            log_interval=log_interval,
            console=console,
        )
        try:
            found = inference.write(Path(folder), format_, shard=share)
        except KeyboardInterrupt:
            console.print(GOES_ON)
            raise
    print_results(found, console)
    result = Path(folder) / f"{experiment.model}_infer_result"
    console.print(
        f"{found.predicted} of {found.listed} videos"
        f"{f', {found.rejected} of them none of these' if found.rejected else ''}; "
        + (f"written to {result}.{format_}" if shard is None else shard_done(shard)),
        highlight=False,
        soft_wrap=True,
    )
    warn_of_unreadable(len(found.unreadable), found.listed, console, settings)
    if found.unreadable and is_first_process():
        raise typer.Exit(2)


def print_results(found: Inferred, console: Console) -> None:
    """Prints the answers to the first videos: their best classes, where nothing says how many."""
    for result in found.shown:
        console.print(
            f"{escaped(result.video)}: {_answer(result)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if (more := found.predicted - len(found.shown)) > 0:
        console.print(f"... and {more} more, all in the result file", highlight=False)
    print_unreadable(found.unreadable, console)
    print_damaged(found.damaged, console)


def _answer(result: Result) -> str:
    """Returns the answer with the best of the other classes behind it; or the best classes."""
    best = result.predictions[:3]
    if result.answer is None:
        return _scores(best)
    others = _scores([p for p in best if p not in result.answer])
    answer = _scores(result.answer) or NONE_OF_THESE
    return f"{answer} ({others})" if others else answer


def _scores(predictions: Sequence[Prediction]) -> str:
    return "  ".join(f"{p.label} {p.score:.3f}" for p in predictions)
