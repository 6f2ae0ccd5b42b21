"""From published files to the files that are kept: safetensors, which hold no code."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import torch

from videozoo.addresses.transfer import AddressError
from videozoo.checkpoints.backbones import load_image_resnet
from videozoo.checkpoints.fluid import load_fluid_weights
from videozoo.checkpoints.native import NativeCheckpoint, save_native, save_safetensors
from videozoo.data.labels import check_class_names, read_label_file
from videozoo.errors import FileError, VideozooError
from videozoo.models.resnet import ResNet
from videozoo.specs import SPECS
from videozoo.zoo import store
from videozoo.zoo.archives import VOCABULARY, ImageResNet, VideoWeights


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
            raise FileError(file, "is a web page")
    if isinstance(published, ImageResNet):
        with torch.device("meta"):
            keys = ResNet(num_layers=published.num_layers).state_dict().keys()
        save_safetensors(target, load_image_resnet(file, keys))
        return
    experiment = published.experiment()
    settings, spec = experiment["INFER"], SPECS[published.model]
    assert spec.fluid_names is not None
    with torch.device("meta"):  # shapes alone: drawing weights would take a while
        model = spec.build(settings)
    state = load_fluid_weights(file, spec.fluid_names(model, settings), model.state_dict())
    checkpoint = NativeCheckpoint(
        model=published.model,
        state_dict=state,
        config=experiment.as_dict(),
        preprocessing=settings.preprocessing(),
        labels=labels,
    )
    save_native(target, checkpoint)


def own_class_names(published: VideoWeights) -> list[str] | None:
    """Returns the names of the classes where they come with videozoo; None where they do not."""
    if published.labels != "kinetics400":
        return None
    text = resources.files("videozoo.zoo") / "labels" / "kinetics400.txt"
    return text.read_text(encoding="utf-8").splitlines()


def class_names(published: VideoWeights, say: store.Say = lambda text: None) -> list[str] | None:
    """Returns the names of the classes; None where nobody knows them.

    Those of Kinetics-400 come with videozoo; YouTube-8M's are fetched once.
    """
    if published.labels != "youtube8m":
        return own_class_names(published)
    file = store.folder() / VOCABULARY.file

    def use(part: Path, address: str) -> Path:
        try:
            _read_class_names(published, part)
        except VideozooError as error:
            raise AddressError(f"gives no class names: {error}") from None
        os.replace(part, file)
        return file

    try:
        with store.only_one(VOCABULARY, say):
            if not file.is_file():
                store.from_addresses(VOCABULARY, use, lambda done, total: None, say)
        return _read_class_names(published, file)
    except VideozooError as error:
        say(
            f"{published.name} is kept without class names ({error}): results carry class numbers,"
            " unless MODEL.label_file names YouTube-8M's vocabulary.csv"
        )
        return None


def _read_class_names(published: VideoWeights, path: Path) -> list[str]:
    names = read_label_file(str(path))
    check_class_names(names, published.experiment()["INFER"].num_classes, str(path))
    return names
