"""Options that commands share, and the original's freedom in writing them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from videozoo import distributed, experiments
from videozoo.addresses.results import results_folder
from videozoo.errors import VideozooError
from videozoo.forecast import DRY_RUN, DryRunEndedError
from videozoo.launcher import launch
from videozoo.shards import Shard
from videozoo.specs import SPECS

YES = {"true", "yes", "on", "1", "t", "y"}
NO = {"false", "no", "off", "0", "f", "n"}


def parse_switch(value: str | None, flag: str) -> bool | None:
    """Reads True or False, as words or digits; None was not given.

    Raises:
        VideozooError: it is neither.
    """
    if value is None:
        return None
    if value.lower() in YES:
        return True
    if value.lower() in NO:
        return False
    raise VideozooError(f"{flag} {value}: give True or False")


ModelName = Annotated[
    str | None,
    typer.Option(
        "--model-name",
        help=f"{', '.join(SPECS)}; in any case."
        " (default: the weights' model, else AttentionCluster)",
        show_default=False,
    ),
]
ConfigPath = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="Config file. (default: the weights' own config, else the one that comes with the"
        " model)",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override a config key, such as TRAIN.epoch=10; may be repeated.",
        show_default=False,
    ),
]
# A word and no switch, since `--use-gpu False` must mean False.
UseGpu = Annotated[
    str | None,
    typer.Option(
        "--use-gpu",
        metavar="TRUE|FALSE",
        help="Use a GPU where there is one. (default: the config's use_gpu)",
        show_default=False,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Override the config's batch_size (all devices)."),
]
Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        min=1,
        help="GPUs of this machine, or CPU processes. (default: its GPUs, up to num_gpus)",
        show_default=False,
    ),
]
_CHECKPOINT = (
    "Checkpoint: .safetensors, a Fluid folder, .tar.gz or .pdparams; a name of the zoo;"
    " hf:OWNER/NAME of the Hugging Face Hub; or an address such as s3://..."
)
NeededWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help=f"{_CHECKPOINT}. Needed.",
    ),
]
Host = Annotated[
    str, typer.Option("--host", help="Address to listen at; 0.0.0.0: all of the network sees it.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help=f"{_CHECKPOINT}; or (infer and test) an exported .onnx, .xml or .pt2. (default: the"
        " model's published weights)",
        show_default=False,
    ),
]
Engine = Annotated[
    experiments.Engine,
    typer.Option(
        "--engine",
        help="What scores: PyTorch, or ONNX Runtime or OpenVINO with the export that lies beside"
        " the weights; auto: such an export where it is at least as fast.",
    ),
]
FileList = Annotated[
    str | None,
    typer.Option("--filelist", help="List file, folder, csv or glob instead of the config's."),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="REGEX|COLUMN|none",
        help="What tells clips of one recording, which stay on one side: a regular expression for"
        " paths below the class folders (its first group), or a column of the csv."
        " (default: guessed from names)",
        show_default=False,
    ),
]
Cache = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep the rows of encoded videos for other runs."),
]
MaxBad = Annotated[
    float | None,
    typer.Option(
        "--max-bad",
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Share of samples that cannot be read at which to stop; 1: go on whatever it is."
        " (default: the config's max_bad, 0.05)",
        show_default=False,
    ),
]
Reject = Annotated[
    float | None,
    typer.Option(
        "--reject",
        help="Answer 'none of these' where the best score is below this, 0 to 1.",
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="NUMBER/COUNT",
        help="Do one share of the list, such as 3/64, counted from 1. When all are done, the same"
        " command without --shard puts them together.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say how long it takes on this machine, from the first seconds of it, and stop.",
    ),
]
LogInterval = Annotated[
    int, typer.Option("--log-interval", min=1, help="Steps between two lines of progress.")
]
NoPyreader = Annotated[bool, typer.Option("--no-use-pyreader", hidden=True)]
NoMemoryOptimize = Annotated[bool, typer.Option("--no-memory-optimize", hidden=True)]
NoParallel = Annotated[bool, typer.Option("--no-parallel", hidden=True)]


def say_no_effect(**flags: bool) -> None:
    """Says once that flags of the original's Fluid days do nothing."""
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value]
    if given:
        verb = "does" if len(given) == 1 else "do"
        typer.echo(f"{', '.join(given)} {verb} nothing here: accepted for old scripts", err=True)


@contextmanager
def dry_run(
    wanted: bool, out: str, takes: Sequence[str] = (), shard: Shard | None = None
) -> Iterator[str]:
    """Gives where results go, which is nowhere in a dry run; ends the command after it.

    Args:
        wanted: it is a dry run.
        out: where they go else, a folder or an address.
        takes: see results_folder.
        shard: see results_folder.
    """
    if not wanted:
        with results_folder(out, takes, shard) as place:
            yield str(place)
        return
    before = DRY_RUN.set(True)
    try:
        with TemporaryDirectory(prefix="videozoo-dry-run-") as folder, suppress(DryRunEndedError):
            yield os.path.join(folder, "results")
    finally:
        DRY_RUN.reset(before)
    raise typer.Exit


def refuse_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuses options that stand on the command line.

    Args:
        context: of the command.
        names: of its parameters.
        why: they are of no use here.

    Raises:
        VideozooError: names those that are given.
    """
    given = []
    for param in context.command.params:
        name = param.name or ""
        source = context.get_parameter_source(name)
        if name in names and source is not None and source.name == "COMMANDLINE":
            no = context.params[name] is False and param.secondary_opts
            given.append((param.secondary_opts if no else param.opts)[0])
    if given:
        raise VideozooError(f"{', '.join(given)}: {why}; leave it out")


def launched(
    context: typer.Context,
    *,
    use_gpu: bool,
    num_gpus: int,
    devices: int | None,
    nodes: int = 1,
) -> bool:
    """Runs this command in several workers where there are several devices; False: there are not.

    Args:
        context: of the command.
        use_gpu: take the GPUs that there are.
        num_gpus: at most so many, where --devices gives no number.
        devices: what --devices gave.
        nodes: what --num-nodes gave.

    Raises:
        VideozooError: what a worker has said.
    """
    if distributed.has_launcher():
        return False
    if devices is None and (not use_gpu or num_gpus == 1) and nodes == 1:
        return False  # without a look at the GPUs, which takes a second
    count = distributed.processes_for(use_gpu=use_gpu, num_gpus=num_gpus, devices=devices)
    if count * nodes == 1:
        return False
    command_line: list[str] = context.find_root().obj
    launch(command_line, processes=count, nodes=nodes)
    return True


def expand(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Spells options out: unambiguous prefixes and underscores mean the option they begin.

    Args:
        arguments: what was typed behind the command.
        options: the command's options, such as --epoch-num.

    Raises:
        VideozooError: a prefix begins several options.
    """
    expanded: list[str] = []
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if argument == "--":
            return [*expanded, *arguments[place:]]
        if not name.startswith("--") or name in options:
            expanded.append(argument)
            continue
        spelled = name.replace("_", "-")
        fitting = [o for o in options if o.startswith(spelled)]
        if spelled in fitting:
            fitting = [spelled]
        if len(fitting) > 1:
            raise VideozooError(f"{name} may mean {' or '.join(sorted(fitting))}: spell it out")
        expanded.append((fitting[0] if fitting else name) + equals + value)
    return expanded
