from __future__ import annotations

import pytest
import torch

from fluid_tables import fluid_table
from videozoo.checkpoints.names import (
    from_fluid,
    is_optimizer_variable,
    resnet_depth,
    resnet_table,
    to_fluid,
)
from videozoo.errors import VideozooError
from videozoo.models.resnet import ResNet
from videozoo.specs import build_model

SMALL = {
    "AttentionCluster": {
        "feature_dims": [8, 4, 2],
        "cluster_nums": [3, 2, 2],
        "hidden_sizes": (6, 5),
    },
    "AttentionLSTM": {
        "feature_dims": [8, 4, 2],
        "embedding_size": 3,
        "lstm_size": 4,
        "hidden_sizes": (6, 5),
    },
    "NEXTVLAD": {"feature_dims": [8, 4, 8], "cluster_size": 3, "hidden_size": 16, "groups": 4},
    "STNET": {"num_layers": 18, "seglen": 2},
    "TSN": {"num_layers": 34},
}


@pytest.mark.parametrize("name", SMALL)
def test_tables_name_everything_once_and_carry_it_both_ways(name: str) -> None:
    model = build_model(name, num_classes=5, **SMALL[name])
    table = fluid_table(name, model)
    state = model.state_dict()
    assert set(table) == {k for k in state if not k.endswith("num_batches_tracked")}
    assert len({f.name for f in table.values()}) == len(table)
    back = from_fluid(to_fluid(state, table), table)
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert torch.equal(back[key], value), key


@pytest.mark.parametrize(("layers", "numbers"), [(50, (24, 44)), (101, (24, 95)), (152, (36, 146))])
def test_stnets_temporal_batch_norms_are_numbered_as_fluid_did(
    layers: int, numbers: tuple[int, int]
) -> None:
    with torch.device("meta"):
        model = build_model("STNET", num_classes=5, num_layers=layers)
    table = fluid_table("STNET", model)
    assert table["temporal1.norm.weight"].name == f"batch_norm_{numbers[0]}.w_0"
    assert table["temporal2.norm.running_var"].name == f"batch_norm_{numbers[1]}.w_2"


def keys_of(num_layers: int) -> list[str]:
    with torch.device("meta"):
        return list(ResNet(num_layers=num_layers).state_dict())


def test_the_blocks_of_deep_resnets() -> None:
    assert resnet_table(keys_of(50))["layer3.5.conv1.weight"].name == "res4f_branch2a_weights"
    for layers, last in ((101, "b22"), (152, "b35")):
        table = resnet_table(keys_of(layers))
        assert table["layer3.0.conv3.weight"].name == "res4a_branch2c_weights"
        assert table["layer3.1.conv2.weight"].name == "res4b1_branch2b_weights"
        assert table[f"layer3.{int(last[1:])}.bn1.bias"].name == f"bn4{last}_branch2a_offset"
    assert resnet_table(keys_of(152))["layer2.7.bn3.running_mean"].name == "bn3h_branch2c_mean"


def test_modalities_of_nextvlad() -> None:
    model = build_model("NEXTVLAD", num_classes=5, **SMALL["NEXTVLAD"])
    named = fluid_table("NEXTVLAD", model, feature_names=["rgb", "audio", "flow"])
    assert named["modalities.2.assignment.weight"].name == "flow_cluster_weights"
    assert named["gate_norm.weight"].name == "batch_norm_7.w_0"
    plain = fluid_table("NEXTVLAD", model)
    assert plain["modalities.2.centres"].name == "modality2_cluster_weights2"
    clash = fluid_table("NEXTVLAD", model, feature_names=["rgb", "flow", "audio"])
    assert clash["modalities.2.centres"].name == "modality2_cluster_weights2"


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depth_is_seen_from_the_names(depth: int) -> None:
    table = resnet_table(keys_of(depth))
    assert resnet_depth(table) == depth
    assert resnet_depth([*table, "fc.weight", "bn1.num_batches_tracked"]) == depth
    assert resnet_depth({f.name for f in table.values()}) == depth
    assert resnet_depth(list(table)[1:]) is None


@pytest.mark.parametrize(
    ("name", "is_state"),
    [
        ("fc1.weights_moment1_0", True),
        ("lstm_0.b_0_mean_square_0", True),
        ("fc_3.w_0_mean_grad_0", True),
        ("fc_3.w_0_momentum_0", True),
        ("conv1_weights_velocity_0", True),
        ("fc1.bias_beta2_pow_acc_0", True),
        ("learning_rate_0", True),
        ("@LR_DECAY_COUNTER@", True),
        ("fc1.weights", False),
        ("bn_conv1_mean", False),
        ("batch_norm_0.w_1", False),
        ("xception_att_conv.w_0", False),
    ],
)
def test_optimizer_variables(name: str, is_state: bool) -> None:
    assert is_optimizer_variable(name) == is_state


@pytest.mark.parametrize("name", SMALL)
def test_no_model_variable_passes_for_optimizer_state(name: str) -> None:
    table = fluid_table(name, build_model(name, num_classes=5, **SMALL[name]))
    assert not [f.name for f in table.values() if is_optimizer_variable(f.name)]


def test_an_unknown_model() -> None:
    with pytest.raises(VideozooError, match="'TSM'"):
        fluid_table("TSM", torch.nn.Linear(1, 1))
