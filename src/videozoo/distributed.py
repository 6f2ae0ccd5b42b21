"""This process: its place among those that work together, and how it uses its machine.

One process is the case of world size 1. More of them are started within a command (see launcher),
or by torchrun, Slurm or Kubernetes, whose workers then run it.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videozoo.errors import VideozooError

if TYPE_CHECKING:
    import torch

# Parameters of glibc's mallopt; see its manual.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
# Seconds that processes wait for one of them, which may still validate or read.
PATIENCE, _USUAL_PATIENCE = "VIDEOZOO_PEER_TIMEOUT", "1800"
_LOST = re.compile(
    "gloo|nccl|closed by peer|reset by peer|broken pipe|remote server|connection was|socket", re.I
)  # in what collectives say where a process has gone
# Signals that ask to stop; SIGUSR1 is what Slurm is often told to send ahead of time.
ASKING = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
)
_told: list[bool] = []  # that there is no GPU
LAUNCHED = "VIDEOZOO_LAUNCHED"  # set for the workers that launcher.launch starts
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
CORES = "VIDEOZOO_CORES"  # of this machine, where a process is to use fewer


def settle_process() -> None:
    """Makes this process wait and keep memory as suits a CPU's training; before torch is imported.

    Threads that wait for work must not spin on cores that readers need; OpenMP reads that once. And
    glibc gives large blocks back to the system as soon as they are free, to be filled with zeros
    and handed out again at the next step, which takes up to half of a step's time: they are kept.
    OMP_WAIT_POLICY and MALLOC_MMAP_MAX_ in the environment go before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if LAUNCHED in os.environ and is_worker():
        _end_with_launcher()
    if sys.platform == "linux" and "MALLOC_MMAP_MAX_" not in os.environ:
        # Other C libraries have other allocators, and no mallopt or one that says no.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, -1)


def _end_with_launcher() -> None:
    """Lets a worker end without a word when the command that launched it does, in any way."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which it passes on; it has said why
    if sys.platform == "linux":
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def leave_stopping_to_others() -> None:
    """Lets a helper process ignore signals that ask to stop: the process that it helps decides."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)


def usable_cores() -> int:
    """Returns how many cores this process may use: a cluster or container may leave it a few."""
    if CORES in os.environ:
        return int(os.environ[CORES])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_first_process() -> bool:
    """Tells whether this is the process that speaks and writes, among all of all machines."""
    _read_slurm()
    return int(os.environ.get("RANK", "0")) == 0


def local_rank() -> int:
    """Returns this process's number among those of its machine."""
    _read_slurm()
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_worker() -> bool:
    """Tells whether a launcher has started this process as one of several."""
    _read_slurm()
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_launcher() -> bool:
    """Tells whether a launcher such as torchrun has started this process, maybe it alone."""
    _read_slurm()
    return "RANK" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ


def process_place() -> tuple[int, int]:
    """Returns this process's rank and the number of processes that have joined."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Joins the other workers, where there are any, and does what follows together with them.

    They stay joined to the end of the process, as torch's launcher lets them meet once. One that
    fails within the block ends without waiting for the others, so that the launcher learns of it.

    Args:
        device: of this process: GPUs talk by NCCL, CPUs by gloo.

    Raises:
        VideozooError: the processes do not meet, or another one has ended or has said nothing for
            the time of VIDEOZOO_PEER_TIMEOUT.
    """
    if not is_worker():
        yield
        return
    if process_place()[1] == 1:
        _join(device)
    atexit.unregister(_leave)
    try:
        yield
    except RuntimeError as error:
        if process_place()[1] > 1 and _LOST.search(str(error)):
            raise VideozooError(
                "another process of this run has ended or cannot be reached, so this one stops; the"
                " same command with --resume auto goes on with a training from its last checkpoint"
            ) from None
        raise
    atexit.register(_leave)


def _join(device: torch.device) -> None:
    import torch
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(device)  # what NCCL sends objects through; else all take the first
    backend, patience = "nccl" if device.type == "cuda" else "gloo", _patience()
    try:
        dist.init_process_group(backend, timeout=patience)
    except RuntimeError as error:
        place = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        reason = str(error).partition("\n")[0].rstrip(".")
        raise VideozooError(
            f"the processes of this run do not meet at {place} ({reason:.200}): the command must"
            " run on every machine; where one has several networks, GLOO_SOCKET_IFNAME (GPUs:"
            " NCCL_SOCKET_IFNAME) names the interface to the others"
        ) from None


def _patience() -> timedelta:
    """Returns how long a process waits for the others.

    Raises:
        VideozooError: VIDEOZOO_PEER_TIMEOUT is no such time.
    """
    given = os.environ.get(PATIENCE, _USUAL_PATIENCE)
    try:
        patience = timedelta(seconds=float(given))
    except (ValueError, OverflowError):  # words, nan, inf
        patience = timedelta()
    if patience < timedelta(seconds=1):
        raise VideozooError(f"{PATIENCE} is {given}: must be a number of seconds, 1 or more")
    return patience


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def gathered(mine: Any) -> list[Any]:
    """Returns every process's object, by rank."""
    import torch.distributed as dist

    _, world = process_place()
    if world == 1:
        return [mine]
    objects: list[Any] = [None] * world
    dist.all_gather_object(objects, mine)
    return objects


def choose_device(use_gpu: bool, say: Callable[[str], None] = lambda text: None) -> torch.device:
    """Returns the device of this process; says once where a GPU was wanted and there is none.

    Args:
        use_gpu: take a GPU where there is one.
        say: prints a line, in the first process.
    """
    import torch

    if not use_gpu:
        return torch.device("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old is said by doctor
        available = torch.cuda.is_available()
    if available:
        return torch.device("cuda", local_rank() % torch.cuda.device_count())
    if is_first_process() and not _told:
        _told.append(True)
        say("no GPU found: going on with the CPU")
    return torch.device("cpu")


def processes_for(*, use_gpu: bool, num_gpus: int, devices: int | None) -> int:
    """Returns how many processes of this machine a command runs in.

    Args:
        use_gpu: the config's: take the GPUs that there are.
        num_gpus: the config's: at most so many GPUs.
        devices: what --devices gave: so many GPUs, or CPU processes where there is no GPU.

    Raises:
        VideozooError: there are fewer GPUs.
    """
    import torch

    found = torch.cuda.device_count() if use_gpu and torch.cuda.is_available() else 0
    if not found:
        return devices or 1
    if devices is not None and devices > found:
        raise VideozooError(f"--devices {devices}: this machine has {found} GPUs")
    return devices or min(found, num_gpus)


def tell_launcher(message: str) -> bool:
    """Hands a fault to the command that started this worker; False: nobody waits for it.

    The command prints it, once for all of its workers.
    """
    path = os.environ.get(ERROR_FILE)
    if LAUNCHED not in os.environ or path is None or not is_worker():
        return False
    extra = {"timestamp": str(int(time.time()))}
    fault = {"videozoo": True, "message": {"message": message, "extraInfo": extra}}
    Path(path).write_text(json.dumps(fault), encoding="utf-8")
    return True


def _read_slurm() -> None:
    """Takes the place that Slurm gave this process, where several were started by srun."""
    given = os.environ
    tasks = int(given.get("SLURM_STEP_NUM_TASKS", "1"))  # without srun there is no step
    if "RANK" in given or tasks == 1 or "SLURM_PROCID" not in given:
        return
    given["RANK"], given["WORLD_SIZE"] = given["SLURM_PROCID"], str(tasks)
    given["LOCAL_RANK"] = given.get("SLURM_LOCALID", "0")
    names = given.get("SLURM_STEP_NODELIST", given.get("SLURM_NODELIST", "localhost"))
    given.setdefault("MASTER_ADDR", first_host(names))
    job = int(given.get("SLURM_JOB_ID", "0"))
    given.setdefault("MASTER_PORT", str(20_000 + job % 20_000))


def first_host(names: str) -> str:
    """Returns the first host of a list as Slurm writes it: node[03-07,9],other -> node03."""
    found = re.match(r"([^,\[]+)(?:\[([^\]]+)\])?", names)
    if found is None:
        return "localhost"
    numbers = found[2] or ""
    return found[1] + re.split(r"[-,]", numbers)[0]
