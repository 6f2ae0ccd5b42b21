from contextlib import suppress

import av
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

ACCURATE = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


def _decode_all(path):
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
def decode_all():
    return _decode_all
