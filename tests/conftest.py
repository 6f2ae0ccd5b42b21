from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples" / "demo"))  # demo_clips and others

# No test reaches out for published weights; those that pull some serve them here.
os.environ["VIDEOZOO_ZOO_MIRROR"] = "http://127.0.0.1:9"

# What runs in a shell's background, or under nohup, ignores these, and so do its processes.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# A drawn example that is slow says that the machine is busy. (A Python with a GPU may lack it.)
with suppress(ModuleNotFoundError):
    from hypothesis import settings

    settings.register_profile("busy", deadline=None)
    settings.load_profile("busy")

# Tensors in tests are tiny, and tests run in parallel: threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_word_of_children() -> Iterator[None]:
    """Takes away what a DataLoader with workers leaves in the process for good.

    Where a processor has AMX, the kernel could not deliver that signal to pytest, and ended it.
    """
    yield
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["VIDEOZOO_HOME"] = str(tmp_path_factory.mktemp("home"))
