"""What each parameter is called in Fluid, and the pure functions that carry weights across.

A table is `{PyTorch key: FluidName}` for one model at one size. `to_fluid` and `from_fluid` are
each other's inverse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[Any]
Table = dict[str, "FluidName"]

BACKBONE = "backbone."  # begins the keys of a clip model's image network

_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.(?:conv|bn|downsample\.)(\d)\.\w+")
# layer3.5.conv1.weight and res4f_branch2a_weights: the block and the place in it
_BLOCK_CONV = re.compile(r"(?:layer|res)([\d.]+|\w+)(?:\.conv|_branch2)(\w)[._]weights?")
_IMAGE_NORM = {
    "weight": "_scale",
    "bias": "_offset",
    "running_mean": "_mean",
    "running_var": "_variance",
}
_OPTIMIZER = re.compile(
    r".+_(moment[12]?|beta[12]_pow_acc|velocity|momentum|mean_square|mean_grad|inf_norm"
    r"|_?avg_squared_(grad|update))_\d+"
    r"|learning_rate(_\d+)?|@LR_DECAY_COUNTER@|@STEP_COUNTER@|@COUNTER@|global_step"
)


@dataclass(frozen=True)
class FluidName:
    """A Fluid variable and how its layout differs from PyTorch's.

    Attributes:
        name: the variable.
        transpose: Fluid's linear weights are [in, out].
        ones_before, ones_after: sizes of 1 that Fluid has around PyTorch's dimensions.
    """

    name: str
    transpose: bool = False
    ones_before: int = 0
    ones_after: int = 0

    def shape_in_fluid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Returns Fluid's shape of a PyTorch tensor of this shape."""
        inner = tuple(reversed(shape)) if self.transpose else tuple(shape)
        return (1,) * self.ones_before + inner + (1,) * self.ones_after

    def to_fluid(self, array: Array) -> Array:
        """Returns PyTorch's array in Fluid's layout."""
        shape = self.shape_in_fluid(array.shape)
        return np.ascontiguousarray((array.T if self.transpose else array).reshape(shape))

    def from_fluid(self, array: Array) -> Array:
        """Returns Fluid's array in PyTorch's layout."""
        inner = array.reshape(array.shape[self.ones_before : array.ndim - self.ones_after])
        return np.ascontiguousarray(inner.T if self.transpose else inner)


def is_optimizer_variable(name: str) -> bool:
    """Says whether Fluid's optimizers or schedules made the variable of this name."""
    return _OPTIMIZER.fullmatch(name) is not None


def to_fluid(state: Mapping[str, Tensor], table: Table) -> dict[str, Array]:
    """Returns a state dict's values by Fluid's names, in Fluid's layout.

    Batch norm's `num_batches_tracked` has no counterpart and is left out.
    """
    return {
        fluid.name: fluid.to_fluid(state[key].detach().cpu().float().numpy())
        for key, fluid in table.items()
    }


def from_fluid(arrays: Mapping[str, Array], table: Table) -> dict[str, Tensor]:
    """Returns the whole state dict, float32, made of Fluid's variables."""
    state: dict[str, Tensor] = {}
    for key, fluid in table.items():
        array = fluid.from_fluid(arrays[fluid.name]).astype(np.float32)
        state[key] = torch.from_numpy(array)
        if key.endswith(".running_var"):
            counter = key.removesuffix("running_var") + "num_batches_tracked"
            state[counter] = torch.tensor(0, dtype=torch.int64)
    return state


def resnet_table(keys: Iterable[str], *, prefix: str = "") -> Table:
    """Returns the names of a ResNet's weights, its classifier left out.

    In ResNet-101 and 152 the blocks of the fourth stage are called 4a, 4b1, 4b2 and so on.

    Args:
        keys: of the ResNet's state dict, in torchvision's names.
        prefix: stands before each key in the table.
    """
    keys = [k for k in keys if not k.startswith("fc.") and not k.endswith("num_batches_tracked")]
    deep = any(key.startswith("layer3.6.") for key in keys)
    table: Table = {}
    for key in keys:
        module, _, part = key.rpartition(".")
        is_norm = "bn" in module or module.endswith("downsample.1")
        name = "bn_conv1" if is_norm else "conv1"
        if block := _BLOCK.fullmatch(key):
            stage, i, number = (int(text) for text in block.groups())
            letter = f"b{i}" if deep and stage == 3 and i else chr(ord("a") + i)
            branch = "1" if "downsample" in module else "2" + "abc"[number - 1]
            name = f"{'bn' if is_norm else 'res'}{stage + 1}{letter}_branch{branch}"
        table[prefix + key] = FluidName(name + (_IMAGE_NORM[part] if is_norm else "_weights"))
    return table


def resnet_depth(names: Iterable[str]) -> int | None:
    """Returns the layers of the ResNet that has these names, in torchvision's or Fluid's spelling.

    It counts convolutions and the classifier, whether that is there or not.

    Returns:
        None where they are not a ResNet's, or a convolution is missing.
    """
    names = set(names)
    convs = [found.groups() for found in map(_BLOCK_CONV.fullmatch, names) if found is not None]
    blocks, places = {block for block, _ in convs}, {place for _, place in convs}
    whole = len(convs) == len(blocks) * len(places)
    stem = bool(names & {"conv1.weight", "conv1_weights"})
    return len(convs) + 2 if convs and whole and stem else None


def backbone_keys(keys: Iterable[str]) -> list[str]:
    """Returns the keys of the image network inside a clip model, without their prefix."""
    return [key.removeprefix(BACKBONE) for key in keys if key.startswith(BACKBONE)]


def _linear(key: str, weight: str, bias: str | None = None) -> Table:
    table = {f"{key}.weight": FluidName(weight, transpose=True)}
    if bias is not None:
        table[f"{key}.bias"] = FluidName(bias)
    return table


def _norm(key: str, name: str) -> Table:
    """A batch norm outside the image network, whose have other endings."""
    keys = ("weight", "bias", "running_mean", "running_var")
    ends = (".w_0", ".b_0", ".w_1", ".w_2")
    return {f"{key}.{k}": FluidName(name + e) for k, e in zip(keys, ends, strict=True)}


def attention_cluster_names(model: nn.Module, feature_names: Sequence[str] = ()) -> Table:
    """Returns AttentionCluster's table; Fluid numbers its modalities."""
    table: Table = {}
    for m in range(_count(model, "clusters")):
        table[f"clusters.{m}.attention.weight"] = FluidName(f"satt{m}.conv.weight", ones_after=2)
        table[f"clusters.{m}.attention.bias"] = FluidName(f"satt{m}.conv.bias")
        table[f"clusters.{m}.shift_w"] = FluidName(f"satt{m}.shift_w")
        table[f"clusters.{m}.shift_b"] = FluidName(f"satt{m}.shift_b")
    table |= _linear("fc1", "fc1.weights", "fc1.bias")
    table |= _linear("fc2", "fc2.weights", "fc2.bias")
    return table | _linear("classifier", "logistic.weights", "logistic.bias")


def attention_lstm_names(model: nn.Module, feature_names: Sequence[str] = ()) -> Table:
    """Returns AttentionLSTM's table; Fluid numbers its layers, one modality after the other."""

    def fc(key: str, number: int) -> Table:
        return _linear(key, f"fc_{number}.w_0", f"fc_{number}.b_0")

    modalities = _count(model, "modalities")
    table: Table = {}
    for m in range(modalities):
        table |= fc(f"modalities.{m}.embedding", 4 * m)
        for d, direction in enumerate(("forward_lstm", "backward_lstm")):
            key = f"modalities.{m}.{direction}"
            table |= fc(f"{key}.gates", 4 * m + 1 + d)
            table[f"{key}.weight"] = FluidName(f"lstm_{2 * m + d}.w_0")
            table[f"{key}.bias"] = FluidName(f"lstm_{2 * m + d}.b_0", ones_before=1)
        table |= fc(f"modalities.{m}.attention", 4 * m + 3)
    for i, key in enumerate(("fc1", "fc2", "classifier")):
        table |= fc(key, 4 * modalities + i)
    return table


def _modality_names(modalities: int, feature_names: Sequence[str]) -> list[str]:
    names = ["video", "audio"][:modalities]
    for m in range(2, modalities):
        own = feature_names[m] if m < len(feature_names) else ""
        names.append(own if own and own not in names else f"modality{m}")
    return names


def nextvlad_names(model: nn.Module, feature_names: Sequence[str] = ()) -> Table:
    """Returns NeXtVLAD's table; its third and later modalities are called by `feature_names`."""
    names = _modality_names(_count(model, "modalities"), feature_names)
    table: Table = {}
    for m, name in enumerate(names):
        key = f"modalities.{m}"
        table |= _linear(f"{key}.expansion", f"{name}_fc_expansion_w", f"{name}_fc_expansion_b")
        attention = f"{name}_fc_group_attention"
        table |= _linear(f"{key}.attention", f"{attention}_w", f"{attention}_b")
        table |= _linear(f"{key}.assignment", f"{name}_cluster_weights")
        table |= _norm(f"{key}.assignment_norm", f"batch_norm_{2 * m}")
        table[f"{key}.centres"] = FluidName(f"{name}_cluster_weights2")
        table |= _norm(f"{key}.norm", f"batch_norm_{2 * m + 1}")
    table |= _linear("hidden", "hidden1_fc_weights")
    table |= _norm("hidden_norm", f"batch_norm_{2 * len(names)}")
    table |= _linear("gate1", "gating_fc1_weights")
    table |= _norm("gate_norm", f"batch_norm_{2 * len(names) + 1}")
    table |= _linear("gate2", "gating_fc2_weights")
    return table | _linear("classifier", "logits_clf_weights", "logits_clf_bias")


def tsn_names(model: nn.Module, feature_names: Sequence[str] = ()) -> Table:
    """Returns TSN's table: that of its ResNet and the classifier."""
    trunk = resnet_table(backbone_keys(model.state_dict()), prefix=BACKBONE)
    return trunk | _linear("fc", "fc_0.w_0", "fc_0.b_0")


def stnet_names(model: nn.Module, feature_names: Sequence[str] = ()) -> Table:
    """Returns StNet's table: TSN's, the temporal blocks and the temporal Xception."""
    table = tsn_names(model)
    norms = [k for k in table if k.endswith(".running_var")]
    stages = ("backbone.bn1.", "backbone.layer1.", "backbone.layer2.", "backbone.layer3.")
    for t, stage in enumerate((2, 3)):
        # Fluid numbered these two by the batch norms made before them.
        before = sum(k.startswith(stages[: stage + 1]) for k in norms)
        table |= {
            f"temporal{t + 1}.conv.weight": FluidName(f"conv3d_{t}.w_0"),
            f"temporal{t + 1}.conv.bias": FluidName(f"conv3d_{t}.b_0"),
        }
        table |= _norm(f"temporal{t + 1}.norm", f"batch_norm_{before + t}")
    for key, name in (
        ("depthwise1", "xception_att_conv"),
        ("pointwise1", "xception_att_2"),
        ("depthwise2", "xception_att1"),
        ("pointwise2", "xception_att1_2"),
        ("shortcut", "xception_dw"),
    ):
        table[f"xception.{key}.weight"] = FluidName(f"{name}.w_0", ones_after=1)
        table[f"xception.{key}.bias"] = FluidName(f"{name}.b_0")
    for key, name in (("norm", "bn"), ("norm1", "bndw"), ("norm2", "bn2")):
        table |= _norm(f"xception.{key}", f"xception_{name}")
    return table


def _count(model: nn.Module, name: str) -> int:
    """Returns the length of a model's module list `name`."""
    return len(list(model.get_submodule(name).children()))
