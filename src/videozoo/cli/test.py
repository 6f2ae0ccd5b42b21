"""videozoo test: how good are these weights on this list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

import videozoo
from videozoo import experiments
from videozoo.addresses.results import parts_taken
from videozoo.cli import arguments as args
from videozoo.cli.cluster import Address, Cluster, on_cluster
from videozoo.cli.tables import (
    GOES_ON,
    print_classes,
    print_evaluation,
    print_faults,
    shard_done,
    warn_of_unreadable,
)
from videozoo.distributed import is_first_process
from videozoo.shards import Shard
from videozoo.terminal import Terminal


def test(
    context: typer.Context,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    engine: args.Engine = "auto",
    filelist: args.FileList = None,
    batch_size: args.BatchSize = None,
    use_gpu: args.UseGpu = None,
    devices: args.Devices = None,
    save_dir: Annotated[str, typer.Option("--save-dir", help="Folder of the result files.")] = ".",
    format_: Annotated[
        Literal["csv", "parquet"],
        typer.Option(
            "--format", help="Form of MODEL_test_predictions; parquet needs the extra parquet."
        ),
    ] = "csv",
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
    """Test weights on a labelled list: prints tables and writes MODEL_test_result.json.

    MODEL_test_predictions has what each video is and was given.

    Exit code 2 where samples could not be read; the result is written all the same.
    """
    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    console = Terminal(quiet=not is_first_process())
    named = experiments.Weights.named(weights, engine)
    experiment = experiments.open_experiment(
        model_name,
        config,
        weights=named,
        overrides=set_ or (),
        flags=experiments.flags_of(
            "TEST",
            batch_size=(batch_size, "--batch-size"),
            filelist=(filelist, "--filelist"),
            use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        ),
    )
    settings = experiment["TEST"]
    if not (dry_run or cluster) and args.launched(
        context, use_gpu=settings.use_gpu, num_gpus=settings.num_gpus, devices=devices
    ):
        return
    share = Shard.parse(shard)
    result = os.path.join(save_dir, f"{experiment.model}_test_result")
    try:
        with (
            on_cluster(context, cluster, address, use_gpu=settings.use_gpu, result=result),
            args.dry_run(dry_run, save_dir, parts_taken(share), share) as folder,
        ):
            found = videozoo.test(
                named,
                experiment=experiment,
                save_dir=folder,
                form=format_,
                log_interval=log_interval,
                console=console,
                shard=share,
            )
    except KeyboardInterrupt:
        console.print(GOES_ON)
        raise
    stem = Path(folder) / f"{experiment.model}_test"
    written = f"written to {stem}_result.json and {stem}_predictions.{format_}"
    if shard is None:
        print_evaluation(found, experiment.model, console)
        print_classes(found, console)
    else:
        print_faults(found, console)
        written = f"{found.evaluated} of {found.listed} videos; {shard_done(shard)}"
    console.print(written, highlight=False, soft_wrap=True)
    warn_of_unreadable(len(found.unreadable), found.listed, console, settings)
    if found.unreadable and is_first_process():
        raise typer.Exit(2)
