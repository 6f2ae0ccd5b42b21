"""Encoders of the Hub give what transformers gives."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hub_networks import CASES, CPU, VIT, logging, saved, side
from videozoo.encoders.encoder import Framing
from videozoo.encoders.hub import open_hub_encoder
from videozoo.errors import VideozooError


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
