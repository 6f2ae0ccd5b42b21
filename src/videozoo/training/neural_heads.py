"""Small feature models, trained in memory on the rows of a few hundred videos.

Shapes: n videos, B of a batch, L rows (padded), D values of a modality, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from videozoo.data.transforms import dequantise
from videozoo.data.youtube8m.frames import sample_cluster_frames, sample_kept_frames
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.specs import SPECS

Rows = Sequence[Tensor]
"""Of one video, the rows of each modality: float32 [n, D], as dequantised, or the bytes."""

MODALITIES = ("rgb", "audio")  # what these models take of a video
SIZES: dict[str, dict[str, Any]] = {
    "AttentionCluster": {"seg_num": 20, "hidden_sizes": [64, 64]},
    "AttentionLSTM": {"embedding_size": 64, "lstm_size": 64, "hidden_sizes": [128, 64]},
    "NEXTVLAD": {
        "cluster_size": 8,
        "hidden_size": 128,
        "groups": 8,
        "expansion": 1,
        "gating_reduction": 4,
    },
}
CLUSTERS = 8
EPOCHS = 20
BATCH = 16
RATE = 1e-3
WEIGHT_DECAY = 0.05
FIRST_STEPS = 4  # after which it is seen how long all will take
ROW_DROP = 0.3  # share of the rows that are left out at random


class OutOfTimeError(Exception):
    """A training will not end in time."""


def small_keys(
    name: str, *, feature_names: Sequence[str], feature_dims: Sequence[int], num_classes: int
) -> dict[str, Any] | None:
    """Returns the config keys of a model that suits hundreds of videos.

    Args:
        name: a key of SIZES.
        feature_names: the modalities that there are.
        feature_dims: D of each.
        num_classes: K.

    Returns:
        The keys of [MODEL]; None: it cannot take these modalities.
    """
    taken = [(n, d) for n, d in zip(feature_names, feature_dims, strict=True) if n in MODALITIES]
    groups = SIZES[name].get("groups", 1)
    if not taken or any(d % groups for _, d in taken):
        return None
    keys: dict[str, Any] = {
        "feature_names": [n for n, _ in taken],
        "feature_dims": [d for _, d in taken],
        "num_classes": num_classes,
        **SIZES[name],
    }
    if name == "AttentionCluster":
        keys["cluster_nums"] = [CLUSTERS] * len(taken)
    return keys


class NeuralHead:
    """A small model with its training.

    Args:
        name: a key of SIZES.
        keys: its config keys, from `small_keys`.
        given: the modalities of the rows that it is given.
        multi_label: sigmoids, a video may have many classes; else softmax.
        device: where it is trained and scores.
    """

    def __init__(
        self,
        name: str,
        keys: dict[str, Any],
        *,
        given: Sequence[str],
        multi_label: bool,
        device: torch.device,
    ) -> None:
        settings: Any = SPECS[name].keys.model_validate(keys)
        self.settings, self.spec, self.device = settings, SPECS[name], device
        self.multi_label = multi_label
        self.places = [list(given).index(n) for n in settings.feature_names]

    def fit(
        self, videos: Sequence[Rows], target: Tensor, *, seed: int, deadline: float = math.inf
    ) -> nn.Module:
        """Trains a model by AdamW, whose rate falls as a cosine.

        Args:
            videos: n of them.
            target: float [n, K], 1 where a video has a class.
            seed: decides first weights, order, rows and dropout.
            deadline: on the clock of time.monotonic.

        Returns:
            The model in test mode.

        Raises:
            OutOfTimeError: it would not be done by the deadline.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.spec.build(self.settings).to(self.device).train()
            rng = np.random.default_rng(seed)
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, fused=True
            )
            steps = EPOCHS * math.ceil(len(videos) / BATCH)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            start, done = time.monotonic(), 0
            for _ in range(EPOCHS):
                for chosen in np.array_split(rng.permutation(len(videos)), steps // EPOCHS):
                    self._step(model, [videos[i] for i in chosen], target[chosen], rng, optimizer)
                    schedule.step()
                    done += 1
                    took = (time.monotonic() - start) / done
                    if done >= FIRST_STEPS and start + took * steps > deadline:
                        raise OutOfTimeError
        return model.eval()

    def _step(
        self,
        model: nn.Module,
        videos: Sequence[Rows],
        target: Tensor,
        rng: np.random.Generator,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        logits = model(*self._batch(videos, rng))  # [B, K]
        loss = feature_loss if self.multi_label else clip_loss
        optimizer.zero_grad()
        loss(logits, target.to(self.device)).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    @torch.inference_mode()
    def logits(self, model: nn.Module, videos: Sequence[Rows]) -> Tensor:
        """Scores videos as `test` does: float32 [n, K] on the CPU."""
        parts = [
            model(*self._batch(videos[first : first + BATCH], None)).cpu()
            for first in range(0, len(videos), BATCH)
        ]
        return torch.cat(parts).clone()  # [n, K]

    def _batch(
        self, videos: Sequence[Rows], rng: np.random.Generator | None
    ) -> tuple[list[Tensor], Tensor]:
        """Returns float32 [B, L, D] a modality and lengths [B]; without a generator all rows."""
        indices = [torch.from_numpy(self._rows(len(rows[0]), rng)) for rows in videos]
        features = []
        for place in self.places:
            x = pad_sequence(
                [rows[place][i] for rows, i in zip(videos, indices, strict=True)], batch_first=True
            ).to(self.device)  # [B, L, D]
            features.append(x if x.is_floating_point() else dequantise(x))
        return features, torch.tensor([len(i) for i in indices], device=self.device)

    def _rows(self, count: int, rng: np.random.Generator | None) -> np.ndarray[Any, Any]:
        """Returns which rows of a video are taken."""
        sampled = self.settings.frames_sampled
        if sampled is None:
            return sample_kept_frames(count, rng, drop=ROW_DROP)
        return sample_cluster_frames(count, rng, seg_num=sampled)
