"""What is known of why a video was given a class."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from videozoo.data.sample import UInt8Array
from videozoo.text import escaped

if TYPE_CHECKING:
    from PIL.Image import Image

Float32Array = npt.NDArray[np.float32]
WORTH_TELLING = 0.01  # of a score: what falls by less is shown, but not named


@dataclass(frozen=True)
class Moment:
    """A part of a video: what it weighs, and what is left without it.

    Attributes:
        start, end: seconds after the video's first frame.
        occlusion: by how much the class's log-odds, log(score / (1 - score)), fall when the moment
            is left out; below 0: it speaks against the class. None: there is no other moment.
        score: of the class without the moment; None: there is no other.
        attention: share of the model's own weights, the mean over modalities, 0 to 1; None: the
            model has none.
        modalities: that share in each modality.
    """

    start: float
    end: float
    occlusion: float | None = None
    score: float | None = None
    attention: float | None = None
    modalities: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a video was given a class.

    Attributes:
        video: as it was named, or the id in its record.
        label, index: name and number of the class; the number is its name where none is known.
        score: of the class, 0 to 1.
        moments: in the order of the video.
        seconds: when each of the n rows or segments is seen that the model takes.
        weights: the model's own weights of these by modality, of sum 1; empty: it has none.
        frames: what the model sees in the middle of each moment, uint8 [moments, H, W, 3]; None:
            there are no pictures.
        heat_maps: Grad-CAM of these frames, float32 [moments, h, w] of the size of the network's
            last maps, 0 to 1, which is the video's maximum; None: the model takes no frames.
    """

    video: str
    label: str
    index: int
    score: float
    moments: list[Moment]
    seconds: list[float]
    weights: dict[str, list[float]] = field(default_factory=dict)
    frames: UInt8Array | None = None
    heat_maps: Float32Array | None = None

    @property
    def most(self) -> Moment:
        """The moment without which the class loses most."""
        return max(self.moments, key=lambda moment: moment.occlusion or 0.0)

    def __str__(self) -> str:
        """Returns the answer in a line."""
        return f"{escaped(self.video)}: {self.label} {self.score:.3f}; {self.reason}"

    @property
    def reason(self) -> str:
        """Which moment the class was named for, in words."""
        most = self.most
        if most.score is None:
            return "the model sees one moment of it: there is nothing to compare"
        if self.score - most.score < WORTH_TELLING:
            return f"no moment alone matters: without any one it is still {most.score:.3f}"
        return f"most from {most.start:.1f} to {most.end:.1f} s (without it {most.score:.3f})"

    def picture(self) -> Image:
        """Draws frames and heat maps in a strip, and below them what the moments weigh."""
        from videozoo.explain.picture import draw_explanation

        return draw_explanation(self)

    def as_dict(self) -> dict[str, Any]:
        """Returns what a JSON file holds of it: all but the pictures."""
        pictures = {"frames", "heat_maps", "moments"}
        plain = {name: value for name, value in vars(self).items() if name not in pictures}
        return plain | {"moments": [asdict(moment) for moment in self.moments]}
