from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import CLASSES, DIMS, experiment_of, run_quietly, write_clips, write_shards

from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.shards import list_shards
from videozoo.errors import VideozooError
from videozoo.training.balance import balanced_weights, listed_classes
from videozoo.training.state import load_state


def features(listing: Path) -> YouTube8MDataset:
    return YouTube8MDataset(
        list_shards(str(listing)),
        feature_names=list(DIMS),
        feature_dims=list(DIMS.values()),
        num_classes=CLASSES,
    )


def clips(listing: Path) -> ClipDataset:
    entries = read_listing(listing).entries
    return ClipDataset(entries, num_classes=2, seg_num=1, seglen=1, short_size=32, target_size=32)


def test_classes_come_from_records(tmp_path: Path) -> None:
    listed = listed_classes(features(write_shards(tmp_path, 6, unreadable=[2])))
    assert listed.classes == [(0,), (1,), (), (3,), (0,), (1,)]
    assert list(listed.unreadable) == [2]
    assert "has no frames" in listed.unreadable[2][1]


def test_classes_of_a_list_need_no_decoding(tmp_path: Path) -> None:
    listed = listed_classes(clips(write_clips(tmp_path, 3, unreadable=[1])))
    assert listed.classes == [(0,), (1,), (0,)]
    assert listed.unreadable == {}


def test_a_list_without_any_class(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no training sample has a known class; the first: "):
        listed_classes(features(write_shards(tmp_path, 2, unreadable=[0, 1])))


def test_weights_are_the_other_way_round_than_counts() -> None:
    classes = [(0,)] * 6 + [(2,)] * 2
    weights = balanced_weights(classes, num_classes=4)
    assert weights.tolist() == pytest.approx([8 / (2 * 6), 1, 8 / (2 * 2), 1])
    assert np.mean([float(weights[c]) for (c,) in classes]) == pytest.approx(1)
    assert balanced_weights([(0, 1), (1,)], num_classes=2).tolist() == pytest.approx([1.5, 0.75])


def test_a_balanced_training_counts_what_it_cannot_read(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "a", 9, unreadable=[2])
    experiment = experiment_of("AttentionCluster", listing, sampler="balanced", epoch=1)
    trained, said = run_quietly(experiment, tmp_path / "save")
    assert list(trained.unreadable) == [2]
    assert "1 training samples could not be read" in said
    assert load_state(trained.last, "AttentionCluster").position.videos == 9


@pytest.mark.slow
def test_class_weights_change_the_loss_of_training(tmp_path: Path) -> None:
    listing = write_clips(tmp_path / "a", 3)  # classes 0, 1, 0
    said = [
        run_quietly(
            experiment_of("TSN", listing, epoch=1, batch_size=3, class_weights=weights),
            tmp_path / name,
            log_interval=1,
        )[1]
        for name, weights in (
            ("none", None),
            ("ones", [1.0, 1.0]),
            ("balanced", "balanced"),
            ("same", [0.75, 1.5]),
        )
    ]
    losses = [text.split("loss ")[1].split()[0] for text in said]
    assert losses[0] == losses[1]
    assert losses[2] == losses[3] != losses[0]
    assert torch.isfinite(torch.tensor(float(losses[2])))
