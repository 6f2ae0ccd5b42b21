"""What a resumed training compares with the one that was saved, and how its optimizer goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from videozoo.config.keys import Settings
from videozoo.data.dataset import VideoDataset
from videozoo.data.labels import differing_name
from videozoo.errors import VideozooError
from videozoo.training.state import Position, group_size


def load_optimizer(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Goes on from saved moments; momentum, decays and shares of the rate are the config's.

    The rate stays the saved one until the next step sets it: a save before that must not differ.

    Raises:
        VideozooError: other parameter groups, or those of another optimizer, were saved.
    """
    given = [
        {k: v for k, v in g.items() if k not in ("params", "lr")} for g in optimizer.param_groups
    ]
    mine = set(optimizer.state_dict()["param_groups"][0])
    theirs = set(saved["param_groups"][0])
    strange = sorted((theirs ^ mine) & {"betas", "rho", "momentum"})
    if strange:
        raise VideozooError(
            "--resume: the state of another optimizer was saved (they differ in"
            f" {', '.join(strange)}); resume with the optimizer that it was trained with"
        )
    try:
        optimizer.load_state_dict(saved)
    except ValueError as error:
        raise VideozooError(
            "--resume: the optimizer that was saved has other parameter groups; resume with the"
            f" optimizer and layer_decay that it was trained with ({error})"
        ) from None
    for group, keys in zip(optimizer.param_groups, given, strict=True):
        if keys.get("amsgrad") and not group.get("amsgrad"):
            raise VideozooError(
                "--resume: amsgrad needs moments that were not saved; resume without it"
            )
        group.update(keys)


def fingerprint(
    settings: Settings, dataset: VideoDataset, classes: Sequence[str] | None
) -> dict[str, Any]:
    """Returns what must be the same for a resumed run to be exact.

    Args:
        settings: of TRAIN.
        dataset: the training samples.
        classes: their names, where they are known.
    """
    names = hashlib.sha256()
    for index in range(0, len(dataset), max(1, len(dataset) // 1000)):
        names.update(dataset.name(index).encode("utf-8", "surrogateescape") + b"\0")
    free = settings.keys_of("free")
    return {
        "samples": len(dataset),
        "names": names.hexdigest()[:16],
        "batch_size": settings.batch_size,
        "group_size": group_size(settings),
        "seed": settings.seed,
        "classes": None if classes is None else list(classes),
        "settings": {k: v for k, v in settings.model_dump().items() if k not in free},
    }


def changes_since(
    theirs: Mapping[str, Any], mine: Mapping[str, Any], settings: Settings
) -> dict[str, tuple[Any, Any]]:
    """Compares two fingerprints: what was saved, what holds now.

    Args:
        theirs: of the checkpoint.
        mine: of the run that resumes it.
        settings: of TRAIN; a key that the checkpoint does not know yet had its default.

    Returns:
        Both values of every key that differs.
    """
    fields, apart = type(settings).model_fields, ("settings", "classes")
    now = mine["settings"]
    before = {key: fields[key].default for key in now} | theirs.get("settings", {})
    changes = {key: (theirs.get(key), mine[key]) for key in mine if key not in apart}
    changes |= {key: (before.get(key), now.get(key)) for key in {**before, **now}}
    if None in changes["schedule"]:
        del changes["epoch"]  # a model's own schedule may change its length, a cosine may not
    return {key: pair for key, pair in changes.items() if pair[0] != pair[1]}


def check_resume(position: Position, mine: dict[str, Any], settings: Settings) -> str | None:
    """Compares what decides the course of training with that of the checkpoint.

    Args:
        position: the checkpoint's.
        mine: the fingerprint of this run.
        settings: of TRAIN.

    Returns:
        A warning, where something has changed that may.

    Raises:
        VideozooError: the classes have changed; or, within an epoch, what decides the order of the
            samples.
    """
    changed = differing_name(position.fingerprint.get("classes"), mine["classes"])
    if changed is not None:
        raise VideozooError(
            f"--resume: the class names have changed ({changed}), so outputs would mean other"
            " classes; resume with the names, in the order, that it was trained with"
        )
    changes = changes_since(position.fingerprint, mine, settings)
    if not changes:
        return None
    what = ", ".join(f"{key} was {was} and is {is_}" for key, (was, is_) in changes.items())
    deciding = {"samples", "names"} | settings.keys_of("order")  # which samples a step has
    if position.step and deciding & set(changes):
        raise VideozooError(
            f"--resume: the checkpoint was saved within an epoch of another training ({what});"
            " resume with the list, batch size, seed and sampler it was trained with"
        )
    return f"warning: resuming a training that has changed: {what}"
