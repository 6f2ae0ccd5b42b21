"""videozoo split: which videos train and which validate, without leaks between them."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from videozoo.addresses.places import brought
from videozoo.cli import arguments as args
from videozoo.terminal import Terminal

if TYPE_CHECKING:
    from videozoo.training.split import Split


def split(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="Folder with one sub-folder of videos a class, or a list or csv."
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="The folder to write to.")] = "split",
    group_by: args.GroupBy = None,
    share: Annotated[
        float, typer.Option("--share", help="Share of each class that is held back.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides who is held back.")] = 0,
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            help="What near-copies are found by, as in train; none: identical files alone are.",
        ),
    ] = "efficientnet_lite0",
    cache: args.Cache = True,
) -> None:
    """Write who trains and who validates: clips of one recording and copies on one side.

    The folder that is written holds train.list, val.list, labels.txt and split.csv, which says
    why; `videozoo train` takes it as it is.
    """
    from videozoo.distributed import choose_device
    from videozoo.training.folder_encoder import FolderEncoder
    from videozoo.training.split import split_folder, write_split

    console = Terminal()
    rows_of = None
    if encoder != "none":
        say = partial(console.print, highlight=False, soft_wrap=True)
        rows_of = FolderEncoder(
            encoder, choose_device(True, say), console, say, {"cache_rows": cache}
        )
    found = split_folder(
        brought(source), seed=seed, group_by=group_by, share=share, rows_of=rows_of
    )
    write_split(found, Path(out))
    _print_counts(found, console)
    for note in (
        *found.notes,
        f"written to {out}; now: videozoo train {shlex.quote(out)}",
    ):
        console.print(note, highlight=False, soft_wrap=True)


def _print_counts(found: Split, console: Console) -> None:
    from videozoo.training.split import counts

    table = Table()
    table.add_column("class")
    for side in found.sides:
        table.add_column(side, justify="right")
    for name, by_side in counts(found):
        table.add_row(name, *(str(number) for number in by_side.values()))
    table.add_section()
    table.add_row("all", *(str(len(entries)) for entries in found.sides.values()))
    console.print(table)
