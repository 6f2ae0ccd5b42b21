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

from fluid_tables import fluid_table
from videozoo.checkpoints.fluid import load_fluid_weights, write_fluid
from videozoo.classifier import Classifier
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.models.layers import autocast
from videozoo.specs import SPECS, build_model
from videozoo.training.optimizers import CenteredRMSProp, parameter_groups

GOLDEN = Path(__file__).parent / "parity" / "golden"
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

    def inputs(self, device: torch.device | str = "cpu") -> tuple[Any, ...]:
        """What the model's forward takes."""
        if self.is_clip:
            return (torch.from_numpy(self.io["image"]).to(device),)
        features = [torch.from_numpy(self.io[k]).to(device) for k in ("rgb", "audio")]
        if "lengths" not in self.io:
            batch, frames = features[0].shape[:2]
            return features, torch.full((batch,), frames, device=device)
        lengths = torch.from_numpy(self.io["lengths"])
        split = [f.split(lengths.tolist()) for f in features]
        padded = [nn.utils.rnn.pad_sequence(list(s), batch_first=True) for s in split]
        return padded, lengths.to(device)

    def labels(self) -> Tensor:
        labels = torch.from_numpy(self.io["label"])
        return labels[:, 0] if self.is_clip else labels

    def scores(self, model: nn.Module, device: torch.device | str = "cpu") -> np.ndarray:
        """The scores of a model on that device."""
        with torch.inference_mode():
            logits = model(*self.inputs(device)).float().cpu()
        return (logits.softmax(1) if self.is_clip else logits.sigmoid()).numpy()

    def loss(self, model: nn.Module, device: torch.device | str = "cpu") -> Tensor:
        """The loss in the reduction that the golden's losses have."""
        labels = self.labels().to(device)
        loss = (clip_loss if self.is_clip else feature_loss)(model(*self.inputs(device)), labels)
        assert loss.shape == (len(labels),)
        return loss.sum() if self.name == "attention_lstm" else loss.mean()

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """What the original trained with."""
        decay = {"attention_lstm": 8e-4, "nextvlad": 1e-5}.get(self.name, 1e-4)
        decays = SPECS[self.model_name].decays
        groups = parameter_groups(model, weight_decay=decay, decays=decays)
        if self.is_clip:
            return torch.optim.SGD(groups, lr=0.01, momentum=0.9)
        if self.name == "attention_lstm":
            return CenteredRMSProp(groups, lr=0.001)
        return torch.optim.Adam(groups, lr=0.0002 if self.name == "nextvlad" else 0.001)

    def assert_near(self, scores: np.ndarray, *, error: float, tie: float) -> None:
        """Checks scores of test mode.

        Args:
            scores: [B, K].
            error: of each score, at most.
            tie: classes that the original scored that near to its best one count as the best too.
        """
        golden = self.io["eval_scores"]
        np.testing.assert_allclose(scores, golden, rtol=0, atol=error)
        chosen = golden[np.arange(len(golden)), scores.argmax(1)]
        assert (golden.max(axis=1) - chosen <= tie).all()


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


def scores_as_predicted(
    case: Case, model: nn.Module, precision: str, device: torch.device
) -> np.ndarray:
    """The scores of a model on that device, made as `videozoo test` and `infer` make them."""
    given = Classifier(inputs=nn.Identity(), model=model, multi_label=not case.is_clip)
    with autocast(device, precision):
        return case.scores(given.for_inference(precision).model, device)
