"""How a video becomes rows of features: which encoder, which moments, on which scale.

It rides in the checkpoint of a model that was trained on such rows, so that the model takes videos.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from videozoo.addresses.copies import fetched
from videozoo.addresses.places import is_file
from videozoo.checkpoints.native import NativeCheckpoint, kind_of, load_native
from videozoo.encoders.encoder import Framing
from videozoo.encoders.quantiser import Quantiser
from videozoo.errors import VideozooError
from videozoo.files import write_bytes, write_json
from videozoo.reading import parse_json, read_bytes, read_text

SOUND, MOVES = "audio", "motion"  # the modalities that no encoder gives
KEYS = ("encoder", "rows_per_second", "max_rows", "spread_rows", "sound", "motion")  # of configs
OPENED = "opened"  # among what is packed: an encoder that is open, an exported model's
CARRIED = "recipe."  # begins the names of its tensors among a checkpoint's
MOST_ROWS, MOST_FRAMES = 100_000, 1024  # of a video, of a row: what a stranger's recipe may ask for
VERSION = 3  # of how rows are made: another number's rows are other rows


@dataclass(frozen=True)
class Sampling:
    """Which moments of a video are described.

    Attributes:
        rate: rows a second.
        most: rows of a video.
        spread: a longer video's rows are spread over all of it; False: what comes later is left
            out, as YouTube-8M does.
        sound: whether the sound's spectra are wanted.
        motion: whether it is wanted how things move.
    """

    rate: float = 1.0
    most: int = 300
    spread: bool = False
    sound: bool = True
    motion: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 30:
            raise VideozooError(f"rate {self.rate:g}: rows a second must be above 0 and at most 30")
        if not 1 <= self.most <= MOST_ROWS:
            raise VideozooError(f"most {self.most}: a video has 1 to {MOST_ROWS:,} rows")


@dataclass(frozen=True)
class Recipe:
    """How rows were made, and can be made again.

    Attributes:
        encoder: its name.
        sha256: of its weights.
        sampling: which moments of a video.
        dims: the width of a row by modality, sound among them.
        framing: how frames are made ready for it.
        window: frames that a row is made of.
        version: of this package's way.
        scale: how each modality becomes bytes; empty: not fitted yet.
        packed: the encoder itself, where its weights are a file of the user's.
    """

    encoder: str
    sha256: str
    sampling: Sampling
    dims: dict[str, int]
    framing: Framing
    window: int = 1
    version: int = VERSION
    scale: dict[str, Quantiser] = field(default_factory=dict)
    packed: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MOST_FRAMES:
            raise VideozooError(f"window {self.window}: a row is made of 1 to {MOST_FRAMES} frames")

    def key(self, computed_by: str) -> str:
        """Returns what names such rows in a cache: other numbers, other rows."""
        named = json.dumps([self._rows(), computed_by], sort_keys=True)
        return hashlib.sha256(named.encode()).hexdigest()[:24]

    def differences(self, other: Recipe) -> list[str]:
        """Returns the names of what makes the rows of two recipes different.

        Scales are compared where both have one.
        """
        mine, theirs = _flat(self._rows()), _flat(other._rows())
        names = [name for name in mine if mine[name] != theirs.get(name)]
        both = self.scale.keys() & other.scale.keys()
        alike = all(self.scale[name].equals(other.scale[name]) for name in both)
        return names if alike else [*names, "scale"]

    def scaled(self, scale: dict[str, Quantiser]) -> Recipe:
        """Returns the same with a scale."""
        return replace(self, scale=scale)

    def _rows(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "version": self.version,
            "window": self.window,
            **asdict(self.framing),
            **asdict(self.sampling),
        }

    def as_dict(self) -> dict[str, Any]:
        """Returns what a JSON file can hold of it: all but tensors."""
        values = {k: v for k, v in vars(self).items() if k not in ("scale", "packed")}
        return values | {"sampling": asdict(self.sampling), "framing": asdict(self.framing)}

    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors of it, by names that `from_parts` knows."""
        found = {
            f"scale.{name}.{part}": torch.from_numpy(getattr(quantiser, part))
            for name, quantiser in self.scale.items()
            for part in ("centre", "reach")
        }
        packed = self.packed or {}
        return found | {f"encoder.{key}": value for key, value in packed.items()}

    @classmethod
    def from_parts(cls, values: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Puts together what `as_dict` and `tensors` gave.

        Raises:
            KeyError, TypeError: the values are not a recipe's.
        """
        scale = {
            name: Quantiser(
                tensors[f"scale.{name}.centre"].numpy(), tensors[f"scale.{name}.reach"].numpy()
            )
            for name in values["dims"]
            if f"scale.{name}.centre" in tensors
        }
        packed = {
            key.removeprefix("encoder."): value
            for key, value in tensors.items()
            if key.startswith("encoder.")
        }
        sampling, framing = Sampling(**values["sampling"]), Framing(**values["framing"])
        plain = values | {"sampling": sampling, "framing": framing}
        return cls(**plain, scale=scale, packed=packed or None)


RECIPE_FILE, SCALE_FILE = "features.json", "scale.safetensors"


def store_recipe(folder: Path, recipe: Recipe) -> None:
    """Keeps a recipe in a folder of shards that were made by it."""
    write_bytes(folder / SCALE_FILE, save(recipe.tensors()))
    write_json(folder / RECIPE_FILE, recipe.as_dict())


def stored_recipe(folder: Path) -> Recipe | None:
    """Returns the recipe that a folder of shards holds; None: none, or one of another version.

    Raises:
        VideozooError: its files are damaged.
    """
    path = folder / RECIPE_FILE
    if not is_file(path):
        return None
    try:
        values = parse_json(read_text(path))
        if not isinstance(values, dict) or values.get("version") != VERSION:
            return None
        return Recipe.from_parts(values, load(read_bytes(folder / SCALE_FILE)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise VideozooError(
            f"{path}: cannot be read ({error}); prepare the features anew"
        ) from None


def recipe_in(weights: str) -> Recipe | None:
    """Returns how videos become the rows of a checkpoint's model; None: it is no such checkpoint.

    Raises:
        VideozooError: the file is damaged.
    """
    path = fetched(weights)
    if not path.is_file() or kind_of(path) != "native":
        return None
    return carried_recipe(load_native(path), path)


def carried_recipe(checkpoint: NativeCheckpoint, path: Path) -> Recipe | None:
    """Returns how videos become the model's rows, where the checkpoint says it.

    Raises:
        VideozooError: what it says is damaged.
    """
    if checkpoint.recipe is None:
        return None
    tensors = {
        key.removeprefix(CARRIED): value
        for key, value in checkpoint.extra.items()
        if key.startswith(CARRIED)
    }
    try:
        return Recipe.from_parts(checkpoint.recipe, tensors)
    except (KeyError, TypeError, AttributeError) as error:
        raise VideozooError(f"{path}: its recipe of rows is damaged ({error})") from None
    except VideozooError as error:
        raise VideozooError(f"{path}: its recipe of rows asks for too much: {error}") from None


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    names = {"sha256": "encoder"}
    return {names.get(name, name): value for name, value in values.items()}
