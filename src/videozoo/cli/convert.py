"""videozoo convert: checkpoints from and to the original library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videozoo.cli import arguments as args
from videozoo.errors import VideozooError
from videozoo.experiments import Weights, open_experiment


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Checkpoint: .safetensors, .pth, .pdparams, a Fluid folder or .tar.gz; or a name."
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(help="To write: NAME.safetensors; otherwise a Fluid folder, or a .tar.gz."),
    ],
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    set_: args.Set = None,
    label_file: Annotated[
        str | None, typer.Option("--label-file", help="Class names to store with the weights.")
    ] = None,
) -> None:
    """Convert a checkpoint: of Fluid or PyTorch to native, or native to Fluid."""
    from videozoo.classifier import export_fluid, save_weights
    from videozoo.data.labels import read_label_file
    from videozoo.inputs import open_weights

    named = Weights.named(source)
    experiment = open_experiment(model_name, config, weights=named, overrides=set_ or ())
    if Path(target).exists():
        raise VideozooError(f"{target}: exists already; give another name or remove it")
    loaded = open_weights(named, experiment)
    settings, labels = experiment["INFER"], loaded.labels
    names = label_file or settings.labels
    if names is not None:
        labels = read_label_file(names)
        if len(labels) != settings.num_classes:
            raise VideozooError(
                f"{source}: the weights have {settings.num_classes} classes, {names} has"
                f" {len(labels)} names; give --label-file one with {settings.num_classes}"
            )
    if target.endswith(".safetensors"):
        save_weights(Path(target), loaded.classifier, experiment, labels)
    else:
        export_fluid(Path(target), loaded)
        if loaded.classifier.calibration.tensors():
            typer.echo(
                "left out: the calibration (temperature"
                f" {loaded.classifier.calibration.temperature:.3g}), which the original's"
                " checkpoints have no place for"
            )
    names = f"{len(labels)} class names" if labels else "no class names (give --label-file)"
    native = f", {names}" if target.endswith(".safetensors") else ""
    typer.echo(f"{source} -> {target}: {experiment.model}{native}")
