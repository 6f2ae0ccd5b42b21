"""Brings published weights here: fetched, compared with their checksum, converted, remembered."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from videozoo.errors import VideozooError
from videozoo.zoo import archives, cache, download
from videozoo.zoo.archives import ImageResNet, Published, VideoWeights
from videozoo.zoo.cache import Record, Say
from videozoo.zoo.download import AddressError, Report


def weights_of(name: str | os.PathLike[str]) -> Path:
    """Returns the path of a model's weights, published ones pulled where they are not here.

    Args:
        name: a path, which is returned as it is, or a name of the zoo.

    Raises:
        VideozooError: they cannot be fetched, or the name is that of an image ResNet.
    """
    published = archives.find(name)
    if published is None:
        return Path(name)
    if isinstance(published, ImageResNet):
        raise archives.no_video_model(published)
    return pull(published, say=lambda text: print(text, file=sys.stderr))


def pull(
    published: VideoWeights | ImageResNet,
    *,
    report: Report | None = None,
    say: Say = lambda text: None,
    instead: str = "",
) -> Path:
    """Returns published weights, fetched and converted where they are not here yet.

    Args:
        published: which.
        report: told the bytes fetched, and of how many (None: unknown).
        say: prints a sentence.
        instead: what else can be done where they cannot be fetched; ends the error's sentence.

    Raises:
        VideozooError: they are not here and cannot be fetched, or are not what they were.
    """
    if (path := cache.pulled(published)) is not None:
        cache.check_unchanged(published, path)
        return path
    with cache.only_one(published, say):
        if (path := cache.pulled(published)) is not None:  # while this process waited
            return path
        for file in _found(published):
            try:
                return _keep(published, file, str(file), report, say)
            except AddressError as error:
                raise VideozooError(f"{file}: {error}; fetch it again, or remove it") from None
        return _pull_from_addresses(published, report, say, instead)


def class_names(
    published: VideoWeights, report: Report | None = None, say: Say = lambda text: None
) -> list[str] | None:
    """Returns the names of the classes; None where nobody knows them.

    Those of Kinetics-400 come with videozoo; YouTube-8M's are fetched once.
    """
    if published.labels != "youtube8m":
        return own_class_names(published)
    try:
        with cache.only_one(archives.VOCABULARY, say):
            return _vocabulary(published, report)
    except VideozooError as error:
        say(
            f"{published.name} is kept without class names ({error}): results carry class numbers,"
            " unless MODEL.label_file names YouTube-8M's vocabulary.csv"
        )
        return None


def own_class_names(published: VideoWeights) -> list[str] | None:
    """Returns the names of the classes where they come with videozoo; None where they do not."""
    if published.labels != "kinetics400":
        return None
    text = resources.files("videozoo.zoo") / "labels" / "kinetics400.txt"
    return text.read_text(encoding="utf-8").splitlines()


def _vocabulary(published: VideoWeights, report: Report | None) -> list[str]:
    """Returns YouTube-8M's class names, fetched where they are not here.

    Raises:
        VideozooError: they cannot be fetched, or are not those of the weights.
    """
    from videozoo.zoo.convert import read_class_names

    file, part = cache.hand_path(archives.VOCABULARY), cache.part_path(archives.VOCABULARY)
    if file.is_file():
        return read_class_names(published, file)
    faults = []
    for address in archives.addresses(archives.VOCABULARY):
        try:
            download.fetch(address, part, report=report)
            names = read_class_names(published, part)
        except AddressError as error:
            faults.append((address, str(error)))
            continue
        except VideozooError as error:
            download.drop(part)
            faults.append((address, f"gives no class names: {error}"))
            continue
        os.replace(part, file)
        download.drop(part)
        return names
    raise VideozooError(_told(faults))


def _pull_from_addresses(
    published: VideoWeights | ImageResNet, report: Report | None, say: Say, instead: str
) -> Path:
    """Tries each address in turn.

    Raises:
        VideozooError: none gives the file.
    """
    part = cache.part_path(published)
    faults: list[tuple[str, str]] = []
    for address in archives.addresses(published):
        say(f"fetching {address}")
        try:
            download.fetch(address, part, report=report)
        except AddressError as error:
            faults.append((address, str(error)))
            continue
        try:
            path = _keep(published, part, address, report, say)
        except AddressError as error:
            download.drop(part)
            faults.append((address, str(error)))
            continue
        download.drop(part)
        return path
    raise VideozooError(
        f"{published.name} cannot be fetched: {_told(faults)}; fetch {faults[0][0]} by hand and put"
        f" it to {cache.hand_path(published)}{instead}"
    )


def _told(faults: list[tuple[str, str]]) -> str:
    """Returns what was wrong with the addresses; once, where their hosts cannot be reached."""
    reasons = {reason for _, reason in faults}
    if len(reasons) == 1 and faults[0][1].startswith("cannot be reached"):
        hosts = dict.fromkeys(urlsplit(address).netloc for address, _ in faults)
        return f"{' and '.join(hosts)} {faults[0][1]}"
    return "; ".join(f"{address} {reason}" for address, reason in faults)


def _keep(
    published: VideoWeights | ImageResNet,
    file: Path,
    origin: str,
    report: Report | None,
    say: Say,
) -> Path:
    """Compares a whole file with its checksum, converts it, and remembers it.

    Raises:
        AddressError: it is not the file that was published, or not the one of the last time.
    """
    sha256 = cache.sha256_of(file)
    _compare(published, sha256)
    labels = class_names(published, report, say) if isinstance(published, VideoWeights) else None
    from videozoo.zoo.convert import convert

    target = cache.weights_path(published)
    try:
        convert(published, file, target, labels)
    except VideozooError as error:
        reason = str(error).replace(f"{file}: ", "")
        raise AddressError(f"gives no sound {published.name}: {reason}") from None
    cache.write_record(
        Record(
            name=published.name,
            address=origin,
            bytes=file.stat().st_size,
            sha256=sha256,
            weights_bytes=target.stat().st_size,
            weights_sha256=cache.sha256_of(target),
            pulled=datetime.now(UTC).date().isoformat(),
        )
    )
    return target


def _compare(published: Published, sha256: str) -> None:
    if not sha256.startswith(published.sha256):
        raise AddressError(
            f"gives a damaged file: its SHA-256 begins with {sha256[:8]}, not {published.sha256}"
        )
    record = cache.read_record(published)
    if record is not None and record.sha256 != sha256:
        raise AddressError(
            f"gives another file than on {record.pulled}: its SHA-256 begins with {sha256[:12]},"
            f" not {record.sha256[:12]} (remove {cache.record_path(published)} to take it all the"
            " same)"
        )


def _found(published: Published) -> Iterator[Path]:
    """Yields the file where somebody fetched it by hand, or torchvision did."""
    file = cache.hand_path(published)
    if file.is_file():
        yield file
    elif published.sha256:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        hub = Path(os.environ.get("TORCH_HOME") or Path(caches) / "torch") / "hub" / "checkpoints"
        file = hub / published.file
        if file.is_file() and cache.sha256_of(file).startswith(published.sha256):
            yield file
