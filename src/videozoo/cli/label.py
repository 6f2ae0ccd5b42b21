"""videozoo label: a page on which a person labels videos by one key a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videozoo.cli import arguments as args


def label(
    folder: Annotated[Path, typer.Argument(help="Folder of videos, or of class folders.")],
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Checkpoint that suggests classes: what it contradicts or is least sure of comes"
            " first. (default: none, random order)",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="A,B,C",
            help="In the order of their keys. (default: those of the folder, weights and csv)",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The csv to write, or to go on with; train takes it.")
    ] = Path("labels.csv"),
    host: args.Host = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port", help="Port to listen at. (default: 8020, or a free one)", min=1, max=65535
        ),
    ] = None,
) -> None:
    """Label videos on a page in the browser, one key a class; each answer is saved at once.

    The csv goes to `videozoo train`. Started again, a labelling goes on where it was.
    """
    from videozoo.labelling.label_app import label_folder
    from videozoo.terminal import Terminal

    names = [] if classes is None else classes.split(",")
    label_folder(
        folder, out=out, weights=weights, classes=names, host=host, port=port, console=Terminal()
    )
