"""The running statistics of a step's groups are those of the groups one after another."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from videozoo.models import batch_norm
from videozoo.models.batch_norm import BatchNorm, GroupStatistics

CHANNELS = 3
SHAPES = {"features": (5, CHANNELS), "clips": (2, CHANNELS, 4, 4)}


def model_of(norm: type[nn.Module]) -> nn.Sequential:
    """Returns two norms with weights between them, in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(norm(CHANNELS), nn.ReLU(), norm(CHANNELS)).double().train()


def groups_of(shape: tuple[int, ...], count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(shape, dtype=torch.float64, generator=generator) * (1 + number) + number
        for number in range(count)
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_groups_are_taken_in_as_one_after_another(shape: str, order: tuple[int, ...]) -> None:
    plain = model_of(nn.BatchNorm1d if shape == "features" else nn.BatchNorm2d)
    mine = model_of(BatchNorm)
    groups = groups_of(SHAPES[shape])
    outputs = [plain(group) for group in groups]
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    statistics = GroupStatistics(mine)
    for number in order:  # in whatever order they are computed
        with statistics.of_group(number):
            torch.testing.assert_close(mine(groups[number]), outputs[number], rtol=0, atol=1e-13)
    for name, value in mine.state_dict().items():
        assert torch.equal(value, before[name]), "nothing is taken in before apply"
    statistics.apply()
    wanted = plain.state_dict()
    for name, value in mine.state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-13, atol=1e-13, msg=name)
    assert int(mine[0].num_batches_tracked) == len(groups)
    statistics.apply()  # of nothing
    for name, value in mine.state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-13, atol=1e-13, msg=name)


def test_a_group_of_one_value_leaves_them_alone() -> None:
    model = model_of(BatchNorm)
    model(groups_of(SHAPES["features"])[0])  # statistics that are not those of a fresh norm
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one = torch.full((1, CHANNELS), 7.0, dtype=torch.float64)
    wanted = model.eval()(one)
    statistics = GroupStatistics(model.train())
    with statistics.of_group(0):
        assert torch.equal(model(one), wanted), "it is normalised by what is stored"
    statistics.apply()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_what_a_failed_step_has_found_is_forgotten() -> None:
    model = model_of(BatchNorm)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    statistics = GroupStatistics(model)
    with statistics.of_group(0):
        model(groups_of(SHAPES["clips"])[0])
    statistics.clear()
    statistics.apply()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_strange_batch_norm_is_refused_where_there_are_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strange = nn.Sequential(BatchNorm(CHANNELS), nn.BatchNorm2d(CHANNELS))
    GroupStatistics(strange)  # alone it may be
    monkeypatch.setattr(batch_norm, "process_place", lambda: (0, 2))
    with pytest.raises(ValueError, match=r"Sequential has a BatchNorm2d.*models\.batch_norm"):
        GroupStatistics(strange)
    GroupStatistics(model_of(BatchNorm))
