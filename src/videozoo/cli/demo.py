"""videozoo demo: the whole way on data made here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        str, typer.Option("--folder", help="Where data, checkpoints and pictures go.")
    ] = "demo",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of data and training.")] = 0,
) -> None:
    """Make small videos, train all five models on them, test, and draw what came out."""
    from rich.console import Console

    from videozoo.demo.run import run_demo

    run_demo(Path(folder), seed=seed, console=Console())
