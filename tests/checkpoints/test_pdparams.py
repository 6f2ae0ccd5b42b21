"""Weights of Paddle's later releases: a pickle of arrays by name."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fluid_tables import fluid_table
from golden_cases import CASES, fresh_model, load_case
from videozoo.checkpoints.backbones import load_image_resnet, start_from
from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid
from videozoo.checkpoints.names import resnet_table, to_fluid
from videozoo.checkpoints.native import kind_of
from videozoo.errors import VideozooError
from videozoo.models import TSN
from videozoo.models.resnet import ResNet

TABLE, PARTS = "StructuredToParameterName@@", "UnpackBigParamInfor@@"
OF_PADDLE = Path(__file__).parent / "data" / "paddle_3.3.1.pdparams"
ARRAYS: dict[str, Any] = {
    "a.w_0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones(2, np.float32),
}


def written(path: Path, value: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(VideozooError) as error:
        read_fluid(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_every_model_loads_as_from_a_fluid_folder(name: str, protocol: int, tmp_path: Path) -> None:
    case = load_case(name)
    model = fresh_model(case)
    table = fluid_table(case.model_name, model)
    path = written(tmp_path / "w.pdparams", case.variables, protocol)
    state = load_fluid_weights(path, table, model.state_dict())
    model.load_state_dict(state)
    for variable, values in to_fluid(model.state_dict(), table).items():
        np.testing.assert_array_equal(values, case.variables[variable])


def test_a_file_that_paddle_wrote() -> None:
    assert kind_of(OF_PADDLE) == "fluid"
    wanted = {"fc_0.w_0": (3, 2), "fc_0.b_0": (2,)}
    found = read_fluid(OF_PADDLE, wanted=lambda name, shape: wanted.get(name) == shape)
    np.testing.assert_array_equal(found["fc_0.w_0"], np.arange(6, dtype=np.float32).reshape(3, 2))
    assert found["fc_0.b_0"].tolist() == [0.5, -1.0]
    assert read_fluid(OF_PADDLE).keys() == {"out.weight", "out.bias"}


@pytest.mark.skipif(np.__version__ < "2", reason="pickle itself needs the numpy 2 that wrote it")
def test_what_these_tests_write_has_the_form_of_a_file_that_paddle_wrote() -> None:
    found = read_fluid(OF_PADDLE)
    mine = {name: found[name] for name in ("out.weight", "out.bias")}
    mine[TABLE] = {"out.weight": "fc_0.w_0", "out.bias": "fc_0.b_0"}
    theirs = pickle.loads(OF_PADDLE.read_bytes())
    assert [*theirs] == [*mine]
    assert theirs[TABLE] == mine[TABLE]


def test_names_of_variables_that_mean_nothing_are_not_taken(tmp_path: Path) -> None:
    table = {"a.w_0": "generated_tensor_0", "b": "generated_tensor_1"}
    path = written(tmp_path / "w.pdparams", ARRAYS | {TABLE: table}, 4)
    assert read_fluid(path, wanted=lambda name, shape: name in ARRAYS).keys() == ARRAYS.keys()


def test_large_arrays_in_parts_are_put_together(tmp_path: Path) -> None:
    flat = ARRAYS["a.w_0"].reshape(-1)
    parts = {"a.w_0": {"OriginShape": (2, 3), "slices": ["a.w_0@@.0", "a.w_0@@.1"]}}
    saved = {"b": ARRAYS["b"], "a.w_0@@.0": flat[:4], "a.w_0@@.1": flat[4:], PARTS: parts}
    found = read_fluid(written(tmp_path / "w.pdparams", saved))
    assert found.keys() == ARRAYS.keys()
    np.testing.assert_array_equal(found["a.w_0"], ARRAYS["a.w_0"])
    del saved["a.w_0@@.1"]
    assert "lacks parts of 'a.w_0'" in refusal(written(tmp_path / "l.pdparams", saved))
    saved["a.w_0@@.1"] = flat[5:]
    told = refusal(written(tmp_path / "s.pdparams", saved))
    assert "the parts of 'a.w_0' do not have its shape (2, 3)" in told


def test_names_that_python_2_wrote(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pdparams", {b"b": ARRAYS["b"]})
    assert read_fluid(path).keys() == {"b"}


def test_what_holds_more_than_arrays_is_not_taken(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return (os.system, ("touch ran",))

    path = tmp_path / "w.pdparams"
    assert "do not trust it" in refusal(written(path, {"a": Runs()}))
    assert not Path("ran").exists()
    assert "'x' is no array of floating-point numbers (int)" in refusal(written(path, {"x": 1}))
    told = refusal(written(path, {"x": np.zeros(2, np.int64)}))
    assert "'x' is no array of floating-point numbers (int64)" in told
    assert "holds a list, not arrays by name" in refusal(written(path, [1]))
    assert "what 'StructuredToParameterName@@' says is no dict" in refusal(
        written(path, ARRAYS | {TABLE: 3})
    )
    path.write_bytes(pickle.dumps(ARRAYS, 2)[:-20])
    assert refusal(path).startswith(f"{path}: a damaged or cut off pickle (")


def test_other_files_of_paddle_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.pdparams"
    path.write_bytes(b"no pickle at all")
    for file, said in (
        (path, "is no checkpoint; known are"),
        (written(tmp_path / "w.pdopt", {}), "the weights are in the .pdparams beside it"),
        (tmp_path, f"is a folder that holds weights; give {path}"),
    ):
        with pytest.raises(VideozooError) as error:
            kind_of(file)
        assert said in str(error.value)


def test_an_image_resnet_starts_a_clip_model(tmp_path: Path) -> None:
    resnet = ResNet(num_layers=18)
    state = resnet.state_dict()
    path = written(tmp_path / "r.pdparams", to_fluid(state, resnet_table(state)))
    found = load_image_resnet(path, state.keys())
    assert torch.equal(found["conv1.weight"], state["conv1.weight"])
    model = TSN(num_classes=4, num_layers=18)
    start_from(model, path, model_name="TSN")
    assert torch.equal(model.state_dict()["backbone.conv1.weight"], state["conv1.weight"])
