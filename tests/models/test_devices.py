"""The models on a device that is not the CPU: nothing they compute with is left behind there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from golden_cases import CASES, golden_model, load_case, scores_as_predicted
from other_device import OtherTensor, other_device


def test_the_other_device_is_one() -> None:
    with other_device() as device:
        x = torch.arange(3.0, device=device)
        moved = torch.ones(3).to(device)
        assert (x + moved).cpu().tolist() == [1.0, 2.0, 3.0]
        assert (x * torch.tensor(2.0)).device == device  # a single number may lie anywhere
        with pytest.raises(AssertionError, match="mixes devices"):
            x + torch.ones(3)
        with pytest.raises(AssertionError, match="mixes devices"):
            torch.cat([x, torch.ones(3)])
        with pytest.raises(RuntimeError, match="not supported"):
            x.numpy()


@pytest.mark.parametrize("name", CASES)
def test_scores_and_training_steps(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    with other_device() as device:
        model = golden_model(case, tmp_path).to(device)
        assert all(isinstance(p, OtherTensor) for p in model.parameters())
        case.assert_near(case.scores(model, device), error=1e-6, tie=0.0)
        folded = scores_as_predicted(case, model, "32", device)
        case.assert_near(folded, error=1e-5, tie=0.0)
        model.train()
        optimizer = case.optimizer(model)
        losses = []
        for _ in range(1 if case.is_clip else 2):  # later ones of clips are chaotic, and slow here
            optimizer.zero_grad()
            loss = case.loss(model, device)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    rtol = 1e-4 if case.is_clip else 1e-5
    np.testing.assert_allclose(losses, case.io["train_losses"][: len(losses)], rtol=rtol)
