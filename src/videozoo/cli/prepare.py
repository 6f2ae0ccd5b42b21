"""videozoo prepare: make a data set quicker to read, or features of it, before training."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from videozoo.addresses.places import brought
from videozoo.cli import arguments as args
from videozoo.cli.cluster import Address, Cluster, on_cluster
from videozoo.cli.tables import print_damaged, print_unreadable, shard_done
from videozoo.distributed import choose_device, is_first_process, joined
from videozoo.errors import VideozooError
from videozoo.progress import progress
from videozoo.shards import Shard
from videozoo.terminal import Terminal

if TYPE_CHECKING:
    from videozoo.data.clips.prepare_clips import Prepared
    from videozoo.encoders.write_records import FeatureList

app = typer.Typer(
    name="prepare",
    help="Make a data set quicker to read, or features of videos, once, before training.",
    no_args_is_help=True,
)


@app.command("clips")
def clips(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Folder of videos (a sub-folder a class, or none), list file, csv of paths, or"
            " Kinetics' official csv.",
        ),
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the new videos.")],
    video_folder: Annotated[
        str | None,
        typer.Option(
            "--video-folder", help="Where the videos of Kinetics' csv lie. (default: beside it)"
        ),
    ] = None,
    short_side: Annotated[
        int,
        typer.Option(
            "--short-side",
            help="Pixels of the short side; smaller videos keep their size. Take another number"
            " than the config's short_size, unless that resizes by aspect.",
        ),
    ] = 288,
    gop: Annotated[
        int,
        typer.Option("--gop", help="Frames between two that can be decoded alone. Fewer: quicker."),
    ] = 8,
    crf: Annotated[
        int, typer.Option("--crf", help="Quality, 1 to 51. Less: better, larger files.")
    ] = 18,
    preset: Annotated[
        str,
        typer.Option("--preset", help="x264's preset, ultrafast to veryslow. Slower: smaller."),
    ] = "faster",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes. (default: the cores)")
    ] = None,
) -> None:
    """Encode a data set of videos anew, so that training reads it several times quicker.

    OUT gets the same tree of small .mp4 files with the same frames, and,
    where INPUT is a list, the same list of the new files. The last line
    printed says what to train on. The same command goes on where it was
    stopped. OUT/prepare.csv says what became of each video. Exit code 2
    where some cannot be read.
    """
    from videozoo.data.clips.prepare_clips import prepare_clips
    from videozoo.video.write import Encoding

    console = Terminal()
    encoding = Encoding(short_side=short_side, gop=gop, crf=crf, preset=preset)
    start = time.perf_counter()
    try:
        with progress(console, "prepare", 10) as report:
            done = prepare_clips(
                Path(source).expanduser(),
                Path(out).expanduser(),
                encoding=encoding,
                video_folder=Path(video_folder).expanduser() if video_folder else None,
                workers=workers,
                report=report,
            )
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where it was", highlight=False)
        raise typer.Exit(130) from None
    for note in done.notes:
        console.print(note, highlight=False, soft_wrap=True)
    unreadable = [(row.path, row.reason) for row in done.rows if row.status == "unreadable"]
    print_unreadable(unreadable, console, most=20)
    damaged = [(row.path, row.reason) for row in done.rows if row.status == "damaged"]
    print_damaged(damaged, console, where=", all in the report")
    _print_summary(done, len(unreadable), Path(out), time.perf_counter() - start, console)
    if unreadable:
        raise typer.Exit(2)


@app.command("features")
def features(
    context: typer.Context,
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder for the features and their lists.")
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Folders of videos (a sub-folder a class), list files or csv files with path and"
            " label; the first one is the one to train on.",
        ),
    ],
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            "--weights",
            help="efficientnet_lite0, resnet18 to resnet152, hf:OWNER/NAME, or a trained TSN or"
            " STNET: a checkpoint, or a name of the zoo. A checkpoint of a model that was trained"
            " on rows of videos: as its own rows are made.",
        ),
    ] = "efficientnet_lite0",
    rate: Annotated[float, typer.Option("--rate", help="Rows of features a second.")] = 1.0,
    most: Annotated[
        int, typer.Option("--most", min=1, help="Rows of a video; what comes later is left out.")
    ] = 300,
    sound: Annotated[
        bool, typer.Option("--sound/--no-sound", help="Describe the sound as well.")
    ] = True,
    labelled: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Whether the lists name classes.")
    ] = True,
    use_gpu: Annotated[
        bool, typer.Option("--gpu/--no-gpu", help="Use a GPU where there is one.")
    ] = True,
    devices: Annotated[
        int, typer.Option("--devices", min=1, help="GPUs of this machine, or CPU processes.")
    ] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Reading threads. (default: the cores)")
    ] = None,
    cache: args.Cache = True,
    shard: args.ShardOf = None,
    cluster: Cluster = None,
    address: Address = None,
    dry_run: args.DryRun = False,
) -> None:
    """Describe videos by features, for the models of YouTube-8M.

    A row a second holds what the encoder sees in a frame and the loudness of
    64 bands of the sound, one byte a value. OUT gets TFRecord shards as
    YouTube-8M has them and, for each INPUT, a list of the same name. Later
    runs into the same OUT are put on the same scale; the same command goes on
    where it was stopped. Exit code 2 where videos cannot be read;
    NAME_unreadable.csv says why.
    """
    from videozoo.encoders.find import open_encoder, recipe_of
    from videozoo.encoders.recipe import Sampling, recipe_in
    from videozoo.encoders.write_records import CLAIMED_BY, prepare_features

    part = Shard.parse(shard)
    if (part or cluster) and not cache:
        given = "--shard" if part else "--cluster"
        raise VideozooError(f"{given}: keeps rows for the run that writes; leave out --no-cache")
    if not (dry_run or cluster) and args.launched(
        context, use_gpu=use_gpu, num_gpus=1, devices=devices
    ):
        return
    console = Terminal(quiet=not is_first_process())
    device = choose_device(use_gpu, console.print)
    recipe = recipe_in(encoder)
    if recipe is None:
        sampling = Sampling(rate=rate, most=most, sound=sound)
        recipe = recipe_of(open_encoder(encoder, device), sampling)
    else:
        args.refuse_given(context, ("rate", "most", "sound"), f"{encoder} says this itself")
    with (
        on_cluster(context, cluster, address, use_gpu=use_gpu, result=out),
        args.dry_run(dry_run, os.path.expanduser(out), CLAIMED_BY, part) as folder,
        joined(device),
        ExitStack() as stack,
    ):
        lines: dict[str, Callable[[int, int], None]] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in lines:
                stack.close()  # the list before is done
                lines[name] = stack.enter_context(progress(console, name, 50, forecast=True))
            lines[name](done, total)

        lists = prepare_features(
            [brought(os.path.expanduser(source)) for source in sources],
            Path(folder),
            recipe=recipe,
            device=device,
            cached=cache,
            threads=workers,
            labelled=labelled,
            report=report,
            shard=part,
        )
    if shard is not None:
        console.print(shard_done(shard), highlight=False, soft_wrap=True)
        return
    _print_lists(lists, recipe.dims, console)
    if any(found.unreadable for found in lists) and is_first_process():
        raise typer.Exit(2)


def _print_lists(lists: list[FeatureList], dims: dict[str, int], console: Console) -> None:
    for found in lists:
        for note in found.notes:
            console.print(note, highlight=False, soft_wrap=True)
        print_unreadable(found.unreadable, console, most=20)
        where = f", all in {found.path.with_name(f'{found.path.stem}_damaged.csv')}"
        print_damaged(found.damaged, console, where=where)
        text = (
            f"{found.path}: {found.listed} listed, {found.listed - len(found.unreadable)} described"
            f" in {found.rows} rows, {len(found.unreadable)} unreadable"
            f"{f', {len(found.damaged)} damaged' if found.damaged else ''}"
        )
        console.print(text, highlight=False, soft_wrap=True)
    names, widths = ",".join(map(repr, dims)), ",".join(map(str, dims.values()))
    console.print(
        f"train with MODEL.feature_num={len(dims)} MODEL.feature_names=[{names}]"
        f" MODEL.feature_dims=[{widths}], NEXTVLAD also with MODEL.eigen_file=None",
        highlight=False,
        soft_wrap=True,
    )


def _print_summary(
    done: Prepared, unreadable: int, out: Path, seconds: float, console: Console
) -> None:
    listed = len(done.rows)
    before = f" ({done.before} of them before)" if done.before else ""
    sizes = (sum(row.bytes for row in done.rows), sum(row.new_bytes for row in done.rows))
    text = (
        f"{listed} listed, {listed - unreadable} prepared{before}, {unreadable} unreadable;"
        f" {decimal(sizes[0])} -> {decimal(sizes[1])} in {timedelta(seconds=round(seconds))};"
        f" report: {out / 'prepare.csv'}"
    )
    console.print(text, highlight=False, soft_wrap=True)
    console.print(f"train on: {shlex.quote(str(done.data))}", highlight=False, soft_wrap=True)
