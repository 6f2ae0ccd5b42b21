"""What training starts from: the rule, before anything is read or fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of

from videozoo.classifier import build_classifier
from videozoo.errors import VideozooError
from videozoo.training.start import choose_weights, open_start
from videozoo.zoo.archives import ImageResNet, VideoWeights

DEFAULT = "ResNet50_pretrained"


@pytest.mark.parametrize(
    ("model", "keys", "pretrain", "expected"),
    [
        ("TSN", {}, None, None),  # a ResNet-18, which the original had not
        ("TSN", {"num_layers": 50}, None, DEFAULT),
        ("STNET", {"num_layers": 50}, None, DEFAULT),
        ("STNET", {"num_layers": 101}, None, None),
        ("TSN", {"num_layers": 50}, "none", "none"),
        ("TSN", {"num_layers": 50}, "resnet50", "resnet50"),
        ("TSN", {"num_layers": 50, "pretrain_base": "none"}, None, "none"),
        ("TSN", {"num_layers": 50, "pretrain_base": "missing/R50"}, None, DEFAULT),
        ("TSN", {"num_layers": 18, "pretrain_base": "missing/R18"}, None, None),
        ("TSN", {"num_layers": 50, "pretrain_base": "resnet50"}, None, "resnet50"),
        ("TSN", {"num_layers": 50, "pretrain_base": "here"}, None, "here"),
        ("TSN", {"num_layers": 50, "pretrain_base": "here"}, "there", "there"),
        ("AttentionCluster", {}, None, None),
    ],
)
def test_what_is_chosen(
    model: str,
    keys: dict[str, Any],
    pretrain: str | None,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").touch()
    assert choose_weights(experiment_of(model, Path("list"), **keys), pretrain) == expected


@pytest.mark.parametrize(
    ("model", "pretrain", "sentence"),
    [
        ("TSN", "resnet50", "is a ResNet-50, the config says num_layers = 18"),
        ("AttentionCluster", "resnet50", "AttentionCluster has no image network"),
        ("STNET", "tsn_kinetics", "holds weights of TSN, not of STNET"),
        ("TSN", "resnt18", "no such file or folder; did you mean 'resnet18'?"),
    ],
)
def test_what_does_not_fit_is_not_fetched(model: str, pretrain: str, sentence: str) -> None:
    experiment = experiment_of(model, Path("list"))

    def fetch(published: VideoWeights | ImageResNet, instead: str) -> Path:
        raise AssertionError("fetched")

    with pytest.raises(VideozooError) as error:
        open_start(
            build_classifier(experiment["TRAIN"]),
            experiment,
            pretrain=pretrain,
            resume=None,
            save_dir=Path("save"),
            fetch=fetch,
        )
    assert str(error.value).startswith(f"--pretrain {pretrain}: ")
    assert sentence in str(error.value)
