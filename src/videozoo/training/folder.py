"""`videozoo train FOLDER`: split, model and schedule from the data alone.

What is decided is written into the save folder: the two lists, the class names and a config file,
so that the same training can be started again, or changed, by hand.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videozoo.config import Experiment, find_config, resolve
from videozoo.config.ini import Values, format_config, parse_overrides, read_config
from videozoo.data.clips.clip_list import ClipEntry, read_listing
from videozoo.errors import SampleError, VideozooError
from videozoo.families import FAMILIES
from videozoo.files import sha256_of, write_text
from videozoo.specs import find_spec
from videozoo.video.reader import probe_video

VALID_SHARE = 0.2
TRAIN_NAMES = ("train", "training")
VALID_NAMES = ("val", "valid", "validation", "test", "testing")
PROBES = 20
SPLIT_STREAM = 1


@dataclass(frozen=True)
class Split:
    """The two sides of a data set, and the class names that both labels mean."""

    train: list[ClipEntry]
    valid: list[ClipEntry]
    class_names: list[str]
    note: str


def split_folder(folder: Path, *, seed: int) -> Split:
    """Splits a folder of class folders; one that has train/ and val/ is taken as it is.

    Args:
        folder: with one sub-folder a class, or with two such folders.
        seed: decides the split.

    Raises:
        VideozooError: the folder is missing or has fewer than two classes.
    """
    if not folder.is_dir():
        raise VideozooError(f"{folder}: no such folder; give a folder with one sub-folder a class")
    inside = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    train = next((inside[name] for name in TRAIN_NAMES if name in inside), None)
    valid = next((inside[name] for name in VALID_NAMES if name in inside), None)
    if train is not None and valid is not None:
        listing = read_listing(train)
        names = _class_names(listing.class_names, train)
        other = read_listing(valid, class_names=names)
        note = f"split as the folders are: {train.name}/ and {valid.name}/"
        return Split(listing.entries, other.entries, names, note)
    listing = read_listing(folder)
    names = _class_names(listing.class_names, folder)
    train_side, valid_side = stratified_split(listing.entries, seed=seed)
    if not valid_side:
        raise VideozooError(
            f"{folder}: every class has a single distinct video, so none is left to validate on;"
            " add videos, two a class at the least"
        )
    note = f"split by class, about {VALID_SHARE:.0%} to validate, identical files on one side"
    return Split(train_side, valid_side, names, note)


def _class_names(names: list[str] | None, folder: Path) -> list[str]:
    if names is None or len(names) < 2:
        found = f"only {names[0]}" if names else "none"
        raise VideozooError(
            f"{folder}: needs one sub-folder of videos a class, two at the least; found {found}"
        )
    return names


def stratified_split(
    entries: Sequence[ClipEntry], *, seed: int, share: float = VALID_SHARE
) -> tuple[list[ClipEntry], list[ClipEntry]]:
    """Splits entries class by class; files with the same content stay on one side.

    Args:
        entries: labelled videos.
        seed: decides the split, together with the contents' order in the list.
        share: of each class that goes to validation; at least one distinct video where there are
            two, and never all.

    Returns:
        Training and validation entries, each in the order of `entries`.
    """
    keys = content_keys([entry.path for entry in entries])
    label_of: dict[str, int] = {}
    size: dict[str, int] = defaultdict(int)
    for entry, key in zip(entries, keys, strict=True):
        # A content that stands under several classes counts for the first: it has one side.
        label_of.setdefault(key, entry.labels[0] if entry.labels else -1)
        size[key] += 1
    by_label: dict[int, list[str]] = defaultdict(list)
    for key, label in label_of.items():
        by_label[label].append(key)
    rng = np.random.default_rng([seed, SPLIT_STREAM])
    chosen: set[str] = set()
    for label in sorted(by_label):
        contents = by_label[label]
        wanted = share * sum(size[key] for key in contents)
        order = [contents[i] for i in rng.permutation(len(contents))]
        taken = 0
        for key in order[: len(order) - 1]:
            if taken and taken + size[key] > wanted + 0.5:
                continue
            chosen.add(key)
            taken += size[key]
            if taken >= wanted:
                break
    train = [e for e, key in zip(entries, keys, strict=True) if key not in chosen]
    valid = [e for e, key in zip(entries, keys, strict=True) if key in chosen]
    return train, valid


def content_keys(paths: Sequence[Path]) -> list[str]:
    """Returns a key for each file; equal where two files have the same content.

    Only files of equal size are read.
    """
    sizes = [path.stat().st_size if path.is_file() else -1 for path in paths]
    counts: dict[int, int] = defaultdict(int)
    for size in sizes:
        counts[size] += 1
    keys = []
    for path, size in zip(paths, sizes, strict=True):
        if size < 0 or counts[size] == 1:
            keys.append(f"path {path}")
            continue
        keys.append(f"sha256 {sha256_of(path)}")
    return keys


def choose_settings(split: Split, *, model: str, gpu: bool) -> Values:
    """Chooses frames, sizes and schedule for a data set.

    Args:
        split: the data set.
        model: STNET or TSN.
        gpu: whether there is one: larger frames are then affordable.

    Returns:
        Config sections.
    """
    frames, short = _probe([e.path for e in split.train])
    number = len(split.train)
    seglen = 1 if model == "TSN" else 5 if frames >= 35 else 3 if frames >= 12 else 1
    seg_num = max(1, min(7, frames // seglen))
    target = 224 if gpu else 112
    while target > 32 and target > short:
        target -= 16
    batch = max(4, min(32, 2 ** int(np.log2(max(1, number / 10)))))
    epochs = int(np.clip(np.ceil(12_000 / max(1, number)), 8, 80))
    # A mirrored clip of something that moves left moves right.
    sided = [n for n in split.class_names if {"left", "right"} & set(_words(n))]
    both = {
        "num_classes": len(split.class_names),
        "format": "mp4",
        "seg_num": seg_num,
        "seglen": seglen,
        "num_layers": 18 if number < 5000 else 50,
        "short_size": target * 8 // 7,
        "target_size": target,
        "resize": "aspect",
    }
    train = {
        "epoch": epochs,
        "batch_size": batch,
        "learning_rate": 0.01,
        "l2_weight_decay": 1e-4,
        "total_videos": "auto",
        "flip": not sided,
        "pretrain_base": "none",  # nothing is fetched that nobody asked for
    }
    return {"MODEL": both, "TRAIN": train, "VALID": {"batch_size": batch},
            "TEST": {"batch_size": batch}, "INFER": {"batch_size": 1}}  # fmt: skip


def _words(name: str) -> list[str]:
    return name.lower().replace("_", " ").replace("-", " ").split()


def _probe(paths: Sequence[Path]) -> tuple[int, int]:
    """Returns the median of frames and of the short side, of a few videos."""
    frames, sides = [], []
    for path in paths[:: max(1, len(paths) // PROBES)]:
        if path.suffix.lower() == ".pkl":
            continue
        try:
            info = probe_video(path)
        except SampleError:
            continue  # training counts and names it
        frames.append(info.frames)
        sides.append(min(info.width, info.height))
    if not frames:
        return 35, 256
    return int(np.median(frames)), int(np.median(sides))


def _write_lists(split: Split, save_dir: Path, values: Values) -> None:
    """Writes both lists and the class names, and names them in the config's values."""
    for mode, entries in (("TRAIN", split.train), ("VALID", split.valid), ("TEST", split.valid)):
        path = save_dir / f"{'train' if mode == 'TRAIN' else 'val'}.list"
        listed = [(entry.path.resolve(), *(entry.labels or ())) for entry in entries]
        lines = "".join(f"{path} {label}\n" for path, label in listed)
        write_text(path, lines)
        values.setdefault(mode, {})["filelist"] = str(path)
    labels = save_dir / "labels.txt"
    write_text(labels, "".join(f"{name}\n" for name in split.class_names))
    values["MODEL"]["label_file"] = str(labels)


def prepare_folder(
    folder: Path,
    *,
    model_name: str | None,
    config: str | None,
    overrides: Sequence[str],
    flags: Mapping[tuple[str, str], tuple[Any, str]],
    save_dir: Path,
    say: Callable[[str], None],
) -> Experiment:
    """Writes lists, class names and a config for a folder of videos; returns the experiment.

    Args:
        folder: see split_folder.
        model_name: None: StNet, which sees what is in a clip and in which order.
        config: a config to start from; None: chosen from the data.
        overrides: what --set gave.
        flags: what other flags gave.
        save_dir: where to write.
        say: prints a line.

    Raises:
        VideozooError: the folder, the model or the config has faults.
    """
    keys = find_spec(model_name or "STNET").keys
    model = keys.NAME
    if not FAMILIES[keys.family].takes_videos:
        raise VideozooError(f"{model} takes YouTube-8M features, not videos; TSN and STNET do")
    typed = parse_overrides(overrides)
    seed = next((value for (_, key), value in typed.items() if key == "seed"), 0)
    split = split_folder(folder, seed=seed)
    if config is None:
        gpu = torch.cuda.is_available() and flags.get(("TRAIN", "use_gpu"), (True,))[0]
        values = choose_settings(split, model=model, gpu=bool(gpu))
    else:
        values = read_config(find_config(config, keys))
        values.setdefault("MODEL", {})["num_classes"] = len(split.class_names)
    _write_lists(split, save_dir, values)
    # What was typed goes into the file too, so that the file alone repeats the training.
    for (section, key), given in [*typed.items(), *((k, v) for k, (v, _) in flags.items())]:
        values.setdefault(section, {})[key] = given
    if ("TRAIN", "use_gpu") in flags:  # the test behind the training keeps to it too
        values["MODEL"]["use_gpu"] = flags["TRAIN", "use_gpu"][0]
    path = save_dir / f"{model}_config.txt"
    again = f"videozoo train --model-name {model} --config {shlex.quote(str(path))}"
    again += f" --save-dir {shlex.quote(str(save_dir))}"
    write_text(path, format_config(values, header=[f"Made from the videos in {folder}.", again]))
    experiment = resolve(keys, values, source=str(path), overrides=typed, flags=flags)
    train = experiment["TRAIN"].model_dump()
    say(
        f"{len(split.class_names)} classes, {len(split.train)} videos to train and"
        f" {len(split.valid)} to validate ({split.note})"
    )
    say(
        f"{model} with ResNet-{train['num_layers']}, {train['seg_num']} x {train['seglen']} frames"
        f" of {train['target_size']} px, {train['epoch']} epochs; config written to {path}"
    )
    return experiment
