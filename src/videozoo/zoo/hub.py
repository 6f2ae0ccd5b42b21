"""Checkpoints of videozoo on the Hugging Face Hub: hf:OWNER/NAME, @REVISION and /FILE behind it.

They lie in the Hub's own cache, and what is there is used where there is no network. Only
.safetensors files are taken: a pickle may run code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError
from videozoo.extras import HUB, imported
from videozoo.text import escaped, harmless

PREFIX = "hf:"
REPOSITORY = r"\w[\w.-]*/\w[\w.-]*"
WEIGHTS_FILE = "model.safetensors"  # as it is called where videozoo uploads it
_SUFFIX = ".safetensors"
_MOST_BYTES = 2 << 30  # of a file: the largest checkpoints have a few hundred MB
_ADDRESS = re.compile(
    rf"hf:({REPOSITORY})(?:@(refs/(?:pr|convert)/[\w.-]+|[^/@\s]+))?(?:/([^\s].*))?"
)
_SECRET = re.compile(r"(?i:\bbearer)\s+[^\s'\"\\]+|\bhf_\w+")
LOGIN = "put a token into HF_TOKEN, or type: hf auth login"
_SHOWN = 8  # files that a sentence names
_SECONDS = 10  # to wait for an answer


class _Address(NamedTuple):
    """What an address says: all of it as it was given, and its parts."""

    given: str
    repository: str
    revision: str | None
    file: str | None


def on_the_hub(given: object) -> bool:
    """Says whether weights are named by an address of the Hub, and no file has that name."""
    return isinstance(given, str) and given.startswith(PREFIX) and not Path(given).exists()


def fetch_checkpoint(given: str) -> Path:
    """Returns the path of a checkpoint in the Hub's cache, fetched where it is not there.

    Without a network, or where HF_HUB_OFFLINE says so, what was fetched before is taken.

    Args:
        given: "hf:OWNER/NAME", perhaps with @REVISION and /FILE behind it. Without a file,
            model.safetensors is meant, or the only .safetensors file.

    Raises:
        VideozooError: there is none, it is no checkpoint of videozoo, or it cannot be had.
    """
    found = _ADDRESS.fullmatch(given)
    if found is None:
        raise VideozooError(
            f"{given}: is not of the form hf:OWNER/NAME, with @REVISION and /FILE{_SUFFIX} behind"
            " it where they are needed"
        )
    address = _Address(given, *found.groups())
    hub = imported("huggingface_hub", given, HUB)
    try:
        info = hub.HfApi().model_info(
            address.repository, revision=address.revision, files_metadata=True, timeout=_SECONDS
        )
    except Exception as error:  # of the libraries below it, which change
        if isinstance(error, ValueError) or 0 < _status(error) < 500:
            raise VideozooError(f"{given}: {reason_of(error)}") from None
        path = _cached(hub, address, error)
    else:
        path = _fetched(hub, address, info)
    from videozoo.checkpoints.native import kind_of  # torch comes with it

    if kind_of(path) != "native":
        raise _foreign(address, path.name, [entry.name for entry in path.parent.iterdir()])
    return path


def _fetched(hub: Any, address: _Address, info: Any) -> Path:
    """Fetches a file of a repository, unless it is in the cache.

    What it is shows before: by its size, and by its first bytes.
    """
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    file = _chosen(address, sizes)
    with asking(address.given):
        if not isinstance(hub.try_to_load_from_cache(info.id, file, revision=info.sha), str):
            if sizes[file] > _MOST_BYTES:
                raise VideozooError(
                    f"{address.given}: {file} has {sizes[file] >> 20:,} MB; checkpoints of at most"
                    f" {_MOST_BYTES >> 20:,} MB are fetched"
                )
            header = hub.HfApi().parse_safetensors_file_metadata(info.id, file, revision=info.sha)
            if "videozoo" not in (header.metadata or {}):
                raise _foreign(address, file, sizes)
            if is_first_process():
                size = f"{sizes[file] / 1e6:,.1f} MB"
                print(f"fetching {harmless(address.given)}: {file}, {size}", file=sys.stderr)
        return Path(hub.hf_hub_download(address.repository, file, revision=address.revision))


def _cached(hub: Any, address: _Address, why: Exception) -> Path:
    """Returns the path of a file that was fetched before.

    Args:
        hub: huggingface_hub.
        address: of the file.
        why: the Hub cannot be asked.
    """
    try:
        folder = hub.snapshot_download(
            address.repository, revision=address.revision, local_files_only=True
        )
    except hub.errors.LocalEntryNotFoundError as error:
        folder = getattr(error, "snapshot_path", None)  # of one that was fetched in part
        if folder is None:
            reason = f"{reason_of(why)}, and it was not fetched before"
            raise VideozooError(f"{address.given}: {reason}") from None
    held = [path for path in Path(folder).rglob("*") if path.is_file()]
    return Path(folder, _chosen(address, [path.relative_to(folder).as_posix() for path in held]))


def _chosen(address: _Address, names: Iterable[str]) -> str:
    """Returns the file that is meant.

    Raises:
        VideozooError: there is none, or there are several.
    """
    names, given = sorted(names), address.given
    if address.file is not None:
        if not address.file.endswith(_SUFFIX):
            raise VideozooError(f"{given}: is no {_SUFFIX} file; others may run code and are left")
        if address.file not in names:
            raise VideozooError(f"{given}: there is no such file; there are {_some(names)}")
        return address.file
    fitting = [name for name in names if name.endswith(_SUFFIX)]
    if WEIGHTS_FILE in fitting:
        return WEIGHTS_FILE
    if not fitting:
        raise _foreign(address, "", names)
    if len(fitting) > 1:
        raise VideozooError(
            f"{given}: holds several: {_some(fitting)}; name one, such as {given}/{fitting[0]}"
        )
    return fitting[0]


def _foreign(address: _Address, file: str, names: Iterable[str]) -> VideozooError:
    """Returns what is said of a repository that holds something else."""
    names = sorted(names)
    what = f"{file} is no checkpoint of videozoo" if file else f"holds no {_SUFFIX} checkpoint"
    sentence = f"{address.given}: {what}; the repository holds {_some(names)}"
    if "config.json" in names:
        sentence += (
            "; where that is a network of transformers, it may be an encoder: videozoo train FOLDER"
            f" --encoder {PREFIX}{address.repository}"
        )
    return VideozooError(sentence)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(escaped, names[:_SHOWN])) or "nothing") + more


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Turns what goes wrong between here and the Hub into one sentence, without a token in it.

    Raises:
        VideozooError: something did; `name` begins the sentence.
    """
    try:
        yield
    except VideozooError:
        raise
    except Exception as error:  # of huggingface_hub, or of the libraries below it, which change
        # Not chained: the request that it holds has the token.
        raise VideozooError(f"{name}: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """Returns why the Hub gives or takes nothing, in one line without a token."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    code = _status(error)
    if "GatedRepoError" in kinds:
        return f"its owner lets in who asks on its page, and knows by a token: {LOGIN}"
    if "RevisionNotFoundError" in kinds:
        return "the repository has no such revision"
    if "RepositoryNotFoundError" in kinds:
        return f"the Hub has no such repository, or a private one; if it is yours, {LOGIN}"
    text = getattr(error, "server_message", None) or str(error)
    text = text.replace(os.environ.get("HF_TOKEN") or "(token)", "(token)")
    text = _SECRET.sub("(token)", " ".join(text.split())) or type(error).__name__
    if code in (401, 403):
        return f"the Hub refuses this to the token that is set ({code}: {text:.200}); {LOGIN}"
    return f"the Hub cannot be asked, or refuses ({text:.200})"


def _status(error: Exception) -> int:
    """Returns the number with which a server refused; 0: none did."""
    return int(getattr(getattr(error, "response", None), "status_code", 0))
