"""Networks of the Hugging Face Hub as encoders: hf:OWNER/NAME, or hf:FOLDER, through transformers.

Weights are read from safetensors alone, and code of a repository is never run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videozoo.encoders.encoder import Encoder, own_precision
from videozoo.encoders.hub_frames import frames_wanted, read_json
from videozoo.errors import FileError, VideozooError
from videozoo.extras import HUB, imported
from videozoo.files import sha256_of
from videozoo.models.layers import autocast
from videozoo.zoo.hub import PREFIX, REPOSITORY

_FILES = (
    "config.json", "preprocessor_config.json", "video_preprocessor_config.json",
    "processor_config.json", "model.safetensors", "model-*.safetensors",
    "model.safetensors.index.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of network: how it is opened and asked, and what a row is.

    Attributes:
        model: its class in transformers.
        row: "pooled": pooler_output, trained with the network. "first": the first token, which
            stands for the frame, behind the last norm. "mean": the mean of all tokens.
        processor: what makes its frames, a key of hub_frames.DEFAULTS.
        window: the key of config.json that says how many frames it takes; None: one frame.
        options: of the class, when it is opened.
        asked: the name of the frames' argument, and others.
    """

    model: str
    row: str
    processor: str | None = None
    window: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    frames: str = "pixel_values"
    asked: Mapping[str, Any] = field(default_factory=dict)


_CLIP = Kind(model="CLIPVisionModel", row="pooled", processor="CLIP")
_SIGLIP = Kind(model="SiglipVisionModel", row="pooled", processor="Siglip")

# By the model_type of config.json. ViT's own pooler belongs to no published task, and image
# classifiers have none: its first token is what they classify.
KINDS: dict[str, Kind] = {
    "vit": Kind(
        model="ViTModel", row="first", processor="ViT", options={"add_pooling_layer": False}
    ),
    "dinov2": Kind(model="Dinov2Model", row="first", processor="Bit"),
    "dinov2_with_registers": Kind(
        model="Dinov2WithRegistersModel", row="first", processor="Bit"
    ),
    "dinov3_vit": Kind(model="DINOv3ViTModel", row="first", processor="DINOv3ViT"),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "videomae": Kind(
        model="VideoMAEModel", row="mean", processor="VideoMAE", window="num_frames"
    ),
    "timesformer": Kind(
        model="TimesformerModel", row="first", processor="VideoMAE", window="num_frames"
    ),
    "vjepa2": Kind(
        model="VJEPA2Model", row="mean", processor="VJEPA2", window="frames_per_clip",
        frames="pixel_values_videos", asked={"skip_predictor": True},
    ),
}  # fmt: skip
OTHER = Kind(model="AutoModel", row="pooled")


class _HubRows(nn.Module):
    """What a network of the Hub makes of frames: uint8 [n, window, 3, H, W] -> [n, D]."""

    def __init__(self, model: nn.Module, rows: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.rows = model, rows  # whose parameters they are, and what is computed

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        return (self.rows(frames),)


class HubEncoder(Encoder):
    """A network of the Hub: what it makes of a frame, or of a window of frames ("rgb").

    Args:
        folder: the repository's files.
        name: what it is called.
        device: where it computes.
        precision: "bf16" or "32"; None: what the device computes by itself.

    Raises:
        VideozooError: the folder holds no network that takes frames, or files are missing.
    """

    def __init__(
        self, folder: Path, *, name: str, device: torch.device, precision: str | None = None
    ) -> None:
        config = _config(folder, name)
        self._kind = kind = KINDS.get(config["model_type"], OTHER)
        self._wanted = frames_wanted(
            folder, video=kind.window is not None, processor=kind.processor
        )
        self.name, self.framing = name, self._wanted.framing
        self.sha256 = _sha256(folder, name)
        self.precision = precision or own_precision(device)
        self._device = device
        self._model = _open(folder, kind, name).to(device)
        if kind.window is not None:
            self.window = int(getattr(self._model.config, kind.window))
            self.batch = max(1, 64 // self.window)
        if kind is OTHER:
            self.dims = {"rgb": self._tried_width(config["model_type"])}
        else:
            self.dims = {"rgb": int(self._model.config.hidden_size)}

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes uint8 [n, window, 3, H, W]; see Encoder.

        Raises:
            VideozooError: the network does not take frames of the size that its own file says.
        """
        try:
            with autocast(self._device, self.precision):
                rows = self._rows(frames.to(self._device))  # [n, D]
        except ValueError as error:
            raise VideozooError(f"{self.name}: refuses its frames ({error})") from error
        return (rows.float().cpu(),)

    def network(self) -> nn.Module:
        """Returns what computes the rows; see Encoder.network."""
        return _HubRows(self._model, self._rows)

    def _rows(self, frames: Tensor) -> Tensor:
        """uint8 [n, window, 3, H, W] -> [n, D]."""
        values = self._wanted.normalised(frames)  # [n, window, 3, H, W]
        if self._kind.window is None:
            values = values[:, 0]  # [n, 3, H, W]
        return self._row(self._model(**{self._kind.frames: values}, **self._kind.asked))

    def _row(self, told: Any) -> Tensor:
        """Returns [n, D] of a network's answer."""
        if self._kind.row == "pooled":
            pooled = getattr(told, "pooler_output", None)
            if pooled is None:
                raise VideozooError(f"{self.name}: gives no pooled output, one row a frame")
            row: Tensor = pooled.flatten(1)  # [n, D], of [n, D, 1, 1] too
            return row
        tokens: Tensor = told.last_hidden_state  # [n, L, D]
        return tokens[:, 0] if self._kind.row == "first" else tokens.mean(dim=1)

    def _tried_width(self, model_type: str) -> int:
        """Returns the width of a row of a kind that nobody has tried here, by trying it."""
        size = (1, 1, 3, self.framing.height, self.framing.width)
        try:
            (row,) = self(torch.zeros(size, dtype=torch.uint8))
        except (TypeError, AttributeError, RuntimeError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise VideozooError(
                f"{self.name}: holds a {model_type}, which does not take frames alone ({reason})"
            ) from error
        return row.shape[1]


def open_hub_encoder(
    name: str, device: torch.device, *, precision: str | None = None
) -> HubEncoder:
    """Opens a network of the Hub, fetched where it is not in the Hub's cache.

    Args:
        name: "hf:OWNER/NAME", or "hf:FOLDER" with the files of a repository.
        device: where it computes.
        precision: see HubEncoder.

    Raises:
        VideozooError: there is none, it cannot be had, or it is no network that takes frames.
    """
    place = name.removeprefix(PREFIX)
    folder = Path(place).expanduser()
    if not folder.is_dir():
        if not re.fullmatch(REPOSITORY, place):
            raise VideozooError(f"{name}: is no folder, and not of the form hf:OWNER/NAME")
        folder = _fetched(place, name)
    return HubEncoder(folder, name=name, device=device, precision=precision)


def _fetched(repository: str, name: str) -> Path:
    """Returns the folder of a repository's files in the Hub's cache."""
    hub = imported("huggingface_hub", name, HUB)
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise VideozooError(
            f"{name}: cannot be had from the Hub ({reason}); fetch its files elsewhere and give"
            " hf:FOLDER, or take efficientnet_lite0, which needs no network"
        ) from error


def _config(folder: Path, name: str) -> dict[str, Any]:
    """Returns a network's config.json.

    Raises:
        VideozooError: there is none, or it is of a network that takes no pictures.
    """
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise VideozooError(f"{name}: is no network of transformers: no config.json names its type")
    if kind not in KINDS and not config.keys() & {"image_size", "num_channels"}:
        raise VideozooError(f"{name}: holds a {kind}, which is not known to take frames")
    return config


def _sha256(folder: Path, name: str) -> str:
    """Returns the hash of a network's weights: of the file, or of its parts' hashes."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return sha256_of(single)
    if not index.is_file():
        raise VideozooError(
            f"{name}: has no model.safetensors; weights of another form are not read, since they"
            " may run code"
        )
    files = sorted(set(read_json(index).get("weight_map", {}).values()))
    if lacking := [file for file in files if not (folder / file).is_file()]:
        raise FileError(folder, f"lacks {lacking[0]}, which {index.name} names")
    return hashlib.sha256("".join(sha256_of(folder / file) for file in files).encode()).hexdigest()


def _open(folder: Path, kind: Kind, name: str) -> Any:
    """Returns a network with its weights, in test mode."""
    transformers = imported("transformers", name, HUB)
    with _quiet(transformers):
        try:
            model, told = getattr(transformers, kind.model).from_pretrained(
                str(folder),
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **kind.options,
            )
        except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise VideozooError(f"{name}: cannot be opened ({reason})") from error
    if lacking := sorted(told["missing_keys"]):
        raise VideozooError(
            f"{name}: lacks weights of its {kind.model}, {len(lacking)} of them, such as"
            f" {lacking[0]}"
        )
    return model.eval()


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keeps transformers from telling what is wanted so: the heads that are left out."""
    logging = transformers.utils.logging
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
