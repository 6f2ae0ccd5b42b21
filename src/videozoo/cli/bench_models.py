"""videozoo bench models: how fast the models run on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videozoo.cli import arguments as args
from videozoo.cli.bench_files import check_can_write

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from videozoo.bench.models import Subject

_CLIP_MODELS = ("STNET", "TSN")
_PIXELS = 224  # STNET's config tests with 256; inference and training are to be comparable


def models(
    model_name: Annotated[
        list[str] | None,
        typer.Option(
            "--model-name",
            help="AttentionCluster, AttentionLSTM, NEXTVLAD, STNET or TSN; may be repeated."
            " (default: all)",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="32|bf16",
            help="float32 or mixed bfloat16; may be repeated. (default: both)",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            help="Videos a batch. (default: AttentionCluster 32, AttentionLSTM 8, NEXTVLAD 16,"
            " STNET 2, TSN 4)",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames",
            help="Frames of a feature model's videos, such as 300, or 120-300 for as many videos of"
            " each length. (default: AttentionCluster 100, others 300)",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0.0, help="How long to repeat each pass, roughly."),
    ] = 10.0,
    use_gpu: Annotated[
        str | None,
        typer.Option(
            "--use-gpu",
            metavar="TRUE|FALSE",
            help="Use a GPU. (default: where there is one)",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    set_: args.Set = None,
) -> None:
    """Measure inference and training of the models: speed, memory, and how near to the floor.

    Nothing but the models is needed: weights and videos are made up. Sizes are those of the bundled
    configs; --set changes them.
    """
    from rich.console import Console

    from videozoo.bench.models import bench_models
    from videozoo.bench.models_table import print_models

    console = Console(markup=False, highlight=False)
    if json is not None:
        check_can_write(Path(json))
    subjects = _model_subjects(
        model_name or [], precision or [], batch_size, _parse_lengths(frames), set_ or []
    )
    found = bench_models(
        subjects,
        device=_device(args.parse_switch(use_gpu, "--use-gpu"), console),
        seconds=seconds,
        report=lambda what: console.print(f"measuring {what} ..."),
    )
    print_models(found, console)
    if json is not None:
        from videozoo.files import write_json

        write_json(Path(json), found.as_json())
        console.print(f"written to {json}", soft_wrap=True)
    if not found.figures:
        raise typer.Exit(1)


def _device(wanted: bool | None, console: Console) -> torch.device:
    """Returns the device; says that there is no GPU where one was asked for."""
    from videozoo.predict.devices import choose_device

    device, sentence = choose_device(wanted is not False)
    if wanted and sentence:
        console.print(sentence)
    return device


def _parse_lengths(text: str | None) -> tuple[int, int] | None:
    """Reads "300" or "120-300".

    Raises:
        VideozooError: it is something else.
    """
    from videozoo.errors import VideozooError

    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?", text.strip())
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise VideozooError(f"--frames {text}: give a number such as 300, or a range: 120-300")
    return int(found[1]), int(found[2] or found[1])


def _model_subjects(
    names: list[str],
    precisions: list[str],
    batch_size: int | None,
    frames: tuple[int, int] | None,
    overrides: list[str],
) -> list[Subject]:
    """Returns what is measured: every model in every precision.

    Raises:
        VideozooError: there is no such model or precision, or a key does not fit; every fault is
            named.
    """
    from videozoo.bench.models import BATCH_SIZES, Subject
    from videozoo.cli.doors import flags_of
    from videozoo.config import load_experiment
    from videozoo.errors import Faults
    from videozoo.specs import find_spec

    faults = Faults()
    subjects: list[Subject] = []
    known: list[str] = []
    for name in names or list(BATCH_SIZES):
        with faults.noting():
            known.append(find_spec(name).name)
    for name in dict.fromkeys(known):
        for precision in dict.fromkeys(precisions or ["32", "bf16"]):
            values: dict[str, tuple[Any, str]] = {
                "batch_size": (batch_size or BATCH_SIZES[name], "--batch-size"),
                "precision": (precision, "--precision"),
                # A step is one chunk of made-up videos; weights must stay finite, not learn.
                "num_gpus": (1, "bench"),
                "num_workers": (0, "bench"),
                "learning_rate": (1e-6, "bench"),
            }
            if name in _CLIP_MODELS and not any("target_size" in each for each in overrides):
                values["target_size"] = (_PIXELS, "bench")
            flags = {**flags_of("INFER", **values), **flags_of("TRAIN", **values)}
            with faults.noting():
                made = load_experiment(find_spec(name).keys, None, overrides=overrides, flags=flags)
                subjects.append(Subject(made["INFER"], made["TRAIN"], frames, bool(overrides)))
    faults.raise_if_any()
    return subjects
