"""videozoo config: what a config means, and where each value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from videozoo.cli import arguments as args
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.experiments import DEFAULT_MODEL, Weights, open_experiment
from videozoo.specs import find_spec, guess_model
from videozoo.terminal import Terminal


def config(
    file: Annotated[
        str | None,
        typer.Argument(help="Config file or native checkpoint. (default: the model's own)"),
    ] = None,
    model_name: args.ModelName = None,
    set_: args.Set = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="List the model's keys with their meaning instead.")
    ] = False,
) -> None:
    """Print a config with every value resolved, and where each came from."""
    console = Terminal()
    if model_name is None and file is not None and not file.endswith(".safetensors"):
        model_name = guess_model(Path(file))
    if keys:
        _print_keys(find_spec(model_name or DEFAULT_MODEL).keys, console)
        return
    is_weights = file is not None and file.endswith(".safetensors")
    experiment = open_experiment(
        model_name,
        None if is_weights else file,
        weights=Weights.named(file) if is_weights else None,
        overrides=set_ or (),
    )
    console.print(
        f"# {experiment.model}, from {experiment.source}", highlight=False, soft_wrap=True
    )
    for mode in MODES:
        console.print(f"\n[{mode}]", highlight=False, markup=False)
        settings = experiment[mode].model_dump()
        width = max(len(f"{key} = {value!r}") for key, value in settings.items())
        for key, value in settings.items():
            line = f"{key} = {value!r}"
            console.print(
                f"{line:<{min(width, 60)}}  # {experiment.origins[mode][key]}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _print_keys(keys: type[Settings], console: Console) -> None:
    table = Table(title=f"the keys of {keys.NAME}")
    for column in ("key", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for key, field in keys.model_fields.items():
        default = "required" if field.is_required() else repr(field.default)
        table.add_row(key, default, field.description or "")
    console.print(table)
