"""Runs a command in several worker processes of this machine, and ends with them.

Signals that ask to stop go on to the workers, which save and end by themselves. Where a worker
dies, the others are ended too: none of them waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from videozoo.distributed import ASKING, ERROR_FILE, LAUNCHED, usable_cores
from videozoo.errors import VideozooError
from videozoo.stopping import INTERRUPTED, RESUMABLE, end_at_once

_PATIENCE = 10.0  # seconds that workers have to end once one of them has failed
_POLL = 0.1


def launch(arguments: Sequence[str], *, processes: int, nodes: int = 1) -> None:
    """Runs a videozoo command in several workers; returns when all are done.

    Args:
        arguments: of the command `videozoo`.
        processes: workers of this machine.
        nodes: machines; on each the same command runs, and the environment says which is which,
            as for torchrun: MASTER_ADDR, MASTER_PORT and NODE_RANK.

    Raises:
        VideozooError: what the first worker that failed has said.
        SystemExit: the workers have said why they ended, or were asked to stop.
    """
    place: dict[str, str] = {}
    if nodes > 1:
        _check_machines(nodes)
    else:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        # The workers meet at a port of this process's: nobody can take it in between.
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        place = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # which torch reads, and the next one with it
            "TORCHELASTIC_RESTART_COUNT": "0",
        }
    threads = str(max(1, usable_cores() // processes))
    first = processes * int(os.environ.get("NODE_RANK", "0")) if nodes > 1 else 0
    with tempfile.TemporaryDirectory(prefix="videozoo-") as folder:
        errors = [Path(folder) / f"{rank}.json" for rank in range(processes)]
        environments = [
            {
                "OMP_NUM_THREADS": threads,
                **os.environ,
                **place,
                LAUNCHED: "1",
                ERROR_FILE: str(errors[rank]),
                "RANK": str(first + rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes * nodes),
                "LOCAL_WORLD_SIZE": str(processes),
            }
            for rank in range(processes)
        ]
        command = [sys.executable, "-m", "videozoo", *arguments]
        with _Workers(command, environments).forwarding() as workers:
            workers.wait()
        workers.raise_fault(errors, first)


class _Workers:
    """Worker processes that run one command together.

    Attributes:
        asked: the signals that have been passed on to them.
        ended: those that have ended, by rank, in the order in which they did.
        killed: those that this process has killed.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
        self.command, self.environments = command, environments
        self.processes: list[subprocess.Popen[bytes]] = []
        self.asked: list[int] = []
        self.ended: list[int] = []
        self.killed: set[int] = set()

    @contextmanager
    def forwarding(self) -> Iterator[_Workers]:
        """Starts them; passes on signals to them within the block, and leaves none behind it."""
        before = {n: signal.getsignal(n) for n in ASKING if signal.getsignal(n) != signal.SIG_IGN}
        for number in before:
            signal.signal(number, self._pass_on)
        try:
            for environment in self.environments:
                self.processes.append(subprocess.Popen(self.command, env=environment))
            yield self
        finally:
            self._kill()
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> None:
        """Returns when all have ended; ends those that are left once one has failed."""
        limit: float | None = None
        while len(self.ended) < len(self.processes):
            for rank, process in enumerate(self.processes):
                if rank not in self.ended and process.poll() is not None:
                    self.ended.append(rank)
            failed = any(self._code(n) not in (0, RESUMABLE, INTERRUPTED) for n in self.ended)
            if failed and limit is None:
                limit = time.monotonic() + _PATIENCE
            if limit is not None and time.monotonic() > limit:
                self._kill()
            time.sleep(_POLL)

    def raise_fault(self, errors: Sequence[Path], first: int) -> None:
        """Raises what ended the workers, if they were not done.

        Args:
            errors: files in which they have put what they have to say, see tell_launcher.
            first: rank of the first of them among the workers of all machines.
        """
        codes = {rank: self._code(rank) for rank in self.ended}
        if all(code == 0 for code in codes.values()):
            return
        if self.asked and all(c in (0, RESUMABLE, INTERRUPTED) or c < 0 for c in codes.values()):
            sys.exit(INTERRUPTED if signal.SIGINT in self.asked else RESUMABLE)
        for rank, code in codes.items():
            # One that had told its fault may still be ended by a signal, by threads of a library.
            if code < 0 and rank not in self.killed and not errors[rank].is_file():
                raise VideozooError(
                    f"process {first + rank + 1} was ended by {signal.Signals(-code).name}"
                    " (SIGKILL is often a lack of memory), so the others have stopped"
                )
        for rank in codes:
            if errors[rank].is_file():
                fault = json.loads(errors[rank].read_text(encoding="utf-8"))
                raise VideozooError(fault["message"]["message"])
        sys.exit(next(code for code in codes.values() if code))  # it has said why

    def _code(self, rank: int) -> int:
        code = self.processes[rank].returncode
        assert code is not None
        return code

    def _kill(self) -> None:
        for rank, process in enumerate(self.processes):
            if process.poll() is None:
                self.killed.add(rank)
                process.kill()
                process.wait()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGINT and signal.SIGINT in self.asked
        self.asked.append(number)
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL if again else number)
        if again:
            end_at_once()


def _check_machines(nodes: int) -> None:
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise VideozooError(
            f"--num-nodes {nodes}: set {', '.join(missing)} in the environment (the first machine's"
            " address, a free port of it, this machine's number from 0), or run the command under"
            " torchrun"
        )
