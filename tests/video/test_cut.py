"""What is cut out of a video is what stood there: frames, times, sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sounds import RATE, tone, write_sound
from timeline_worlds import write_numbers
from videos import number_of, set_display_matrix, stored_packets, write_video
from videozoo.errors import SampleError
from videozoo.video.cut import Cut, Stretch, cut_video, suffix_for
from videozoo.video.reader import probe_video, read_frames, seeming_times

GOP = {"g": "10", "sc_threshold": "0", "bf": "0", "x264-params": "keyint=10:scenecut=0:bframes=0"}
B_FRAMES = {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0:open-gop=0"}


def cut_one(source: Path, start: float, end: float, *, keyframes: bool = False) -> Cut:
    target = source.with_name(f"cut{suffix_for(source)}")
    (found,) = cut_video(source, [Stretch(start, end, target)], keyframes=keyframes)
    assert not list(source.parent.glob(".*"))
    return found


def check(found: Cut, source: Path, first: int, count: int) -> None:
    """Checks frames and times of what was cut against the source."""
    target = found.stretch.target
    old, new = read_frames(source, np.arange), read_frames(target, np.arange)
    assert len(new) == found.frames == count
    for was, now in zip(old[first : first + count], new, strict=True):
        assert number_of(now) == number_of(was)
        if found.copied:
            np.testing.assert_array_equal(was, now)
        else:
            assert np.abs(was.astype(float) - now).mean() < 6
    told, times = seeming_times(source), seeming_times(target)
    starts = told.starts[first : first + count]
    np.testing.assert_allclose(times.starts - times.start, starts - starts[0], atol=0.0011)
    end = told.starts[first + count] if first + count < len(told) else told.end
    assert times.seconds == pytest.approx(end - starts[0], abs=0.0011)
    assert (found.start, found.end) == pytest.approx((starts[0] - told.start, end - told.start))


@pytest.mark.parametrize("options", [GOP, B_FRAMES])
def test_a_stretch_between_key_frames_is_copied(tmp_path: Path, options: dict[str, str]) -> None:
    source = write_video(tmp_path / "a.mp4", 50, options=options)
    found = cut_one(source, 0.8, 1.6)
    assert found.copied
    check(found, source, 20, 20)
    old, new = stored_packets(source), stored_packets(found.stretch.target)
    assert [p.data for p in new] == [p.data for p in old][20:40]


def test_the_end_of_a_stretch_need_be_no_key_frame(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 50, options=GOP)
    found = cut_one(source, 0.4, 1.0)
    assert found.copied
    check(found, source, 10, 15)


@pytest.mark.parametrize(("start", "end"), [(0.52, 1.32), (0.8, 0.96), (0.0, 0.28), (1.9, 9.0)])
def test_other_stretches_are_exact_all_the_same(tmp_path: Path, start: float, end: float) -> None:
    source = write_video(tmp_path / "a.mp4", 50, options=B_FRAMES)
    found = cut_one(source, start, end)
    assert not found.copied
    first = int(np.ceil(start * 25 - 1e-6))
    check(found, source, first, min(50, round(end * 25)) - first)


def test_key_frames_around_a_stretch(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 50, options=B_FRAMES)
    found = cut_one(source, 0.52, 1.32, keyframes=True)
    assert found.copied
    check(found, source, 10, 30)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "ffv1"), ("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.webm", "libvpx-vp9")],
)
def test_other_containers_become_matroska(tmp_path: Path, name: str, codec: str) -> None:
    source = write_video(tmp_path / name, 40, codec=codec)
    found = cut_one(source, 0.4, 1.2)
    assert found.stretch.target.suffix == ".mkv"
    check(found, source, 10, 20)


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    times = [*range(20), *range(20, 60, 4), *range(60, 80)]
    source = write_video(tmp_path / "a.mp4", len(times), times=times, options=B_FRAMES)
    found = cut_one(source, 0.6, 2.6)
    check(found, source, 15, len([t for t in times if 15 <= t < 65]))


def test_turned_pictures_stay_upright(tmp_path: Path) -> None:
    source = set_display_matrix(write_video(tmp_path / "a.mp4", 30, options=GOP), 0, 1, -1, 0)
    for start in (0.4, 0.5):
        found = cut_one(source, start, 0.8)
        info = probe_video(found.stretch.target)
        assert (info.width, info.height) == (48, 64)


@pytest.mark.parametrize("start", [0.8, 1.0])
def test_sound_is_kept(tmp_path: Path, start: float) -> None:
    sound = np.concatenate([tone(500), tone(1500), tone(3000)])
    options = {"x264-params": "keyint=10:scenecut=0:bframes=0"}
    source = write_numbers(
        tmp_path / "a.mov", range(75), sound=sound, codec="libx264", options=options
    )
    found = cut_one(source, start, 2.0)
    assert found.copied == (start == 0.8)
    check(found, source, round(start * 25), round((2 - start) * 25))
    with av.open(str(found.stretch.target)) as file:
        heard = np.concatenate([f.to_ndarray()[0] for f in file.decode(audio=0)])
    own = np.rint(sound[round(start * RATE) : 2 * RATE] * 32767)
    np.testing.assert_array_equal(heard, own)


def test_compressed_sound_is_kept(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.mp4", (0.0, tone(440, 3.0)), codec="aac", pictures=range(30))
    found = cut_one(source, 0.5, 2.5)
    assert found.frames == 20
    with av.open(str(found.stretch.target)) as file:
        times = [float(f.pts * f.time_base) for f in file.decode(audio=0)]
    assert times[0] == pytest.approx(0, abs=0.07)
    assert times[-1] == pytest.approx(2, abs=0.1)


def test_stretches_may_overlap_and_come_in_one_pass(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 60, options=B_FRAMES)
    wanted = [(0.4, 0.8), (0.52, 1.2), (1.0, 2.0), (2.2, 2.32)]
    stretches = [
        Stretch(start, end, tmp_path / f"{n}.mp4") for n, (start, end) in enumerate(wanted)
    ]
    found = {cut.stretch: cut for cut in cut_video(source, stretches)}
    assert len(found) == 4
    for stretch in stretches:
        first = round(stretch.start * 25)
        check(found[stretch], source, first, round(stretch.end * 25) - first)
    assert [found[s].copied for s in stretches] == [True, False, False, False]


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 50)
    target = tmp_path / "out.mp4"
    with pytest.raises(SampleError, match="has no frame from 7 to 8 s"):
        list(cut_video(source, [Stretch(7.0, 8.0, target)]))
    whole = cut_video(source, [Stretch(0.0, 0.5, target), Stretch(1.0, 2.0, tmp_path / "b.mp4")])
    next(whole)
    whole.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "out.mp4"]
