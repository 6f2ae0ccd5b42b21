"""Which device a process that torchrun has started works on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from videozoo.cli import doors


@pytest.mark.parametrize(("device", "backend"), [("cuda:1", "nccl"), ("cpu", "gloo")])
def test_a_process_takes_its_own_gpu_before_it_joins(
    device: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, Any]] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for what, module, name in (
        ("takes", torch.cuda, "set_device"),
        ("joins", torch.distributed, "init_process_group"),
    ):
        monkeypatch.setattr(module, name, lambda x, what=what: done.append((what, x)))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: done.append(("", "")))
    with doors.processes(torch.device(device)):
        pass
    takes = [("takes", torch.device(device))] if backend == "nccl" else []
    assert done == [*takes, ("joins", backend), ("", "")]
