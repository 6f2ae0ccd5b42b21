"""What test and infer have done so far, in finished parts beside the result, to go on from.

    TSN_infer_result.parts/
        recipe.json                     what the parts were made of and how
        lock                            held by the run that writes the result
        0000-0000000007-90ab12cd.part   of process 0, to step 7; its checksum
        0000-0000000012-...             its next one, to step 12

Each process goes on behind its own last part, with the batches that an unbroken run has: so the
result is the same to the last bit. Parts made in another way are removed. When the result is there
the folder goes.

The folder of a shard, TSN_infer_result.3-of-64.parts, stays, with done.json when it has all parts.
They are such as one run over the whole list has: once all shards are done, that run takes them
for its own, and has only the result to write.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from rich.console import Console

from videozoo.data.dataset import Report
from videozoo.distributed import gathered, process_place
from videozoo.errors import VideozooError
from videozoo.files import json_text, link_or_copy, write_bytes, write_json
from videozoo.progress import RELAY
from videozoo.shards import Shard, Span

# A part is written after so many seconds, or after that share of the time so far: at most so much
# is lost, and the parts of a day stay a few hundred.
_SECONDS, _SHARE = 2.0, 0.01
_PATIENCE = 60.0  # seconds
RECIPE, DONE = "recipe.json", "done.json"
Recipe = Callable[[Span], Mapping[str, Any]]
"""Gives what decides the content of parts."""
T = TypeVar("T")


class Parts:
    """The parts of this process.

    Args:
        folder: of the parts of all processes.
        rank: of this process.
        span: the samples that they are to be of.
    """

    def __init__(self, folder: Path, rank: int, span: Span) -> None:
        self.folder = folder
        self._rank = rank
        self._start = self._last = time.monotonic()
        self.span = span
        self.steps_done = span.steps.start
        for path in self.own:
            if not is_sound(path):
                break
            self.steps_done = int(path.stem.split("-")[1])
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
    def left(self) -> range:
        """The steps that are not done."""
        return range(self.steps_done, self.span.steps.stop)

    def report(self, report: Report) -> Report:
        """Returns what is told of a run over the list, and reports of these samples alone."""
        own = self.span.indices()
        return lambda done, total: report(done - own.start, len(own))

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


def is_sound(part: Path) -> bool:
    """Says whether a part has the bytes that were written, by the checksum in its name."""
    return part.stem.split("-")[2] == f"{zlib.crc32(part.read_bytes()):08x}"


def parts_folder(result: Path, shard: Shard | None) -> Path:
    """Returns the folder of a result's parts."""
    return result.with_name(f"{result.stem}{shard.suffix if shard else ''}.parts")


def shards_in(folder: Path) -> dict[tuple[str, int], dict[int, Path]]:
    """Returns the folders of shards by number, for each result and number of shards."""
    found: dict[tuple[str, int], dict[int, Path]] = {}
    for path in folder.glob("*.parts"):
        if named := re.fullmatch(r"(.+)\.([0-9]+)-of-([0-9]+)\.parts", path.name):
            found.setdefault((named[1], int(named[3])), {})[int(named[2])] = path
    return found


def shards_left(folders: Mapping[int, Path], count: int) -> list[int]:
    """Returns the shards that are not done, or not as they were written."""
    return [n for n in range(1, count + 1) if n not in folders or not is_whole(folders[n])]


def is_whole(folder: Path) -> bool:
    """Says whether a shard's folder has all of its parts, as they were written."""
    done, parts = _json_of(folder / DONE), set(folder.glob("*.part"))
    return done is not None and {p.name for p in parts} == set(done) and all(map(is_sound, parts))


@contextmanager
def opened_parts(result: Path, recipe: Recipe, span: Span) -> Iterator[Parts]:
    """Gives the parts of a result within the block; when the block is done they are removed.

    Those of a shard stay. Those of all shards are taken where the whole list is done.

    Args:
        result: the file that is to be.
        recipe: parts that were made of another one are removed.
        span: the samples that are done.

    Raises:
        VideozooError: another process writes this result, or the folder cannot be written to.
    """
    folder, shards = parts_folder(result, span.shard), list[Path]()
    rank, _ = process_place()
    # a cluster's worker may follow one whose machine has not ended it yet
    lock = FileLock(folder / "lock", timeout=0 if RELAY.get() is None else _PATIENCE)
    fault = None
    if rank == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(NotImplementedError):  # a file system without locks
                lock.acquire()
            if not folder.is_dir():  # whoever held the lock has just removed it
                raise Timeout(str(folder))
            _keep(folder, recipe(span))
            shards = [] if span.shard else _taken(folder, result, recipe, span)
        except Timeout:
            fault = (
                f"{result}: is being written by another process; wait for it, or give another"
                " --save-dir"
            )
        except OSError as error:
            fault = f"{folder}: cannot be written to: {error.strerror}"
        except VideozooError as error:
            fault = str(error)
    try:
        if fault := gathered(fault)[0]:
            raise VideozooError(fault)
        if rank:
            _keep(folder, recipe(span))
        yield Parts(folder, rank, span)
        gathered(None)  # the first process has read all parts
        if span.shard is None:
            for path in (folder, *shards):
                shutil.rmtree(path, ignore_errors=True)
        elif rank == 0:
            write_json(folder / DONE, sorted(path.name for path in folder.glob("*.part")))
    finally:
        kept = (folder / DONE).exists() or any(folder.glob("*.part"))
        if lock.is_locked and not kept:  # in the first process, where no other one writes
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _taken(folder: Path, result: Path, recipe: Recipe, span: Span) -> list[Path]:
    """Takes the parts of all shards into a folder; returns the shards' folders, none of none.

    Raises:
        VideozooError: one is not done, is damaged, or was made in another way.
    """
    for (stem, count), folders in shards_in(result.parent).items():
        if stem != result.stem:
            continue
        if left := shards_left(folders, count):
            numbers = ", ".join(map(str, left[:12])) + ", ..." * (len(left) > 12)
            raise VideozooError(
                f"{result.parent}: {count - len(left)} of {count} shards are done; run these with"
                f" --shard before, or remove the folders {stem}.*-of-{count}.parts: {numbers}"
            )
        first = _json_of(folders[1] / RECIPE) or {}
        device = {key: value for key, value in first.items() if key == "device"}
        for number, one in folders.items():
            own = replace(span, shard=Shard(number, count))
            # All on one device, which the process that only takes the parts need not have.
            if _json_of(one / RECIPE) != _plain(recipe(own)) | device:
                raise VideozooError(
                    f"{one}: is of other weights, samples or settings; run this shard again, or"
                    " remove the folder"
                )
        for part in folder.glob("*.part"):
            part.unlink()
        for part in (part for one in folders.values() for part in one.glob("*.part")):
            link_or_copy(part, folder / part.name)
        return list(folders.values())
    return []


def _plain(recipe: Mapping[str, Any]) -> Any:
    return json.loads(json_text(recipe))


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _keep(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Removes parts that were made in another way, and says how those to come are made."""
    folder.mkdir(parents=True, exist_ok=True)
    if _json_of(folder / RECIPE) != _plain(recipe):
        for part in (folder / DONE, *folder.glob("*.part")):
            part.unlink(missing_ok=True)
        write_json(folder / RECIPE, recipe)


def say_done(parts: Parts, console: Console) -> range:
    """Says from where a run goes on, if it does; returns the samples that are left."""
    all_of = parts.span.indices()
    left = parts.span.indices(min(gathered(parts.steps_done)))
    if done := len(all_of) - len(left):
        console.print(f"going on: {done:,} of {len(all_of):,} were done", highlight=False)
    return left
