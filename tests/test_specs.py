"""The records of the models: found in their folder, and all that a model needs to be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from videozoo.config import load_experiment
from videozoo.config.clip_keys import ClipSettings
from videozoo.errors import VideozooError
from videozoo.models import TSN
from videozoo.specs import SPECS, build_model, find_spec, guess_model
from videozoo.specs.spec import ModelSpec


def test_the_models_are_the_files_of_the_folder() -> None:
    import videozoo.specs

    files = {p.stem for p in Path(videozoo.specs.__path__[0]).glob("*.py")}
    modules = [spec.keys.__module__.rpartition(".")[2] for spec in SPECS.values()]
    assert set(modules) == files - {"__init__", "clip_recipe", "schedules", "spec"}
    assert modules == sorted(modules)
    assert [(name, spec.name) for name, spec in SPECS.items()] == [(n, n) for n in SPECS]


def test_a_model_is_found_in_any_case() -> None:
    assert find_spec("nextvlad") is SPECS["NEXTVLAD"]
    with pytest.raises(VideozooError, match=r"unknown model 'TSNN'; did you mean 'TSN'\?"):
        find_spec("TSNN")


@pytest.mark.parametrize("name", SPECS)
def test_a_record_builds_what_the_bundled_config_says(name: str) -> None:
    settings = load_experiment(SPECS[name].keys, None)["INFER"]
    with torch.device("meta"):
        model = SPECS[name].build(settings)
    assert type(model).__name__.lower() == name.lower()


def test_numbers_that_do_not_fit_name_the_model() -> None:
    with pytest.raises(VideozooError, match=r"^NEXTVLAD: "):
        build_model("nextvlad", num_classes=2, feature_dims=[7], groups=3, expansion=2)
    assert isinstance(build_model("tsn", num_classes=2, num_layers=18), TSN)


class ToySettings(ClipSettings):
    """The keys of a model that is not in the folder."""

    NAME = "Toy"
    CONFIG_FILE = "toy.txt"
    MODEL_KEYS = ("num_classes",)


def make_toy(**arguments: Any) -> nn.Module:
    return nn.Linear(1, arguments["num_classes"])


def test_a_registered_model_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "Toy", ModelSpec(keys=ToySettings, construct=make_toy))
    path = tmp_path / "own.txt"
    path.write_text("[MODEL]\nname = 'toy'\nnum_classes = 3\n")
    assert guess_model(path) == guess_model(Path("toy.txt")) == "Toy"
    experiment = load_experiment(find_spec("TOY").keys, str(path))
    assert experiment.model == "Toy"
    model = find_spec("toy").build(experiment["TEST"])
    assert isinstance(model, nn.Linear)
    assert model.out_features == 3
