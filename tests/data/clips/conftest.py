import sys
from pathlib import Path

import av
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # for videos.py


def _decode_all(path):
    """Every frame as RGB bytes, up to where decoding breaks off: what readers are held against."""
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.best("video")
        stream.codec_context.thread_count = 1
        try:
            frames.extend(f.to_ndarray(format="rgb24", threads=1) for f in file.decode(stream))
        except av.FFmpegError:
            pass
    return frames


@pytest.fixture
def decode_all():
    return _decode_all
