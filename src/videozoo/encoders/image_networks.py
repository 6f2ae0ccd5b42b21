"""ResNets trained on ImageNet, and TSN and StNet that somebody trained with videozoo, as encoders.

K. He et al.: "Deep Residual Learning for Image Recognition", CVPR 2016. L. Wang et al.: "Temporal
Segment Networks", ECCV 2016. D. He et al.: "StNet", AAAI 2019.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from videozoo.addresses.copies import fetched
from videozoo.checkpoints.backbones import load_image_resnet
from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.checkpoints.native import check_state_dict, kind_of, load_native
from videozoo.checkpoints.strict import is_head
from videozoo.data.transforms import normalise_clips
from videozoo.encoders.encoder import Encoder, Framing, own_precision, pooled_quarters
from videozoo.encoders.network_rows import ClipRows, ResNetRows, fastest
from videozoo.errors import FileError, VideozooError, did_you_mean
from videozoo.models.layers import autocast
from videozoo.models.resnet import ResNet
from videozoo.specs import SPECS, stored_experiment
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet, VideoWeights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision trains
_MODELS = ("TSN", "STNET")
_SAY = partial(print, file=sys.stderr)
_KNOWN = "efficientnet_lite0, resnet18 to resnet152, hf:OWNER/NAME, a path of TSN or STNET"
_HEADER, _WEIGHTS = "header", "weights."  # names among what `packed` returns


class ResNetEncoder(Encoder):
    """A ResNet's last map, averaged over the frame ("rgb") and over its quarters ("quarters").

    Args:
        trunk: with trained weights.
        name: what it is called.
        sha256: of its weights.
        device: where it computes.
        precision: "bf16" or "32"; None: what the device computes by itself.
    """

    def __init__(
        self,
        trunk: ResNet,
        *,
        name: str,
        sha256: str,
        device: torch.device,
        precision: str | None = None,
    ) -> None:
        channels = trunk.stage_channels[3]
        self.name, self.sha256 = name, sha256
        self.dims = {"rgb": channels, "quarters": 4 * channels}
        self.framing = Framing(224, 224)
        self.precision = precision or own_precision(device)
        self._device, self._plain = device, trunk.eval()
        self._trunk = fastest(trunk, device, self.precision)

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes uint8 [n, 1, 3, 224, 224]; see Encoder."""
        values = normalise_clips(frames[:, 0].to(self._device), _MEAN, _STD)  # [n, 3, 224, 224]
        with autocast(self._device, self.precision):
            features = self._trunk(values)  # [n, C, 7, 7]
        rgb, quarters = pooled_quarters(features)  # [n, C], [n, 4 * C]
        return rgb.cpu(), quarters.cpu()

    def network(self) -> nn.Module:
        """Returns what computes the rows; see Encoder.network."""
        return ResNetRows(deepcopy(self._plain).cpu(), _MEAN, _STD)


@dataclass(frozen=True, kw_only=True)
class ClipNetwork:
    """What must be known of a trained TSN or StNet beside its weights; plain values.

    Attributes:
        model: "TSN" or "STNET".
        sha256: of the checkpoint.
        arguments: of the model's constructor.
        seg_num, seglen: segments and their frames, of which StNet takes all at once.
        short_size, target_size, resize, resize_with, image_mean, image_std, precision: as the
            config keys of these names say.
    """

    model: str
    sha256: str
    arguments: dict[str, Any]
    seg_num: int
    seglen: int
    short_size: int
    target_size: int
    resize: str
    resize_with: str
    image_mean: list[float]
    image_std: list[float]
    precision: str

    def __post_init__(self) -> None:
        if self.model not in _MODELS:
            raise ValueError(f"{self.model} is no model of clips")

    @classmethod
    def of(cls, settings: Any, *, sha256: str) -> Self:
        """Returns what the settings of a clip model say."""
        own = ("model", "sha256", "arguments")
        names = [field.name for field in fields(cls) if field.name not in own]
        read = {name: getattr(settings, name) for name in names}
        return cls(model=settings.NAME, sha256=sha256, arguments=settings.model_arguments(), **read)

    @property
    def framing(self) -> Framing:
        """How a frame is made ready: the middle, as in a test."""
        return Framing(
            self.target_size,
            self.target_size,
            short_side=self.short_size,
            rule=self.resize,
            resize_with=self.resize_with,
        )

    def built(self) -> nn.Module:
        """Returns the model with weights that nobody will see."""
        with torch.random.fork_rng(devices=[]):
            return SPECS[self.model].build_from(**self.arguments)

    def rows(self, model: nn.Module) -> nn.Module:
        """Returns what computes rows by such a model."""
        segments = (self.seg_num, self.seglen) if self.model == "STNET" else None
        return ClipRows(model, segments, self.image_mean, self.image_std)


class ClipNetworkEncoder(Encoder):
    """What a trained TSN sees in a frame, or a trained StNet in a row's stretch of time ("rgb").

    Args:
        network: which.
        weights: its state dict.
        name: what it is called.
        device: where it computes.
        carried: a checkpoint of a model on its rows must carry it: it is a file of the user's.

    Raises:
        VideozooError: weights are missing, surplus or wrongly shaped.
    """

    def __init__(
        self,
        network: ClipNetwork,
        weights: Mapping[str, Tensor],
        *,
        name: str,
        device: torch.device,
        carried: bool = True,
    ) -> None:
        model: Any = network.built()
        check_state_dict(model.state_dict(), weights, name)
        model.load_state_dict(weights)
        self.name, self.sha256 = name, network.sha256
        self.dims = {"rgb": model.fc.in_features}
        self.framing = network.framing
        self.precision = network.precision
        if network.model == "STNET":
            self.window = network.seg_num * network.seglen
            self.batch = max(1, 64 // self.window)
        self._network, self._carried, self._device = network, carried, device
        self._weights = model.state_dict()  # on the CPU; what computes is another copy
        self._rows = network.rows(fastest(model, device, self.precision))

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes uint8 [n, window, 3, H, W]; see Encoder."""
        with autocast(self._device, self.precision):
            (rows,) = self._rows(frames.to(self._device))  # [n, D]
        return (rows.float().cpu(),)

    def network(self) -> nn.Module:
        """Returns what computes the rows; see Encoder.network."""
        model = self._network.built()
        model.load_state_dict(self._weights)
        return self._network.rows(model.float().eval())

    def packed(self) -> dict[str, Tensor] | None:
        """Returns weights and, as bytes of JSON, what else must be known; see Encoder.packed."""
        if not self._carried:
            return None
        header = json.dumps(asdict(self._network)).encode()
        weights = {_WEIGHTS + key: value.cpu() for key, value in self._weights.items()}
        return {_HEADER: torch.frombuffer(bytearray(header), dtype=torch.uint8)} | weights


def open_resnet_encoder(
    name: str, device: torch.device, *, precision: str | None = None
) -> ResNetEncoder:
    """Opens an image ResNet by its name in the zoo, fetched where it is not here.

    Raises:
        VideozooError: there is none of that name, or it cannot be had.
    """
    published = archives.named(name)
    if not isinstance(published, ImageResNet):
        raise _unknown(name)
    path = store.pull(published, say=_SAY, instead="; efficientnet_lite0 needs no network")
    with torch.random.fork_rng(devices=[]):
        trunk = ResNet(num_layers=published.num_layers)
    state = load_image_resnet(path, trunk.state_dict())
    weights = {key: value for key, value in state.items() if not is_head(key)}
    check_state_dict(trunk.state_dict(), weights, str(path))
    trunk.load_state_dict(weights, strict=False)  # counters of batch norms may be missing
    sha256 = _published_sha256(published)
    return ResNetEncoder(
        trunk, name=published.name, sha256=sha256, device=device, precision=precision
    )


def open_own_encoder(name: str, device: torch.device) -> Encoder:
    """Opens a trained TSN or StNet, or an image ResNet that the zoo has under another name.

    Args:
        name: a path; or a name of the zoo, where no file has that name.
        device: where it computes.

    Raises:
        VideozooError: there is no such file or name, or it holds something else.
    """
    published = archives.find(name)
    if isinstance(published, ImageResNet):
        return open_resnet_encoder(name, device)
    path = fetched(name) if published is None else store.pull(published, say=_SAY)
    if not path.exists():
        raise _unknown(name)
    if kind_of(path) != "native":
        raise FileError(path, "is no checkpoint of videozoo; make one with videozoo convert")
    checkpoint = load_native(path)
    if checkpoint.model not in _MODELS:
        raise FileError(
            path,
            f"holds weights of {checkpoint.model}; features are computed by a TSN or STNET, give"
            " weights of one",
        )
    settings = stored_experiment(checkpoint, source=str(path))["INFER"]
    sha256 = sha256_of_weights(path) if published is None else _published_sha256(published)
    network = ClipNetwork.of(settings, sha256=sha256)
    return ClipNetworkEncoder(
        network,
        checkpoint.state_dict,
        name=path.name if published is None else published.name,
        device=device,
        carried=published is None,
    )


def unpacked_encoder(
    packed: Mapping[str, Tensor], *, name: str, device: torch.device
) -> ClipNetworkEncoder:
    """Opens an encoder that a checkpoint carries.

    Args:
        packed: what ClipNetworkEncoder.packed gave.
        name: what it is called.
        device: where it computes.

    Raises:
        VideozooError: something of it is missing or damaged.
    """
    try:
        network = ClipNetwork(**json.loads(bytes(packed[_HEADER].tolist())))
    except (KeyError, TypeError, ValueError) as error:
        raise VideozooError(f"the encoder {name} in the checkpoint is damaged ({error})") from None
    # Copied, since a file's tensors are views of the file, which may change.
    weights = {
        key.removeprefix(_WEIGHTS): value.clone()
        for key, value in packed.items()
        if key.startswith(_WEIGHTS)
    }
    return ClipNetworkEncoder(network, weights, name=name, device=device)


def _published_sha256(published: VideoWeights | ImageResNet) -> str:
    """Returns the hash of the file as published: the same, whatever has converted it."""
    record = store.read_record(published)
    assert record is not None  # pull leaves one
    return record.sha256


def _unknown(name: str) -> VideozooError:
    near = did_you_mean(name, ["efficientnet_lite0", "resnet18", "resnet50", *archives.names()])
    return VideozooError(f"{name}: there is no such encoder{near} (known: {_KNOWN})")
