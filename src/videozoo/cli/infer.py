"""videozoo infer: what is in these videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from videozoo.cli import arguments as args

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from videozoo.config import Experiment
    from videozoo.predict.predictor import Result


def infer(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, folders or globs; YouTube-8M shards for feature models."),
    ] = None,
    model_name: args.ModelName = None,
    config: args.ConfigPath = None,
    weights: args.Weights = None,
    filelist: args.FileList = None,
    batch_size: args.BatchSize = None,
    use_gpu: args.UseGpu = None,
    infer_topk: Annotated[
        int, typer.Option("--infer-topk", min=1, help="Predictions a video.")
    ] = 20,
    save_dir: Annotated[str, typer.Option("--save-dir", help="Folder of the result files.")] = ".",
    format_: Annotated[
        Literal["json", "csv"], typer.Option("--format", help="Form of the result file.")
    ] = "json",
    log_interval: args.LogInterval = 10,
    set_: args.Set = None,
    no_use_pyreader: args.NoPyreader = False,
    no_memory_optimize: args.NoMemoryOptimize = False,
    no_parallel: args.NoParallel = False,
) -> None:
    """Name what is in videos: prints the best class of each and writes MODEL_infer_result.

    Exit code 2 where videos could not be read; the results of the others are written all the same.
    """
    from rich.console import Console

    from videozoo.cli import doors
    from videozoo.errors import VideozooError

    args.say_no_effect(
        no_use_pyreader=no_use_pyreader,
        no_memory_optimize=no_memory_optimize,
        no_parallel=no_parallel,
    )
    if paths and filelist:
        raise VideozooError("give videos or --filelist, not both")
    experiment = doors.open_experiment(
        model_name,
        config,
        weights=weights,
        overrides=set_ or (),
        flags=doors.flags_of(
            "INFER",
            batch_size=(batch_size, "--batch-size"),
            filelist=(filelist, "--filelist"),
            use_gpu=(args.parse_switch(use_gpu, "--use-gpu"), "--use-gpu"),
        ),
    )
    results = run_infer(
        experiment,
        weights,
        paths or None,
        top_k=infer_topk,
        save_dir=Path(save_dir),
        form=format_,
        log_interval=log_interval,
        console=Console(markup=False),  # paths may hold brackets
    )
    if any(result.unreadable is not None for result in results):
        raise typer.Exit(2)


def run_infer(
    experiment: Experiment,
    weights: str | None,
    paths: Sequence[str] | None,
    *,
    top_k: int,
    save_dir: Path,
    form: str,
    log_interval: int,
    console: Console,
) -> list[Result]:
    """Predicts, prints and writes the results; returns them in the order of the list."""
    from videozoo.cli import doors
    from videozoo.cli.progress import progress
    from videozoo.files import make_folder
    from videozoo.predict.predictor import Predictor
    from videozoo.processes import is_first_process

    loaded, samples, labels = doors.open_trained(weights, experiment, paths, "INFER")
    make_folder(save_dir)
    settings = experiment["INFER"]
    device = doors.choose_device(settings.use_gpu, console)
    predictor = Predictor(
        classifier=loaded.classifier, settings=settings, labels=labels, device=device
    )
    with doors.processes(device), progress(console, "infer", log_interval) as report:
        share = list(predictor.results(samples.source, top_k=top_k, report=report))
        results = _gather(share)
    if not is_first_process():
        return results
    write_results(results, save_dir / f"{experiment.model}_infer", form)
    unreadable = [(r.video, r.unreadable) for r in results if r.unreadable is not None]
    summary: dict[str, Any] = {
        "listed": len(results),
        "predicted": len(results) - len(unreadable),
        "unreadable": [{"video": video, "reason": reason} for video, reason in unreadable],
        "protocol": doors.protocol(loaded, experiment, "INFER"),
    }
    _write_summary(save_dir / f"{experiment.model}_infer_summary.json", summary)
    print_results(results, console)
    console.print(
        f"{summary['predicted']} of {summary['listed']} videos; written to"
        f" {save_dir / f'{experiment.model}_infer_result'}.{form}",
        highlight=False,
        soft_wrap=True,
    )
    return results


def _gather(share: list[tuple[int, Result]]) -> list[Result]:
    """Returns the results of all processes in the order of the list."""
    from videozoo.processes import process_place

    _, world = process_place()
    if world > 1:
        import torch.distributed as dist

        shares: list[Any] = [None] * world
        dist.all_gather_object(shares, share)
        share = [pair for one in shares for pair in one]
    return [result for _, result in sorted(share, key=lambda pair: pair[0])]


def _write_summary(path: Path, summary: dict[str, Any]) -> None:
    from videozoo.files import write_json

    write_json(path, summary)


def write_results(results: Sequence[Result], stem: Path, form: str) -> None:
    """Writes STEM_result.json or .csv, and the original's pickle STEM_result."""
    from videozoo.files import write_csv, write_json, write_pickle

    good = [r for r in results if r.unreadable is None]
    if form == "csv":
        write_csv(
            stem.with_name(stem.name + "_result.csv"),
            ["video", "rank", "index", "label", "score"],
            (
                (r.video, rank, p.index, p.label, repr(p.score))
                for r in good
                for rank, p in enumerate(r.predictions, 1)
            ),
        )
    else:
        write_json(
            stem.with_name(stem.name + "_result.json"),
            [{"video": r.video, "predictions": [vars(p) for p in r.predictions]} for r in good],
        )
    write_pickle(
        stem.with_name(stem.name + "_result"),
        [
            (r.video, [p.score for p in r.predictions], [p.index for p in r.predictions])
            for r in good
        ],
    )


def print_results(results: Sequence[Result], console: Console, *, most: int = 20) -> None:
    """Prints the best classes of the first videos."""
    from videozoo.cli.test import print_unreadable

    good = [r for r in results if r.unreadable is None]
    for result in good[:most]:
        best = "  ".join(f"{p.label} {p.score:.3f}" for p in result.predictions[:3])
        console.print(f"{result.video}: {best}", highlight=False, markup=False, soft_wrap=True)
    if len(good) > most:
        console.print(f"... and {len(good) - most} more, all in the result file", highlight=False)
    print_unreadable([(r.video, r.unreadable) for r in results if r.unreadable], console)
