"""What `--weights` means: a path, a name of the zoo, an address of the Hub, or nothing.

It is asked here and once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from videozoo.errors import VideozooError, did_you_mean
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.hub import fetch_checkpoint, on_the_hub


def find_weights(
    given: str | os.PathLike[str] | None, *, model: str | None = None
) -> Path | VideoWeights:
    """Returns which weights are meant; published ones are not fetched yet.

    A checkpoint of the Hub is, since the file alone says its model.

    Args:
        given: a path; a name of the zoo or "hf:OWNER/NAME", where no file or folder has that name;
            or None: the weights that were published of the model.
        model: as in videozoo.specs.SPECS; needed where nothing is given.

    Raises:
        VideozooError: there are none, they are an image ResNet's, or cannot be had from the Hub.
    """
    if on_the_hub(given):
        return fetch_checkpoint(str(given))
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
