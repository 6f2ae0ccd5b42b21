"""videozoo bench: how fast this machine does what videozoo does."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videozoo.cli import arguments as args
from videozoo.cli.bench_files import check_can_write
from videozoo.cli.bench_models import models

if TYPE_CHECKING:
    from videozoo.bench.subjects import Subject
    from videozoo.config.keys import Settings

app = typer.Typer(
    name="bench",
    help="Measure how fast this machine reads data and runs models.",
    no_args_is_help=True,
)
app.command("models")(models)
_MOST = {True: 1000, False: 200}  # features, clips
_BATCH_SIZE = 32


@app.command("data")
def data(
    youtube8m: Annotated[
        str | None,
        typer.Option("--youtube8m", help="YouTube-8M shards: a folder, list file, glob or shard."),
    ] = None,
    clips: Annotated[
        str | None,
        typer.Option("--clips", help="Clips: a folder, list file, csv, glob or single file."),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option("--model-name", help="Model whose TEST settings are used, without --config."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="Config file: its TEST settings are used. (default: all frames of rgb and audio;"
            " or TSN's 3x1 frames, 224 of 256 pixels)",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Most reader processes. (default: the cores)"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Videos a batch. (default: 32, or the config's)"),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option("--frames", help="Segments x frames of a clip, such as 3x1 or 7x5."),
    ] = None,
    videos: Annotated[
        int | None,
        typer.Option(
            "--videos", min=1, help="Videos to read at most. (default: 1000, of clips 200)"
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long to measure, roughly.")
    ] = 40.0,
    cold: Annotated[
        bool, typer.Option("--cold", help="Drop the files from memory before each reading.")
    ] = False,
    json: Annotated[
        str | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    set_: args.Set = None,
) -> None:
    """Measure how fast stored videos become batches, stage by stage, and say what bounds it.

    Nothing but the files is needed: no weights, no labels, no GPU.
    """
    from rich.console import Console

    from videozoo.bench.data import bench_data
    from videozoo.bench.table import print_figures, print_head
    from videozoo.cli.test import print_unreadable

    console = Console(markup=False, highlight=False)  # paths may hold brackets
    if json is not None:
        check_can_write(Path(json))
    start = time.perf_counter()
    settings, path = _open_settings(youtube8m, clips, model_name, config, frames, set_ or [])
    subject = _open_subject(settings, path)
    opened = time.perf_counter() - start
    given = config is not None or model_name is not None
    most = videos or _MOST[settings.family == "features"]
    # YouTube-8M's shards tell what finding their records took.
    what = getattr(subject.source, "index_report", f"clips listed: {len(subject.source):,}")
    console.print(f"{path}: {what}", soft_wrap=True)
    console.print(f"measuring up to {most:,} {subject.noun} for about {seconds:.0f} s ...")
    found = bench_data(
        subject,
        workers=workers,
        batch_size=batch_size or (settings.batch_size if given else _BATCH_SIZE),
        most=most,
        seconds=seconds,
        cold=cold,
    )
    print_head(found, describe_reading(settings), console)
    print_unreadable(found.unread, console)
    print_figures(found, console)
    if json is not None:
        from videozoo.files import write_json

        reading = {"path": path, "opened_in_seconds": opened, "reading": describe_reading(settings)}
        write_json(Path(json), {**reading, **found.as_json()})
        console.print(f"written to {json}", soft_wrap=True)


def _open_settings(
    youtube8m: str | None,
    clips: str | None,
    model_name: str | None,
    config: str | None,
    frames: str | None,
    overrides: list[str],
) -> tuple[Settings, str]:
    """Returns the TEST settings to read with, and the path to read.

    Raises:
        VideozooError: paths, config and flags do not fit together.
    """
    from videozoo.cli import doors
    from videozoo.errors import VideozooError

    if youtube8m is not None and clips is not None:
        raise VideozooError("give --youtube8m or --clips, not both")
    path = youtube8m if clips is None else clips
    if path is None and config is None:
        raise VideozooError("give --youtube8m or --clips a path, or --config a config file")
    seg_num, seglen = _parse_frames(frames) if frames is not None else (None, None)
    if youtube8m is not None and frames is not None:
        raise VideozooError("--frames: is for --clips; give --model-name AttentionCluster instead")
    if model_name is None and config is None:
        of_clips = "TSN" if seglen in (None, 1) else "STNET"
        model_name = of_clips if clips is not None else "AttentionLSTM"
    flags = doors.flags_of("TEST", seg_num=(seg_num, "--frames"), seglen=(seglen, "--frames"))
    experiment = doors.open_experiment(model_name, config, overrides=overrides, flags=flags)
    settings = experiment["TEST"]
    if path is not None and (clips is None) != (settings.family == "features"):
        kind = "--youtube8m" if settings.family == "features" else "--clips"
        raise VideozooError(f"{experiment.model} reads {kind[2:]}: give {kind} PATH")
    path = path or settings.filelist
    if path is None:
        raise VideozooError(
            f"{experiment.source}: [TEST] filelist is missing; give --youtube8m or --clips a path"
        )
    return settings, path


def _parse_frames(text: str) -> tuple[int, int]:
    """Reads "3x1".

    Raises:
        VideozooError: it is something else.
    """
    from videozoo.errors import VideozooError

    found = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text.strip().lower())
    if found is None:
        raise VideozooError(f"--frames {text}: give segments x frames, such as 3x1")
    return int(found[1]), int(found[2])


def _open_subject(settings: Settings, path: str) -> Subject:
    """Opens what is to be read.

    Raises:
        VideozooError: the path leads to nothing that can be read.
    """
    import glob

    from videozoo.bench.clips import ClipSubject
    from videozoo.bench.features import FeatureSubject
    from videozoo.data.clips.files import CLIP_SUFFIXES
    from videozoo.data.clips.source import ClipSource
    from videozoo.data.youtube8m.source import YouTube8MSource
    from videozoo.predict.samples import open_samples

    if settings.family == "features":
        source = open_samples(settings, path).source
        assert isinstance(source, YouTube8MSource)
        return FeatureSubject(source)
    # A video cannot be a list of videos; open_samples takes several paths for videos.
    single = path.lower().endswith(CLIP_SUFFIXES) or glob.has_magic(path)
    source = open_samples(settings, [path] if single else path, labelled=False).source
    assert isinstance(source, ClipSource)
    return ClipSubject(source)


def describe_reading(settings: Settings) -> str:
    """Returns in words what is read of each video."""
    from videozoo.config.clip_keys import ClipSettings
    from videozoo.config.feature_keys import FeatureSettings
    from videozoo.specs.attention_cluster import AttentionClusterSettings

    if isinstance(settings, ClipSettings):
        decoder = "" if settings.decoder == "pyav" else f", by {settings.decoder}"
        by = ", by Pillow" if settings.resize_with == "pillow" else ""
        return (
            f"{settings.seg_num}x{settings.seglen} frames, short side {settings.short_size}"
            f" ({settings.resize}{by}), crop {settings.target_size}{decoder}"
        )
    assert isinstance(settings, FeatureSettings)
    which = "all frames"
    if isinstance(settings, AttentionClusterSettings):
        which = f"{settings.seg_num} frames"
    names = zip(settings.feature_names, settings.feature_dims, strict=True)
    return f"{which} of {' and '.join(f'{name} ({dim})' for name, dim in names)}"
