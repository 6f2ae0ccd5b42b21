"""Starting weights: an image ResNet for a clip model, or an earlier checkpoint of any model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid
from videozoo.checkpoints.names import (
    BACKBONE,
    FluidName,
    Table,
    backbone_keys,
    from_fluid,
    is_optimizer_variable,
    resnet_depth,
    resnet_table,
)
from videozoo.checkpoints.native import (
    NativeCheckpoint,
    check_state_dict,
    kind_of,
    load_native,
)
from videozoo.checkpoints.state_dicts import find_state_dict, is_counter, lacks
from videozoo.checkpoints.strict import compare_shapes, is_head
from videozoo.checkpoints.torch_files import TorchFile, read_torch_file
from videozoo.errors import FileError

State = dict[str, Tensor]

_MOST_VALUES = 1 << 24  # of one variable: seven times the largest one's
_MOST_RESNET = 512 << 20  # bytes: twice the deepest one's
_HEAD: Table = {
    "fc.weight": FluidName("fc_0.w_0", transpose=True),
    "fc.bias": FluidName("fc_0.b_0"),
}


def start_from(
    model: nn.Module,
    path: Path | str,
    *,
    model_name: str,
    table: Table | None = None,
) -> list[str]:
    """Puts starting weights into a model, whatever kind of file they are in.

    Args:
        model: takes the weights.
        path: a native checkpoint of this model; an image ResNet, for a model whose `backbone` is a
            ResNet; for other models a Fluid checkpoint too.
        model_name: as in videozoo.specs.SPECS.
        table: the model's Fluid names; None: the original had no such model.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: the weights cannot be read or do not fit.
    """
    kind = kind_of(path)
    if kind == "native":
        return put_into_same(model, load_native(path), model_name=model_name, what=str(path))
    own = model.state_dict()
    backbone = backbone_keys(own)
    has_resnet = resnet_depth(backbone) is not None
    if kind == "torch":
        file = read_torch_file(path)
        state, said = find_state_dict(file, own, path)
        if not lacks(state, own) or (not has_resnet and 2 * lacks(state, own) < len(own)):
            return said + _put(model, state, str(path))
        if has_resnet:
            state, said = _image_resnet(file, backbone, path)
            return said + put_into_backbone(model, state, what=str(path))
    elif has_resnet:
        return put_into_backbone(model, load_image_resnet(path, backbone), what=str(path))
    if kind == "fluid" and table is not None:
        model.load_state_dict(load_fluid_weights(path, table, model.state_dict()))
        return []
    raise FileError(
        path, f"{model_name} has no image network; start it from one of its own checkpoints"
    )


def put_into_same(
    model: nn.Module, checkpoint: NativeCheckpoint, *, model_name: str, what: str
) -> list[str]:
    """Starts a model from a native checkpoint of the same model.

    The last layer stays fresh where the number of classes differs.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: it is another model's checkpoint, or weights are missing, surplus or wrongly
            shaped.
    """
    if checkpoint.model.lower() != model_name.lower():
        raise FileError(what, f"holds weights of {checkpoint.model}, not of {model_name}")
    ours, theirs = backbone_keys(model.state_dict()), backbone_keys(checkpoint.state_dict)
    _check_depth(resnet_depth(theirs), resnet_depth(ours), what)
    return _put(model, dict(checkpoint.state_dict), what)


def load_image_resnet(path: Path | str, keys: Collection[str]) -> State:
    """Reads an image ResNet.

    Args:
        path: a Fluid folder, .tar.gz or .pdparams, a .pth or .pt file (a state dict, or a dict that
            holds it as "state_dict"; keys may begin with "module."), or a .safetensors file.
        keys: of the ResNet expected, in torchvision's names.

    Returns:
        A state dict in torchvision's names, `fc.weight` and `fc.bias` included where they exist.

    Raises:
        VideozooError: the file cannot be read, or holds a ResNet of another depth.
    """
    kind = kind_of(path)
    if kind == "native":
        name = load_native(path).model
        raise FileError(path, f"holds weights of {name}, not an image ResNet")
    if kind == "fluid":
        return _fluid_resnet(path, keys)
    return _image_resnet(read_torch_file(path), keys, path)[0]


def whole_state_dict(path: Path | str, own: Mapping[str, Tensor]) -> State:
    """Reads all of a model's weights from a .pth, .pt or .safetensors file, of whatever library.

    Args:
        path: of the file.
        own: the model's state dict.

    Returns:
        The weights, with the counters of batch norms.

    Raises:
        VideozooError: the file is damaged; weights are missing, surplus or wrongly shaped.
    """
    file = read_torch_file(path)
    state = find_state_dict(file, own, path)[0]
    if lacks(state, own) and resnet_depth(backbone_keys(own)) is not None:
        state = _image_resnet(file, backbone_keys(own), path)[0]
        state = {k if is_head(k) else BACKBONE + k: v for k, v in state.items()}
    check_state_dict(own, state, str(path))
    counter = torch.zeros((), dtype=torch.int64)
    return {k: state.get(k, counter) if is_counter(k) else state[k] for k in own}


def _image_resnet(
    file: TorchFile, keys: Collection[str], path: Path | str
) -> tuple[State, list[str]]:
    state, said = find_state_dict(file, keys, path)
    _check_depth(resnet_depth(state), resnet_depth(keys), path)
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}, said


def put_into_backbone(
    model: nn.Module, state: Mapping[str, Tensor], *, what: str = "the image ResNet"
) -> list[str]:
    """Puts an image ResNet into a clip model; its classifier too, where that follows at once.

    Where the model takes more channels than three (super-images), the first kernel is averaged over
    its colours, divided by the number of images and repeated for every channel. Modules between the
    image network and the head stay fresh, and then the head too.

    Args:
        model: its image network is called `backbone`, its last layer `fc` or `classifier`.
        state: as load_image_resnet gives it.
        what: begins an error's sentence: the file.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: weights are missing, surplus or wrongly shaped.
    """
    own = model.state_dict()
    given = {k if is_head(k) else BACKBONE + k: v for k, v in state.items()}
    kernel = f"{BACKBONE}conv1.weight"
    channels, first = own[kernel].shape[1], given.get(kernel)
    if channels != 3 and first is not None and first.ndim == 4 and first.shape[1] == 3:
        mean = first.mean(dim=1, keepdim=True) / (channels // 3)  # [64, 1, 7, 7]
        given[kernel] = mean.repeat(1, channels, 1, 1)  # [64, channels, 7, 7]
    others = [k for k in own if not k.startswith(BACKBONE) and not is_head(k)]
    between = dict.fromkeys(key.partition(".")[0] for key in others)  # a set in order
    if not between:
        return _put(model, given, what)
    given = {k: v for k, v in given.items() if not is_head(k)}
    check_state_dict({k: v for k, v in own.items() if k.startswith(BACKBONE)}, given, what)
    model.load_state_dict(given, strict=False)
    return [f"{', '.join(between)} and head start fresh: an image ResNet has none of them"]


def _put(model: nn.Module, state: State, what: str) -> list[str]:
    """Loads a state dict; the head stays fresh where it is absent or has other classes."""
    own = model.state_dict()
    said: list[str] = []
    for bias in [k for k in own if is_head(k) and k.endswith(".bias")]:
        if bias not in state:
            said.append("head starts fresh: the weights have none")
        elif state[bias].numel() != own[bias].numel():
            theirs, ours = state[bias].numel(), own[bias].numel()
            said.append(f"head replaced: weights have {theirs} classes, this model {ours}")
    if said:
        state = {k: v for k, v in state.items() if not is_head(k)}
        own = {k: v for k, v in own.items() if not is_head(k)}
    check_state_dict(own, state, what)
    model.load_state_dict(state, strict=False)
    return said


def _fluid_resnet(path: Path | str, keys: Collection[str]) -> State:
    table = resnet_table(keys)
    known = {f.name for f in (table | _HEAD).values()}
    arrays = read_fluid(
        path,
        skip=is_optimizer_variable,
        wanted=lambda name, shape: name in known and prod(shape) <= _MOST_VALUES,
        most=_MOST_RESNET,
    )
    _check_depth(resnet_depth(arrays), resnet_depth(keys), path)
    if any(name.startswith("fc") for name in arrays):
        table |= _HEAD
    # Shapes are compared with the model's later; here the names alone.
    compare_shapes(
        {f.name: () for f in table.values()}, dict.fromkeys(arrays, ()), what=str(path), head=()
    )
    return from_fluid(arrays, table)


def _check_depth(found: int | None, wanted: int | None, path: Path | str) -> None:
    if found is not None and wanted is not None and found != wanted:
        raise FileError(path, f"holds a ResNet-{found}, the config says num_layers = {wanted}")
