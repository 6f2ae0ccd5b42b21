"""The whole way on data made here: clips, five models, tests, names, pictures.

Every step is the command that a user would type, called from here so that Python starts once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from videozoo.cli.infer import run_infer
from videozoo.cli.test import run_test
from videozoo.cli.train import run_train
from videozoo.config import Experiment, resolve
from videozoo.data.batches import Int64Array, UInt8Array
from videozoo.data.clips.video import read_clip, read_frames
from videozoo.data.framing import Crop, resized_size
from videozoo.data.transforms import normalise_clips
from videozoo.demo.clips import DemoClips, make_clips
from videozoo.demo.features import (
    RATE,
    DescribedVideo,
    Quantiser,
    frame_features,
    frame_indices,
    write_shards,
)
from videozoo.demo.pictures import plot_confusion, plot_curves, plot_frames
from videozoo.demo.recipe import FEATURE_MODELS, FRAME_RATE, FRAMES, values_for
from videozoo.demo.scenes import TWINS
from videozoo.demo.score import Row, accuracy, accuracy_in_pairs, print_rows, true_class
from videozoo.ini import Values, format_config
from videozoo.models.tsn import TSN
from videozoo.predict.predictor import Result
from videozoo.predict.weights import load_weights
from videozoo.reports.files import write_text
from videozoo.settings import ClipSettings

MODELS = ("TSN", "STNET", *FEATURE_MODELS)


def run_demo(folder: Path, *, seed: int, console: Console) -> list[Row]:
    """Makes clips, trains and tests all five models, and draws what came out.

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
    _make_features(folder, clips, console)
    for model in FEATURE_MODELS:
        row, results[model] = _train_and_test(model, folder, clips, seed, console)
        rows.append(row)
    _name_one(folder, clips, console)
    _draw(folder, clips, results["STNET"])
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
    return resolve(model, values, source=str(path))


def _train_and_test(
    model: str, folder: Path, clips: DemoClips, seed: int, console: Console
) -> tuple[Row, list[Result]]:
    experiment = _experiment(model, folder, clips, seed)
    checkpoints, found_in = folder / "checkpoints", folder / "results"
    _title(f"videozoo train --model-name {model} --config {experiment.source}", console)
    trained = run_train(
        experiment,
        save_dir=checkpoints,
        pretrain="none",
        save_interval=experiment["TRAIN"].epoch,
        log_interval=10,
        console=console,
    )
    weights = str(trained.last)
    found = run_test(experiment, weights, save_dir=found_in, log_interval=10**6, console=console)
    results = run_infer(
        experiment,
        weights,
        None,
        top_k=len(clips.names),
        save_dir=found_in,
        form="json",
        log_interval=10**6,
        console=Console(quiet=True),
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


def _make_features(folder: Path, clips: DemoClips, console: Console) -> None:
    """Describes the same videos by the trained TSN's frame features and their sound."""
    _title(f"features: the trained TSN at {RATE:g} frames a second, and log-mel sound", console)
    start = time.perf_counter()
    weights = load_weights(folder / "checkpoints" / "TSN_last.safetensors")
    settings = weights.experiment["INFER"]
    assert isinstance(settings, ClipSettings)
    model = weights.classifier.model
    assert isinstance(model, TSN)

    def frames_of(path: Path, indices: Int64Array) -> UInt8Array:
        resize = partial(resized_size, short_size=settings.short_size, rule=settings.resize)
        crop = Crop(settings.target_size)
        return read_clip(path, lambda n: np.minimum(indices, n - 1), resize=resize, crop=crop)

    def embed(frames: UInt8Array) -> np.ndarray:
        with torch.inference_mode():
            values = normalise_clips(
                torch.from_numpy(frames)[None], settings.image_mean, settings.image_std
            )
            return model.embed(values[0]).numpy()  # [n, D]

    described: dict[str, list[tuple[str, int, np.ndarray, np.ndarray]]] = {}
    for name, side in (("train", clips.train), ("test", clips.test)):
        described[name] = []
        for path, label in side:
            rgb, audio = frame_features(
                path,
                frame_count=FRAMES,
                frame_rate=FRAME_RATE,
                read_frames=frames_of,
                embed=embed,
            )
            described[name].append((f"{clips.names[label]}/{path.stem}", label, rgb, audio))
    of_rgb = Quantiser.fit(np.concatenate([rgb for _, _, rgb, _ in described["train"]]))
    of_audio = Quantiser.fit(np.concatenate([audio for *_, audio in described["train"]]))
    for name, videos in described.items():
        shards = write_shards(
            folder / "features",
            name,
            [DescribedVideo(v, (k,), of_rgb(rgb), of_audio(a)) for v, k, rgb, a in videos],
        )
        lines = "".join(f"{shard}\n" for shard in shards)
        write_text(folder / "features" / f"{name}.list", lines)
    rows = len(frame_indices(FRAMES, frame_rate=FRAME_RATE))
    console.print(
        f"{len(clips.train) + len(clips.test)} videos of {rows} frames in TFRecord shards,"
        f" {time.perf_counter() - start:.1f} s",
        highlight=False,
    )


def _name_one(folder: Path, clips: DemoClips, console: Console) -> None:
    # A clip whose class its frames alone do not tell.
    path, label = next((p, k) for p, k in clips.test if clips.names[k] == TWINS[0][0])
    weights = str(folder / "checkpoints" / "STNET_last.safetensors")
    _title(f"videozoo infer --weights {weights} '{path}'", console)
    experiment = load_weights(Path(weights)).experiment
    run_infer(
        experiment,
        weights,
        [str(path)],
        top_k=3,
        save_dir=folder / "results" / "one",
        form="json",
        log_interval=10**6,
        console=console,
    )
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
