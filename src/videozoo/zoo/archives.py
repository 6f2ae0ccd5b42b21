"""The published weights: what they are, and the addresses they can be fetched from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videozoo.config import Experiment, load_experiment
from videozoo.config.keys import Settings
from videozoo.errors import VideozooError
from videozoo.specs import SPECS, find_spec

MIRROR_VARIABLE = "VIDEOZOO_ZOO_MIRROR"
_HOST = "https://paddlemodels.bj.bcebos.com"
_LATER = f"{_HOST}/video_classification"
_FIRST = f"{_HOST}/video_clasification"  # as the first table of the original spelled it
_TORCHVISION = "https://download.pytorch.org/models"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file of weights that somebody published.

    Attributes:
        name: what it is called on the command line.
        file: what it is called at its addresses, as a rule.
        addresses: tried in turn.
        data: what it was trained on.
        scores: what was published of it.
        sha256: what its SHA-256 begins with, where that was published.
    """

    name: str
    file: str
    addresses: tuple[str, ...]
    data: str
    scores: str
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class VideoWeights(Published):
    """Weights of one of the five models, as the original library published them.

    Attributes:
        model: as in videozoo.specs.SPECS.
        protocol: how the published scores were measured.
        batch_size: over all devices, in the training.
        hardware: of the training.
        cuda, cudnn: versions.
        labels: whose classes they are: "kinetics400", "youtube8m", or "" where nobody knows.
        config: the config file that they fit; None: the one that comes with the model.
    """

    model: str
    protocol: str = ""
    batch_size: int | None = None
    hardware: str = ""
    cuda: str = ""
    cudnn: str = ""
    labels: str = ""
    config: str | None = None

    def experiment(self) -> Experiment:
        """Returns the config that they fit."""
        return load_experiment(find_spec(self.model).keys, self.config)

    @property
    def config_name(self) -> str:
        """The config file, as the command line takes it."""
        return self.config or f"configs/{SPECS[self.model].config}"


@dataclass(frozen=True, kw_only=True)
class ImageResNet(Published):
    """A ResNet trained on images, to start TSN or StNet from.

    Attributes:
        num_layers: 18, 34, 50, 101 or 152.
    """

    num_layers: int


def _original(
    name: str, model: str, *, first: str | None, labels: str, **facts: Any
) -> VideoWeights:
    """Returns weights of the original library; `first`: what its first table called the file."""
    addresses = [f"{_LATER}/{name}.tar.gz"] + ([f"{_FIRST}/{first}.tar.gz"] if first else [])
    data = {"youtube8m": "YouTube-8M", "kinetics400": "Kinetics-400"}[labels]
    return VideoWeights(
        name=name, model=model, file=f"{name}.tar.gz", addresses=tuple(addresses), data=data,
        labels=labels, cuda="8.0", **facts,
    )  # fmt: skip


_YOUTUBE8M = "on its validation list"

WEIGHTS = (
    _original(
        "attention_cluster_youtube8m", "AttentionCluster", first="attention_cluster_youtube8m",
        labels="youtube8m", scores="GAP 0.84, Hit@1 0.87, PERR 0.78", protocol=_YOUTUBE8M,
        batch_size=2048, hardware="8 P40", cudnn="7.1",
    ),
    _original(
        "attention_lstm_youtube8m", "AttentionLSTM", first="attention_lstm_youtube8m",
        labels="youtube8m", scores="GAP 0.8594, Hit@1 0.8885, PERR 0.8012", protocol=_YOUTUBE8M,
        batch_size=1024, hardware="8 P40", cudnn="7.1",
    ),
    _original(  # the first table's address was that of AttentionCluster's archive
        "nextvlad_youtube8m", "NEXTVLAD", first=None,
        labels="youtube8m", scores="GAP 0.8709, Hit@1 0.8960, PERR 0.8132", protocol=_YOUTUBE8M,
        batch_size=160, hardware="4 P40", cudnn="7.1",
    ),
    _original(
        "stnet_kinetics", "STNET", first="stnet_kientics", labels="kinetics400",
        scores="top-1 0.69", protocol="25 segments of 5 frames, 256 px centre crop",
        batch_size=128, hardware="8 P40", cudnn="5.1",
    ),
    _original(
        "tsn_kinetics", "TSN", first="tsn_kientics", labels="kinetics400",
        scores="top-1 0.67 (0.66)", protocol="7 (3) segments, 224 px centre crop",
        batch_size=256, hardware="8 P40", cudnn="7.1",
    ),
)  # fmt: skip

# torchvision's current weights of each depth; the file names end in the SHA-256's beginning.
RESNETS = (
    ImageResNet(
        name="ResNet50_pretrained", num_layers=50, file="ResNet50_pretrained.tar.gz",
        addresses=(f"{_LATER}/ResNet50_pretrained.tar.gz",),
        data="ImageNet", scores="",
    ),
    *(
        ImageResNet(
            name=f"resnet{num_layers}", num_layers=num_layers,
            file=f"resnet{num_layers}-{digest}.pth",
            addresses=(f"{_TORCHVISION}/resnet{num_layers}-{digest}.pth",),
            data="ImageNet-1k", scores=f"top-1 {top1}", sha256=digest,
        )
        for num_layers, digest, top1 in (
            (18, "f37072fd", "0.698"),
            (34, "b627a593", "0.733"),
            (50, "11ad3fa6", "0.809"),
            (101, "cd907fc2", "0.819"),
            (152, "f82ba261", "0.823"),
        )
    ),
)  # fmt: skip

VOCABULARY = Published(
    name="youtube8m_vocabulary", file="vocabulary.csv",
    addresses=("https://research.google.com/youtube8m/csv/2/vocabulary.csv",),
    data="YouTube-8M", scores="",
)  # fmt: skip


def names() -> list[str]:
    """Returns the names of all published weights."""
    return [published.name for published in (*WEIGHTS, *RESNETS)]


def named(name: str) -> VideoWeights | ImageResNet | None:
    """Returns the published weights of a name, in any case; None: there are none.

    A model's name means its weights.
    """
    everything: tuple[VideoWeights | ImageResNet, ...] = (*WEIGHTS, *RESNETS)
    for published in everything:
        if name.lower() == published.name.lower():
            return published
    return next((w for w in WEIGHTS if name.lower() == w.model.lower()), None)


def find(name: str | os.PathLike[str] | None) -> VideoWeights | ImageResNet | None:
    """Returns the published weights that are meant where a path would do too.

    Returns:
        None: it is a path. A file or folder of that name wins.
    """
    return named(name) if isinstance(name, str) and not Path(name).exists() else None


def published_of(model: str) -> VideoWeights | None:
    """Returns the published weights of a model; None: there are none."""
    return next((weights for weights in WEIGHTS if weights.model == model), None)


def of_model(model: str) -> VideoWeights:
    """Returns the published weights of a model.

    Raises:
        VideozooError: none were published.
    """
    weights = published_of(model)
    if weights is not None:
        return weights
    raise VideozooError(f"no weights of {model} are given, and none were published; give --weights")


def addresses(published: Published) -> tuple[str, ...]:
    """Returns where a file can be fetched: from the mirrors where any are named, else at home.

    VIDEOZOO_ZOO_MIRROR holds addresses of folders, divided by spaces.
    """
    mirrors = os.environ.get(MIRROR_VARIABLE, "").split()
    if mirrors:
        return tuple(f"{mirror.rstrip('/')}/{published.file}" for mirror in mirrors)
    return published.addresses


def check_weights(
    published: VideoWeights | ImageResNet, experiment: Experiment, *, given: bool = True
) -> None:
    """Checks, before anything is fetched, that published weights fit a config.

    Args:
        published: the weights.
        experiment: the config.
        given: whether they were asked for; else they are what is left when nothing is given.

    Raises:
        VideozooError: they are of another model, or of other sizes; all are named.
    """
    if isinstance(published, ImageResNet):
        raise no_video_model(published)
    if published.model != experiment.model:
        raise VideozooError(
            f"{published.name}: holds weights of {published.model}, not of {experiment.model}"
        )
    sizes = _other_sizes(published, experiment["INFER"], but=("drop_rate",))
    if not sizes:
        return
    if given:
        raise VideozooError(f"{published.name}: does not fit {experiment.source}: {sizes}")
    raise VideozooError(
        f"no weights of {experiment.model} are given, and the published ones ({published.name}) do"
        f" not fit {experiment.source}: {sizes}; give --weights a checkpoint of yours"
    )


def _other_sizes(published: VideoWeights, settings: Settings, *, but: tuple[str, ...]) -> str:
    """Returns the sizes in which published weights and settings differ; "" where they do not."""
    theirs = published.experiment()["INFER"].model_arguments()
    ours = settings.model_arguments()
    return ", ".join(
        f"{key} = {ours[key]} (theirs: {theirs[key]})"
        for key in ours
        if key not in but and ours[key] != theirs[key]
    )


def no_video_model(published: ImageResNet) -> VideozooError:
    """Returns what is said of an image ResNet where a video model's weights are needed."""
    return VideozooError(
        f"{published.name}: is an image ResNet, no video model; give it to --pretrain"
    )


def check_start(published: VideoWeights | ImageResNet, experiment: Experiment) -> None:
    """Checks, before anything is fetched, that a training can start from published weights.

    Raises:
        VideozooError: they are of another model or depth, or of other sizes.
    """
    settings = experiment["TRAIN"]
    if isinstance(published, VideoWeights):
        if published.model != experiment.model:
            raise VideozooError(
                f"--pretrain {published.name}: holds weights of {published.model},"
                f" not of {experiment.model}"
            )
        # another number of classes gets a fresh last layer
        if sizes := _other_sizes(published, settings, but=("drop_rate", "num_classes")):
            raise VideozooError(
                f"--pretrain {published.name}: does not fit {experiment.source}: {sizes}"
            )
    elif not hasattr(settings, "num_layers"):
        raise VideozooError(
            f"--pretrain {published.name}: {experiment.model} has no image network; start it from"
            " one of its own checkpoints"
        )
    elif published.num_layers != settings.num_layers:
        raise VideozooError(
            f"--pretrain {published.name}: is a ResNet-{published.num_layers}, the config says"
            f" num_layers = {settings.num_layers}"
        )
