"""videozoo scan: which listed samples cannot be used, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videozoo.cli import arguments as args
from videozoo.cli.cluster import Address, Cluster, on_cluster
from videozoo.cli.tables import print_damaged, print_unreadable, shard_done
from videozoo.config.ini import MODES
from videozoo.errors import VideozooError, did_you_mean
from videozoo.experiments import flags_of, open_experiment
from videozoo.progress import progress
from videozoo.shards import Shard
from videozoo.terminal import Terminal


def scan(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, shards, folders or globs. (default: the config's list)"),
    ] = None,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    mode: Annotated[
        str, typer.Option("--mode", help="Whose list and keys: train, valid, test or infer.")
    ] = "train",
    filelist: args.FileList = None,
    out: Annotated[str, typer.Option("--out", help="The csv to write.")] = "scan.csv",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes. (default: the cores)")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Read all samples again, not only those left.")
    ] = False,
    set_: args.Set = None,
    shard: args.ShardOf = None,
    cluster: Cluster = None,
    address: Address = None,
    dry_run: args.DryRun = False,
) -> None:
    """Read every listed sample and write which cannot be used, and why, as a csv.

    Videos are decoded to their end: those of which frames are missing are
    called damaged, with the numbers. A scan that was stopped goes on where it
    was. Exit code 2 where samples cannot be used.
    """
    from videozoo.inputs import open_list, open_samples
    from videozoo.reports.scan import scan_samples

    section = mode.upper()
    if section not in MODES:
        raise VideozooError(
            f"--mode {mode}: unknown{did_you_mean(mode, [m.lower() for m in MODES])}"
        )
    if model_name is None and config is None and paths and not _looks_like_shards(paths):
        model_name = "TSN"
    console = Terminal()
    experiment = open_experiment(
        model_name,
        config,
        overrides=set_ or (),
        flags=flags_of(section, filelist=(filelist, "--filelist")),
    )
    if paths:
        samples = open_samples(experiment[section], paths, labelled=False)
    else:
        samples = open_list(experiment, section, labelled=section != "INFER")
    shown = Terminal(quiet=True) if cluster else console  # the cluster's is shown
    with (
        on_cluster(context, cluster, address, use_gpu=False, result=out),
        args.dry_run(dry_run, out) as file,
        progress(shown, "scan", 10, forecast=True) as report,
    ):
        found = scan_samples(
            samples.dataset,
            Path(file),
            workers=workers,
            restart=restart,
            report=report,
            timeout=experiment[section].reader_timeout,
            say=lambda text: console.print(text, highlight=False, soft_wrap=True),
            shard=Shard.parse(shard),
        )
    bad, damaged = found.unusable, found.damaged
    print_unreadable(bad, console, most=20)
    print_damaged(damaged, console)
    console.print(
        f"{found.listed - len(bad)} of {found.listed} samples can be used"
        f"{f', {len(damaged)} of them damaged' if damaged else ''}; "
        + (f"written to {out}" if shard is None else shard_done(shard)),
        highlight=False,
        soft_wrap=True,
    )
    if bad:
        raise typer.Exit(2)


def _looks_like_shards(paths: list[str]) -> bool:
    return any(path.endswith(".tfrecord") for path in paths)
