"""What the tests of this folder share."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter
from exact import FILES, DecodeAll, Written

from videos import write_video

ACCURATE = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


def _decode_all(path: Path) -> list[np.ndarray]:
    """Every frame as RGB [H, W, 3], up to where decoding breaks off: what readers must give."""
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.best("video")
        stream.codec_context.thread_count = 1
        with suppress(av.FFmpegError):
            for frame in file.decode(stream):
                rgb = VideoReformatter().reformat(frame, format="gbrp", interpolation=ACCURATE)
                frames.append(rgb.to_ndarray())
    return frames


@pytest.fixture
def decode_all() -> DecodeAll:
    return _decode_all


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes each video of the table once."""
    folder = tmp_path_factory.mktemp("videos")

    def write(name: str) -> Path:
        frames, _, how = FILES[name]
        path = folder / name
        return path if path.exists() else write_video(path, frames, **how)

    return write
