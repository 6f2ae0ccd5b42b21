"""How clips are encoded, and what a folder of prepared clips says of itself."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from videozoo import __version__
from videozoo.errors import VideozooError, did_you_mean
from videozoo.files import write_json

SETTINGS_FILE = "prepare.json"
ENCODER = "libx264"
PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow"),
)
_MADE_BY = "videozoo prepare clips"


@dataclass(frozen=True, kw_only=True)
class ClipRecipe:
    """How clips are encoded.

    The defaults were measured. Leaving out arithmetic coding and the smoothing of edges makes files
    a tenth larger and reading them a third shorter; B-frames gained nothing.

    Attributes:
        short_side: pixels; larger frames are made smaller. It differs from the short_size of the
            bundled configs on purpose: the reader leaves a frame of exactly that size as it is,
            where it gives every other frame the proportions 4:3.
        gop: frames from one that can be decoded alone to the next.
        crf: x264's constant rate factor; less is better and larger.
        preset: x264's; slower ones are smaller at the same quality.

    Raises:
        VideozooError: a setting is out of range.
    """

    short_side: int = 288
    gop: int = 8
    crf: int = 18
    preset: str = "faster"

    def __post_init__(self) -> None:
        if self.short_side < 16 or self.short_side % 2:
            raise VideozooError(f"--short-side {self.short_side}: give an even number from 16 on")
        if self.gop < 1:
            raise VideozooError(f"--gop {self.gop}: give a number from 1 on")
        if not 1 <= self.crf <= 51:
            raise VideozooError(f"--crf {self.crf}: give a number from 1 (best) to 51")
        if self.preset not in PRESETS:
            hint = did_you_mean(self.preset, PRESETS) or f"; there are {', '.join(PRESETS)}"
            raise VideozooError(f"--preset {self.preset}: unknown{hint}")

    def encoder_options(self) -> dict[str, str]:
        """Returns the options of FFmpeg's libx264."""
        fixed = "scenecut=0:open-gop=0:bframes=0:cabac=0:no-deblock=1"
        return {
            "preset": self.preset,
            "crf": str(self.crf),
            "a53cc": "0",  # no subtitles
            "x264-params": f"keyint={self.gop}:{fixed}",
        }

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns the size of a prepared frame.

        Args:
            width: pixels of the upright frame.
            height: pixels of the upright frame.

        Returns:
            Width and height: even, as 4:2:0 pictures need; never larger (but for a side of one
            pixel, which becomes two).
        """
        short = min(width, height)
        if short <= self.short_side:
            return max(2, width // 2 * 2), max(2, height // 2 * 2)
        new_width, new_height = (
            2 * round(side * self.short_side / short / 2) for side in (width, height)
        )
        return new_width, new_height


def claim_folder(out: Path, recipe: ClipRecipe, listing: Path | None) -> None:
    """Makes the folder of prepared clips and writes how they are made; or goes on in one.

    Args:
        out: the folder.
        recipe: how clips are encoded.
        listing: the list that will be written anew in the folder; None where there is none.

    Raises:
        VideozooError: the folder was prepared in another way, holds something else, or cannot be
            written to.
    """
    file = out / SETTINGS_FILE
    wanted = {**asdict(recipe), "codec": "h264", "encoder": ENCODER}
    lists: dict[str, str] = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not file.exists() and any(out.iterdir()):
            raise VideozooError(
                f"{out}: holds files, but none of `{_MADE_BY}`; give an empty or a new folder"
            )
    except OSError as error:
        raise VideozooError(f"{out}: cannot be used: {error.strerror}") from None
    if file.exists():
        found = _read_settings(file)
        _check_equal(out, found["settings"], wanted)
        lists = found.get("lists", {})
    if listing is not None:
        source = os.path.abspath(listing)
        before = lists.setdefault(listing.name, source)
        if before != source and os.path.exists(before):
            raise VideozooError(
                f"{out / listing.name}: is the list made from {before}; give {listing} another "
                "name or another folder"
            )
        lists[listing.name] = source
    write_json(
        file, {"made_by": _MADE_BY, "videozoo": __version__, "settings": wanted, "lists": lists}
    )


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["made_by"] != _MADE_BY or not isinstance(found["settings"], dict):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise VideozooError(f"{file}: is not a file of `{_MADE_BY}`; give another folder") from None
    return dict(found)


def _check_equal(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if different:
        was = ", ".join(f"{key} {found.get(key)}" for key in different)
        now = ", ".join(f"{key} {wanted[key]}" for key in different)
        raise VideozooError(
            f"{out}: was prepared with {was}, not with {now}; give the same settings or another "
            "folder"
        )
