"""The copies that test and infer run give the original library's numbers, in both precisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from golden_cases import CASES, golden_model, load_case, scores_as_predicted
from videozoo.models import onednn

# Error of a score, and how near the original scored classes of which either may come first: tsn's
# second video has two scores 2.4e-5 apart.
ALLOWED = {"32": {"error": 1e-5, "tie": 0.0}, "bf16": {"error": 1e-2, "tie": 1e-4}}


@pytest.fixture(params=[True, False], ids=["fused", "plain"])
def fuses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to compute; a machine without oneDNN has the plain one only."""
    if not request.param:
        monkeypatch.setattr(onednn, "convolutions_fuse", lambda x: False)
        monkeypatch.setattr(onednn, "linears_pack", lambda weight: False)
    return bool(request.param)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_the_originals_scores(name: str, precision: str, tmp_path: Path, fuses: bool) -> None:
    case = load_case(name)
    scores = scores_as_predicted(case, golden_model(case, tmp_path), precision, torch.device("cpu"))
    case.assert_near(scores, **ALLOWED[precision])
