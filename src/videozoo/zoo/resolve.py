"""What `--weights` means: a path, a name of the zoo, or nothing. It is asked here and once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from videozoo.errors import VideozooError, did_you_mean
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights

if TYPE_CHECKING:
    from videozoo.zoo.store import Report, Say


def find_weights(
    given: str | os.PathLike[str] | None, *, model: str | None = None
) -> Path | VideoWeights:
    """Returns which weights are meant; nothing is fetched.

    Args:
        given: a path; a name of the zoo, where no file or folder has that name; or None: the
            weights that were published of the model.
        model: as in videozoo.models.MODELS; needed where nothing is given.

    Raises:
        VideozooError: there are none, or they are an image ResNet's.
    """
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
    given: str | os.PathLike[str] | None,
    *,
    model: str | None = None,
    check: Callable[[VideoWeights], None] = lambda published: None,
    report: Report = lambda done, total: None,
    say: Say = lambda text: print(text, file=sys.stderr),
    instead: str = "",
) -> Path:
    """Returns the path of the weights that are meant, published ones fetched where need be.

    Args:
        given: see find_weights.
        model: see find_weights.
        check: called with published weights before they are fetched, to raise what is wrong.
        report: see store.pull.
        say: see store.pull.
        instead: see store.pull.

    Raises:
        VideozooError: there are none, they are an image ResNet's, or they cannot be fetched.
    """
    found = find_weights(given, model=model)
    if isinstance(found, Path):
        return found
    check(found)
    from videozoo.zoo.store import pull  # the network and the lock: where they are needed

    return pull(found, report=report, say=say, instead=instead)
