"""videozoo train: from a config, or from a folder of videos alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videozoo.cli import arguments as args

if TYPE_CHECKING:
    from rich.console import Console

    from videozoo.config import Experiment
    from videozoo.tasks.plan import Trained


def train(
    folder: Annotated[
        str | None,
        typer.Argument(help="Folder with one sub-folder of videos a class: needs no config."),
    ] = None,
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
            " resnet152, fetched) or a checkpoint; none: random weights. (default: the config's"
            " pretrain_base, else ResNet50_pretrained where it fits)",
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
        str | None, typer.Option("--precision", help="32, or bf16 for mixed precision.")
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option("--devices", min=1, help="GPUs a machine. (default: all, up to num_gpus)"),
    ] = None,
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
    log_interval: args.LogInterval = 10,
    set_: args.Set = None,
    no_use_pyreader: args.NoPyreader = False,
    no_memory_optimize: args.NoMemoryOptimize = False,
    no_parallel: args.NoParallel = False,
) -> None:
    """Train a model from a config; or on a folder of videos, with nothing else to give."""
    from videozoo import processes
    from videozoo.cli import doors

    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    console = _console()
    flags = doors.flags_of(
        "TRAIN",
        batch_size=(batch_size, "--batch-size"),
        learning_rate=(learning_rate, "--learning-rate"),
        epoch=(epoch_num, "--epoch-num"),
        use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        precision=(precision, "--precision"),
    ) | doors.flags_of("VALID", precision=(precision, "--precision"))
    if folder is not None:
        from videozoo.tasks.folder import prepare_folder

        experiment = prepare_folder(
            Path(folder),
            model_name=model_name,
            config=config,
            overrides=set_ or (),
            flags=flags,
            save_dir=Path(save_dir),
            say=lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True),
        )
    else:
        experiment = doors.open_experiment(model_name, config, overrides=set_ or (), flags=flags)
    trained = run_train(
        experiment,
        save_dir=Path(save_dir),
        pretrain=pretrain,
        resume=resume,
        devices=devices,
        nodes=num_nodes,
        valid_interval=valid_interval,
        save_interval=save_interval or (1 if folder is None else experiment["TRAIN"].epoch),
        log_interval=log_interval,
        console=console,
    )
    if folder is not None:
        processes.leave_processes()
        if processes.is_first_process():
            _finish_folder(trained, Path(save_dir), console)


def _console() -> Console:
    from rich.console import Console

    from videozoo.processes import is_first_process

    # Lightning starts the other processes of this machine anew: they must not speak. Paths may
    # hold brackets, which are no markup.
    return Console(quiet=not is_first_process(), markup=False)


def run_train(
    experiment: Experiment,
    *,
    save_dir: Path,
    pretrain: str | None = None,
    resume: str | None = None,
    devices: int | None = None,
    nodes: int = 1,
    valid_interval: int = 1,
    save_interval: int = 1,
    log_interval: int = 10,
    console: Console,
) -> Trained:
    """Checks the inputs, then trains.

    Raises:
        VideozooError: lists every fault found in the inputs.
    """
    from videozoo.cli.train_doors import open_doors
    from videozoo.files import make_folder

    settings = experiment["TRAIN"]
    classifier, samples, valid, start, teachers = open_doors(
        experiment, save_dir=save_dir, pretrain=pretrain, resume=resume
    )
    make_folder(save_dir)
    for sentence in start.sentences:
        console.print(sentence, highlight=False, soft_wrap=True)
    use_gpu, number = _devices(settings.use_gpu, devices, settings.num_gpus, console)

    from videozoo.tasks.fit import Fit
    from videozoo.tasks.plan import Run

    run = Run(
        experiment=experiment,
        classifier=classifier,
        train=samples.source,
        valid=valid.source if valid is not None else None,
        labels=samples.class_names,
        save_dir=save_dir,
        resume=start.state,
        valid_interval=valid_interval,
        save_interval=save_interval,
        log_interval=log_interval,
        devices=number,
        nodes=nodes,
        use_gpu=use_gpu,
        console=console,
        teachers=teachers,
    )
    trained = Fit(run).go()
    _print_skipped(trained, console)
    console.print(f"checkpoint: {trained.best or trained.last}", highlight=False, soft_wrap=True)
    return trained


def _print_skipped(trained: Trained, console: Console) -> None:
    """Prints how many training samples could not be read, and the first of them."""
    from videozoo.cli.test import print_reasons

    if not trained.unreadable:
        return
    number = len(trained.unreadable)
    console.print(f"{number} training samples could not be read and were skipped:")
    print_reasons(list(trained.unreadable.values())[:5], console)


def _devices(
    wanted: bool, devices: int | None, num_gpus: int, console: Console
) -> tuple[bool, int]:
    """Returns whether to use GPUs, and how many devices of this machine."""
    import torch

    from videozoo.cli import doors
    from videozoo.errors import VideozooError

    device = doors.choose_device(wanted, console)
    if device.type == "cpu":
        return False, devices or 1
    found = torch.cuda.device_count()
    if devices is not None and devices > found:
        raise VideozooError(f"--devices {devices}: this machine has {found} GPUs")
    return True, devices or min(found, num_gpus)


def _finish_folder(trained: Trained, save_dir: Path, console: Console) -> None:
    """Tests the best checkpoint on the validation videos and tells what to type next."""
    from videozoo.cli.doors import open_experiment
    from videozoo.cli.test import run_test

    weights = str(trained.best or trained.last)
    experiment = open_experiment(None, None, weights=weights)
    run_test(experiment, weights, save_dir=save_dir, log_interval=10, console=console)
    console.print(
        f"to name what is in new videos:\n  videozoo infer --weights {shlex.quote(weights)}"
        " NEW_VIDEO.mp4",
        highlight=False,
        soft_wrap=True,
    )
