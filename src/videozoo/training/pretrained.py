"""`videozoo train FOLDER`: a pretrained encoder describes the videos, a small head learns of that.

Frames are encoded once; what is trained sees rows of features alone, so it takes seconds. Which
head, and how strongly it is held back, is chosen by cross-validation on the training side.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from videozoo.calibration import Calibration, fit_temperature, fit_thresholds
from videozoo.classifier import Classifier, save_weights
from videozoo.config import Experiment, load_experiment, resolve
from videozoo.config.ini import format_config, parse_overrides
from videozoo.config.keys import MAX_BAD
from videozoo.distributed import choose_device
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.find import DEFAULT
from videozoo.encoders.recipe import Recipe
from videozoo.errors import SampleError, VideozooError, as_given, did_you_mean
from videozoo.families import family_of
from videozoo.files import make_folder, write_text
from videozoo.specs import find_spec
from videozoo.text import counted
from videozoo.training.folder_encoder import FolderEncoder, Say
from videozoo.training.head_trials import LINEAR, HeadScore
from videozoo.training.heads import HEADS, HeadChoice, choose_head
from videozoo.training.loop import Trained
from videozoo.training.save_folder import FOLDER, one_training
from videozoo.training.saving import checkpoint_path
from videozoo.training.split import Split, split_folder, written_values
from videozoo.training.unreadable import FEW, few_to_validate

BATCH = 32  # videos that are scored together
ENOUGH = 10  # videos to fit a calibration on
SECONDS = 45.0  # for a first fold of each head beside LINEAR
KEYS = (
    "seed", "use_gpu", "rows_per_second", "max_rows", "spread_rows", "sound", "motion",
    "cache_rows", "max_bad",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What can be asked of a training on a folder of videos.

    Attributes:
        encoder: what describes frames.
        heads: the models that may learn, of heads.HEADS.
        group_by: what tells clips of one recording, see split.split_folder.
        keys: config keys that were typed, of KEYS.
        options: that say the same.
    """

    encoder: str
    heads: tuple[str, ...]
    group_by: str | None
    keys: dict[str, Any]
    options: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        encoder: str | None,
        head: str | None,
        group_by: str | None,
        cache: bool,
        overrides: Sequence[str],
        given: Mapping[str, Any],
    ) -> Asked:
        """Reads what was typed; `given` are the keys that have options of their own.

        Raises:
            VideozooError: there is no such head, or a key is not read here.
        """
        typed = parse_overrides(overrides)
        keys = {key: value for (_, key), value in typed.items()}
        for section, key in typed:
            if section not in ("MODEL", "TRAIN"):
                raise VideozooError(
                    f"--set {section}.{key}: all modes of train FOLDER see videos alike; take"
                    f" TRAIN.{key}"
                )
        for key in keys.keys() - set(KEYS):
            raise VideozooError(
                f"--set {key}: only train FOLDER --end-to-end, or a training from a config, reads"
                f" this; without it these are read: {', '.join(KEYS)}"
            )
        settings = load_experiment(find_spec(LINEAR).keys, None, overrides=overrides)["TRAIN"]
        keys = {key: getattr(settings, key) for key in keys}
        keys |= given
        if not cache:
            keys["cache_rows"] = False
        named = HEADS
        if head is not None:
            named = tuple(known for known in HEADS if known.lower() == head.lower())
            if not named:
                near = did_you_mean(head, HEADS)
                raise VideozooError(f"--head {head}: is none of {', '.join(HEADS)}{near}")
        options = ["--encoder", encoder or DEFAULT]
        options += [] if group_by is None else ["--group-by", group_by]
        options += [f"--set=TRAIN.{key}={value}" for key, value in sorted(keys.items())]
        return cls(encoder or DEFAULT, named, group_by, keys, tuple(options))


def train_on_rows(folder: Path, asked: Asked, *, save_dir: Path, console: Console) -> Trained:
    """Trains a head on the rows of a folder's videos; writes it, its lists and its config.

    Args:
        folder: see split.split_folder.
        asked: what was asked for.
        save_dir: where to write.
        console: where to print.

    Raises:
        VideozooError: the folder has faults, no video can be read, or there is no such encoder.
    """

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    device = choose_device(asked.keys.get("use_gpu", True), say)
    make_folder(save_dir)
    with one_training(save_dir, FOLDER):
        return _train_on_rows(folder, asked, save_dir, device, console, say)


def _train_on_rows(
    folder: Path,
    asked: Asked,
    save_dir: Path,
    device: torch.device,
    console: Console,
    say: Say,
) -> Trained:
    seed = asked.keys.get("seed", 0)
    encoder = FolderEncoder(asked.encoder, device, console, say, asked.keys)
    split = split_folder(folder, seed=seed, group_by=asked.group_by, rows_of=encoder)
    say(f"{counted(len(split.train), 'video')} to train and {len(split.valid)} to validate")
    for note in split.notes:
        say(note)
    encoder.check_readable(asked.keys.get("max_bad", MAX_BAD))
    if len(split.valid) < FEW:
        say(few_to_validate(len(split.valid)))
    train = encoder.part(split.train)
    train.fit_scale()
    choice, unreadable, damaged = _choose(train, split, asked, seed=seed, device=device, say=say)
    experiment = _experiment(choice, split, train.recipe, asked, folder=folder, save_dir=save_dir)
    classifier = Classifier(
        inputs=family_of(experiment["INFER"]).inputs(),
        model=choice.module,
        multi_label=experiment["INFER"].multi_label,
        calibration=calibration_of(choice, experiment["INFER"].multi_label),
    )
    classifier.recipe = train.recipe
    path = checkpoint_path(save_dir, experiment.model, "best")
    save_weights(path, classifier, experiment, split.class_names)
    return Trained(path, path, None, unreadable, damaged, 0.0, 0.0)


def _choose(
    train: EncodedVideos, split: Split, asked: Asked, *, seed: int, device: torch.device, say: Say
) -> tuple[HeadChoice, dict[int, tuple[str, str]], dict[int, tuple[str, str]]]:
    """Chooses a head on the training side.

    Returns:
        The head, and name and reason, by index, of the videos that cannot be read, and of those
        that are damaged.
    """
    videos: list[tuple[Tensor, ...]] = []
    readable: list[int] = []
    unreadable: dict[int, tuple[str, str]] = {}
    damaged: dict[int, tuple[str, str]] = {}
    for index in range(len(train)):
        try:
            sample = train.read(index)
        except SampleError as error:
            unreadable[index] = (train.name(index), str(error))
            continue
        readable.append(index)
        videos.append(tuple(map(torch.from_numpy, sample.features)))
        if sample.damage is not None:
            damaged[index] = (train.name(index), sample.damage)
    _check_readable(train, readable, split.class_names, say)
    say(f"heads by cross-validation of the {len(videos)} training videos (macro F1):")
    units = split.units(split.train)
    choice = choose_head(
        videos,
        [train.classes(index) for index in readable],
        groups=[units[index] for index in readable],
        feature_names=train.feature_names,
        num_classes=len(split.class_names),
        multi_label=is_multi_label(split),
        heads=asked.heads,
        seed=seed,
        seconds=SECONDS,
        device=device,
        report=lambda score: say(f"  {score_line(score)}"),
    )
    say(f"{choice.model} is taken, and trained on all of them")
    return choice, unreadable, damaged


def _check_readable(
    train: EncodedVideos, readable: Sequence[int], names: Sequence[str], say: Say
) -> None:
    """Warns of classes of which no training video can be read.

    Raises:
        VideozooError: fewer than two are left.
    """
    seen = {label for index in readable for label in train.classes(index)}
    missing = [name for label, name in enumerate(names) if label not in seen]
    if len(seen) < 2:
        raise VideozooError(
            f"no training video of {', '.join(missing)} can be read, so there is nothing to tell"
            " apart; videozoo scan FOLDER lists the reasons"
        )
    if missing:
        say(f"warning: no training video of {', '.join(missing)} can be read")


def score_line(score: HeadScore) -> str:
    """Returns what cross-validation found of a head, as a line."""
    if not score.folds:
        return f"{score.model:<17} {score.note}"
    of = f"{score.folds} fold{'s' * (score.folds > 1)}, {score.seconds:.1f} s"
    note = f"; {score.note}" if score.note else ""
    return f"{score.model:<17} {score.macro_f1:.3f} +- {score.deviation:.3f}  ({of}{note})"


def is_multi_label(split: Split) -> bool:
    """Says whether videos of a data set have many classes, or none."""
    return any(len(e.labels or ()) != 1 for entries in split.sides.values() for e in entries)


def calibration_of(choice: HeadChoice, multi_label: bool) -> Calibration:
    """Fits the calibration on what each training video was given by models that did not see it.

    Of fewer than ENOUGH videos nothing is known.
    """
    logits = choice.out_of_fold
    if len(logits) < ENOUGH:
        return Calibration()
    if not multi_label:
        return Calibration(fit_temperature(logits, torch.tensor([own[0] for own in choice.labels])))
    labels = torch.zeros(logits.shape, dtype=torch.bool)
    for row, own in zip(labels, choice.labels, strict=True):
        row[list(own)] = True
    temperature = fit_temperature(logits, labels)
    return Calibration(temperature, fit_thresholds((logits / temperature).sigmoid(), labels))


def _experiment(
    choice: HeadChoice,
    split: Split,
    recipe: Recipe,
    asked: Asked,
    *,
    folder: Path,
    save_dir: Path,
) -> Experiment:
    """Writes lists, class names and config; returns what the config says."""
    values = written_values(split, save_dir)
    sampling = recipe.sampling
    both = {
        **choice.settings,
        "encoder": asked.encoder,
        "rows_per_second": sampling.rate,
        "max_rows": sampling.most,
        "spread_rows": sampling.spread,
        "sound": sampling.sound,
        "motion": sampling.motion,
        "cache_rows": asked.keys.get("cache_rows", True),
        "multi_label": is_multi_label(split),
        "use_gpu": asked.keys.get("use_gpu", True),
        "batch_size": BATCH,
    }
    values["TRAIN"]["seed"] = asked.keys.get("seed", 0)
    values = {**values, "MODEL": both | values["MODEL"]}
    keys = find_spec(choice.model).keys
    path = save_dir / f"{keys.NAME}_config.txt"
    again = ["videozoo", "train", str(folder), "--head", keys.NAME, *asked.options]
    header = [
        f"Made from the videos in {folder}.",
        shlex.join([*again, "--save-dir", str(save_dir)]),
    ]
    write_text(path, as_given(format_config(values, header=header)))
    return resolve(keys, values, source=str(path))
