"""Fluid's own files are read and written byte for byte, through our format and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fluid_tables import fluid_table
from golden_cases import CASES, GOLDEN, fresh_model, load_case
from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid, write_fluid
from videozoo.checkpoints.names import to_fluid
from videozoo.checkpoints.native import NativeCheckpoint, load_native, save_native


def files_of(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.iterdir()}


@pytest.mark.parametrize("name", ["attention_cluster", "attention_lstm"])
def test_what_fluid_wrote_reads_as_the_formula_says(name: str) -> None:
    case = load_case(name)
    arrays = read_fluid(GOLDEN / name / "checkpoint")
    assert arrays.keys() == case.variables.keys()
    for variable, values in case.variables.items():
        assert arrays[variable].dtype == np.float32
        np.testing.assert_array_equal(arrays[variable], values)


@pytest.mark.parametrize("name", ["attention_cluster", "attention_lstm"])
def test_fluid_to_native_to_fluid_gives_fluids_own_bytes(name: str, tmp_path: Path) -> None:
    source = GOLDEN / name / "checkpoint"
    round_trip(name, source, tmp_path)
    assert len(files_of(source)) > 10
    assert files_of(tmp_path / "back") == files_of(source)


@pytest.mark.parametrize("name", CASES)
def test_round_trip_of_every_model(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    write_fluid(tmp_path / "made", case.variables)
    round_trip(name, tmp_path / "made", tmp_path)
    assert files_of(tmp_path / "back") == files_of(tmp_path / "made")


def round_trip(name: str, source: Path, tmp_path: Path) -> None:
    case = load_case(name)
    model = fresh_model(case)
    table = fluid_table(case.model_name, model)
    state = load_fluid_weights(source, table, model.state_dict())
    file = tmp_path / "weights.safetensors"
    given = NativeCheckpoint(
        model=case.model_name, state_dict=state, config={"a": 1}, preprocessing={}
    )
    save_native(file, given)
    model.load_state_dict(load_native(file).state_dict)
    write_fluid(tmp_path / "back", to_fluid(model.state_dict(), table))
