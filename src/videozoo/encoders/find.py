"""Which encoder a name means."""

from __future__ import annotations

import re
from functools import lru_cache

import torch

from videozoo.encoders.encoder import Encoder, own_precision
from videozoo.encoders.motion import MOTION
from videozoo.encoders.openvino_engine import openvino_is_installed
from videozoo.encoders.recipe import MOVES, OPENED, SOUND, Recipe, Sampling
from videozoo.encoders.sound import BANDS
from videozoo.errors import VideozooError

DEFAULT = "efficientnet_lite0"


@lru_cache(maxsize=2)
def open_encoder(name: str, device: torch.device) -> Encoder:
    """Opens an encoder, its weights fetched where they are not here.

    Args:
        name: "efficientnet_lite0", "resnet18" to "resnet152", "hf:OWNER/NAME" or "hf:FOLDER"; else
            a trained TSN or STNET: a path, or a name of the zoo.
        device: where it computes.

    Raises:
        VideozooError: there is none of that name, or it cannot be had.
    """
    if name == DEFAULT:
        from videozoo.encoders.lite0_encoder import EfficientNetLite0Encoder

        return EfficientNetLite0Encoder(device)
    if name.startswith("hf:"):
        from videozoo.encoders.hub import open_hub_encoder

        return open_hub_encoder(name, device)
    from videozoo.encoders.image_networks import open_own_encoder, open_resnet_encoder

    if re.fullmatch(r"resnet\d+", name):
        return open_resnet_encoder(name, device)
    return open_own_encoder(name, device)


def encoder_of(recipe: Recipe, device: torch.device) -> Encoder:
    """Opens the encoder that rows were made with.

    Raises:
        VideozooError: it cannot be opened, or has other weights now.
    """
    if recipe.packed is not None and OPENED in recipe.packed:
        opened: Encoder = recipe.packed[OPENED]
        return opened
    if recipe.packed is not None:
        return _unpacked(_Packed(recipe), device)
    encoder = open_encoder(recipe.encoder, device)
    if encoder.sha256 != recipe.sha256:
        raise VideozooError(
            f"the encoder {recipe.encoder} has other weights than those that the model was trained"
            f" with (SHA-256 {encoder.sha256[:12]}..., not {recipe.sha256[:12]}...)"
        )
    return encoder


class _Packed:
    """A recipe with its own encoder, equal where that has the same weights."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Packed) and self.recipe.sha256 == other.recipe.sha256

    def __hash__(self) -> int:
        return hash(self.recipe.sha256)


@lru_cache(maxsize=2)
def _unpacked(packed: _Packed, device: torch.device) -> Encoder:
    from videozoo.encoders.image_networks import unpacked_encoder

    recipe = packed.recipe
    assert recipe.packed is not None
    return unpacked_encoder(recipe.packed, name=recipe.encoder, device=device)


def recipe_of(encoder: Encoder, sampling: Sampling) -> Recipe:
    """Returns how rows are made with an encoder; their scale is not fitted yet."""
    return Recipe(
        encoder=encoder.name,
        sha256=encoder.sha256,
        sampling=sampling,
        dims=dict(encoder.dims)
        | ({MOVES: MOTION} if sampling.motion else {})
        | ({SOUND: BANDS} if sampling.sound else {}),
        framing=encoder.framing,
        window=encoder.window,
        packed=encoder.packed(),
    )


def computed_by(device: torch.device) -> str:
    """Returns what else decides the last bits of rows: device, precision, engine."""
    engine = "openvino" if device.type == "cpu" and openvino_is_installed() else "torch"
    return f"{device.type} {own_precision(device)} {engine}"
