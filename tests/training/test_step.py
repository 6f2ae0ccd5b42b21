from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from small_training import Steps, assert_close, assert_equal, feature_batch
from torch import Tensor, nn

from videozoo.data.batch import FeatureBatch
from videozoo.data.loader import FatalDataError
from videozoo.errors import VideozooError

FEATURE_MODELS = ("AttentionCluster", "AttentionLSTM")
NUMBERS = list(range(6))


def losses_of(task: Steps, batch: FeatureBatch) -> Tensor:
    return task.stepper.regulariser.losses(batch, task.classifier(batch))


def plain_gradients(task: Steps, numbers: list[int], *, mean: bool) -> dict[str, Tensor]:
    """Returns the gradients as a book would compute them: one pass, one loss."""
    batch = feature_batch(numbers)
    losses = losses_of(task, batch)
    task.classifier.zero_grad()
    (losses.mean() if mean else losses.sum()).backward()
    return task.gradients()


@pytest.mark.parametrize("model", FEATURE_MODELS)
def test_chunks_have_the_gradient_of_the_whole_batch(model: str) -> None:
    whole, chunked = Steps(model), Steps(model)
    whole(feature_batch(NUMBERS))
    chunked(
        feature_batch([0, 1], step_size=6, last=False),
        feature_batch([2, 3, 4], step_size=6, last=False),
        feature_batch([5], step_size=6),
    )
    assert_close(chunked.gradients(), whole.gradients())
    assert any(g.abs().max() > 1e-3 for g in whole.gradients().values())
    assert chunked.result.loss == pytest.approx(whole.result.loss)
    assert chunked.steps_done == whole.steps_done == 1


@pytest.mark.parametrize(("model", "mean"), [("AttentionCluster", True), ("AttentionLSTM", False)])
def test_the_loss_is_a_mean_and_of_attention_lstm_a_sum(model: str, mean: bool) -> None:
    task, book = Steps(model), Steps(model)
    wanted = plain_gradients(book, NUMBERS, mean=mean)
    task(feature_batch(NUMBERS))
    assert_close(task.gradients(), wanted)
    batch = feature_batch(NUMBERS)
    losses = losses_of(book, batch).detach()
    assert task.result.loss == pytest.approx(float(losses.mean() if mean else losses.sum()))


def test_the_mean_is_over_what_was_read() -> None:
    task, book = Steps("AttentionCluster"), Steps("AttentionCluster")
    wanted = plain_gradients(book, [0, 2, 3], mean=True)
    # The list had six videos for this step; three could not be read.
    task(feature_batch([0], step_size=6, last=False), feature_batch([2, 3], step_size=6))
    assert_close(task.gradients(), wanted)
    assert task.result.videos == 3
    batch = feature_batch([0, 2, 3])
    losses = losses_of(book, batch).detach()
    assert task.result.loss == pytest.approx(float(losses.mean()))


@pytest.mark.parametrize("model", ["NEXTVLAD", "AttentionLSTM"])
def test_a_placeholder_changes_nothing(model: str) -> None:
    one, other = Steps(model), Steps(model)
    one(feature_batch(NUMBERS, step_size=6))
    other(
        feature_batch(NUMBERS, step_size=6, last=False),
        feature_batch([9], step_size=6, weight=0.0),
    )
    assert_equal(other.weights(), one.weights())


@pytest.mark.parametrize("model", ["NEXTVLAD", "AttentionLSTM"])
def test_a_step_of_placeholders_alone_changes_neither_weights_nor_statistics(model: str) -> None:
    task = Steps(model)
    task(feature_batch(NUMBERS))
    before = task.weights()
    task(feature_batch([9], weight=0.0))
    assert_equal(task.weights(), before)
    assert task.result.videos == 0
    assert task.steps_done == 2  # the step counts: the schedule follows the list


def trained(history: list[list[int]], *, seed: int = 0, starts_at: int = 0) -> dict[str, Tensor]:
    """Returns the gradients of the last of these steps, with the first weights."""
    task = Steps("AttentionLSTM", drop_rate=0.5, seed=seed)
    first = task.weights()
    task.steps_done = starts_at
    for numbers in history:
        task.classifier.load_state_dict(first)
        task(feature_batch(numbers))
        torch.rand(3)  # someone else draws
    return task.gradients()


def test_dropout_depends_on_seed_and_step_and_not_on_what_was() -> None:
    here = trained([[4, 5], [2], [0, 1, 2, 3]])
    assert_equal(trained([[0, 1, 2, 3]], starts_at=2), here)
    different = [
        trained([[0, 1, 2, 3]], starts_at=3),
        trained([[0, 1, 2, 3]], starts_at=2, seed=1),
    ]
    for other in different:
        assert any(not torch.equal(here[name], other[name]) for name in here)


def test_chunks_of_a_step_draw_each_their_own_dropout() -> None:
    one, two = Steps("AttentionLSTM", drop_rate=0.5), Steps("AttentionLSTM", drop_rate=0.5)
    one(feature_batch([0, 1, 2, 3]))
    once = one.gradients()
    two(
        feature_batch([0, 1, 2, 3], step_size=8, last=False, group=0),
        feature_batch([0, 1, 2, 3], step_size=8, group=1),
    )
    doubled = {name: 2 * gradient for name, gradient in once.items()}
    assert any(not torch.allclose(two.gradients()[n], doubled[n]) for n in doubled)


class Pass:
    """Stands for what a pass through the model holds in memory."""


class SmallMemory(nn.Module):
    """Has room for `room` videos at once: more raise what PyTorch raises on a full GPU."""

    def __init__(self, model: nn.Module, room: int) -> None:
        super().__init__()
        self.model = model
        self.room = room
        self.held: list[weakref.ref[Pass]] = []
        self.sizes: list[int] = []

    def forward(self, features: list[Tensor], lengths: Tensor) -> Tensor:
        assert [ref for ref in self.held if ref() is not None] == [], "a failed pass is still held"
        of_this_pass = Pass()
        self.held.append(weakref.ref(of_this_pass))
        self.sizes.append(len(lengths))
        if len(lengths) > self.room:
            raise torch.OutOfMemoryError("out of memory (test)")
        return self.model(features, lengths)


def with_room(room: int, **keys: Any) -> tuple[Steps, SmallMemory, list[str]]:
    task = Steps("AttentionCluster", **keys)
    memory = SmallMemory(task.classifier.model, room)
    task.classifier.model = memory
    return task, memory, task.said


@pytest.mark.parametrize("room", [1, 2, 3])
def test_out_of_memory_halves_and_gives_the_same_gradient(room: int) -> None:
    task, _, said = with_room(room)
    plain = Steps("AttentionCluster")
    for each in (plain, task):
        each(feature_batch([0, 1], step_size=6, last=False), feature_batch([2, 3, 4, 5]))
    wanted = plain.gradients()
    found = {n.replace("model.model.", "model."): g for n, g in task.gradients().items()}
    assert_close(found, wanted)
    assert task.result.loss == pytest.approx(plain.result.loss)
    assert task.result.videos == 6
    sizes = [sentence.split("from now on: ")[1].split(";")[0] for sentence in said]
    assert sizes == {3: ["2"], 2: ["2"], 1: ["1", "1"]}[room]


def test_out_of_memory_is_remembered() -> None:
    task, memory, said = with_room(3)
    task(feature_batch(NUMBERS))
    assert memory.sizes == [6, 3, 3]
    assert len(said) == 1
    assert "videos at once (micro_batch) from now on: 3;" in said[0]
    assert "micro_batch" in said[0]
    memory.sizes.clear()
    task(feature_batch(NUMBERS))
    assert memory.sizes == [3, 3]
    assert len(said) == 1


def test_out_of_memory_with_a_single_video_ends_training() -> None:
    task, _, _ = with_room(0)
    with pytest.raises(VideozooError, match="out of memory with a single video"):
        task(feature_batch(NUMBERS))


def test_a_loss_that_is_no_number_ends_training() -> None:
    task = Steps("AttentionCluster")
    with torch.no_grad():
        next(task.classifier.parameters()).fill_(float("nan"))
    task.steps_done = 7
    with pytest.raises(VideozooError, match=r"loss is nan at step 7.*diverged"):
        task(feature_batch(NUMBERS))


def test_a_stop_ends_training() -> None:
    with pytest.raises(VideozooError, match="label 9 is out of range"):
        Steps("AttentionCluster")(FatalDataError("label 9 is out of range", feature_batch([0])))


def norm(gradients: dict[str, Tensor]) -> float:
    return float(torch.cat([g.flatten() for g in gradients.values()]).norm())


def test_nextvlad_clips_gradients_where_asked_to() -> None:
    keys = {"gradient_clip_norm": 0.01}
    plain, clipped = (
        Steps("NEXTVLAD", **keys),
        Steps("NEXTVLAD", clip_gradients=True, **keys),
    )
    for task in (plain, clipped):
        task(feature_batch(NUMBERS))
    assert norm(plain.gradients()) > 0.02
    assert norm(clipped.gradients()) == pytest.approx(0.01, rel=1e-3)


def test_the_rate_reaches_every_group_of_the_optimizer() -> None:
    task = Steps("AttentionLSTM", learning_rate=0.5, decay_epochs=[1], batch_size=50)
    task.steps_done = 2  # 100 videos a epoch: the first decay is here
    task(feature_batch(NUMBERS))
    assert [group["lr"] for group in task.optimizer.param_groups] == pytest.approx([0.05, 0.05])
