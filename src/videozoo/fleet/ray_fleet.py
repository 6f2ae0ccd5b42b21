"""A command over a whole list, done by the workers of a Ray cluster, shard by shard.

    list -> shards 1 2 3 ... -> Ray Data -> worker: the command with --shard 1/16 -> its parts
                                    worker: the command with --shard 2/16 -> its parts

    the command, when all are done -> takes the parts of all shards, as without a cluster

A worker is an actor of two cores, or of a GPU and its share of its machine's cores. It decodes in
reader processes of its own and scores beside them: frames are a thousand times what a file is, so
they stay on the machine where they were decoded. Numbers of shards and counts are all that travels,
and a worker is given the next shard when it is done with one, so that no queue grows anywhere.

A worker that dies is started anew, here or on another machine, and goes on from its shard's last
part. Where workers die of one shard again and again, and nothing more of it gets done, the run ends
with the names of its videos.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videozoo.distributed import CORES, usable_cores
from videozoo.errors import VideozooError
from videozoo.extras import FLEET, imported
from videozoo.fleet.workers import DEATHS, DIED, Board, DoShard, Sizes, Worker
from videozoo.shards import Listed, Shard
from videozoo.text import counted, escaped

if TYPE_CHECKING:
    from videozoo.data.dataset import Report

SHARDS_A_WORKER = 8  # of those at the start: so that machines that come later find some left
STORE = 100 << 20  # bytes of memory for what travels, of a cluster of this machine alone
_LOOK = 0.5  # seconds between two looks at what workers have told
_PATIENCE = 10.0  # seconds, for a cluster that does not answer
_SHOWN = 5  # videos of a shard that kills


@dataclass(frozen=True)
class Fleet:
    """Where the shards of lists are done.

    Attributes:
        do: does one, in a worker.
        address: of a running cluster, or "auto"; None: one of this machine, as long as it takes.
        use_gpu: workers take GPUs, where there are any.
        count: of the shards, where some are done already.
        say: prints a line.
        progress: shows how many samples are done.
    """

    do: DoShard
    address: str | None
    use_gpu: bool
    count: int | None
    say: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Report]]

    def __call__(self, lists: Sequence[Listed]) -> None:
        """Returns when all shards are done.

        Raises:
            VideozooError: there is no such cluster; a shard cannot be done, or workers die of it.
        """
        ray = imported("ray", "--cluster ray", FLEET)
        imported("ray.data", "--cluster ray", FLEET)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        with _untold(ray), _connected(ray, self.address):
            self._run(ray, lists)

    def _run(self, ray: Any, lists: Sequence[Listed]) -> None:
        sizes = Sizes.of(ray.nodes(), self.use_gpu)
        steps = max(len(one.span.steps) for one in lists)
        count = self.count or max(1, min(steps, SHARDS_A_WORKER * max(sizes.workers, 2)))
        shards = [Shard(number, count) for number in range(1, count + 1)]
        room = [sum(len(one.indices(shard)) for one in lists) for shard in shards]
        here = ray.get_runtime_context().get_node_id()
        pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=pinned)
        board = board.remote(room, len(lists) > 1)
        own = {k: v for k, v in os.environ.items() if k.startswith("VIDEOZOO_")}
        own[CORES] = str(sizes.cores)
        self.say(f"Ray: {_told_of(sizes)}; {counted(count, 'shard')}")
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0  # all are at work
        pool = ray.data.ActorPoolStrategy(
            min_size=1,
            initial_size=max(1, min(sizes.workers, count)),
            max_size=count,  # as far as there is room: of machines that come later too
            max_tasks_in_flight_per_actor=1,
        )
        numbers = [{"number": shard.number} for shard in shards]
        # Ray Data starts dead actors anew, and gives their tasks again, without end.
        done = ray.data.from_items(numbers, override_num_blocks=count).map_batches(
            Worker,
            fn_constructor_args=(self.do, count, board, os.getcwd(), own),
            batch_size=1,
            compute=pool,
            num_cpus=sizes.cores,
            num_gpus=sizes.gpus,
        )
        with self.progress() as report, self._watched(ray, board, report, sum(room)):
            for row in done.iter_rows():
                if row["fault"] == DIED:
                    before = ray.get(board.done_of.remote(row["number"]))
                    raise VideozooError(killers(lists, shards[row["number"] - 1], before))
                if row["fault"]:
                    raise VideozooError(row["fault"])

    @contextmanager
    def _watched(self, ray: Any, board: Any, report: Report, total: int) -> Iterator[None]:
        """Reports what the workers have told, within the block."""
        ended = threading.Event()
        before = dead = 0

        def look() -> None:
            nonlocal before, dead
            done, deaths = ray.get(board.done.remote())
            if deaths > dead:
                self.say(f"{counted(deaths - dead, 'worker')} died; others go on from there")
            if done != before:
                report(done, total)
            before, dead = done, deaths

        def watch() -> None:
            while not ended.wait(_LOOK):
                look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        look()


def _told_of(sizes: Sizes) -> str:
    gpu = "a GPU and " if sizes.gpus else ""
    return f"{counted(sizes.workers, 'worker')} of {gpu}{counted(sizes.cores, 'core')}"


def killers(lists: Sequence[Listed], shard: Shard, done: int) -> str:
    """Returns what is said where workers die of a shard of which so many samples were done."""
    names = [escaped(one.name(i)) for one in lists for i in one.indices(shard)][done:]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return (
        f"shard {shard}: {DEATHS} workers in a row were killed by it, often for a lack of memory;"
        f" what is left of it: {', '.join(names[:_SHOWN])}{more}"
    )


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Joins a cluster within the block, or starts one of this machine; its logs stay in its files.

    Raises:
        VideozooError: none answers.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    own = {"num_cpus": usable_cores(), "object_store_memory": STORE, "include_dashboard": False}
    try:
        if address not in (None, "auto"):  # Ray tries for many minutes, without a word
            host, _, port = str(address).rpartition(":")
            socket.create_connection((host, int(port)), _PATIENCE).close()
        with _silent():
            ray.init(
                address=address or "local",
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                **(own if address is None else {}),
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise VideozooError(
            f"--address {address or 'of this machine'}: no Ray cluster can be had ({reason:.200});"
            " one that asks for a token needs RAY_AUTH_MODE=token in the environment"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Drops what is written to the standard error within the block, by libraries in C too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _untold(ray: Any) -> Iterator[None]:
    """Keeps what Ray tells of its workers out of the terminal, within the block."""
    said, ray._private.worker._worker_logs_enabled = ray._private.worker._worker_logs_enabled, False
    try:
        yield
    finally:
        ray._private.worker._worker_logs_enabled = said
