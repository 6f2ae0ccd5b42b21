"""The library's functions test, infer and load (train is beside its loop); commands call them.

predictor = videozoo.load("checkpoints/TSN_best.safetensors")
for result in predictor.predict(["a.mp4", "folder/of/clips"]):
    print(result.video, result.predictions[0].label, result.predictions[0].score)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from videozoo.addresses.results import uploading
from videozoo.answers import Result
from videozoo.config import Experiment
from videozoo.distributed import choose_device, gathered, is_first_process, joined
from videozoo.errors import VideozooError
from videozoo.evaluate import Evaluation, evaluate
from videozoo.evaluation_share import evaluated_in
from videozoo.experiments import Weights, open_experiment
from videozoo.files import make_folder
from videozoo.inference import open_inference
from videozoo.inputs import open_trained, prepare, protocol
from videozoo.part_recipe import list_sum, recipe_of
from videozoo.parts import opened_parts, say_done
from videozoo.predict import Paths, Predictor, load_predictor, path_list
from videozoo.progress import progress
from videozoo.reports.evaluated import check_form, write_evaluated
from videozoo.reports.results import write_test_result
from videozoo.scoring import step_size
from videozoo.shards import Listed, Shard, Span, share_out
from videozoo.zoo.resolve import resolve_weights

PathLike = str | os.PathLike[str]


def load(
    weights: PathLike, *, experiment: Experiment | None = None, use_gpu: bool = True
) -> Predictor:
    """Loads a checkpoint for prediction.

    Args:
        weights: a native .safetensors file, or a name of the zoo, whose weights are fetched where
            they are not here; with `experiment` also a Fluid folder or archive.
        experiment: the config to use instead of the checkpoint's own.
        use_gpu: run on a GPU where there is one.

    Raises:
        VideozooError: the file is missing or does not fit, or cannot be fetched.
    """
    path = resolve_weights(weights)
    return load_predictor(path, experiment=experiment, device=choose_device(use_gpu))


@uploading
def test(
    weights: PathLike | Weights | None = None,
    *,
    engine: str = "auto",
    filelist: PathLike | None = None,
    model: str | None = None,
    config: str | None = None,
    overrides: Sequence[str] = (),
    save_dir: PathLike | None = None,
    form: str = "csv",
    log_interval: int = 10,
    experiment: Experiment | None = None,
    console: Console | None = None,
    shard: Shard | None = None,
) -> Evaluation:
    """Tests weights on a labelled list.

    Args:
        weights: a path or a name of the zoo; None: the model's published weights.
        engine: what scores: "torch", "onnxruntime" or "openvino" with the export beside the
            weights, or "auto": such an export where it is at least as fast.
        filelist: a list, folder, csv or glob; None: the config's of [TEST].
        model: the model's name; None: the weights'.
        config: the config file; None: the weights' own, else the one that comes with the model.
        overrides: config keys, such as "TEST.seg_num=25".
        save_dir: folder of MODEL_test_result.json and MODEL_test_predictions; None: they are not
            written.
        form: of MODEL_test_predictions, what each video was given: "csv" or "parquet".
        log_interval: batches between two lines of progress.
        experiment: a config that is resolved already, in place of the four before.
        console: where to show progress; None: nowhere.
        shard: test this share of the list; its parts stay in save_dir, which it needs. A test of
            the whole list takes those of all shards.

    Raises:
        VideozooError: lists every fault found, or nothing could be evaluated.
    """
    console = console or Console(quiet=True)
    check_form(form)
    named = _named(weights, engine)
    experiment = experiment or _experiment(named, model, config, overrides, "TEST", filelist)
    loaded, samples, labels = open_trained(named, experiment, None, "TEST")
    settings = experiment["TEST"]
    if save_dir is not None:
        make_folder(Path(save_dir))
    elif shard is not None:
        raise VideozooError("shard: needs a save_dir, where its parts stay")
    device = choose_device(settings.use_gpu, console.print)
    with joined(device), ExitStack() as stack:
        how, parts = protocol(loaded, experiment, "TEST"), None
        how |= {"list_sha256": list_sum(settings.filelist, samples.dataset)}
        span = Span(len(samples.dataset), step_size(settings), shard)
        left = span.indices()
        path = Path(save_dir or ".") / f"{experiment.model}_test_result.json"
        if save_dir is not None:
            share_out(Listed(span, samples.dataset.name))
            recipe = partial(
                recipe_of, samples.dataset, settings=settings, protocol=how, device=device.type
            )
            parts = stack.enter_context(opened_parts(path, recipe, span))
            left = say_done(parts, console)
        prepare(samples.dataset, device, console, left)
        done = len(span.indices()) - len(left)
        with progress(console, "test", log_interval, done=done, forecast=True) as report:
            found = evaluate(
                loaded.classifier.to(device),
                samples.dataset,
                settings=settings,
                device=device,
                report=report if parts is None else parts.report(report),
                say=console.print,
                parts=parts,
                by_class=True,
            )
        found.class_names = labels
        if parts is not None:
            parts.collect()
        if parts is not None and shard is None and is_first_process():
            table = path.with_name(f"{experiment.model}_test_predictions.{form}")
            write_evaluated(table, parts.merged(evaluated_in), found.name)
            write_test_result(
                path, found, listing=settings.filelist, protocol=how, predictions=table.name
            )
    return found


@uploading
def infer(
    paths: Paths | None = None,
    weights: PathLike | Weights | None = None,
    *,
    engine: str = "auto",
    filelist: PathLike | None = None,
    model: str | None = None,
    config: str | None = None,
    overrides: Sequence[str] = (),
    top_k: int = 20,
    reject: float | None = None,
    save_dir: PathLike | None = None,
    form: str = "json",
    log_interval: int = 10,
    experiment: Experiment | None = None,
    console: Console | None = None,
) -> list[Result]:
    """Names what is in videos.

    Args:
        paths: a video or several, folders or globs; shards for feature models; None: the list.
        weights: a path or a name of the zoo; None: the model's published weights.
        engine: what scores: "torch", "onnxruntime" or "openvino" with the export beside the
            weights, or "auto": such an export where it is at least as fast.
        filelist: a list, folder, csv or glob; None: the config's of [INFER].
        model: the model's name; None: the weights'.
        config: the config file; None: the weights' own, else the one that comes with the model.
        overrides: config keys, such as "INFER.seg_num=25".
        top_k: predictions a video.
        reject: the answer is "none of these" where the best score is below this, 0 to 1.
        save_dir: folder of the result files; None: they are not written.
        form: "json" or "csv".
        log_interval: batches between two lines of progress.
        experiment: a config that is resolved already, in place of filelist to overrides.
        console: where to show progress; None: nowhere.

    Returns:
        The results in the order of the list, those that could not be read with their reason.

    Raises:
        VideozooError: lists every fault found.
    """
    named = _named(weights, engine)
    inference = open_inference(
        path_list(() if paths is None else paths),
        named,
        experiment or _experiment(named, model, config, overrides, "INFER", filelist),
        top_k=top_k,
        reject=reject,
        save_dir=None if save_dir is None else Path(save_dir),
        form=form,
        log_interval=log_interval,
        console=console or Console(quiet=True),
    )
    if save_dir is None:
        return inference.results()
    results: list[Result] = []
    inference.write(Path(save_dir), form, results.append)
    of_first: list[Result] = gathered(results)[0]
    return of_first


def _named(weights: PathLike | Weights | None, engine: str) -> Weights:
    if isinstance(weights, Weights):
        return weights
    return Weights.named(None if weights is None else os.fspath(weights), engine)


def _experiment(
    weights: Weights,
    model: str | None,
    config: str | None,
    overrides: Sequence[str],
    mode: str,
    filelist: PathLike | None,
) -> Experiment:
    flags: Mapping[tuple[str, str], tuple[Any, str]] = (
        {} if filelist is None else {(mode, "filelist"): (os.fspath(filelist), "filelist")}
    )
    return open_experiment(model, config, weights=weights, overrides=overrides, flags=flags)
