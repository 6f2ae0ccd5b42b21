"""videozoo train: from a config, or from a folder of videos alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

import videozoo
from videozoo import experiments
from videozoo.cli import arguments as args
from videozoo.cli.tables import print_classes, print_damaged, print_evaluation, print_unreadable
from videozoo.config.ini import parse_overrides, read_config
from videozoo.distributed import is_first_process
from videozoo.terminal import Terminal

if TYPE_CHECKING:
    from videozoo.config import Experiment
    from videozoo.experiments import Flags
    from videozoo.training.loop import Trained


def train(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(help="Folder with one sub-folder of videos a class: needs no config."),
    ] = None,
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end",
            help="FOLDER: train frames through a whole network, STNET or --model-name TSN. Hours,"
            " not minutes.",
        ),
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            help="FOLDER: what describes frames: efficientnet_lite0, resnet18 to resnet152,"
            " hf:OWNER/NAME, or a trained TSN or STNET. (default: efficientnet_lite0)",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="FOLDER: the model that learns of it. (default: chosen by cross-validation among"
            " LINEAR, AttentionCluster, AttentionLSTM and NEXTVLAD)",
            show_default=False,
        ),
    ] = None,
    group_by: args.GroupBy = None,
    cache: args.Cache = True,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    batch_size: args.BatchSize = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Override the config's learning_rate.")
    ] = None,
    epoch_num: Annotated[
        int | None, typer.Option("--epoch-num", min=1, help="Override the config's epoch.")
    ] = None,
    pretrain: Annotated[
        str | None,
        typer.Option(
            "--pretrain",
            help="Start from an image ResNet (Fluid folder, .pth, .safetensors, or resnet18 to"
            " resnet152, fetched) or a checkpoint, also hf:OWNER/NAME; none: random weights."
            " (default: the config's pretrain_base, else ResNet50_pretrained where it fits)",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            "--resume-weights",
            help="Go on from a checkpoint; 'auto': from the last one in --save-dir, if any.",
        ),
    ] = None,
    use_gpu: args.UseGpu = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="32, 64, or bf16 for mixed precision.")
    ] = None,
    devices: args.Devices = None,
    num_nodes: Annotated[int, typer.Option("--num-nodes", min=1, help="Machines.")] = 1,
    valid_interval: Annotated[
        int, typer.Option("--valid-interval", min=1, help="Epochs between two validations.")
    ] = 1,
    save_interval: Annotated[
        int | None,
        typer.Option(
            "--save-interval",
            min=1,
            help="Epochs between kept checkpoints. (default: 1; FOLDER: best and last only)",
        ),
    ] = None,
    save_dir: Annotated[
        str, typer.Option("--save-dir", help="Folder of checkpoints and curves.")
    ] = "checkpoints",
    max_bad: args.MaxBad = None,
    log_interval: args.LogInterval = 10,
    dry_run: args.DryRun = False,
    set_: args.Set = None,
    no_use_pyreader: args.NoPyreader = False,
    no_memory_optimize: args.NoMemoryOptimize = False,
    no_parallel: args.NoParallel = False,
) -> None:
    """Train a model from a config; or on a folder of videos, with nothing else to give.

    FOLDER: a pretrained encoder describes the frames of each video once, and a
    small model learns of that: minutes on two cores.
    """
    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    console = Terminal(quiet=not is_first_process())
    whole = end_to_end or experiments.takes_clips(model_name, config)
    _refuse(context, folder, whole)
    flags = experiments.flags_of(
        "TRAIN",
        batch_size=(batch_size, "--batch-size"),
        learning_rate=(learning_rate, "--learning-rate"),
        epoch=(epoch_num, "--epoch-num"),
        use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        precision=(precision, "--precision"),
        max_bad=(max_bad, "--max-bad"),
    ) | experiments.flags_of("VALID", precision=(precision, "--precision"))
    experiment = None
    if folder is None:
        experiment = experiments.open_experiment(
            model_name, config, overrides=set_ or (), flags=flags
        )
    gpus = _gpus(experiment, config, set_ or (), flags)
    if not dry_run and args.launched(
        context, use_gpu=gpus[0], num_gpus=gpus[1], devices=devices, nodes=num_nodes
    ):
        return
    takes = ("*_last.safetensors", "*_last.state") if resume == "auto" else ()
    with args.dry_run(dry_run, save_dir, takes) as place:
        trained = videozoo.train(
            folder,
            end_to_end=whole,
            encoder=encoder,
            head=head,
            group_by=group_by,
            cache=cache,
            model=model_name,
            config=config,
            overrides=set_ or (),
            save_dir=place,
            pretrain=pretrain,
            resume=resume,
            valid_interval=valid_interval,
            save_interval=save_interval,
            log_interval=log_interval,
            experiment=experiment,
            flags=flags,
            console=console,
            again=_again(context.find_root().obj, resumes=folder is None or whole),
        )
        _print_skipped(trained, console)
        best = trained.best or trained.last
        console.print(f"checkpoint: {best}", highlight=False, soft_wrap=True)
        if folder is not None:
            _finish_folder(trained, Path(place), console)


def _again(arguments: Sequence[str], *, resumes: bool) -> str:
    """Returns the command that goes on with a training that is stopped.

    Args:
        arguments: of the command videozoo that is running.
        resumes: --resume auto says so.
    """
    if not resumes:
        return shlex.join(["videozoo", *arguments])
    kept: list[str] = []
    rest = iter(arguments)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name not in ("--resume", "--resume-weights"):
            kept.append(word)
        elif not equals:
            next(rest, None)
    return shlex.join(["videozoo", *kept, "--resume", "auto"])


OF_ROWS = ("encoder", "head", "cache")
OF_FOLDERS = ("end_to_end", "group_by", *OF_ROWS)
OF_FRAMES = (
    "config", "batch_size", "learning_rate", "epoch_num", "pretrain", "resume", "precision",
    "devices", "num_nodes", "valid_interval", "save_interval", "log_interval",
)  # fmt: skip


def _refuse(context: typer.Context, folder: str | None, whole: bool) -> None:
    """Refuses options that are given and that this kind of training does not read.

    Raises:
        VideozooError: names them.
    """
    others: tuple[str, ...]
    if folder is None:
        others, reads = OF_FOLDERS, "train FOLDER"
    elif whole:
        others, reads = OF_ROWS, "train FOLDER without --end-to-end"
    else:
        others, reads = OF_FRAMES, "train FOLDER --end-to-end, or a training from a config,"
    args.refuse_given(context, others, f"only {reads} reads this")


def _gpus(
    experiment: Experiment | None, config: str | None, overrides: Sequence[str], flags: Flags
) -> tuple[bool, int]:
    """Returns use_gpu and num_gpus of a training; of a folder, as far as they are given."""
    if experiment is not None:
        settings = experiment["TRAIN"]
        return settings.use_gpu, settings.num_gpus
    values: dict[str, Any] = {}
    given = config is not None and Path(config).is_file()
    layers = [read_config(Path(str(config)))] if given else []
    layers.append({})
    for (section, key), value in parse_overrides(overrides).items():
        layers[-1].setdefault(section, {})[key] = value
    for layer in layers:
        values |= layer.get("MODEL", {}) | layer.get("TRAIN", {})
    use_gpu = flags.get(("TRAIN", "use_gpu"), (values.get("use_gpu", True), ""))[0]
    return bool(use_gpu), int(values.get("num_gpus", 1))


def _print_skipped(trained: Trained, console: Console) -> None:
    """Prints how many training samples could not be read, or in part, and the first of them."""
    print_unreadable(
        list(trained.unreadable.values()),
        console,
        most=20,
        heading="{} training samples could not be read and were skipped:",
        where="; videozoo scan lists all of them",
    )
    print_damaged(
        list(trained.damaged.values()), console, where="; videozoo scan lists all of them"
    )


def _finish_folder(trained: Trained, save_dir: Path, console: Console) -> None:
    """Tests the best checkpoint on the validation videos and tells what to type next."""
    from videozoo.reports.page import report_line

    weights = str(trained.best or trained.last)
    found = videozoo.test(weights, save_dir=save_dir, console=console)
    model = experiments.Weights.named(weights).model
    print_evaluation(found, str(model), console)
    print_classes(found, console)
    stem = save_dir / f"{model}_test"
    console.print(
        f"written to {stem}_result.json and {stem}_predictions.csv\n"
        f"{report_line(save_dir, str(model), console)}\n"
        f"to name what is in new videos:\n  videozoo infer --weights {shlex.quote(weights)}"
        " NEW_VIDEO.mp4",
        highlight=False,
        soft_wrap=True,
    )
