"""videozoo prepare: make a data set quicker to read, once, before training."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from videozoo.prepare.run import Prepared

app = typer.Typer(
    name="prepare",
    help="Make a data set quicker to read, once, before training.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keeps `clips` a command of its own while it is the only one."""


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
    from rich.console import Console

    from videozoo.cli.progress import progress
    from videozoo.cli.test import print_unreadable
    from videozoo.prepare.recipe import ClipRecipe
    from videozoo.prepare.run import prepare_clips

    console = Console(markup=False)  # paths may hold brackets
    recipe = ClipRecipe(short_side=short_side, gop=gop, crf=crf, preset=preset)
    start = time.perf_counter()
    try:
        with progress(console, "prepare", 10) as report:
            done = prepare_clips(
                Path(source).expanduser(),
                Path(out).expanduser(),
                recipe=recipe,
                video_folder=Path(video_folder).expanduser() if video_folder else None,
                workers=workers,
                report=report,
            )
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where it was", highlight=False)
        raise typer.Exit(130) from None
    print_unreadable([(row.path, row.reason) for row in done.unreadable], console, most=20)
    _print_summary(done, Path(out), time.perf_counter() - start, console)
    if done.unreadable:
        raise typer.Exit(2)


def _print_summary(done: Prepared, out: Path, seconds: float, console: Console) -> None:
    before = f" ({done.before} of them before)" if done.before else ""
    sizes = (sum(row.bytes for row in done.good), sum(row.new_bytes for row in done.good))
    text = (
        f"{len(done.rows)} listed, {len(done.good)} prepared{before}, {len(done.unreadable)}"
        f" unreadable; {in_bytes(sizes[0])} -> {in_bytes(sizes[1])} in {in_time(seconds)};"
        f" report: {out / 'prepare.csv'}"
    )
    console.print(text, highlight=False, soft_wrap=True)
    console.print(f"train on: {shlex.quote(str(done.data))}", highlight=False, soft_wrap=True)


def in_bytes(number: float) -> str:
    """Returns a size in a unit that people read, such as "1.2 GB"."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB" if number < 999.5 else f"{number / 1000:.3g} TB"


def in_time(seconds: float) -> str:
    """Returns a time in a unit that people read, such as "3 min"."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
