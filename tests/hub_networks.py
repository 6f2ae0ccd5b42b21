"""Networks of the Hub, made small and random, saved as their repositories are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from videozoo.encoders.encoder import Framing

pytest.importorskip("transformers", reason="the extra [hub] is not installed")
import transformers
from transformers.utils import logging

CPU = torch.device("cpu")
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
HALF = ([0.5] * 3, [0.5] * 3)
DO = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 0.00392156862745098,
}
SMALL: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
VISION = SMALL | {"projection_dim": 12}
TEXT: dict[str, Any] = {
    "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "vocab_size": 20, "max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def colours(of: tuple[list[float], list[float]]) -> dict[str, Any]:
    return {"image_mean": of[0], "image_std": of[1]}


def side(pixels: int) -> dict[str, int]:
    return {"height": pixels, "width": pixels}


# What the repositories' files say, at the size of the small networks.
VIT = {"do_normalize": True, "do_resize": True, **colours(HALF), "size": 32}  # an old one
BIT = DO | colours(IMAGENET) | {
    "image_processor_type": "BitImageProcessor", "crop_size": side(32), "do_center_crop": True,
    "do_convert_rgb": True, "resample": 3, "size": {"shortest_edge": 36},
}  # fmt: skip
DINOV3 = DO | colours(IMAGENET) | {
    "image_processor_type": "DINOv3ViTImageProcessorFast", "crop_size": None,
    "data_format": "channels_first", "default_to_square": True, "do_center_crop": None,
    "resample": 2, "size": side(32),
}  # fmt: skip
OLD_CLIP = colours(CLIP) | {
    "crop_size": 32, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 32,
}  # fmt: skip
SIGLIP = DO | colours(HALF) | {
    "image_processor_type": "SiglipImageProcessor", "do_convert_rgb": None, "resample": 3,
    "processor_class": "SiglipProcessor", "size": side(32),
}  # fmt: skip
VIDEOMAE = DO | colours(IMAGENET) | {
    "crop_size": side(32), "do_center_crop": True, "image_processor_type": "VideoMAEImageProcessor",
    "resample": 2, "size": {"shortest_edge": 32},
}  # fmt: skip
TIMESFORMER = {
    "do_center_crop": True, "do_normalize": True, "do_resize": True, "image_mean": [0.45] * 3,
    "feature_extractor_type": "VideoMAEFeatureExtractor", "image_std": [0.225] * 3, "resample": 2,
    "size": 32, "crop_size": 32,
}  # fmt: skip
VJEPA2 = DO | colours(IMAGENET) | {
    "crop_size": side(32), "do_center_crop": True, "video_processor_type": "VJEPA2VideoProcessor",
    "resample": 2, "size": {"shortest_edge": 36},
}  # fmt: skip


def first(told: Any) -> torch.Tensor:
    return told.last_hidden_state[:, 0]


def mean(told: Any) -> torch.Tensor:
    return told.last_hidden_state.mean(dim=1)


def pooled(told: Any) -> torch.Tensor:
    return told.pooler_output.flatten(1)


def itself(model: Any) -> Any:
    return model


def tower(model: Any) -> Any:
    return model.vision_model


class Case(SimpleNamespace):
    """A small network, its file on frames, and what its row should be."""

    make: Callable[[], Any]
    said: dict[str, Any]
    framing: Framing
    colours: tuple[list[float], list[float]]
    row: Callable[[Any], torch.Tensor]
    asked: Callable[[Any], Any] = staticmethod(itself)
    window: int = 1
    file: str = "preprocessor_config.json"
    argument: str = "pixel_values"


def made(kind: str, **config: Any) -> Callable[[], Any]:
    model = getattr(transformers, kind)
    return lambda: model(model.config_class(**config))


CASES = {
    "vit": Case(
        make=made("ViTModel", **SMALL), said=VIT, row=first, colours=HALF, framing=Framing(32, 32)
    ),
    "vit_classifier": Case(
        make=made("ViTForImageClassification", **SMALL), said=VIT, row=first, colours=HALF,
        framing=Framing(32, 32), asked=lambda model: model.vit,
    ),
    "dinov2": Case(
        make=made("Dinov2Model", **SMALL), said=BIT, row=first, colours=IMAGENET,
        framing=Framing(32, 32, short_side=36, resample="bicubic"),
    ),
    "dinov2_with_registers": Case(
        make=made("Dinov2WithRegistersModel", **SMALL), said=BIT, row=first, colours=IMAGENET,
        framing=Framing(32, 32, short_side=36, resample="bicubic"),
    ),
    "dinov3": Case(
        make=made("DINOv3ViTModel", **SMALL), said=DINOV3, row=first, colours=IMAGENET,
        framing=Framing(32, 32),
    ),
    "clip_vision": Case(
        make=made("CLIPVisionModel", **VISION), said=OLD_CLIP, row=pooled, colours=CLIP,
        framing=Framing(32, 32, short_side=32, resample="bicubic"),
    ),
    "clip": Case(
        make=made("CLIPModel", text_config=TEXT, vision_config=VISION, projection_dim=12),
        said=OLD_CLIP, row=pooled, colours=CLIP, asked=tower,
        framing=Framing(32, 32, short_side=32, resample="bicubic"),
    ),
    "siglip_vision": Case(
        make=made("SiglipVisionModel", **SMALL), said=SIGLIP, row=pooled, colours=HALF,
        framing=Framing(32, 32, resample="bicubic"),
    ),
    "siglip": Case(
        make=made("SiglipModel", text_config=TEXT, vision_config=SMALL), said=SIGLIP, row=pooled,
        colours=HALF, asked=tower, framing=Framing(32, 32, resample="bicubic"),
    ),
    "videomae": Case(
        make=made("VideoMAEModel", **SMALL, num_frames=4, tubelet_size=2), said=VIDEOMAE, row=mean,
        colours=IMAGENET, framing=Framing(32, 32, short_side=32), window=4,
    ),
    "videomae_pretraining": Case(
        make=made(
            "VideoMAEForPreTraining", **SMALL, num_frames=4, decoder_num_hidden_layers=1,
            decoder_hidden_size=16, decoder_num_attention_heads=2, decoder_intermediate_size=16,
        ),
        said=VIDEOMAE, row=mean, colours=IMAGENET, framing=Framing(32, 32, short_side=32),
        window=4, asked=lambda model: model.videomae,
    ),
    "timesformer": Case(
        make=made("TimesformerModel", **SMALL, num_frames=3), said=TIMESFORMER, row=first,
        colours=([0.45] * 3, [0.225] * 3), framing=Framing(32, 32, short_side=32), window=3,
    ),
    "vjepa2": Case(
        make=made(
            "VJEPA2Model", crop_size=32, patch_size=16, frames_per_clip=4, hidden_size=24,
            num_attention_heads=2, num_hidden_layers=2, mlp_ratio=2, pred_hidden_size=24,
            pred_num_attention_heads=2, pred_num_hidden_layers=1, pred_num_mask_tokens=2,
        ),
        said=VJEPA2, row=mean, colours=IMAGENET, framing=Framing(32, 32, short_side=36), window=4,
        file="video_preprocessor_config.json", argument="pixel_values_videos",
    ),
    "another": Case(
        make=made(
            "ResNetModel", embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1],
            layer_type="basic",
        ),
        said=DO | colours(IMAGENET) | {"size": side(32), "resample": 3, "do_center_crop": False},
        row=pooled, colours=IMAGENET, framing=Framing(32, 32, resample="bicubic"),
    ),
}  # fmt: skip


def saved(folder: Path, case: Case) -> Any:
    """Writes a repository; returns its network."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    torch.manual_seed(0)
    model = case.make().eval()
    model.save_pretrained(folder)
    logging.set_verbosity(before)
    (folder / case.file).write_text(json.dumps(case.said))
    return model
