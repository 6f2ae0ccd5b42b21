"""What each parameter is called in Fluid, and the pure functions that carry weights across.

A table is `{PyTorch key: FluidName}` for one model at one size. `to_fluid` and `from_fluid` are
each other's inverse.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from videozoo.errors import VideozooError

Array = npt.NDArray[Any]
Table = dict[str, "FluidName"]

RESNET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}

_TRUNK = "backbone."

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


def fluid_table(model_name: str, model: nn.Module, *, feature_names: Sequence[str] = ()) -> Table:
    """Returns the table of a model.

    Args:
        model_name: as in videozoo.specs.SPECS, in any case.
        model: gives its keys: how many modalities, how deep a ResNet.
        feature_names: the modalities; NeXtVLAD's third and later ones are named after them.

    Raises:
        VideozooError: there is no such model.
    """
    keys = set(model.state_dict())
    name = model_name.lower()
    if name == "attentioncluster":
        return _attention_cluster(_count(keys, "clusters"))
    if name == "attentionlstm":
        return _attention_lstm(_count(keys, "modalities"))
    if name == "nextvlad":
        return _nextvlad(_modality_names(_count(keys, "modalities"), feature_names))
    if name == "tsn":
        return {**_trunk(keys), **_linear("fc", "fc_0.w_0", "fc_0.b_0")}
    if name == "stnet":
        return _stnet(_trunk(keys))
    raise VideozooError(f"no table of Fluid's names for the model '{model_name}'")


def resnet_depth(names: Collection[str], *, fluid: bool = False) -> int | None:
    """Returns the layers of the ResNet whose trunk has exactly these weights, or None.

    Args:
        names: keys, or Fluid's names; classifier and counters of batch norms do not matter.
        fluid: whether they are Fluid's names.
    """
    trunk = {n for n in names if not n.startswith("fc") and not n.endswith("num_batches_tracked")}
    for depth in RESNET_BLOCKS:
        table = resnet_table(depth)
        if trunk == ({f.name for f in table.values()} if fluid else set(table)):
            return depth
    return None


def trunk_depth(keys: Collection[str]) -> int | None:
    """Returns the layers of the ResNet inside a clip model with these keys, or None."""
    return resnet_depth({k.removeprefix(_TRUNK) for k in keys if k.startswith(_TRUNK)})


def resnet_table(num_layers: int, *, prefix: str = "") -> Table:
    """Returns the names of a ResNet's trunk (no classifier).

    In ResNet-101 and 152 the blocks of the fourth stage are called 4a, 4b1, 4b2 and so on.

    Args:
        num_layers: 18, 34, 50, 101 or 152.
        prefix: stands before each PyTorch key.
    """
    table = {f"{prefix}conv1.weight": FluidName("conv1_weights")}
    table |= _norm(f"{prefix}bn1", "bn_conv1", image=True)
    convolutions = 2 if num_layers < 50 else 3
    for stage, blocks in enumerate(RESNET_BLOCKS[num_layers], 1):
        for i in range(blocks):
            letter = chr(ord("a") + i)
            if num_layers > 50 and stage == 3 and i:
                letter = f"b{i}"
            ours, theirs = f"{prefix}layer{stage}.{i}.", f"{stage + 1}{letter}_branch"
            for c in range(convolutions):
                branch = f"{theirs}2{'abc'[c]}"
                table[f"{ours}conv{c + 1}.weight"] = FluidName(f"res{branch}_weights")
                table |= _norm(f"{ours}bn{c + 1}", f"bn{branch}", image=True)
            if i == 0 and (stage > 1 or num_layers >= 50):
                table[f"{ours}downsample.0.weight"] = FluidName(f"res{theirs}1_weights")
                table |= _norm(f"{ours}downsample.1", f"bn{theirs}1", image=True)
    return table


def _linear(key: str, weight: str, bias: str | None = None) -> Table:
    table = {f"{key}.weight": FluidName(weight, transpose=True)}
    if bias is not None:
        table[f"{key}.bias"] = FluidName(bias)
    return table


def _norm(key: str, name: str, *, image: bool = False) -> Table:
    """A batch norm; the image network's have other endings."""
    keys = ("weight", "bias", "running_mean", "running_var")
    ends = (
        ("_scale", "_offset", "_mean", "_variance") if image else (".w_0", ".b_0", ".w_1", ".w_2")
    )
    return {f"{key}.{k}": FluidName(name + e) for k, e in zip(keys, ends, strict=True)}


def _attention_cluster(modalities: int) -> Table:
    table: Table = {}
    for m in range(modalities):
        table[f"clusters.{m}.attention.weight"] = FluidName(f"satt{m}.conv.weight", ones_after=2)
        table[f"clusters.{m}.attention.bias"] = FluidName(f"satt{m}.conv.bias")
        table[f"clusters.{m}.shift_w"] = FluidName(f"satt{m}.shift_w")
        table[f"clusters.{m}.shift_b"] = FluidName(f"satt{m}.shift_b")
    table |= _linear("fc1", "fc1.weights", "fc1.bias")
    table |= _linear("fc2", "fc2.weights", "fc2.bias")
    return table | _linear("classifier", "logistic.weights", "logistic.bias")


def _attention_lstm(modalities: int) -> Table:
    def fc(key: str, number: int) -> Table:
        return _linear(key, f"fc_{number}.w_0", f"fc_{number}.b_0")

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


def _nextvlad(names: Sequence[str]) -> Table:
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


def _count(keys: Collection[str], name: str) -> int:
    """Returns the length of the module list `name`."""
    return len({k.split(".")[1] for k in keys if k.startswith(f"{name}.")})


def _trunk(keys: Collection[str]) -> Table:
    """Returns the table of the ResNet inside a clip model."""
    depth = trunk_depth(keys)
    if depth is None:
        raise VideozooError("no table of Fluid's names for a trunk that is no plain ResNet")
    return resnet_table(depth, prefix=_TRUNK)


def _stnet(trunk: Table) -> Table:
    table = dict(trunk)
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
    return table | _linear("fc", "fc_0.w_0", "fc_0.b_0")
