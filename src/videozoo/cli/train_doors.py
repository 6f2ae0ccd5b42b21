"""The inputs that a training opens before it begins: every fault of them is named."""

from __future__ import annotations

from pathlib import Path

import torch

from videozoo.cli import doors
from videozoo.cli.weights import pulled
from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.errors import Faults, VideozooError
from videozoo.predict.inputs import Classifier, build_classifier
from videozoo.predict.samples import Samples
from videozoo.predict.weights import eigenvalues_of
from videozoo.tasks.distill import Teacher, check_sibling, open_teachers
from videozoo.tasks.start import Fetch, Start, open_start
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights


def open_doors(
    experiment: Experiment, *, save_dir: Path, pretrain: str | None, resume: str | None
) -> tuple[Classifier, Samples, Samples | None, Start, list[Teacher]]:
    """Opens lists, eigenvalues, teachers and first weights.

    Args:
        experiment: the config.
        save_dir: where --resume auto looks.
        pretrain: what --pretrain gave.
        resume: what --resume gave.

    Returns:
        The classifier with its first weights, the samples to train and to validate on, what
        training starts from, and the models it learns from.

    Raises:
        VideozooError: lists every fault found.
    """
    faults = Faults()
    settings = experiment["TRAIN"]
    samples = valid = eigenvalues = None
    start = Start()
    teachers: list[Teacher] = []
    with faults.noting():
        samples = doors.open_list(experiment, "TRAIN", augment=True)
    with faults.noting():
        if experiment["VALID"].filelist is not None:
            names = samples.class_names if samples is not None else None
            valid = doors.open_list(experiment, "VALID", class_names=names)
    with faults.noting():
        eigenvalues = eigenvalues_of(settings)
    torch.manual_seed(settings.seed)
    classifier = build_classifier(settings, eigenvalues)

    def fetch(published: VideoWeights | ImageResNet, instead: str) -> Path:
        faults.raise_if_any()  # what is wrong already must not show after a long transfer
        return pulled(published, instead)

    with faults.noting():
        teachers = _open_teachers(settings, samples, fetch)
    with faults.noting():
        start = open_start(
            classifier,
            experiment,
            pretrain=pretrain,
            resume=resume,
            save_dir=save_dir,
            fetch=fetch,
        )
    faults.raise_if_any()
    assert samples is not None
    return classifier, samples, valid, start, teachers


def _open_teachers(settings: Settings, samples: Samples | None, fetch: Fetch) -> list[Teacher]:
    """Loads the models that distill_from names: paths, or names of the zoo."""

    def locate(name: str) -> Path:
        published, where = archives.find(name), f"distill_from {name}"
        if published is None:
            return Path(name)
        if isinstance(published, ImageResNet):
            raise VideozooError(f"{where}: is an image ResNet; a teacher must take features")
        check_sibling(published.experiment()["INFER"], settings, where)
        return fetch(published, "")

    return open_teachers(
        settings, samples.class_names if samples is not None else None, locate=locate
    )
