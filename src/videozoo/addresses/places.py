"""Addresses as paths, which go through lists and data sets as other paths do.

    VIDEOZOO_HOME/buckets/
        s3/BUCKET/videos/a.mp4       the path of s3://BUCKET/videos/a.mp4; see copies
        records/1f/1f2e....json      what the file there was: address, version, SHA-256
        results/s3/BUCKET/run/       see results

An address becomes a path as soon as it is named. What lies at addresses is remembered by each
process: it is asked once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from videozoo.addresses.remote import SCHEMES, Remote, about, is_address, listing, shown
from videozoo.errors import NICKNAMES, SampleError, VideozooError
from videozoo.files import cache_home, replacing

_THREADS = 16  # that look addresses up
_known: dict[Path, Remote | SampleError] = {}  # what lies there, or why nothing can be read
_listed: set[Path] = set()  # folders all of whose files are known
writing: set[Path] = set()  # folders of results that this process is to upload
_NO_HOST = "_"  # of hdfs:///folder


def home() -> Path:
    """Returns the folder of all copies, made or not."""
    return cache_home().resolve() / "buckets"


def copy_path(address: str) -> Path:
    """Returns the path that stands for an address; nothing is asked or fetched.

    What this process has written for the address, and not uploaded yet, goes before.

    Raises:
        VideozooError: it holds a password, or cannot be a path.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "file":
        return Path(unquote(rest))
    rest, query, _ = rest.partition("?") if scheme.startswith("http") else (rest, "", "")
    host, *parts = rest.rstrip("/").split("/")
    host = host or _NO_HOST
    if "@" in host and scheme.startswith("http"):
        raise VideozooError(f"{shown(address)}: leave name and password out of the address")
    if {"", ".", ".."} & {host, *parts} or (host == _NO_HOST and not parts):
        raise VideozooError(f"{shown(address)}: a part of it is empty, . or .., which has no path")
    if query:  # its own for each signature; the whole address is in its record
        mark, name = hashlib.sha256(address.encode()).hexdigest()[:12], Path(host, *parts)
        parts[-1:] = [f"{name.stem}-{mark}{name.suffix}"]
        scheme += "-signed"
    path = home().joinpath(scheme, host, *parts)
    own = home() / "results" / path.relative_to(home())
    if writing & {*own.parents} and own.is_file():
        return own
    NICKNAMES[f"{home() / scheme}/"] = f"{scheme.removesuffix('-signed')}://"
    if query and record_of(path).get("address") != address:
        write_record(path, {"address": address})
    return path


def address_of(path: str | os.PathLike[str]) -> str | None:
    """Returns the address that a path stands for; None: it is an ordinary path."""
    text = os.fspath(path)
    if "buckets" not in text:  # most are told without looking for the home
        return None
    place = Path(os.path.normpath(text))
    if not place.is_relative_to(home()):
        return None
    scheme, *parts = place.relative_to(home()).parts or ("",)
    if scheme.removesuffix("-signed") not in SCHEMES:
        return None
    if scheme.endswith("-signed"):
        return record_of(place).get("address")
    return f"{scheme}://{'/'.join(parts).removeprefix(_NO_HOST)}"


def brought(named: str | os.PathLike[str]) -> Path:
    """Returns the path of what somebody named; of an address, the one that stands for it.

    What lies there is looked at, and of a folder all files are listed.

    Raises:
        VideozooError: there is nothing at the address, or it cannot be asked.
    """
    text = os.fspath(named)
    if not is_address(text):
        return Path(text)
    path = copy_path(text)
    if address_of(path) is None:
        return path
    _known[path] = found = about(text.rstrip("/"))
    if found.is_folder:
        files = {copy_path(remote.address): remote for remote in listing(text)}
        for old in [place for place in _known if path in place.parents]:
            del _known[old]
        _known.update(files)
        _listed.add(path)
        for folder in {file.parent for file in files} | {path}:
            folder.mkdir(parents=True, exist_ok=True)
    return path


def listed_path(text: str) -> Path:
    """Returns the path that a line of a list means, an address or not; nothing is asked."""
    return copy_path(text) if is_address(text) else Path(os.path.expanduser(text))


def look_up(paths: Iterable[Path]) -> None:
    """Looks at the addresses of many files at once, which `known` then knows."""
    unknown = [path for path in paths if address_of(path)]
    if not unknown:
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(_ask, unknown))


def known(path: str | os.PathLike[str]) -> Remote | None:
    """Returns what lies at the address of a path; None: nothing, or it is an ordinary path."""
    place = Path(os.path.normpath(path))
    if place not in _known and address_of(place) and not _listed & {*place.parents}:
        _ask(place)
    found = _known.get(place)
    return found if isinstance(found, Remote) else None


def _ask(path: Path) -> None:
    try:
        _known[path] = about(str(address_of(path)))
    except SampleError as error:
        _known[path] = error


def is_file(path: str | os.PathLike[str]) -> bool:
    """Says whether there is such a file, here or at the address that the path stands for."""
    found = known(path)
    return os.path.isfile(path) if address_of(path) is None else bool(found and not found.is_folder)


def stamp(path: Path) -> str:
    """Returns what changes when a file does; of one at an address, what is told of it there.

    Raises:
        OSError: there is no such file.
    """
    if address_of(path) is None:
        state = path.stat()
        return f"{state.st_size} {state.st_mtime_ns}"
    found = found_at(path)
    return f"{found.size} {found.version}"


def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields what os.walk does, links followed; of a folder at an address, what was listed there.

    The caller may take folders away, which are not looked into then.
    """
    if address_of(folder) is None:
        yield from os.walk(folder, followlinks=True)
        return
    inside: dict[Path, tuple[set[str], list[str]]] = {folder: (set(), [])}
    for path, remote in sorted(_known.items()):
        if isinstance(remote, Remote) and not remote.is_folder and folder in path.parents:
            inside.setdefault(path.parent, (set(), []))[1].append(path.name)
            for above in path.parents[: len(path.parts) - len(folder.parts) - 1]:
                inside.setdefault(above.parent, (set(), []))[0].add(above.name)
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        folders = sorted(inside[place][0])
        yield str(place), folders, inside[place][1]
        waiting += [place / name for name in folders]


def found_at(path: Path) -> Remote:
    """Returns which file lies at the address of a path.

    Raises:
        SampleError: none, or it may not be read.
    """
    found = known(path)
    if found is None or found.is_folder:
        why = _known.get(Path(os.path.normpath(path)))
        reason = why.reason if isinstance(why, SampleError) else "there is no such file"
        raise SampleError(reason, path=path)
    return found


def _record_path(path: str | os.PathLike[str]) -> Path:
    name = hashlib.sha256(os.path.normpath(os.fsencode(path))).hexdigest()[:32]
    return home() / "records" / name[:2] / f"{name}.json"


def write_record(path: Path, said: dict[str, str]) -> None:
    """Remembers of a copy what it is."""
    with replacing(_record_path(path), sync=False) as temporary:
        temporary.touch(0o600)  # the address may be signed
        temporary.write_text(json.dumps(said))


def record_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns what is remembered of a copy; empty: nothing."""
    try:
        found = json.loads(_record_path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
