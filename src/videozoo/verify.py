"""What `videozoo verify` does: adds up what a folder of results holds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.errors import FileError, VideozooError
from videozoo.files import sha256_of
from videozoo.parts import RECIPE, shards_in, shards_left
from videozoo.reading import parse_json, read_text


class Check(NamedTuple):
    """Something that has to hold of results: of which, what, whether it does, and the numbers."""

    of: str
    what: str
    holds: bool
    found: str


_DAMAGED = "is no result of infer or test, or is damaged"
_MOST = 4 << 30  # bytes: a file that names its unreadable videos grows with them
Wanted = dict[str, str | None]
"""The SHA-256 that weights and list must have; None: any."""
_ENDINGS = ("_infer_summary.json", "_test_result.json")


def verify(
    folder: Path, *, weights: Path | None = None, filelist: Path | None = None
) -> list[Check]:
    """Checks the results of infer and test that lie in a folder, and shards of such.

    Args:
        folder: what --save-dir named.
        weights: the checkpoint that the results must be of; None: any.
        filelist: the list that they must be of; None: any.

    Returns:
        What has to hold, and whether it does.

    Raises:
        VideozooError: the folder holds no results, or a file cannot be read.
    """
    if not folder.is_dir():
        raise VideozooError(f"{folder}: is no folder; give the one that --save-dir named")
    wanted = {
        "weights": None if weights is None else sha256_of_weights(weights),
        "list": None if filelist is None else _sum_of(filelist),
    }
    checks: list[Check] = []
    for (stem, count), folders in sorted(shards_in(folder).items()):
        checks += _shards(stem, count, folders, wanted)
    for path in sorted(p for p in folder.iterdir() if p.name.endswith(_ENDINGS)):
        checks += _checks_of(path, wanted)
    if not checks:
        raise VideozooError(f"{folder}: holds no results of infer or test, and no shards of any")
    return checks


def _shards(stem: str, count: int, folders: dict[int, Path], wanted: Wanted) -> Iterator[Check]:
    """Yields whether the shards of a result are all there, whole and made alike."""
    left = shards_left(folders, count)
    told = f"{count - len(left)} of {count}"
    told += f"; run again: {', '.join(map(str, left))}" if left else ""
    yield Check(stem, "all shards are done and whole", not left, told)
    ways: dict[str, dict[str, Any]] = {}
    for path in (one for one in folders.values() if (one / RECIPE).is_file()):
        recipe = _read(path / RECIPE)
        protocol = recipe.pop("protocol")
        recipe.pop("samples")  # each has its own
        for key, value in {**recipe, **protocol}.items():
            ways.setdefault(key, {})[repr(value)] = value
    differ = sorted(key for key, values in ways.items() if len(values) > 1)
    told = f"they differ in {', '.join(differ)}" if differ else "yes"
    yield Check(stem, "all shards are made alike", not differ, told)
    if ways and not differ:
        yield from _made(stem, {key: next(iter(v.values())) for key, v in ways.items()}, wanted)


def _sum_of(filelist: Path) -> str:
    if not filelist.is_file():
        raise FileError(filelist, "is no file; give the list that the results are of")
    return sha256_of(filelist)


def _checks_of(path: Path, wanted: Wanted) -> list[Check]:
    """Returns the checks of a result, given the file that has its counts and protocol."""
    value = _read(path)
    try:
        counts, *files = _counted(path, value)
        return [counts, *_made(path.name, value["protocol"], wanted), *files]
    except (KeyError, TypeError, AttributeError):
        raise FileError(path, _DAMAGED) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = parse_json(read_text(path, most=_MOST))
    except (OSError, ValueError):
        raise FileError(path, _DAMAGED) from None
    return value


def _counted(path: Path, value: dict[str, Any]) -> Iterator[Check]:
    """Yields whether the numbers of a result, and of the files that it names, add up."""
    listed, bad, rest = value["listed"], len(value["unreadable"]), value.get("unlabelled", 0)
    read = value["predicted"] if "predicted" in value else value["evaluated"]
    said = f"{listed:,} listed = {read:,} read + {bad:,} unreadable"
    said += f" + {rest:,} without a label" if rest else ""
    yield Check(path.name, "the counts add up", listed == read + bad + rest, said)
    files = value.get("files", {})
    if not files:
        older = "they have no checksums: an older version wrote them"
        yield Check(path.name, "its files are as written", False, older)
    for name, digest in files.items():
        file = path.with_name(name)
        same = file.is_file() and sha256_of(file) == digest
        there = "its SHA-256" if same else "changed" if file.is_file() else "missing"
        yield Check(name, "is as it was written", same, there)
        count = _videos_in(file) if same else None
        if count is not None:
            yield Check(name, "has each video that was read", count == read, f"{count:,} videos")


def _made(of: str, protocol: dict[str, Any], wanted: Wanted) -> Iterator[Check]:
    """Yields whether a result says how it was made, and whether that is of the right files."""
    versions = (f"videozoo {protocol['versions']['videozoo']}", protocol.get("decoder"))
    told = ", ".join(filter(None, versions))
    yield Check(of, "says how it was made", "list_sha256" in protocol, told)
    for what, needed in wanted.items():
        own = protocol.get(f"{what}_sha256")
        if needed is not None:
            found = f"{_short(own)}{'' if own == needed else f', not {_short(needed)}'}"
            yield Check(of, f"is of the {what} given", own == needed, f"SHA-256 {found}")


def _short(digest: Any) -> str:
    return "not known" if digest is None else f"{str(digest)[:12]}..."


def _videos_in(path: Path) -> int | None:
    """Counts the videos of a result file, which is not held in memory; None: it cannot be told."""
    if path.suffix == ".json":
        with path.open("rb") as file:
            # as json_text indents them
            return sum(1 for line in file if line.rstrip() == b"  {")
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return sum(1 for row in csv.DictReader(file) if row.get("rank", "1") == "1")
    return None
