"""Which device a command runs on."""

from __future__ import annotations

import warnings

import torch


def choose_device(use_gpu: bool, *, rank: int = 0) -> tuple[torch.device, str | None]:
    """Returns the device, and a sentence to say once where a GPU was wanted and there is none.

    Args:
        use_gpu: take a GPU where there is one.
        rank: this process among those of the machine.
    """
    if not use_gpu:
        return torch.device("cpu"), None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old is said by doctor
        available = torch.cuda.is_available()
    if available:
        return torch.device("cuda", rank % torch.cuda.device_count()), None
    return torch.device("cpu"), "no GPU found: going on with the CPU"
