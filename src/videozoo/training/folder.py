"""`videozoo train FOLDER --end-to-end`: split, model and schedule from the data alone.

What is decided is written into the save folder: the two lists, the class names and a config file,
so that the same training can be started again, or changed, by hand.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videozoo.config import Experiment, find_config, resolve
from videozoo.config.ini import Values, format_config, parse_overrides, read_config
from videozoo.errors import VideozooError, as_given
from videozoo.files import write_text
from videozoo.specs import find_spec
from videozoo.text import counted
from videozoo.training.folder_encoder import probes
from videozoo.training.split import Split, split_folder, written_values
from videozoo.zoo import archives, store


def choose_settings(split: Split, *, model: str, gpu: bool) -> Values:
    """Chooses frames, sizes and schedule for a data set.

    Args:
        split: the data set.
        model: STNET or TSN.
        gpu: whether there is one: larger frames are then affordable.

    Returns:
        Config sections.
    """
    infos = probes([e.path for e in split.train if e.path.suffix.lower() != ".pkl"])
    frames = int(np.median([info.frames for info in infos])) if infos else 35
    short = int(np.median([min(info.width, info.height) for info in infos])) if infos else 256
    number = len(split.train)
    seglen = 1 if model == "TSN" else 5 if frames >= 35 else 3 if frames >= 12 else 1
    seg_num = max(1, min(7, frames // seglen))
    target = 224 if gpu else 112
    while target > 32 and target > short:
        target -= 16
    batch = max(4, min(32, 2 ** int(np.log2(max(1, number / 10)))))
    epochs = int(np.clip(np.ceil(12_000 / max(1, number)), 8, 80))
    layers = 18 if number < 5000 else 50
    # A mirrored clip of something that moves left moves right.
    sided = [n for n in split.class_names if {"left", "right"} & set(_words(n))]
    both = {
        "num_classes": len(split.class_names),
        "format": "mp4",
        "seg_num": seg_num,
        "seglen": seglen,
        # The frames of a segment are spread over it: neighbours of a slow video are all alike.
        "frame_interval": max(1, frames // (seg_num * seglen)) if seglen > 1 else 1,
        "num_layers": layers,
        "short_size": target * 8 // 7,
        "target_size": target,
        "resize": "aspect",
    }
    train = {
        "epoch": epochs,
        "batch_size": batch,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "l2_weight_decay": 1e-4,
        "total_videos": "auto",
        "flip": not sided,
        "pretrain_base": resnet_at_hand(layers) or "none",
    }
    return {"MODEL": both, "TRAIN": train, "VALID": {"batch_size": batch},
            "TEST": {"batch_size": batch}, "INFER": {"batch_size": 1}}  # fmt: skip


def _words(name: str) -> list[str]:
    return name.lower().replace("_", " ").replace("-", " ").split()


def resnet_at_hand(layers: int) -> str | None:
    """Returns the name of an image ResNet that was fetched before: nothing is for this."""
    published = archives.find(f"resnet{layers}")
    return published.name if published is not None and store.pulled(published) else None


def prepare_folder(
    folder: Path,
    *,
    model_name: str | None,
    config: str | None,
    overrides: Sequence[str],
    flags: Mapping[tuple[str, str], tuple[Any, str]],
    group_by: str | None = None,
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
        group_by: what tells clips of one recording, see split_folder.
        save_dir: where to write.
        say: prints a line.

    Raises:
        VideozooError: the folder, the model or the config has faults.
    """
    keys = find_spec(model_name or "STNET").keys
    model = keys.NAME
    if keys.family != "clips":
        raise VideozooError(
            f"{model} takes rows of features, not frames; leave --end-to-end out, or give"
            " --model-name STNET or TSN"
        )
    typed = parse_overrides(overrides)
    seed = next((value for (_, key), value in typed.items() if key == "seed"), 0)
    split = split_folder(folder, seed=seed, group_by=group_by)
    if config is None:
        gpu = torch.cuda.is_available() and flags.get(("TRAIN", "use_gpu"), (True,))[0]
        values = choose_settings(split, model=model, gpu=bool(gpu))
    else:
        values = read_config(find_config(config, keys))
        values.setdefault("MODEL", {})["num_classes"] = len(split.class_names)
    for section, named in written_values(split, save_dir).items():
        values.setdefault(section, {}).update(named)
    # what is wrong with what was typed is told as such, and not of the file as well
    resolve(keys, values, source=model, overrides=typed, flags=flags)
    # What was typed goes into the file too, so that the file alone repeats the training.
    for (section, key), given in [*typed.items(), *((k, v) for k, (v, _) in flags.items())]:
        values.setdefault(section, {})[key] = given
    if ("TRAIN", "use_gpu") in flags:  # the test behind the training keeps to it too
        values["MODEL"]["use_gpu"] = flags["TRAIN", "use_gpu"][0]
    path = save_dir / f"{model}_config.txt"
    again = f"videozoo train --model-name {model} --config {shlex.quote(str(path))}"
    again += f" --save-dir {shlex.quote(str(save_dir))}"
    write_text(
        path, as_given(format_config(values, header=[f"Made from the videos in {folder}.", again]))
    )
    experiment = resolve(keys, values, source=str(path), overrides=typed, flags=flags)
    train = experiment["TRAIN"].model_dump()
    to_test = "" if split.test is None else f", {len(split.test)} to test"
    say(
        f"{len(split.class_names)} classes, {counted(len(split.train), 'video')} to train and"
        f" {len(split.valid)} to validate{to_test}"
    )
    for note in split.notes:
        say(note)
    say(
        f"{model} with ResNet-{train['num_layers']}, {train['seg_num']} x {train['seglen']} frames"
        f" of {train['target_size']} px, {counted(train['epoch'], 'epoch')}; config written to"
        f" {path}"
    )
    return experiment
