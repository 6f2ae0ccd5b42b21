"""Processes that train together read each record and each clip once, all of them together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of, run_forked, write_clips, write_config, write_shards

pytestmark = pytest.mark.slow

VIDEOS, VALID = 12, 8


@pytest.mark.parametrize(
    ("model", "keys", "more"),
    [
        ("AttentionCluster", {}, 0),
        ("AttentionCluster", {"sampler": "balanced"}, VIDEOS),  # their classes, before training
        ("TSN", {}, 2),  # of each class one that can be read is looked for, by the first process
    ],
)
def test_no_process_reads_what_another_one_trains_on(
    model: str, keys: dict[str, Any], more: int, tmp_path: Path
) -> None:
    write = write_clips if model == "TSN" else write_shards
    listing, valid = write(tmp_path / "train", VIDEOS), write(tmp_path / "valid", VALID)
    experiment = experiment_of(model, listing, valid_list=valid, num_gpus=2, epoch=1, **keys)
    config = write_config(experiment, tmp_path / "config.txt")
    (reads := tmp_path / "reads").mkdir()
    arguments = ["train", "--model-name", model, "--config", str(config), "--pretrain", "none"]
    arguments += ["--save-dir", str(tmp_path / "save"), "--use-gpu", "False"]
    ends, errors = run_forked([{"arguments": arguments, "processes": 2, "reads": str(reads)}])
    assert ends == [[0, 0]], errors
    first, second = (Counter((reads / rank).read_text().splitlines()) for rank in "01")
    assert (first + second).total() == VIDEOS + VALID + more
    assert second.total() == (VIDEOS + VALID + (more if keys else 0)) // 2
    if not keys:  # what is drawn by class may come twice
        assert len(first + second) == VIDEOS + VALID
