from contextlib import suppress

import av
import pytest


def _decode_all(path):
    """Every frame as RGB bytes, up to where decoding breaks off: what readers are held against."""
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.best("video")
        stream.codec_context.thread_count = 1
        with suppress(av.FFmpegError):
            frames.extend(f.to_ndarray(format="rgb24", threads=1) for f in file.decode(stream))
    return frames


@pytest.fixture
def decode_all():
    return _decode_all
