"""Starting weights: image ResNets for TSN and StNet, or an earlier checkpoint of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid
from videozoo.checkpoints.names import (
    FluidName,
    Table,
    from_fluid,
    is_optimizer_variable,
    resnet_depth,
    resnet_table,
    trunk_depth,
)
from videozoo.checkpoints.native import (
    NativeCheckpoint,
    check_state_dict,
    kind_of,
    load_native,
    read_torch_file,
)
from videozoo.checkpoints.strict import compare_shapes, is_head
from videozoo.errors import VideozooError

State = dict[str, Tensor]

_HEAD: Table = {
    "fc.weight": FluidName("fc_0.w_0", transpose=True),
    "fc.bias": FluidName("fc_0.b_0"),
}
_PREFIX = "backbone."


def start_from(
    model: nn.Module,
    path: Path | str,
    *,
    model_name: str,
    num_layers: int = 50,
    table: Table | None = None,
) -> list[str]:
    """Puts starting weights into a model, whatever kind of file they are in.

    Args:
        model: takes the weights.
        path: a checkpoint of this model (native; for feature models Fluid too), or for TSN and
            StNet an image ResNet.
        model_name: as in videozoo.specs.SPECS.
        num_layers: of the clip model's ResNet.
        table: the model's Fluid names; needed for a feature model's Fluid checkpoint only.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: the weights cannot be read or do not fit.
    """
    kind = kind_of(path)
    if kind == "native":
        return put_into_same(model, load_native(path), model_name=model_name, what=str(path))
    if model_name.lower() == "tsn":
        return put_into_tsn(model, load_image_resnet(path, num_layers), what=str(path))
    if model_name.lower() == "stnet":
        return put_into_stnet(model, load_image_resnet(path, num_layers), what=str(path))
    if kind == "fluid" and table is not None:
        model.load_state_dict(load_fluid_weights(path, table, model.state_dict()))
        return []
    raise VideozooError(
        f"{path}: {model_name} has no image network; start it from one of its own checkpoints"
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
        raise VideozooError(f"{what}: holds weights of {checkpoint.model}, not of {model_name}")
    depth = trunk_depth(model.state_dict())
    if depth is not None:
        _check_depth(trunk_depth(checkpoint.state_dict), depth, what)
    return _put(model, dict(checkpoint.state_dict), what)


def load_image_resnet(path: Path | str, num_layers: int) -> State:
    """Reads an image ResNet.

    Args:
        path: a Fluid folder or .tar.gz, a .pth or .pt file (a state dict, or a dict that holds it
            as "state_dict"; keys may begin with "module."), or a .safetensors file.
        num_layers: the ResNet expected: 18, 34, 50, 101 or 152.

    Returns:
        A state dict in torchvision's names, `fc.weight` and `fc.bias` included where they exist.

    Raises:
        VideozooError: the file cannot be read, or holds a ResNet of another depth.
    """
    kind = kind_of(path)
    if kind == "native":
        name = load_native(path).model
        raise VideozooError(f"{path}: holds weights of {name}, not an image ResNet")
    if kind == "fluid":
        return _fluid_resnet(path, num_layers)
    state = _plain_state(read_torch_file(path), path)
    _check_depth(resnet_depth(state), num_layers, path)
    return state


def put_into_tsn(model: nn.Module, state: Mapping[str, Tensor], *, what: str = "") -> list[str]:
    """Puts an image ResNet into a TSN; its classifier too where the class counts agree.

    Args:
        model: a TSN.
        state: as load_image_resnet gives it.
        what: begins an error's sentence: the file.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: weights are missing, surplus or wrongly shaped.
    """
    renamed = {k if is_head(k) else _PREFIX + k: v for k, v in state.items()}
    return _put(model, renamed, what or "the image ResNet")


def put_into_stnet(model: nn.Module, state: Mapping[str, Tensor], *, what: str = "") -> list[str]:
    """Puts an image ResNet's trunk into an StNet.

    The first kernel is averaged over its three colours, divided by seglen and repeated for every
    channel of a super-image. Temporal blocks, Xception and classifier stay fresh.

    Args:
        model: an StNet.
        state: as load_image_resnet gives it.
        what: begins an error's sentence: the file.

    Returns:
        Sentences for people: what was not taken over.

    Raises:
        VideozooError: weights of the trunk are missing, surplus or wrongly shaped.
    """
    own = model.state_dict()
    channels = own[f"{_PREFIX}conv1.weight"].shape[1]
    trunk = {_PREFIX + k: v for k, v in state.items() if not is_head(k)}
    first = trunk.get(f"{_PREFIX}conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] == 3:
        mean = first.mean(dim=1, keepdim=True) / (channels // 3)  # [64, 1, 7, 7]
        trunk[f"{_PREFIX}conv1.weight"] = mean.repeat(1, channels, 1, 1)  # [64, 3*seglen, 7, 7]
    expected = {k: v for k, v in own.items() if k.startswith(_PREFIX)}
    check_state_dict(expected, trunk, what or "the image ResNet")
    model.load_state_dict(trunk, strict=False)
    return ["temporal blocks, Xception and head start fresh: an image ResNet has none of them"]


def _put(model: nn.Module, state: State, what: str) -> list[str]:
    """Loads a state dict; the head stays fresh where it is absent or has other classes."""
    own = model.state_dict()
    bias = next(k for k in own if is_head(k) and k.endswith(".bias"))
    classes = own[bias].numel()
    said: list[str] = []
    if bias not in state:
        said.append("head starts fresh: the weights have none")
    elif state[bias].numel() != classes:
        said.append(
            f"head replaced: weights have {state[bias].numel()} classes, this model {classes}"
        )
    if said:
        state = {k: v for k, v in state.items() if not is_head(k)}
        own = {k: v for k, v in own.items() if not is_head(k)}
    check_state_dict(own, state, what)
    model.load_state_dict(state, strict=False)
    return said


def _fluid_resnet(path: Path | str, num_layers: int) -> State:
    arrays = read_fluid(path, skip=is_optimizer_variable)
    _check_depth(resnet_depth(arrays, fluid=True), num_layers, path)
    table = resnet_table(num_layers)
    if any(name.startswith("fc") for name in arrays):
        table |= _HEAD
    # Shapes are compared with the model's later; here the names alone.
    compare_shapes(
        {f.name: () for f in table.values()}, dict.fromkeys(arrays, ()), what=str(path), head=()
    )
    return from_fluid(arrays, table)


def _check_depth(found: int | None, num_layers: int, path: Path | str) -> None:
    if found is not None and found != num_layers:
        raise VideozooError(
            f"{path}: holds a ResNet-{found}, the config says num_layers = {num_layers}"
        )


def _plain_state(raw: Any, path: Path | str) -> State:
    """Returns the state dict inside what a .pth file held."""
    if isinstance(raw, Mapping) and isinstance(raw.get("state_dict"), Mapping):
        raw = raw["state_dict"]
    if not isinstance(raw, Mapping) or not all(isinstance(v, Tensor) for v in raw.values()):
        raise VideozooError(f"{path}: holds no state dict (names and tensors)")
    state = {str(k).removeprefix("module."): v for k, v in raw.items()}
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
