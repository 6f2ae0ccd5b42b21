"""The golden cases: inputs and answers of the original library, weights made by a formula."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from videozoo.checkpoints.fluid import load_fluid_weights, write_fluid
from videozoo.checkpoints.names import fluid_table
from videozoo.models import build_model

GOLDEN = Path(__file__).parent / "golden"
FEATURE_CASES = ["attention_cluster", "attention_lstm", "nextvlad"]
CLIP_CASES = ["stnet", "tsn"]
CASES = FEATURE_CASES + CLIP_CASES

_KWARGS: dict[str, dict[str, Any]] = {
    "attention_cluster": {
        "feature_dims": [24, 8],
        "cluster_nums": [5, 3],
        "num_classes": 12,
        "hidden_sizes": (64, 48),
    },
    "attention_lstm": {
        "feature_dims": [24, 8],
        "num_classes": 12,
        "embedding_size": 16,
        "lstm_size": 20,
        "hidden_sizes": (64, 48),
    },
    "nextvlad": {
        "feature_dims": [1024, 128],
        "num_classes": 12,
        "cluster_size": 6,
        "hidden_size": 24,
        "groups": 4,
        "expansion": 2,
        "gating_reduction": 4,
    },
    "stnet": {"num_classes": 7, "seglen": 3},
    "tsn": {"num_classes": 7},
}


@dataclass
class Case:
    name: str
    model_name: str
    io: dict[str, np.ndarray]
    variables: dict[str, np.ndarray]

    @property
    def is_clip(self) -> bool:
        return self.name in CLIP_CASES

    def inputs(self) -> tuple[Any, ...]:
        """What the model's forward takes."""
        if self.is_clip:
            return (torch.from_numpy(self.io["image"]),)
        features = [torch.from_numpy(self.io[k]) for k in ("rgb", "audio")]
        if "lengths" not in self.io:
            batch, frames = features[0].shape[:2]
            return features, torch.full((batch,), frames)
        lengths = torch.from_numpy(self.io["lengths"])
        split = [f.split(lengths.tolist()) for f in features]
        return [nn.utils.rnn.pad_sequence(list(s), batch_first=True) for s in split], lengths

    def labels(self) -> Tensor:
        labels = torch.from_numpy(self.io["label"])
        return labels[:, 0] if self.is_clip else labels

    def scores(self, model: nn.Module) -> np.ndarray:
        with torch.no_grad():
            logits = model(*self.inputs())
        return (logits.softmax(1) if self.is_clip else logits.sigmoid()).numpy()


@cache
def load_case(name: str) -> Case:
    description = json.loads((GOLDEN / name / "case.json").read_text())
    with np.load(GOLDEN / name / "io.npz") as arrays:
        io = {key: arrays[key] for key in arrays.files}
    variables = {}
    for variable, p in description["parameters"].items():
        seed = (zlib.crc32(variable.encode()) + description["seed"]) % 2**32
        u = np.random.RandomState(seed).randint(-1, 2, size=p["shape"])
        variables[variable] = (p["offset"] + p["scale"] * u).astype("float32")
    return Case(name, description["model"], io, variables)


def fresh_model(case: Case, drop_rate: float = 0.0) -> nn.Module:
    kwargs = dict(_KWARGS[case.name])
    if not case.is_clip:
        kwargs["drop_rate"] = drop_rate
    return build_model(case.model_name, **kwargs)


def golden_model(case: Case, folder: Path, drop_rate: float = 0.0) -> nn.Module:
    """The case's model; its weights go through a Fluid checkpoint on disk."""
    model = fresh_model(case, drop_rate)
    write_fluid(folder / case.name, case.variables)
    table = fluid_table(case.model_name, model)
    state = load_fluid_weights(folder / case.name, table, model.state_dict())
    model.load_state_dict(state)
    return model.eval()
