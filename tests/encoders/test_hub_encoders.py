"""Networks of the Hub, made small and random, saved as their repositories are."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from videozoo.encoders.encoder import Framing
from videozoo.encoders.hub import open_hub_encoder
from videozoo.errors import VideozooError

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


@pytest.mark.parametrize("kind", CASES)
def test_a_row_is_what_transformers_gives_for_the_same_pixels(kind: str, tmp_path: Path) -> None:
    case = CASES[kind]
    model = saved(tmp_path, case)
    encoder = open_hub_encoder(f"hf:{tmp_path}", CPU, precision="32")
    assert (encoder.framing, encoder.window) == (case.framing, case.window)
    generator = torch.Generator().manual_seed(1)
    size = (2, case.window, 3, 32, 32)
    frames = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    (rows,) = encoder(frames)
    mean, std = (torch.tensor(values)[:, None, None] for values in case.colours)
    pixels = (frames * (1 / 255) - mean) / std
    with torch.inference_mode():
        told = case.asked(model)(**{case.argument: pixels if case.window > 1 else pixels[:, 0]})
        wanted = case.row(told)
    assert encoder.dims == {"rgb": wanted.shape[1]}
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, wanted, rtol=1e-6, atol=1e-6)
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert encoder.sha256 == hashlib.sha256(weights).hexdigest()


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    saved(tmp_path, CASES["vit"])
    return tmp_path


def write(path: Path, **changes: Any) -> None:
    """Changes keys of a JSON file; None takes a key out."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def refusal(folder: Path) -> str:
    with pytest.raises(VideozooError) as error:
        open_hub_encoder(f"hf:{folder}", CPU)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "framing"),
    [
        ({"size": 48}, Framing(48, 48)),
        ({"size": {"height": 32, "width": 48}}, Framing(48, 32)),
        ({"size": side(32), "do_center_crop": True, "crop_size": 32}, Framing(32, 32)),
        ({"size": None}, Framing(224, 224)),
        ({"image_processor_type": "CLIPImageProcessor", "size": None},
         Framing(224, 224, short_side=224, resample="bicubic")),
        ({"image_processor_type": "BitImageProcessorPil", "size": {"shortest_edge": 256},
          "crop_size": {"height": 96, "width": 128}},
         Framing(128, 96, short_side=256, resample="bicubic")),
        ({"resample": 3}, Framing(32, 32, resample="bicubic")),
    ],
)  # fmt: skip
def test_forms_of_sizes(vit: Path, changes: dict[str, Any], framing: Framing) -> None:
    write(vit / "preprocessor_config.json", **changes)
    assert open_hub_encoder(f"hf:{vit}", CPU).framing == framing


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resample": 1}, "resample is 1; known are 2"),
        ({"do_resize": False}, "do_resize is false"),
        ({"size": {"longest_edge": 40}}, "size is {'longest_edge': 40}, no known form"),
        ({"size": {"shortest_edge": 40}}, "cut to nothing, are not made here"),
        ({"size": side(40), "do_center_crop": True, "crop_size": 32}, "are not made here"),
        ({"size": {"shortest_edge": 30}, "do_center_crop": True, "crop_size": 32}, "not made here"),
        ({"image_mean": 0.5}, "image_mean is 0.5, not three numbers"),
        ({"image_processor_type": "NewImageProcessor"},
         "does not say resample, and what NewImageProcessor does is not known here"),
    ],
)  # fmt: skip
def test_what_is_not_done_to_frames_is_said(
    vit: Path, changes: dict[str, Any], reason: str
) -> None:
    write(vit / "preprocessor_config.json", **changes)
    told = refusal(vit)
    assert told.startswith(f"{vit / 'preprocessor_config.json'}: ")
    assert reason in told


def test_bytes_may_stay_as_they_are(vit: Path) -> None:
    frames = torch.randint(0, 256, (1, 1, 3, 32, 32), dtype=torch.uint8)
    file = vit / "preprocessor_config.json"
    write(file, do_rescale=False, image_mean=[127.5] * 3, image_std=[127.5] * 3)
    (rows,) = open_hub_encoder(f"hf:{vit}", CPU, precision="32")(frames)
    write(file, do_rescale=True, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    (wanted,) = open_hub_encoder(f"hf:{vit}", CPU, precision="32")(frames)
    torch.testing.assert_close(rows, wanted, rtol=1e-5, atol=1e-5)
    write(file, do_normalize=False)
    (plain,) = open_hub_encoder(f"hf:{vit}", CPU, precision="32")(frames)
    write(file, do_normalize=True, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    assert torch.equal(plain, open_hub_encoder(f"hf:{vit}", CPU, precision="32")(frames)[0])


def test_the_processor_s_own_file_goes_first(vit: Path) -> None:
    nested = {"image_processor": VIT | {"size": side(64)}, "processor_class": "ViTProcessor"}
    (vit / "processor_config.json").write_text(json.dumps(nested))
    assert open_hub_encoder(f"hf:{vit}", CPU).framing == Framing(64, 64)


def test_frames_of_a_size_that_the_network_refuses(vit: Path) -> None:
    write(vit / "preprocessor_config.json", size=48)
    encoder = open_hub_encoder(f"hf:{vit}", CPU)
    with pytest.raises(VideozooError, match="refuses its frames"):
        encoder(torch.zeros((1, 1, 3, 48, 48), dtype=torch.uint8))


def test_weights_in_parts_are_read_and_hashed(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model = saved(whole, CASES["vit"])
    saved(parts, CASES["vit"])
    (parts / "model.safetensors").unlink()
    model.save_pretrained(parts, max_shard_size="10KB")
    frames = torch.randint(0, 256, (1, 1, 3, 32, 32), dtype=torch.uint8)
    encoder = open_hub_encoder(f"hf:{parts}", CPU)
    assert torch.equal(encoder(frames)[0], open_hub_encoder(f"hf:{whole}", CPU)(frames)[0])
    assert len(encoder.sha256) == 64
    lacking = min(parts.glob("model-*.safetensors"))
    lacking.unlink()
    assert f"lacks {lacking.name}, which model.safetensors.index.json names" in refusal(parts)


def test_pickled_weights_are_not_read(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    torch.save({}, vit / "pytorch_model.bin")
    assert "has no model.safetensors; weights of another form are not read" in refusal(vit)


def test_weights_that_are_missing_are_named(vit: Path) -> None:
    write(vit / "config.json", num_hidden_layers=3)
    assert "lacks weights of its ViTModel" in refusal(vit)


def test_code_of_a_repository_is_not_run(vit: Path) -> None:
    (vit / "own.py").write_text("raise SystemExit('it ran')\n")
    own = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    write(vit / "config.json", model_type="own", auto_map=own)
    write(vit / "preprocessor_config.json", resample=2, do_center_crop=False)
    assert "cannot be opened" in refusal(vit)


def test_what_is_no_network_for_frames(vit: Path) -> None:
    write(vit / "config.json", model_type="bert", image_size=None, num_channels=None)
    assert "holds a bert, which is not known to take frames" in refusal(vit)
    (vit / "config.json").unlink()
    assert "is no network of transformers" in refusal(vit)


def test_what_does_not_say_how_its_frames_are_made(vit: Path) -> None:
    (vit / "preprocessor_config.json").unlink()
    assert "has no preprocessor_config.json" in refusal(vit)


def test_a_name_that_is_neither_folder_nor_repository(tmp_path: Path) -> None:
    assert "is no folder, and not of the form hf:OWNER/NAME" in refusal(tmp_path / "none" / "x")


def test_without_transformers_its_extra_is_named(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert refusal(vit).endswith("needs transformers: pip install 'videozoo[hub]' installs it")


def test_only_what_is_read_is_fetched(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: dict[str, Any] = {}

    def snapshot_download(repository: str, **how: Any) -> str:
        asked.update(repository=repository, **how)
        return os.fspath(vit)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert open_hub_encoder("hf:google/vit", CPU).name == "hf:google/vit"
    assert asked["repository"] == "google/vit"
    assert {Path(name).suffix for name in asked["allow_patterns"]} == {".json", ".safetensors"}


def test_without_a_network_it_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def snapshot_download(repository: str, **how: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(VideozooError, match=r"from the Hub \(no network\); fetch its files"):
        open_hub_encoder("hf:google/vit", CPU)


def test_opening_changes_nothing_of_transformers_settings(vit: Path) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled(), torch.get_rng_state()
    open_hub_encoder(f"hf:{vit}", CPU)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
