"""The choice of a model: by cross-validation, within groups, by seed, and in time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videozoo.data.transforms import dequantise
from videozoo.specs import SPECS
from videozoo.training import head_trials, neural_heads
from videozoo.training.head_trials import HeadScore
from videozoo.training.heads import HEADS, HeadChoice, choose_head

NAMES = ["rgb", "quarters"]
DIMS = {"rgb": 16, "quarters": 8}
Videos = list[list[Tensor]]


def dataset(count: int = 30, classes: int = 3, signal: float = 1.0) -> tuple[Videos, list[int]]:
    """Bytes of videos whose class shows in every third value."""
    generator = torch.Generator().manual_seed(0)
    videos, labels = [], []
    for i in range(count):
        label, n = i % classes, 3 + i % 3
        rows = [torch.randn(n, d, generator=generator) * 20 + 128 for d in DIMS.values()]
        for x in rows:
            x[:, label::classes] += 60 * signal
        videos.append([x.round().clamp(0, 255).byte() for x in rows])
        labels.append(label)
    return videos, labels


def choose(videos: Videos, labels: list[int], **more: object) -> HeadChoice:
    arguments: dict[str, object] = {
        "groups": range(len(videos)),
        "feature_names": NAMES,
        "num_classes": 3,
        "heads": ["LINEAR"],
    }
    return choose_head(videos, [[label] for label in labels], **{**arguments, **more})  # type: ignore[arg-type]


def scores_of(choice: HeadChoice, videos: Videos) -> Tensor:
    """The logits of the chosen model, through its ordinary forward."""
    taken = [NAMES.index(name) for name in choice.settings["feature_names"]]
    with torch.no_grad():
        return torch.cat(
            [
                choice.module([dequantise(v[m])[None] for m in taken], torch.tensor([len(v[0])]))
                for v in videos
            ]
        )


def test_linear_is_chosen_among_equals_and_answers_right() -> None:
    videos, labels = dataset()
    told: list[HeadScore] = []
    choice = choose(videos, labels, heads=HEADS, report=told.append)
    assert choice.model == "LINEAR"
    assert told == choice.scores
    assert [score.model for score in told] == list(HEADS)
    assert told[0].macro_f1 > 0.9
    assert told[0].folds == 5
    assert all(s.folds < 5 and "behind LINEAR" in s.note for s in told[1:])
    fresh, wanted = dataset(count=36)
    answers = scores_of(choice, fresh[30:]).argmax(dim=1)
    assert (answers == torch.tensor(wanted[30:])).all()


@pytest.mark.parametrize("name", HEADS)
def test_each_model_can_be_the_only_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural_heads, "EPOCHS", 3)
    videos, labels = dataset()
    choice = choose(videos, labels, heads=[name])
    assert choice.model == name
    assert not choice.module.training
    settings = SPECS[name].keys.model_validate(choice.settings)
    same = SPECS[name].build(settings)
    same.load_state_dict(choice.module.state_dict())
    assert choice.settings["feature_names"] == (NAMES if name == "LINEAR" else ["rgb"])
    assert choice.out_of_fold.shape == (30, 3)
    assert choice.out_of_fold.abs().sum(dim=1).min() > 0
    assert [list(classes) for classes in choice.labels] == [[label] for label in labels]


def test_the_seed_decides_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural_heads, "EPOCHS", 2)
    videos, labels = dataset()
    for name in HEADS:
        state = torch.random.get_rng_state()
        one, same, other = (choose(videos, labels, heads=[name], seed=s) for s in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert torch.equal(one.out_of_fold, same.out_of_fold)
        for key, value in one.module.state_dict().items():
            assert torch.equal(value, same.module.state_dict()[key]), key
        assert not torch.equal(one.out_of_fold, other.out_of_fold)


def test_bytes_and_dequantised_rows_are_the_same() -> None:
    videos, labels = dataset()
    one = choose(videos, labels)
    other = choose([[dequantise(x) for x in v] for v in videos], labels)
    torch.testing.assert_close(one.out_of_fold, other.out_of_fold)


def test_copies_in_one_group_do_not_help_each_other() -> None:
    videos, _ = dataset(12, signal=0.0)
    labels = [i // 2 % 3 for i in range(12)]  # nothing of it shows in the videos
    copies, names = [*videos] * 3, [*labels] * 3
    leaking = choose(copies, names)
    kept = choose(copies, names, groups=[*range(12)] * 3)
    assert leaking.scores[0].macro_f1 > 0.9
    assert kept.scores[0].macro_f1 < 0.7


def test_videos_with_many_classes() -> None:
    videos, labels = dataset()
    many = [[label, 3] if i < 15 else [label] for i, label in enumerate(labels)]
    for i, rows in enumerate(videos):
        rows[1][:] = 250 if i < 15 else 5
    choice = choose_head(
        videos, many, groups=range(30), feature_names=NAMES, num_classes=4, multi_label=True,
        heads=["LINEAR"],
    )  # fmt: skip
    scores = scores_of(choice, videos).sigmoid()
    assert ((scores[:, 3] > 0.5) == (torch.arange(30) < 15)).all()
    assert ((choice.out_of_fold[:, 3] > 0) == (torch.arange(30) < 15)).float().mean() > 0.9


def test_of_one_group_nothing_can_be_held_out() -> None:
    videos, labels = dataset(6)
    choice = choose(videos, labels, groups=["one"] * 6, heads=HEADS, seconds=60)
    assert choice.model == "LINEAR"
    assert choice.scores[0].macro_f1 != choice.scores[0].macro_f1  # no number
    assert choice.out_of_fold.shape == (0, 3)
    assert choice.labels == []
    assert scores_of(choice, videos).argmax(dim=1).tolist() == labels


def test_two_videos_are_enough() -> None:
    videos, _ = dataset(2)
    choice = choose(videos, [0, 1], heads=HEADS)
    assert choice.model == "LINEAR"
    assert choice.out_of_fold.isfinite().all()


def test_what_takes_too_long_is_given_up() -> None:
    videos, labels = dataset()
    choice = choose(videos, labels, heads=HEADS, seconds=0.0)
    assert choice.model == "LINEAR"
    assert all("too long" in score.note for score in choice.scores[1:])
    assert choose(videos, labels, heads=["NEXTVLAD"], seconds=0.0).model == "NEXTVLAD"


def test_a_better_model_is_chosen_and_a_little_better_one_is_not() -> None:
    assert not head_trials._is_behind([0.92], [0.95, 0.9])
    assert head_trials._is_behind([0.8], [0.95, 0.9])
    assert head_trials._is_behind([0.9, 0.9], [0.95, 0.9])
    assert not head_trials._is_behind([0.9, 0.99], [0.95, 0.9])


def test_strong_and_weak_cosines_are_both_tried() -> None:
    """Where order alone tells classes apart, it is found."""
    generator = torch.Generator().manual_seed(0)
    videos, labels = [], []
    for i in range(40):
        rising = torch.linspace(60, 190, 6)[:, None].expand(6, 16)
        rows = rising + 25 * torch.randn(6, 16, generator=generator)
        rows = rows if i % 2 else rows.flip(0)
        videos.append([rows.clamp(0, 255).byte(), torch.full((6, 8), 100, dtype=torch.uint8)])
        labels.append(i % 2)
    choice = choose(videos, labels, num_classes=2)
    assert choice.scores[0].macro_f1 > 0.95
    assert "cosines" in choice.scores[0].note
