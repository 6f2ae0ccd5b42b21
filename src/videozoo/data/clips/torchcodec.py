"""torchcodec as the decoder: the second way to the same frames.

It needs the package torchcodec and FFmpeg's libraries on the machine, where PyAV brings its own.
Left alone it trusts a container's table of key frames, and gives wrong frames where that is wrong;
it is told instead which frames there are and where decoding may begin.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from videozoo.data.clips.decoding import ChooseFrames, Wanted
from videozoo.data.clips.stream import VideoStream
from videozoo.data.clips.timeline import Timeline, read_timeline
from videozoo.data.framing import Planes
from videozoo.errors import VideozooError

Show = Callable[[Planes, list[int]], None]


def show_frames(path: Path, choose: ChooseFrames, show: Show) -> int | None:
    """Gives `show` each wanted frame of a video file at its full size.

    Args:
        path: the file.
        choose: answers the number n of frames with the wanted indices, each in 0..n-1.
        show: is given red, green and blue, uint8 [H, W] each, upright, and the frame's places
            among the flattened indices.

    Returns:
        How many indices there are; None where torchcodec refuses the file, or packets do not tell
        which frames there are.

    Raises:
        VideozooError: torchcodec is not installed, or finds no FFmpeg.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    decoder_class = _decoder_class()
    with VideoStream(path) as stream:
        timeline, _ = read_timeline(stream)
        second = stream.ticks_per_second
    if timeline is None:
        return None
    wanted = Wanted.of(choose, len(timeline.times))
    try:
        decoder = decoder_class(
            str(path.absolute()),  # a relative name may look like the address of a server
            num_ffmpeg_threads=1,
            custom_frame_mappings=_frame_mappings(timeline),
        )
        for number in sorted(wanted.places):
            frame = decoder.get_frame_at(number)
            if round(frame.pts_seconds * second) != timeline.times[number]:
                return None
            show(frame.data.numpy(), wanted.places[number])
    except (RuntimeError, ValueError, IndexError):
        return None
    return wanted.count


def _frame_mappings(timeline: Timeline) -> str:
    """Returns a timeline as torchcodec reads it: JSON as ffprobe prints it."""
    times = timeline.times
    begins = {access.first for access in timeline.accesses}
    ends = [*times[1:], 2 * times[-1] - times[-2] if len(times) > 1 else times[-1] + 1]
    frames = [
        {"pts": time, "duration": end - time, "key_frame": int(number in begins)}
        for number, (time, end) in enumerate(zip(times, ends, strict=True))
    ]
    return json.dumps({"frames": frames})


def torchcodec_version() -> str:
    """Returns the versions of torchcodec and of the FFmpeg that it found.

    Raises:
        VideozooError: torchcodec is not installed, or finds no FFmpeg.
    """
    _decoder_class()
    import torchcodec

    return f"torchcodec {version('torchcodec')}, FFmpeg {torchcodec.ffmpeg_major_version}"


def _decoder_class() -> Any:
    try:
        from torchcodec.decoders import VideoDecoder
    except ImportError as error:
        raise VideozooError(
            "decoder = torchcodec: torchcodec is not installed; pip install 'videozoo[torchcodec]',"
            " or set decoder = 'pyav'"
        ) from error
    except (RuntimeError, OSError) as error:
        raise VideozooError(
            "decoder = torchcodec: torchcodec cannot be loaded; it needs FFmpeg's libraries on this"
            " machine and a torchcodec made for this torch, or set decoder = 'pyav'"
        ) from error
    return VideoDecoder
