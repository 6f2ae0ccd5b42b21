"""Which frames a video has, found from its packets without decoding them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from videozoo.video.bitstream import KNOWN_CODECS, packet_facts, unit_length_size
from videozoo.video.damage import Promise, promise_of
from videozoo.video.frame_times import FrameTimes, Seen, frame_times, known_times
from videozoo.video.stream import TIMED_CONTAINERS, DecodingError, VideoStream


@dataclass(frozen=True)
class Access:
    """A packet with which decoding may begin.

    Attributes:
        packet: its number in the order of decoding.
        first: the first frame that it gives. All earlier packets give earlier frames only.
    """

    packet: int
    first: int


@dataclass(frozen=True)
class Timeline:
    """The frames of a video in the order of display.

    Attributes:
        times: when each frame is shown, ascending, in the stream's own units.
        packets: the number of each frame's packet in the order of decoding.
        accesses: where decoding may begin, ascending; the first is packet 0.
        needless: the packets whose frames no other frame refers to.
    """

    times: list[int]
    packets: list[int]
    accesses: list[Access]
    needless: frozenset[int]

    def access_for(self, frame: int) -> int:
        """Returns the number of the last access from which `frame` can be decoded."""
        return bisect_right(self.accesses, frame, key=lambda a: a.first) - 1


class _Packet(NamedTuple):
    time: int
    shown: bool
    access: bool
    needed: bool
    layer: int
    parameters: frozenset[bytes]
    has_b_slices: bool


class Walk(NamedTuple):
    """What a walk through the packets of a stream has shown.

    Attributes:
        timeline: None where packets do not tell for sure which frames decoding will give.
        times: at which there seem to be frames: those of the timeline where there is one; None:
            there seem to be no frames.
        promise: how many frames the file says that it has.
    """

    timeline: Timeline | None
    times: FrameTimes | None
    promise: Promise


def read_timeline(stream: VideoStream) -> Walk:
    """Walks through the packets of a stream."""
    codec, configured = stream.codec, stream.extradata or b""
    length_size = unit_length_size(codec, configured)
    packets = []
    seen: list[Seen] = []
    hidden = 0  # packets that only other frames need
    known = plain = stream.container in TIMED_CONTAINERS and codec in KNOWN_CODECS
    try:
        for packet in stream.packets():
            if not packet.is_discard:
                seen.append(Seen(packet.pts, packet.dts, packet.duration))
            if not known:
                continue
            facts = packet_facts(
                codec, bytes(packet), is_key=packet.is_keyframe, unit_length_size=length_size
            )
            time = packet.pts
            reconfigured = packet.has_sidedata("new_extradata")
            if facts is not None and not facts.shown and not packet.is_discard:
                hidden += 1
            if time is None or packet.is_corrupt or reconfigured or facts is None:
                plain = False
            elif plain:
                shown = facts.shown and not packet.is_discard
                if facts.parameters:
                    new = frozenset(unit for unit in facts.parameters if unit not in configured)
                    facts = facts._replace(parameters=new)
                packets.append(_Packet(time, shown, *facts[1:]))
        plain = plain and not _are_made_up(stream, packets)
    except DecodingError:
        plain = False  # decoding comes to the same place and ends there
    timeline = _timeline(packets) if plain else None
    promise = promise_of(stream, len(seen) - hidden, exact=known)
    if timeline is None:
        return Walk(None, frame_times(stream, seen) if seen else None, promise)
    last = next(one for one in reversed(seen) if one.time == timeline.times[-1])
    times = known_times(stream, timeline.times, last.duration or 0)
    return Walk(timeline, times, promise)


def _are_made_up(stream: VideoStream, packets: list[_Packet]) -> bool:
    """Whether times all ascend though pictures are not stored in the order in which they are shown.

    So they do where a stream without times was put into a container: the decoder gives each
    picture the time of another.
    """
    times = [packet.time for packet in packets]
    if times != sorted(times):
        return False
    if stream.codec == "hevc":
        return len(packets) > 2 and stream.reorders  # fewer have but one order
    return any(packet.has_b_slices for packet in packets)


def _timeline(packets: list[_Packet]) -> Timeline | None:
    shown = sorted((p.time, number) for number, p in enumerate(packets) if p.shown)
    times = [time for time, _ in shown]
    if not times or len(set(times)) != len(times):
        return None
    accesses = _accesses(packets, times)
    if not accesses or accesses[0].packet != 0:
        return None
    top = max(p.layer for p in packets)  # the layer that no higher one leans on
    needless = frozenset(n for n, p in enumerate(packets) if not p.needed and p.layer == top)
    return Timeline(times, [number for _, number in shown], accesses, needless)


def _accesses(packets: list[_Packet], times: list[int]) -> list[Access]:
    """Finds the packets that split the video in two, both in decoding and in display.

    After an open group of pictures begins, frames are shown that lean on what lies before it: a
    cut there gives them wrong or not at all. So it does where parameters came before that are not
    told again.
    """
    accesses = []
    told: frozenset[bytes] = frozenset()  # parameters of the packets so far
    given = 0  # frames of the packets so far
    latest = times[0]  # the last of them in display
    for number, packet in enumerate(packets):
        split = given < len(times) and (given == 0 or latest == times[given - 1])
        if packet.parameters:
            told |= packet.parameters
        whole = told == packet.parameters
        if packet.access and split and whole and packet.time <= times[given]:
            accesses.append(Access(number, given))
        if packet.shown:
            given += 1
            latest = max(latest, packet.time)
    return accesses
