"""From published files to the files that are kept: safetensors, which hold no code."""

from __future__ import annotations

from pathlib import Path

import torch

from videozoo.checkpoints.backbones import load_image_resnet
from videozoo.checkpoints.fluid import load_fluid_weights
from videozoo.checkpoints.native import NativeCheckpoint, save_native, save_safetensors
from videozoo.errors import VideozooError
from videozoo.models.resnet import ResNet
from videozoo.predict.inputs import build_classifier, describe_preprocessing
from videozoo.predict.samples import check_class_names, read_label_file
from videozoo.predict.weights import fluid_names
from videozoo.zoo.archives import ImageResNet, VideoWeights


def convert(
    published: VideoWeights | ImageResNet, file: Path, target: Path, labels: list[str] | None
) -> None:
    """Reads a published file strictly and writes what it holds as .safetensors.

    Archives are read in memory and never unpacked; the weights keep every bit.

    Args:
        published: what the file should be.
        file: as it was fetched.
        target: to write; weights of a model become a native checkpoint, an image ResNet a plain
            state dict with torchvision's names.
        labels: class names to store; None: nobody knows them.

    Raises:
        VideozooError: the file is damaged or holds something else.
    """
    with file.open("rb") as stream:
        if stream.read(64).lstrip().startswith(b"<"):
            raise VideozooError(f"{file}: is a web page")
    if isinstance(published, ImageResNet):
        with torch.device("meta"):
            keys = ResNet(num_layers=published.num_layers).state_dict().keys()
        save_safetensors(target, load_image_resnet(file, keys))
        return
    experiment = published.experiment()
    with torch.device("meta"):  # shapes alone: drawing weights would take a while
        classifier = build_classifier(experiment["INFER"])
    state = load_fluid_weights(
        file, fluid_names(experiment, classifier), classifier.model.state_dict()
    )
    checkpoint = NativeCheckpoint(
        model=published.model,
        state_dict=state,
        config=experiment.as_dict(),
        preprocessing=describe_preprocessing(experiment["INFER"]),
        labels=labels,
    )
    save_native(target, checkpoint)


def read_class_names(published: VideoWeights, path: Path) -> list[str]:
    """Reads the names of the classes that published weights know.

    Raises:
        VideozooError: the file is damaged, or has another number of names.
    """
    names = read_label_file(str(path))
    check_class_names(names, published.experiment()["INFER"], str(path))
    return names
