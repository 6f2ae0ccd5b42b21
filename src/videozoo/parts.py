"""What test and infer have done so far, in finished parts beside the result, to go on from.

    TSN_infer_result.parts/
        recipe.json                     what the parts were made of and how
        lock                            held by the run that writes the result
        0000-0000000007-90ab12cd.part   of process 0, to step 7; its checksum
        0000-0000000012-...             its next one, to step 12

Each process goes on behind its own last part, with the batches that an unbroken run has: so the
result is the same to the last bit. Parts made in another way are removed. When the result is there
the folder goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from rich.console import Console

from videozoo.addresses.places import stamp
from videozoo.data.dataset import VideoDataset
from videozoo.distributed import gathered, process_place
from videozoo.errors import SampleError, VideozooError
from videozoo.files import json_text, sha256_of, write_bytes, write_json

# A part is written after so many seconds, or after that share of the time so far: at most so much
# is lost, and the parts of a day stay a few hundred.
_SECONDS, _SHARE = 2.0, 0.01
_IDLE_KEYS = ("num_workers", "reader_timeout", "filelist")  # they change no score
T = TypeVar("T")


class Parts:
    """The parts of this process.

    Args:
        folder: of the parts of all processes.
        rank: of this process.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self._rank = rank
        self._start = self._last = time.monotonic()
        self.steps_done = 0
        for path in self.own:
            number, checksum = path.stem.split("-")[1:]
            if checksum != f"{zlib.crc32(path.read_bytes()):08x}":
                break
            self.steps_done = int(number)
        for path in self.own:
            if int(path.stem.split("-")[1]) > self.steps_done:
                path.unlink()

    def of(self, rank: int) -> list[Path]:
        """Returns the parts of any process, in their order."""
        return sorted(self.folder.glob(f"{rank:04d}-*.part"))

    @property
    def own(self) -> list[Path]:
        """The parts of this process, in their order."""
        return self.of(self._rank)

    @property
    def is_due(self) -> bool:
        """It is time for the next part."""
        now = time.monotonic()
        return now - self._last >= max(_SECONDS, _SHARE * (now - self._start))

    def add(self, data: bytes, *, steps_done: int) -> None:
        """Writes a part.

        Args:
            data: its content.
            steps_done: steps of the whole run that are done with it.
        """
        name = f"{self._rank:04d}-{steps_done:010d}-{zlib.crc32(data):08x}.part"
        write_bytes(self.folder / name, data)
        self.steps_done, self._last = steps_done, time.monotonic()

    def discard(self) -> None:
        """Removes the parts of this process: they come to nothing."""
        for path in self.own:
            path.unlink()

    def merged(self, read: Callable[[Path], Iterable[tuple[int, T]]]) -> Iterator[T]:
        """Yields what the collected parts hold, in the order of the list; see `collect`.

        One part of each process is read at a time.

        Args:
            read: gives what a part holds, with the sample's index.
        """
        _, world = process_place()
        shares = (chain.from_iterable(map(read, self.of(rank))) for rank in range(world))
        for _, value in merge(*shares, key=lambda pair: pair[0]):
            yield value

    def collect(self) -> None:
        """Brings the parts of all processes into the first one's folder, where it lacks any."""
        rank, world = process_place()
        names = [path.name for path in self.own]
        wanted = [name for share in gathered(names) for name in share] if world > 1 else []
        missing = [name for name in wanted if not (self.folder / name).is_file()]
        for name in gathered(missing)[0]:
            data = (self.folder / name).read_bytes() if name in names else None
            found = next(one for one in gathered(data) if one is not None)
            if rank == 0:
                write_bytes(self.folder / name, found)


@contextmanager
def opened_parts(result: Path, recipe: Mapping[str, Any]) -> Iterator[Parts]:
    """Gives the parts of a result within the block; when the block is done they are removed.

    Args:
        result: the file that is to be.
        recipe: what decides its content; parts that were made of another one are removed.

    Raises:
        VideozooError: another process writes this result, or the folder cannot be written to.
    """
    folder = result.with_name(f"{result.stem}.parts")
    rank, _ = process_place()
    lock = FileLock(folder / "lock", timeout=0)
    fault = None
    if rank == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(NotImplementedError):  # a file system without locks
                lock.acquire()
            if not folder.is_dir():  # whoever held the lock has just removed it
                raise Timeout(str(folder))
            _keep(folder, recipe)
        except Timeout:
            fault = (
                f"{result}: is being written by another process; wait for it, or give another"
                " --save-dir"
            )
        except OSError as error:
            fault = f"{folder}: cannot be written to: {error.strerror}"
        except VideozooError as error:
            fault = str(error)
    if fault := gathered(fault)[0]:
        raise VideozooError(fault)
    try:
        if rank:
            _keep(folder, recipe)
        yield Parts(folder, rank)
        gathered(None)  # the first process has read all parts
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        if rank == 0 and not any(folder.glob("*.part")):
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _keep(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Removes parts that were made in another way, and says how those to come are made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.json"
    text = json.loads(json_text(recipe))
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == text
    except (OSError, ValueError):
        same = False
    if not same:
        for part in folder.glob("*.part"):
            part.unlink(missing_ok=True)
        write_json(path, text)


def say_done(parts: Parts | None, batch_size: int, listed: int, console: Console) -> int:
    """Says from where a run goes on, if it does; returns how many samples are done.

    Args:
        parts: of this process.
        batch_size: samples a step.
        listed: samples in the list.
        console: where to say it.
    """
    done = min(parts.steps_done * batch_size, listed) if parts is not None else 0
    if done:
        console.print(f"going on: {done:,} of {listed:,} were done", highlight=False)
    return done


def recipe_of(
    dataset: VideoDataset, settings: Any, protocol: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Returns what decides a result: weights, settings, samples, processes.

    Args:
        dataset: the samples.
        settings: of the mode.
        protocol: how scores are made.
        more: what else the result depends on.
    """
    listed = settings.filelist
    keys = settings.model_dump(mode="json", exclude=set(_IDLE_KEYS))
    list_sum = sha256_of(Path(listed)) if listed and os.path.isfile(listed) else None
    how = {k: v for k, v in protocol.items() if k not in ("weights", "config")}
    return {
        "settings": keys,
        "protocol": how,
        "samples": stamp_of(dataset),
        "list": list_sum,
        "processes": process_place()[1],
        **more,
    }


def stamp_of(dataset: VideoDataset) -> str:
    """Returns what changes when the samples of a list do: their names, files, sizes and times."""
    found = hashlib.sha256()
    last: Path | None = None
    for index in range(len(dataset)):
        found.update(dataset.name(index).encode("utf-8", "surrogatepass") + b"\0")
        file = dataset.file(index)
        if file is not None and file != last:
            last = file
            try:
                found.update(f"{stamp(file)}\0".encode())
            except (OSError, SampleError):
                found.update(b"missing\0")
    return found.hexdigest()[:16]
