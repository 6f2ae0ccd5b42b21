"""Which device a process that torchrun has started works on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from videozoo import distributed
from videozoo.distributed import joined


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
        monkeypatch.setattr(module, name, lambda x, what=what, **how: done.append((what, x)))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: done.append(("", "")))
    at_exit: list[Any] = []
    monkeypatch.setattr(distributed.atexit, "register", at_exit.append)
    with joined(torch.device(device)):
        assert at_exit == []  # who fails here ends without waiting for the others
    takes = [("takes", torch.device(device))] if backend == "nccl" else []
    assert done == [*takes, ("joins", backend)]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    at_exit[-1]()  # what the process does at its end
    assert done[-1] == ("", "")
