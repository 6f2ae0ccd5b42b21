"""The whole way on data made here: clips, five models, tests, names, pictures.

Every step is the command that a user would type, called from here so that Python starts once.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

import videozoo
from demo_clips import DemoClips, make_clips
from demo_configs import FEATURE_MODELS, FRAMES, values_for
from demo_pictures import plot_confusion, plot_curves, plot_frames
from demo_scenes import TWINS
from demo_score import Row, accuracy, accuracy_in_pairs, print_rows, true_class
from videozoo.answers import Result
from videozoo.config import Experiment, resolve
from videozoo.config.ini import Values, format_config
from videozoo.data.sample import UInt8Array
from videozoo.encoders.find import open_encoder, recipe_of
from videozoo.encoders.recipe import Sampling
from videozoo.encoders.write_records import prepare_features
from videozoo.files import write_text
from videozoo.reports.page import report_line
from videozoo.specs import find_spec
from videozoo.video.reader import read_frames

MODELS = ("TSN", "STNET", *FEATURE_MODELS)
CPU = torch.device("cpu")
RATE = 5.0  # rows of features a second: YouTube-8M has one, but these clips last three seconds


def run_demo(folder: Path, *, seed: int, console: Console) -> list[Row]:
    """Makes clips, trains and tests all five models, and draws what came out.

    It ends with what a folder of one's own videos needs: `videozoo train FOLDER`.

    Args:
        folder: where data, checkpoints, results and pictures go.
        seed: of the data and of training.
        console: where to write.

    Returns:
        A row a model.
    """
    start = time.perf_counter()
    clips = _make(folder, seed, console)
    rows = []
    results: dict[str, list[Result]] = {}
    for model in ("TSN", "STNET"):
        row, results[model] = _train_and_test(model, folder, clips, seed, console)
        rows.append(row)
    _make_features(folder, console)
    for model in FEATURE_MODELS:
        row, results[model] = _train_and_test(model, folder, clips, seed, console)
        rows.append(row)
    _name_one(folder, clips, console)
    _draw(folder, clips, results["STNET"])
    rows.append(_train_folder(folder, clips, seed, console))
    print_rows(rows, folder, time.perf_counter() - start, console)
    return rows


def _title(text: str, console: Console) -> None:
    console.print(f"\n[bold]{text}[/bold]", highlight=False, soft_wrap=True)


def _make(folder: Path, seed: int, console: Console) -> DemoClips:
    _title("videos: H.264 with sound, made here", console)
    start = time.perf_counter()
    clips = make_clips(folder / "clips", seed=seed, frames=FRAMES)
    for name, side in (("train", clips.train), ("test", clips.test)):
        lines = "".join(f"{path} {label}\n" for path, label in side)
        write_text(folder / "lists" / f"{name}.list", lines)
    write_text(folder / "lists" / "labels.txt", "".join(f"{name}\n" for name in clips.names))
    console.print(
        f"{len(clips.train)} clips to train and {len(clips.test)} to test in {len(clips.names)}"
        f" classes, {time.perf_counter() - start:.1f} s; time pairs: "
        + ", ".join(f"{a} / {b}" for a, b in TWINS),
        highlight=False,
    )
    return clips


def _experiment(model: str, folder: Path, clips: DemoClips, seed: int) -> Experiment:
    """Writes the model's config file and reads it, as a user's would be."""
    values: Values = values_for(model, num_classes=len(clips.names))
    kind = "features" if model in FEATURE_MODELS else "lists"
    values["MODEL"]["label_file"] = str(folder / "lists" / "labels.txt")
    values["MODEL"]["seed"] = seed
    for mode, side in (("TRAIN", "train"), ("TEST", "test"), ("INFER", "test")):
        values.setdefault(mode, {})["filelist"] = str(folder / kind / f"{side}.list")
    path = folder / "configs" / f"{model}.txt"
    command = f"videozoo train --model-name {model} --config {path} --save-dir {folder}/checkpoints"
    write_text(path, format_config(values, header=[f"{model} in the demo.", command]))
    return resolve(find_spec(model).keys, values, source=str(path))


def _train_and_test(
    model: str, folder: Path, clips: DemoClips, seed: int, console: Console
) -> tuple[Row, list[Result]]:
    experiment = _experiment(model, folder, clips, seed)
    checkpoints, found_in = folder / "checkpoints", folder / "results"
    _title(f"videozoo train --model-name {model} --config {experiment.source}", console)
    trained = videozoo.train(
        experiment=experiment,
        save_dir=checkpoints,
        pretrain="none",
        save_interval=experiment["TRAIN"].epoch,
        log_interval=10,
        console=console,
    )
    weights = str(trained.last)
    found = videozoo.test(
        weights, experiment=experiment, save_dir=found_in, log_interval=10**6, console=console
    )
    results = videozoo.infer(
        weights=weights, experiment=experiment, top_k=len(clips.names), save_dir=found_in
    )
    metric = "top1" if model not in FEATURE_MODELS else "gap"
    row = Row(
        model=model,
        data="clips" if model not in FEATURE_MODELS else "features",
        metric=metric,
        score=found.metrics[metric],
        accuracy=accuracy(results, clips.names),
        in_pairs=accuracy_in_pairs(results),
        videos_per_second=found.evaluated / found.seconds,
    )
    return row, results


def _train_folder(folder: Path, clips: DemoClips, seed: int, console: Console) -> Row:
    """Trains a head on what a pretrained encoder sees of the same clips."""
    videos, save_dir = folder / "clips", folder / "folder"
    _title(f"videozoo train {videos} --save-dir {save_dir}", console)
    trained = videozoo.train(
        videos, overrides=[f"TRAIN.seed={seed}"], save_dir=save_dir, console=console
    )
    weights, model = str(trained.best), Path(str(trained.best)).name.partition("_")[0]
    found = videozoo.test(weights, save_dir=save_dir, log_interval=10**6, console=console)
    console.print(report_line(save_dir, model, console), soft_wrap=True)
    tests = [str(path) for path, _ in clips.test]
    results = videozoo.infer(tests, weights, top_k=len(clips.names))
    return Row(
        model=f"{model}, encoder",
        data="clips",
        metric="top1",
        score=found.metrics["top1"],
        accuracy=accuracy(results, clips.names),
        in_pairs=accuracy_in_pairs(results),
        videos_per_second=found.evaluated / found.seconds,
    )


def _make_features(folder: Path, console: Console) -> None:
    """Describes the same videos by the trained TSN's frame features and their sound."""
    _title(f"features: the trained TSN at {RATE:g} frames a second, and log-mel sound", console)
    start = time.perf_counter()
    encoder = open_encoder(str(folder / "checkpoints" / "TSN_last.safetensors"), CPU)
    shutil.rmtree(folder / "features", ignore_errors=True)  # of an earlier demo's TSN
    lists = prepare_features(
        [folder / "lists" / f"{name}.list" for name in ("train", "test")],
        folder / "features",
        recipe=recipe_of(encoder, Sampling(rate=RATE)),
        device=CPU,
        cached=False,
    )
    console.print(
        f"{sum(found.listed for found in lists)} videos, {sum(found.rows for found in lists)} rows"
        f" in TFRecord shards, {time.perf_counter() - start:.1f} s",
        highlight=False,
    )


def _name_one(folder: Path, clips: DemoClips, console: Console) -> None:
    # A clip whose class its frames alone do not tell.
    path, label = next((p, k) for p, k in clips.test if clips.names[k] == TWINS[0][0])
    weights = str(folder / "checkpoints" / "STNET_last.safetensors")
    _title(f"videozoo infer --weights {weights} '{path}'", console)
    results = videozoo.infer(
        [str(path)],
        weights,
        top_k=3,
        save_dir=folder / "results" / "one",
        log_interval=10**6,
        console=console,
    )
    best = "  ".join(f"{p.label} {p.score:.3f}" for p in results[0].predictions)
    console.print(f"{path}: {best}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"it is a clip of '{clips.names[label]}' that no model has seen")


def _draw(folder: Path, clips: DemoClips, results: Sequence[Result]) -> None:
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for model in MODELS:
        curves = folder / "checkpoints" / f"{model}_curves.csv"
        plot_curves(curves, pictures / f"{model}_curves.png", title=f"{model}: training")
    for model in ("TSN", "STNET"):
        found = json.loads((folder / "results" / f"{model}_test_result.json").read_text())
        matrix = np.array(found["confusion"], dtype=np.int64)
        plot_confusion(matrix, clips.names, pictures / f"{model}_confusion.png", title=model)
    each_class = len(clips.test) // len(clips.names)
    some = results[::each_class]
    plot_frames(
        [_all_frames(Path(r.video)) for r in some],
        [true_class(r.video, clips.names) for r in some],
        [r.predictions[0].label for r in some],
        pictures / "frames.png",
        title="unseen clips, and what StNet calls them",
    )


def _all_frames(path: Path) -> UInt8Array:
    return np.stack(read_frames(path, np.arange)).transpose(0, 2, 3, 1)  # [n, H, W, 3]
