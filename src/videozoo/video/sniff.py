"""Whether a file is a video, where its name does not tell."""

from __future__ import annotations

from pathlib import Path

from av.stream import Disposition

from videozoo.video.stream import FAULTS, open_media

# FFmpeg's formats that make pictures of what is none, or one picture of a file.
_NO_VIDEOS = {"adf", "bintext", "concat", "hls", "idf", "image2", "tty", "xbin"}


def is_video(path: Path) -> bool:
    """Says whether FFmpeg finds moving pictures in a file; only its beginning is read."""
    try:
        with open_media(path, trying=False) as container:
            name, streams = container.format.name, container.streams.video
            moving = any(not s.disposition & Disposition.attached_pic for s in streams)
            return moving and not name.endswith("_pipe") and name not in _NO_VIDEOS
    except FAULTS:
        return False
