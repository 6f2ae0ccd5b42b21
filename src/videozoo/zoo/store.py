"""Published weights on this machine: fetched whole, compared with their hash, converted, kept.

One folder holds, for each name, NAME.safetensors (the weights) and NAME.json (where they came from
and their checksums, which outlive the weights). A file that somebody fetched by hand may be put
beside them, under the name it was published with.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from videozoo.addresses.transfer import AddressError, Report, UnreachableError, fetch
from videozoo.errors import FileError, VideozooError
from videozoo.files import HOME_VARIABLE, cache_home, sha256_of, write_json
from videozoo.reading import parse_json, read_text
from videozoo.zoo.archives import ImageResNet, Published, VideoWeights, addresses

Say = Callable[[str], None]
Use = Callable[[Path, str], Path]


@dataclass(frozen=True)
class Record:
    """What is remembered of a pull.

    `bytes` and `sha256` are those of the file that was published, `weights_...` those of the
    .safetensors file made of it; `address` is a path where the file was fetched by hand.
    """

    name: str
    address: str
    bytes: int
    sha256: str
    weights_bytes: int
    weights_sha256: str
    pulled: str


def folder() -> Path:
    """Returns the folder of pulled weights, made or not."""
    return cache_home() / "zoo"


def record_path(published: Published) -> Path:
    """Returns where it is remembered what was pulled."""
    return folder() / f"{published.name}.json"


def read_record(published: Published) -> Record | None:
    """Returns what is remembered of the last pull; None: there was none.

    Raises:
        VideozooError: the record is damaged.
    """
    path = record_path(published)
    try:
        return Record(**parse_json(read_text(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):
        raise VideozooError(
            f"{path}: is damaged; remove it, and the checksum of {published.name} is recorded anew"
        ) from None


def pulled(published: Published) -> Path | None:
    """Returns where the weights lie; None where they are not here, or are not what was written.

    Raises:
        VideozooError: their record is damaged.
    """
    path, record = folder() / f"{published.name}.safetensors", read_record(published)
    whole = record is not None and path.is_file() and path.stat().st_size == record.weights_bytes
    return path if whole else None


def pull(
    published: VideoWeights | ImageResNet,
    *,
    report: Report = lambda done, total: None,
    say: Say = lambda text: None,
    instead: str = "",
) -> Path:
    """Returns published weights, fetched and converted where they are not here yet.

    Args:
        published: which.
        report: told how far the transfer is.
        say: prints a sentence.
        instead: what else can be done where they cannot be fetched; ends the error's sentence.

    Raises:
        VideozooError: they are not here and cannot be fetched, or are not what they were.
    """
    name, record = published.name, read_record(published)
    if record is not None and (path := pulled(published)) is not None:
        if record.weights_sha256 == sha256_of(path):
            return path
        raise VideozooError(
            f"{path}: has changed since it was pulled; remove it, and {name} is pulled again"
        )
    with only_one(published, say):
        if (path := pulled(published)) is not None:  # while this process waited
            return path
        if (file := _fetched_by_others(published)) is not None:
            try:
                return _keep(published, say, file, str(file))
            except AddressError as error:
                raise VideozooError(f"{file}: {error}; fetch it again, or remove it") from None
        return from_addresses(published, partial(_keep, published, say), report, say, instead)


def _keep(published: VideoWeights | ImageResNet, say: Say, file: Path, origin: str) -> Path:
    """Compares a whole file with its checksum, converts it, and remembers it.

    Raises:
        AddressError: it is not the file that was published, or not the one of the last time.
    """
    from videozoo.zoo.convert import class_names, convert

    name, target = published.name, folder() / f"{published.name}.safetensors"
    sha256, record, remembered = sha256_of(file), read_record(published), record_path(published)
    if not sha256.startswith(published.sha256):
        raise AddressError(
            f"gives a damaged file: its SHA-256 begins with {sha256[:8]}, not {published.sha256}"
        )
    if record is not None and record.sha256 != sha256:
        raise AddressError(
            f"gives another file than on {record.pulled}: its SHA-256 begins with {sha256[:12]},"
            f" not {record.sha256[:12]} (remove {remembered} to take it all the same)"
        )
    labels = class_names(published, say) if isinstance(published, VideoWeights) else None
    try:
        convert(published, file, target, labels)
    except VideozooError as error:
        reason = error.reason if isinstance(error, FileError) else error
        raise AddressError(f"gives no sound {name}: {reason}") from None
    kept, today = target.stat().st_size, datetime.now(UTC).date().isoformat()
    record = Record(name, origin, file.stat().st_size, sha256, kept, sha256_of(target), today)
    write_json(remembered, asdict(record))
    return target


def _fetched_by_others(published: Published) -> Path | None:
    """Returns the file where somebody fetched it by hand, or torchvision did."""
    from torch.hub import get_dir

    by_hand, theirs = folder() / published.file, Path(get_dir(), "checkpoints", published.file)
    if by_hand.is_file():
        return by_hand
    known = published.sha256 and theirs.is_file()
    return theirs if known and sha256_of(theirs).startswith(published.sha256) else None


@contextmanager
def only_one(published: Published, say: Say) -> Iterator[None]:
    """Lets one process at a time pull a name; the others wait.

    Raises:
        VideozooError: the folder cannot be made or written to.
    """
    lock = FileLock(folder() / f".{published.name}.lock")
    try:
        folder().mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is pulling {published.name}: waiting for it")
            lock.acquire()
    except OSError as error:
        reason = f"cannot be written to ({error.strerror})"
        raise VideozooError(
            f"{folder()}: {reason}; name another folder in {HOME_VARIABLE}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def from_addresses(
    published: Published, use: Use, report: Report, say: Say, instead: str = ""
) -> Path:
    """Returns what `use` makes of the file, of the first address that gives it whole and sound.

    `use` takes the file, which is removed behind it, and its address; an AddressError of its means
    that the file is not sound. For the other arguments see pull.

    Raises:
        VideozooError: no address gives the file.
    """
    for left in folder().glob(f".{published.file}.*part"):  # by a process that was killed
        left.unlink(missing_ok=True)
    part = folder() / f".{published.file}.{secrets.token_hex(8)}.part"
    faults: dict[str, AddressError] = {}
    for address in addresses(published):
        say(f"fetching {address}")
        try:
            fetch(address, part, report)
            return use(part, address)
        except AddressError as error:
            faults[address] = error
        finally:
            part.unlink(missing_ok=True)
    told = [f"{address} {error}" for address, error in faults.items()]
    alike = len({str(error) for error in faults.values()}) == 1
    if alike and all(isinstance(error, UnreachableError) for error in faults.values()):
        hosts = dict.fromkeys(address.split("/")[2] for address in faults)
        told = [f"{' and '.join(hosts)} {next(iter(faults.values()))}"]
    raise VideozooError(
        f"{published.name} cannot be fetched: {'; '.join(told)}; fetch {next(iter(faults))} by hand"
        f" and put it to {folder() / published.file}{instead}"
    )
