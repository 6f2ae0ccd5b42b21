"""What a run needs, what it reads when, and what its schedule counts by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from rich.console import Console
from torch.utils.data import DataLoader

from videozoo.config import Experiment
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.data.augment import DevicePolicy
from videozoo.data.batches import Batch
from videozoo.data.loader import SampleSource, Stop, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.predict.evaluate import Evaluation
from videozoo.predict.inputs import Classifier
from videozoo.specs.nextvlad import NeXtVLADSettings
from videozoo.tasks.distill import Teacher
from videozoo.tasks.state import Position, TrainingState


@dataclass
class Run:
    """What a training run needs.

    Attributes:
        experiment: the config.
        classifier: with its first weights.
        train: the training samples.
        valid: the validation samples; None: no validation.
        labels: class names, for the checkpoints.
        save_dir: folder of checkpoints and curves.
        resume: the state to go on from; None: from the beginning.
        valid_interval, save_interval: epochs between two validations, two checkpoints that stay.
        log_interval: steps between two lines.
        devices, nodes: GPUs (or CPU processes) of each machine, machines.
        use_gpu: train on GPUs.
        console: where to write.
        teachers: whose scores are learnt beside the labels.
    """

    experiment: Experiment
    classifier: Classifier
    train: SampleSource
    valid: SampleSource | None
    labels: list[str] | None
    save_dir: Path
    resume: TrainingState | None = None
    valid_interval: int = 1
    save_interval: int = 1
    log_interval: int = 10
    devices: int = 1
    nodes: int = 1
    use_gpu: bool = False
    console: Console | None = None
    teachers: list[Teacher] = field(default_factory=list)


@dataclass
class Trained:
    """What a run left: its checkpoints, the last validation, and how it went."""

    last: Path
    best: Path | None
    evaluation: Evaluation | None
    unreadable: dict[int, tuple[str, str]]
    videos_per_second: float
    waiting_for_data: float


def schedule_videos(settings: Settings, listed: int) -> tuple[int, str | None]:
    """Returns the videos that the learning-rate schedule counts by, and a warning or None.

    Args:
        settings: of TRAIN.
        listed: samples in the training list.
    """
    key = settings.VIDEOS_KEY
    value = getattr(settings, key) if key is not None else None
    if not isinstance(value, int):
        return listed, None
    if abs(value - listed) > 0.1 * listed and settings.schedule is None:
        return value, (
            f"{key} is {value}, but the training list has {listed} samples: the learning"
            f" rate follows {key} as written; --set TRAIN.{key}=auto counts the list"
        )
    return value, None


def not_applied(experiment: Experiment) -> list[str]:
    """Returns what is to be said of keys that are given and have no effect."""
    settings, origins = experiment["TRAIN"], experiment.origins["TRAIN"]
    said = []
    clips = not isinstance(settings, NeXtVLADSettings) or settings.clip_gradients
    if not clips and not origins["gradient_clip_norm"].is_default:
        said.append(
            "gradient_clip_norm is not applied, as in the original; --set"
            " TRAIN.clip_gradients=True applies it, as in the paper"
        )
    alone = isinstance(settings, FeatureSettings) and settings.distill_from is None
    if alone and _is_given(experiment, "TRAIN", "distill_weight"):
        said.append("distill_weight is not applied: distill_from names no models")
    training = settings.keys_of("training")
    said += [
        f"{key} of [{mode}] is not applied: give it in [TRAIN]"
        for mode in MODES
        for key, value in experiment[mode]
        if key in training and value != getattr(settings, key)
        if _is_given(experiment, mode, key, in_model=False)
    ]
    return said


def _is_given(experiment: Experiment, mode: str, key: str, *, in_model: bool = True) -> bool:
    """Tells whether a key has another value than its default; with `in_model`, also by [MODEL]."""
    settings, origin = experiment[mode], experiment.origins[mode][key]
    if getattr(settings, key) == type(settings).model_fields[key].default:
        return False
    return in_model or origin.section == mode


def chunk_size(settings: Settings, *, processes: int) -> int:
    """Returns how many samples a process takes through the model at once.

    Args:
        settings: of TRAIN.
        processes: devices in use; more than num_gpus share the batch among them.
    """
    return settings.micro_batch or -(-settings.batch_size // max(settings.num_gpus, processes))


def fingerprint(settings: Settings, source: SampleSource, *, processes: int) -> dict[str, Any]:
    """Returns what must be the same for a resumed run to be exact.

    Args:
        settings: of TRAIN.
        source: the training samples.
        processes: of the run.
    """
    names = hashlib.sha256()
    for index in range(0, len(source), max(1, len(source) // 1000)):
        names.update(source.name(index).encode("utf-8", "surrogateescape") + b"\0")
    return {
        "samples": len(source),
        "names": names.hexdigest()[:16],
        "batch_size": settings.batch_size,
        "chunk_size": chunk_size(settings, processes=processes),
        "seed": settings.seed,
        "settings": settings.model_dump(exclude=set(settings.keys_of("free"))),
    }


def changes_since(
    theirs: Mapping[str, Any], mine: Mapping[str, Any], settings: Settings
) -> dict[str, tuple[Any, Any]]:
    """Compares two fingerprints: what was saved, what holds now.

    Args:
        theirs: of the checkpoint.
        mine: of the run that resumes it.
        settings: of TRAIN; a key that the checkpoint does not know yet had its default.

    Returns:
        Both values of every key that differs.
    """
    fields = type(settings).model_fields
    now = mine["settings"]
    before = {key: fields[key].default for key in now} | theirs.get("settings", {})
    changes = {key: (theirs.get(key), mine[key]) for key in mine if key != "settings"}
    changes |= {key: (before.get(key), now.get(key)) for key in {**before, **now}}
    if None in changes["schedule"]:
        del changes["epoch"]  # a model's own schedule may change its length, a cosine may not
    return {key: pair for key, pair in changes.items() if pair[0] != pair[1]}


class TrainData(L.LightningDataModule):
    """The training loader; built when the number of processes is known.

    Args:
        source: the training samples.
        settings: of TRAIN.
        position: where the first epoch begins.
        pin_memory: see make_loader.
        policy: see make_loader.
        classes: of each sample, to be drawn equally often; None: the list is shuffled.
    """

    def __init__(
        self,
        source: SampleSource,
        settings: Settings,
        position: Position,
        *,
        pin_memory: bool,
        policy: DevicePolicy | None = None,
        classes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.settings = settings
        self.position = position
        self.pin_memory = pin_memory
        self.policy = policy
        self.classes = classes

    def train_dataloader(self) -> DataLoader[Batch | Stop]:
        """Returns the loader of this process's chunks."""
        settings = self.settings
        assert self.trainer is not None
        world = self.trainer.world_size
        sampler = StepSampler(
            len(self.source),
            batch_size=settings.batch_size,
            chunk_size=chunk_size(settings, processes=world),
            shuffle=True,
            seed=settings.seed,
            rank=self.trainer.global_rank,
            world=world,
            groups=getattr(self.source, "read_groups", None),
            classes=self.classes,
        )
        sampler.resume_at(self.position.epoch, self.position.step)
        return make_loader(
            self.source,
            sampler,
            training=True,
            num_workers=settings.num_workers,
            seed=settings.seed,
            policy=self.policy,
            pin_memory=self.pin_memory,
        )
