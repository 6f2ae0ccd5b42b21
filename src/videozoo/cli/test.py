"""videozoo test: how good are these weights on this list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videozoo.cli import arguments as args

if TYPE_CHECKING:
    from rich.console import Console

    from videozoo.config import Experiment
    from videozoo.predict.evaluate import Evaluation

NAMES = {
    "hit_at_1": "Hit@1",
    "perr": "PERR",
    "gap": "GAP",
    "map": "mAP",
    "top1": "top-1",
    "top5": "top-5",
    "macro_f1": "macro F1",
    "loss": "loss",
}


def test(
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    filelist: args.FileList = None,
    batch_size: args.BatchSize = None,
    use_gpu: args.UseGpu = None,
    save_dir: Annotated[str, typer.Option("--save-dir", help="Folder of the result file.")] = ".",
    log_interval: args.LogInterval = 10,
    set_: args.Set = None,
    no_use_pyreader: args.NoPyreader = False,
    no_memory_optimize: args.NoMemoryOptimize = False,
    no_parallel: args.NoParallel = False,
) -> None:
    """Test weights on a labelled list: prints a table and writes MODEL_test_result.json.

    Exit code 2 where samples could not be read; the result is written all the same.
    """
    from rich.console import Console

    from videozoo.cli import doors

    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    experiment = doors.open_experiment(
        model_name,
        config,
        weights=weights,
        overrides=set_ or (),
        flags=doors.flags_of(
            "TEST",
            batch_size=(batch_size, "--batch-size"),
            filelist=(filelist, "--filelist"),
            use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        ),
    )
    found = run_test(
        experiment,
        weights,
        save_dir=Path(save_dir),
        log_interval=log_interval,
        console=Console(markup=False),  # paths may hold brackets
    )
    if found.unreadable:
        raise typer.Exit(2)


def run_test(
    experiment: Experiment,
    weights: str | None,
    *,
    save_dir: Path,
    log_interval: int,
    console: Console,
) -> Evaluation:
    """Tests, prints the table and writes the result file; returns what was found."""
    from videozoo.cli import doors
    from videozoo.cli.progress import progress
    from videozoo.files import make_folder, write_json
    from videozoo.predict.evaluate import evaluate
    from videozoo.processes import is_first_process

    loaded, samples, labels = doors.open_trained(weights, experiment, None, "TEST")
    make_folder(save_dir)
    settings = experiment["TEST"]
    device = doors.choose_device(settings.use_gpu, console)
    with doors.processes(device), progress(console, "test", log_interval) as report:
        found = evaluate(
            loaded.classifier.to(device),
            samples.source,
            settings=settings,
            device=device,
            report=report,
        )
    if not is_first_process():
        return found
    result: dict[str, Any] = {
        **found.metrics,
        "listed": found.listed,
        "evaluated": found.evaluated,
        "unlabelled": found.unlabelled,
        "unreadable": [{"video": u.video, "reason": u.reason} for u in found.unreadable],
        "seconds": round(found.seconds, 3),
        "videos_per_second": round(found.evaluated / found.seconds, 3),
        "list": settings.filelist,
        "protocol": doors.protocol(loaded, experiment, "TEST"),
    }
    if found.confusion is not None and labels is not None and len(labels) <= 100:
        result["class_names"] = labels
        result["confusion"] = found.confusion.tolist()
    if found.average_precision is not None:
        named = labels or [str(number) for number in range(settings.num_classes)]
        rows = zip(named, found.average_precision, strict=True)
        result["average_precision"] = [{"class": name, "value": value} for name, value in rows]
    path = save_dir / f"{experiment.model}_test_result.json"
    write_json(path, result)
    print_table(found, experiment.model, console)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)
    return found


def print_table(found: Evaluation, model: str, console: Console) -> None:
    """Prints the metrics, the counts and the first samples that could not be read."""
    from rich.table import Table

    title = (
        f"{model}: {found.evaluated} of {found.listed} videos evaluated,"
        f" {len(found.unreadable)} unreadable"
    )
    table = Table(title=title, min_width=min(len(title), console.width))  # the title in one line
    for name in (*found.metrics, "videos/s"):
        table.add_column(NAMES.get(name, name), justify="right")
    table.add_row(
        *(f"{value:.4f}" for value in found.metrics.values()),
        f"{found.evaluated / found.seconds:.3g}",
    )
    console.print(table)
    if found.unlabelled:
        console.print(f"{found.unlabelled} videos name no class and were left out")
    print_unreadable([(u.video, u.reason) for u in found.unreadable], console)


def print_unreadable(unreadable: list[tuple[str, str]], console: Console, *, most: int = 5) -> None:
    """Prints the first samples that could not be read, with reasons."""
    if not unreadable:
        return
    console.print(f"unreadable: {len(unreadable)}", highlight=False)
    print_reasons(unreadable[:most], console)
    if len(unreadable) > most:
        console.print(f"  ... and {len(unreadable) - most} more, all in the result file")


def print_reasons(unreadable: list[tuple[str, str]], console: Console) -> None:
    """Prints a line a sample: its name, where the reason does not hold it, and the reason."""
    for video, reason in unreadable:
        text = reason if video in reason else f"{video}: {reason}"
        console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)
