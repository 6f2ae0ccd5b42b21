"""videozoo verify: do these results add up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from videozoo.terminal import Terminal


def verify(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="The folder that --save-dir named.")
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="The checkpoint that the results must be of.")
    ] = None,
    filelist: Annotated[
        Path | None, typer.Option("--filelist", help="The list that they must be of.")
    ] = None,
) -> None:
    """Check that results of infer and test add up, and shards of such.

    Listed = read + unreadable, each video once, files as they were written,
    all shards there, whole and made alike; the weights and the list are those
    given. Exit code 2 where something does not hold.
    """
    from videozoo.verify import verify as check

    console = Terminal()
    checks = check(results, weights=weights, filelist=filelist)
    table = Table("", Column("what has to hold", overflow="fold"), "what is found")
    of = ""
    for one in checks:
        mark = Text("yes", "green") if one.holds else Text("NO", "bold red")
        if one.of != of:
            of = one.of
            table.add_section()
            table.add_row("", Text(of, "bold"), "")
        table.add_row(mark, one.what, Text(one.found))
    console.print(table)
    wrong = [one for one in checks if not one.holds]
    for one in wrong:  # once more in a line, which a log can be searched for
        console.print(
            f"{one.of}: {one.what}: NO, {one.found}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if wrong:
        raise typer.Exit(2)
