"""The copies that test and infer run give the original library's numbers, in both precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_cases import CLIP_CASES, golden_model, load_case

from videozoo.models import folding
from videozoo.models.folding import folded


@pytest.fixture(params=[True, False], ids=["fused", "plain"])
def fuses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to compute; a machine without oneDNN has the plain one only."""
    if not request.param:
        monkeypatch.setattr(folding.onednn, "convolutions_fuse", lambda x: False)
    return bool(request.param)


@pytest.mark.parametrize("name", CLIP_CASES)
def test_the_originals_scores_in_float32(name: str, tmp_path: Path, fuses: bool) -> None:
    case = load_case(name)
    ready = folded(golden_model(case, tmp_path), dtype=torch.float32)
    np.testing.assert_allclose(case.scores(ready), case.io["eval_scores"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CLIP_CASES)
def test_the_originals_scores_in_bfloat16(name: str, tmp_path: Path, fuses: bool) -> None:
    case = load_case(name)
    ready = folded(golden_model(case, tmp_path), dtype=torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        scores = ready(*case.inputs()).float().softmax(1).numpy()
    np.testing.assert_allclose(scores, case.io["eval_scores"], rtol=0, atol=1e-2)
    # The same first class, but for a tie: tsn's second video has two scores 2.4e-5 apart.
    best = case.io["eval_scores"].max(axis=1)
    chosen = case.io["eval_scores"][np.arange(len(scores)), scores.argmax(1)]
    assert (best - chosen < 1e-4).all()
