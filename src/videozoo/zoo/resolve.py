"""What `--weights` means: a path, a name of the zoo, an address of the Hub, or nothing.

It is asked here and once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from videozoo.addresses.copies import fetched
from videozoo.addresses.remote import is_address
from videozoo.errors import VideozooError, did_you_mean
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.hub import fetch_checkpoint, on_the_hub


def is_elsewhere(given: object) -> bool:
    """Says whether weights are named by an address: of the Hub, a bucket or a server."""
    return on_the_hub(given) or is_address(given)


def brought_here(given: str) -> Path:
    """Returns the path of the checkpoint of an address, which is fetched where it is not here.

    Raises:
        VideozooError: it cannot be had, or is none.
    """
    return fetched(given) if is_address(given) else fetch_checkpoint(given)


def find_weights(
    given: str | os.PathLike[str] | None, *, model: str | None = None
) -> Path | VideoWeights:
    """Returns which weights are meant; published ones are not fetched yet.

    A checkpoint of the Hub or of an address is, since the file alone says its model.

    Args:
        given: a path; an address; a name of the zoo or "hf:OWNER/NAME", where no file or folder
            has that name; or None: the weights that were published of the model.
        model: as in videozoo.specs.SPECS; needed where nothing is given.

    Raises:
        VideozooError: there are none, they are an image ResNet's, or cannot be had.
    """
    if is_elsewhere(given):
        return brought_here(str(given))
    if given is None:
        if model is None:
            raise VideozooError("no weights and no model are given; give --weights")
        return archives.of_model(model)
    published = archives.find(given)
    if isinstance(published, ImageResNet):
        raise archives.no_video_model(published)
    if published is None and not Path(given).exists():
        near = did_you_mean(os.fspath(given), archives.names())
        raise VideozooError(f"{given}: there is no such checkpoint{near}")
    return Path(given) if published is None else published


def resolve_weights(
    given: str | os.PathLike[str], *, pull: Callable[[VideoWeights], Path] | None = None
) -> Path:
    """Returns the path of the weights that are meant, published ones fetched where need be.

    Args:
        given: see find_weights.
        pull: fetches published weights; None: store.pull, which tells of it on stderr.

    Raises:
        VideozooError: there are none, they are an image ResNet's, or they cannot be fetched.
    """
    found = find_weights(given)
    if isinstance(found, Path):
        return found
    if pull is not None:
        return pull(found)
    from videozoo.zoo import store  # the network and the lock: where they are needed

    return store.pull(found, say=lambda text: print(text, file=sys.stderr))
