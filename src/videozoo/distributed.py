"""This process: its place among those that work together, and how it uses its machine.

One process is the case of world size 1. More of them are started by torch's own launcher, either
within a command (`launch`), or by torchrun, Slurm or Kubernetes, whose workers then run it.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import logging
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from videozoo.errors import VideozooError

if TYPE_CHECKING:
    import torch

# Parameters of glibc's mallopt; see its manual.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_PATIENCE = timedelta(minutes=30)  # of processes for one that still validates or reads
INTERRUPTED = "interrupted; --resume auto goes on from the last checkpoint, if there is one"
_told: list[bool] = []  # that there is no GPU
_LAUNCHED = "VIDEOZOO_LAUNCHED"  # set for the workers that `launch` starts


def settle_process() -> None:
    """Makes this process wait and keep memory as suits a CPU's training; before torch is imported.

    Threads that wait for work must not spin on cores that readers need; OpenMP reads that once. And
    glibc gives large blocks back to the system as soon as they are free, to be filled with zeros
    and handed out again at the next step, which takes up to half of a step's time: they are kept.
    OMP_WAIT_POLICY and MALLOC_MMAP_MAX_ in the environment go before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if _LAUNCHED in os.environ and is_worker():
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


def usable_cores() -> int:
    """Returns how many cores this process may use: a cluster or container may leave it a few."""
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
    """
    import torch
    import torch.distributed as dist

    if not is_worker():
        yield
        return
    if process_place()[1] == 1:
        if device.type == "cuda":
            # what NCCL sends objects through; else all take the first
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)
    atexit.unregister(_leave)
    yield
    atexit.register(_leave)


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


def launch(arguments: Sequence[str], *, processes: int, nodes: int = 1) -> None:
    """Runs a videozoo command in several workers, by torch's launcher; returns when all are done.

    Args:
        arguments: of the command `videozoo`.
        processes: workers of this machine.
        nodes: machines; on each the same command runs, and the environment says which is which,
            as for torchrun: MASTER_ADDR, MASTER_PORT and NODE_RANK.

    Raises:
        VideozooError: what the first worker that failed has said.
        KeyboardInterrupt: the user stopped the command; the workers have ended.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the sentence below says it all
    config = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        run_id=uuid4().hex if nodes == 1 else "videozoo",
        max_restarts=0,
        **_meeting_place(nodes),
    )
    os.environ[_LAUNCHED] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    try:
        elastic_launch(config, sys.executable)("-m", "videozoo", *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.error_file_data.get("videozoo"):
            raise VideozooError(failure.error_file_data["message"]["message"]) from None
        if failure.exitcode < 0:
            raise VideozooError(
                f"process {rank + 1} was ended by {failure.signal_name()}"
                " (SIGKILL is often a lack of memory)"
            ) from None
        sys.exit(failure.exitcode)  # it has said why
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        sys.exit(128 + int(error.sigval))


def tell_launcher(message: str) -> bool:
    """Hands a fault to the command that started this worker; False: nobody waits for it.

    The command prints it, once for all of its workers.
    """
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if _LAUNCHED not in os.environ or path is None or not is_worker():
        return False
    extra = {"timestamp": str(int(time.time()))}
    fault = {"videozoo": True, "message": {"message": message, "extraInfo": extra}}
    Path(path).write_text(json.dumps(fault), encoding="utf-8")
    return True


def _meeting_place(nodes: int) -> dict[str, Any]:
    if nodes == 1:
        return {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise VideozooError(
            f"--num-nodes {nodes}: set {', '.join(missing)} in the environment (the first machine's"
            " address, a free port of it, this machine's number from 0), or run the command under"
            " torchrun"
        )
    address, port, rank = (os.environ[name] for name in names)
    return {
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{address}:{port}",
        "rdzv_configs": {"rank": int(rank), "timeout": 900},
    }


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
