"""The config keys of the models on video clips."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    field_validator,
    model_validator,
)

from videozoo.config.keys import (
    COUNT_NOTE,
    Count,
    Fraction,
    PositiveInt,
    Settings,
    UnitInterval,
    key,
)

Pixels = Annotated[int, Field(ge=1, le=8192)]
_MOST_BYTES = 1 << 30  # of a clip as it is read

# Squares of each way to crop, mirror images aside, and where they lie.
_CROPS = {
    "centre": (1, "centre"),
    "three": (3, "both ends and middle of the longer side"),
    "ten": (5, "four corners and centre"),
}


class ClipSettings(Settings):
    """The keys of the models on video clips."""

    family = "clips"
    VIDEOS_KEY = "total_videos"
    INPUT_KEYS = ("image_mean", "image_std")

    format: Literal["pkl", "mp4"] = key(
        "pkl",
        description="what a list's lines name is seen from their endings",
        accepted=True,
        scope="free",
    )
    seg_num: Annotated[int, Field(ge=1, le=10_000)] = key(
        3, description="segments a video is sampled at"
    )
    seglen: Annotated[int, Field(ge=1, le=1000)] = key(1, description="frames a segment")
    frame_interval: PositiveInt = key(
        1, description="distance of a segment's frames; more than 1 shows slow motion"
    )
    image_mean: Annotated[list[float], Field(min_length=3, max_length=3)] = key(
        [0.485, 0.456, 0.406], description="mean of red, green, blue, of values in 0..1"
    )
    image_std: Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)] = key(
        [0.229, 0.224, 0.225], description="deviation of red, green, blue"
    )
    num_layers: Literal[18, 34, 50, 101, 152] = key(50, description="depth of the ResNet")
    short_size: Pixels = key(256, description="pixels of the short side after resizing")
    target_size: Pixels = key(224, description="pixels of the square crop")
    resize: Literal["4:3", "aspect"] = key(
        "4:3", description="the other side: '4:3' int(short_size * 4 / 3), 'aspect' in proportion"
    )
    resize_with: Literal["swscale", "pillow"] = key(
        "swscale", description="for videos: 'pillow' as pickles are resized, slower"
    )
    flip: bool = key(True, description="mirror half of the training clips")
    test_crop: Literal["centre", "three", "ten"] = key(
        "centre",
        description="outside training: 'three' squares of short_size along the longer side, 'ten':"
        " corners and centre of target_size and their mirror images",
        scope="free",
    )
    test_flip: bool = key(
        False, description="outside training: also score the mirror images", scope="free"
    )
    decoder: Literal["pyav"] = key("pyav", description="PyAV decodes videos", accepted=True)
    video_path: str | None = key(None, description="give infer videos or --filelist", accepted=True)
    video_folder: str | None = key(
        None, description="the videos of a Kinetics csv: a folder a class", scope="free"
    )
    momentum: Fraction = key(0.9, description="momentum of SGD")
    l2_weight_decay: NonNegativeFloat = key(1e-4, description="L2 of all weights")
    learning_rate_decay: PositiveFloat = key(
        0.1, description="factor after one and after two thirds of the epochs"
    )
    total_videos: Count = key(None, description=f"videos an epoch for the decay: {COUNT_NOTE}")

    multi_label: bool = key(
        False, description="a video may have many classes ('path 1,4,7'); scores are sigmoids"
    )
    random_resized_crop: Annotated[list[UnitInterval], Field(min_length=2, max_length=2)] | None = (
        key(
            None,
            description="train on crops of [least, most] of the frame's area, sides 3:4 to 4:3",
            scope="training",
        )
    )
    scale_jitter: Annotated[list[UnitInterval], Field(min_length=1)] | None = key(
        None,
        description="train on TSN's corner crops, sides these shares of the short side",
        scope="training",
    )
    color_jitter: Annotated[list[NonNegativeFloat], Field(min_length=4, max_length=4)] | None = key(
        None,
        description="largest change of brightness, contrast, saturation, hue (at most 0.5)",
        scope="training",
    )
    rand_augment: Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)] | None = key(
        None, description="RandAugment: [operations a clip, magnitude 0 to 10]", scope="training"
    )
    freeze_stages: Annotated[int, Field(ge=0, le=5)] = key(
        0,
        description="stages of the ResNet that stay as they start: 1 the stem, 2 layer1, ...",
        scope="training",
    )
    layer_decay: UnitInterval | None = key(
        None,
        description="factor of the learning rate from each stage to the one before it",
        scope="training",
    )

    @field_validator("decoder", mode="before")
    @classmethod
    def _one_decoder(cls, value: object) -> object:
        if value == "torchcodec":
            raise ValueError(
                "videozoo decodes with PyAV alone from 0.2.0 on, which is faster by our figures;"
                " leave the key out"
            )
        return value

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.target_size > self.short_size:
            raise ValueError(
                f"target_size {self.target_size} is larger than short_size {self.short_size}:"
                " the crop does not fit into the frame"
            )
        return self

    @model_validator(mode="after")
    def _clip_fits_into_memory(self) -> Self:
        if self.sample_bytes() > _MOST_BYTES:
            raise ValueError(
                f"seg_num {self.seg_num} x seglen {self.seglen} frames of {self._side()} px are"
                f" {self.sample_bytes() >> 20:,} MB a clip, more than {_MOST_BYTES >> 20:,}; make"
                " one of them smaller"
            )
        return self

    @model_validator(mode="after")
    def _one_kind_of_crop(self) -> Self:
        if self.random_resized_crop is not None and self.scale_jitter is not None:
            raise ValueError(
                "random_resized_crop and scale_jitter are two ways to crop; leave one of them out"
            )
        if self.random_resized_crop is not None:
            least, most = self.random_resized_crop
            if least > most:
                raise ValueError(f"random_resized_crop is [least, most], but {least} > {most}")
        return self

    @model_validator(mode="after")
    def _amounts_are_possible(self) -> Self:
        if self.color_jitter is not None and self.color_jitter[3] > 0.5:
            raise ValueError(
                f"color_jitter turns the hue by {self.color_jitter[3]}; 0.5 is half of the circle"
                " and the most there is"
            )
        if self.rand_augment is not None:
            count, magnitude = self.rand_augment
            if count < 1 or magnitude > 10:
                raise ValueError(
                    "rand_augment is [operations a clip (1 or more), magnitude (0 to 10)], not"
                    f" [{count}, {magnitude}]"
                )
        return self

    def preprocessing(self) -> dict[str, Any]:
        """Returns what is done to a video before the model; see Settings.preprocessing."""
        return {
            "segments": self.seg_num,
            "frames_per_segment": self.seglen,
            "frame_interval": self.frame_interval,
            "sampling": "centre of each segment",
            "short_size": self.short_size,
            "resize": self.resize,
            "resize_with": self.resize_with,
            **self._views(),
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
        }

    def sample_bytes(self) -> int:
        """Returns the memory of a clip as it is read."""
        return self.seg_num * self.seglen * 3 * self._side() ** 2

    def _side(self) -> int:
        """Returns the side of the squares that are read, the shorter one of whole frames."""
        whole = self.test_crop != "centre" or self.test_flip
        return self.short_size if whole else self.target_size

    def _views(self) -> dict[str, str | int]:
        if self.test_crop == "centre" and not self.test_flip:
            return {"crop": f"{self.target_size} px centre"}
        size = self.short_size if self.test_crop == "three" else self.target_size
        squares, where = _CROPS[self.test_crop]
        mirrored = self.test_flip or self.test_crop == "ten"
        return {
            "crop": f"{size} px {where}{' and mirror images' if mirrored else ''}",
            "views": 2 * squares if mirrored else squares,
            "score": "mean of the views' scores",
        }
