"""videozoo train: from a config, or from a folder of videos alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videozoo.cli import arguments as args

if TYPE_CHECKING:
    from rich.console import Console

    from videozoo.config import Experiment
    from videozoo.predict.inputs import Classifier
    from videozoo.tasks.fit import Trained
    from videozoo.tasks.state import TrainingState


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
            help="Start from an image ResNet (Fluid folder, .pth, .safetensors) or a checkpoint.",
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
    ) | {
        (mode, "precision"): (precision, "--precision")
        for mode in ("TRAIN", "VALID")
        if precision is not None
    }
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
    if folder is not None and doors.is_first_process():
        _finish_folder(trained, Path(save_dir), console)


def _console() -> Console:
    from rich.console import Console

    from videozoo.cli.doors import is_first_process

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
    """Checks the doors, then trains.

    Raises:
        VideozooError: lists every fault found at the doors.
    """
    import torch

    from videozoo.cli import doors
    from videozoo.errors import Faults
    from videozoo.predict.inputs import build_classifier
    from videozoo.predict.weights import eigenvalues_of

    faults = Faults()
    settings = experiment["TRAIN"]
    samples = valid = eigenvalues = state = None
    with faults.noting():
        samples = doors.open_list(experiment, "TRAIN", augment=True)
    with faults.noting():
        if experiment["VALID"].filelist is not None:
            names = samples.class_names if samples is not None else None
            valid = doors.open_list(experiment, "VALID", class_names=names)
    with faults.noting():
        eigenvalues = eigenvalues_of(settings)
    with faults.noting():
        state = _open_resume(resume, experiment, save_dir, console)
    torch.manual_seed(settings.seed)
    classifier = build_classifier(settings, eigenvalues)
    with faults.noting():
        _start_weights(classifier, experiment, pretrain, resume, state, console)
    faults.raise_if_any()
    assert samples is not None
    use_gpu, number = _devices(settings.use_gpu, devices, settings.num_gpus, console)

    from videozoo.tasks.fit import Fit, Run

    run = Run(
        experiment=experiment,
        classifier=classifier,
        train=samples.source,
        valid=valid.source if valid is not None else None,
        labels=samples.class_names,
        save_dir=save_dir,
        resume=state,
        valid_interval=valid_interval,
        save_interval=save_interval,
        log_interval=log_interval,
        devices=number,
        nodes=nodes,
        use_gpu=use_gpu,
        console=console,
    )
    trained = Fit(run).go()
    if trained.unreadable:
        console.print(
            f"{len(trained.unreadable)} training samples could not be read and were skipped:"
        )
        for video, reason in list(trained.unreadable.items())[:5]:
            console.print(f"  {video}: {reason}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"checkpoint: {trained.best or trained.last}", highlight=False, soft_wrap=True)
    return trained


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


def _open_resume(
    resume: str | None, experiment: Experiment, save_dir: Path, console: Console
) -> TrainingState | None:
    """Returns the training state to go on from; None: training begins."""
    from videozoo.checkpoints.native import kind_of
    from videozoo.errors import VideozooError
    from videozoo.tasks.state import load_state, state_path

    if resume is None:
        return None
    weights = Path(resume)
    if resume == "auto":
        weights = save_dir / f"{experiment.model}_last.safetensors"
        if not state_path(weights).is_file():
            console.print(f"nothing to resume in {save_dir}: training begins", highlight=False)
            return None
    elif not weights.exists():
        raise VideozooError(f"--resume {resume}: no such checkpoint")
    elif kind_of(weights) == "fluid":
        return None
    state = load_state(weights)
    where = state.position
    console.print(
        f"resuming {weights} at epoch {where.epoch + 1}, step {where.step}", highlight=False
    )
    return state


def _start_weights(
    classifier: Classifier,
    experiment: Experiment,
    pretrain: str | None,
    resume: str | None,
    state: TrainingState | None,
    console: Console,
) -> None:
    """Puts the weights that training starts from into the model."""
    from videozoo.checkpoints.backbones import start_from
    from videozoo.checkpoints.fluid import load_fluid_weights
    from videozoo.checkpoints.native import check_state_dict
    from videozoo.errors import VideozooError
    from videozoo.predict.weights import fluid_names
    from videozoo.settings import ClipSettings

    settings = experiment["TRAIN"]
    model = classifier.model
    if state is not None:
        check_state_dict(model.state_dict(), state.model, "--resume")
        return
    if resume is not None and resume != "auto" and Path(resume).exists():
        model.load_state_dict(
            load_fluid_weights(resume, fluid_names(experiment, classifier), model.state_dict())
        )
        console.print(
            f"weights taken from {resume}; a checkpoint of the original holds no position, so"
            " training begins at epoch 1",
            highlight=False,
        )
        return
    given = pretrain
    if given is None and settings.pretrain_base and Path(settings.pretrain_base).exists():
        given = settings.pretrain_base
    if given is None or given.lower() == "none":
        if isinstance(settings, ClipSettings) and given is None:
            base = settings.pretrain_base
            missing = f" and pretrain_base {base} does not exist" if base else ""
            console.print(
                f"warning: {experiment.model} starts from random weights: no --pretrain is given"
                f"{missing}; an image ResNet-{settings.num_layers} (.pth, .safetensors or a Fluid"
                " folder) given to --pretrain usually scores far better (--pretrain none: not to"
                " be told)",
                highlight=False,
                soft_wrap=True,
            )
        return
    if not Path(given).exists():
        raise VideozooError(f"--pretrain {given}: no such file or folder")
    sentences = start_from(
        model,
        given,
        model_name=experiment.model,
        num_layers=settings.num_layers if isinstance(settings, ClipSettings) else 50,
        table=fluid_names(experiment, classifier),
    )
    console.print(f"weights taken from {given}", highlight=False, soft_wrap=True)
    for sentence in sentences:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _finish_folder(trained: Trained, save_dir: Path, console: Console) -> None:
    """Tests the best checkpoint on the validation videos and tells what to type next."""
    from videozoo.cli.doors import open_experiment
    from videozoo.cli.test import run_test

    weights = str(trained.best or trained.last)
    experiment = open_experiment(None, None, weights=weights)
    run_test(experiment, weights, save_dir=save_dir, log_interval=10, console=console)
    console.print(
        f"to name what is in new videos:\n  videozoo infer --weights {weights} NEW_VIDEO.mp4",
        highlight=False,
        soft_wrap=True,
    )
