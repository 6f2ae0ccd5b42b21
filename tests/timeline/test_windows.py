"""The scores of a window are those of a file that holds just that stretch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from sounds import RATE
from timeline_worlds import MODELS, predictor_of, write_numbers
from toy_encoder import ToyEncoder
from videos import write_video
from videozoo.errors import SampleError, VideozooError
from videozoo.predict import Predictor
from videozoo.timeline import rows
from videozoo.timeline.source import Source

KINDS = ("TSN", "AttentionLSTM")
ALL = {"sound": True, "motion": True}


def infer(predictor: Predictor, path: Path) -> np.ndarray:
    result = predictor.predict(path, top_k=3)[0]
    assert result.unreadable is None
    return np.array([p.score for p in sorted(result.predictions, key=lambda p: p.index)])


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.uniform(0, 0.5, int(seconds * 5)), RATE // 5)
    return (rng.uniform(-1, 1, len(loud)) * loud).astype(np.float32)


@pytest.mark.parametrize("model", MODELS)
def test_a_video_as_long_as_a_window_scores_as_infer_says(tmp_path: Path, model: str) -> None:
    predictor = predictor_of(model, tmp_path, **ALL)
    path = write_numbers(tmp_path / "a.mkv", range(50), sound=noise(2))
    (window,) = predictor.timeline(path, window=2.0, stride=0.5)
    assert (window.start, window.end) == (0.0, pytest.approx(2.0, abs=0.002))
    np.testing.assert_allclose(window.scores, infer(predictor, path), atol=1e-5)


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("spread", [False, True])
def test_a_shorter_video_is_one_window(tmp_path: Path, model: str, spread: bool) -> None:
    predictor = predictor_of(model, tmp_path, rate=10.0, most=12, spread=spread)
    path = write_video(tmp_path / "a.mp4", 34)
    (window,) = predictor.timeline(path, window=8.0)
    assert window.end == pytest.approx(34 / 25)
    np.testing.assert_allclose(window.scores, infer(predictor, path), atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_each_window_scores_as_a_file_of_that_stretch(tmp_path: Path, model: str) -> None:
    predictor = predictor_of(model, tmp_path, rate=5.0, sound=True)
    sound = noise(4)
    path = write_numbers(tmp_path / "long.mkv", range(100), sound=sound)
    windows = list(predictor.timeline(path, window=2.0, stride=1.0))
    assert [(w.start, round(w.end, 2)) for w in windows] == [(k, k + 2.0) for k in range(3)]
    for k, window in enumerate(windows):
        part = write_numbers(
            tmp_path / f"{k}.mkv",
            range(25 * k, 25 * k + 50),
            sound=sound[RATE * k : RATE * (k + 2)],
        )
        np.testing.assert_allclose(window.scores, infer(predictor, part), atol=1e-5)
    assert np.ptp([w.scores[0] for w in windows]) > 1e-3


@pytest.mark.parametrize("model", KINDS)
def test_times_decide_not_numbers_of_frames(tmp_path: Path, model: str) -> None:
    predictor = predictor_of(model, tmp_path, rate=5.0)
    steps = (1, 2, 12, 3, 8)  # of 1/25 s, in each second
    times = [time for k, step in enumerate(steps) for time in range(25 * k, 25 * k + 25, step)]
    path = write_numbers(tmp_path / "a.mkv", range(len(times)), times=times)
    windows = list(predictor.timeline(path, window=1.0, stride=1.0))
    assert len(windows) == 5
    for k, window in enumerate(windows):
        own = [n for n, time in enumerate(times) if 25 * k <= time < 25 * (k + 1)]
        part = write_numbers(tmp_path / f"{k}.mkv", own, times=[times[n] - 25 * k for n in own])
        np.testing.assert_allclose(window.scores, infer(predictor, part), atol=1e-5)


@pytest.mark.parametrize("model", KINDS)
def test_the_last_window_ends_with_the_video(tmp_path: Path, model: str) -> None:
    predictor = predictor_of(model, tmp_path, rate=5.0)
    path = write_numbers(tmp_path / "a.mkv", range(90))  # 3.6 s
    windows = list(predictor.timeline(path, window=2.0, stride=1.0))
    assert [round(w.start, 6) for w in windows] == [0, 1, 1.6]
    part = write_numbers(tmp_path / "b.mkv", range(40, 90))
    np.testing.assert_allclose(windows[-1].scores, infer(predictor, part), atol=1e-5)


def test_windows_of_rows_begin_with_a_row(tmp_path: Path) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path, rate=10.0, most=8, spread=True)
    path = write_numbers(tmp_path / "a.mkv", range(100))
    windows = list(predictor.timeline(path, window=2.0, stride=0.4))  # a row each 0.25 s
    assert [round(w.start, 6) for w in windows] == [0, 0.5, 0.75, 1.25, 1.5, 2.0]
    part = write_numbers(tmp_path / "b.mkv", range(25, 75))
    again = next(predictor.timeline(part, window=2.0))
    assert again.scores.shape == (3,)
    windows = list(predictor.timeline(path, window=2.0, stride=0.01))
    assert [round(w.start, 6) for w in windows] == [k / 4 for k in range(9)]


def test_each_frame_is_decoded_once_and_each_row_encoded_once(
    tmp_path: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path, rate=4.0, motion=True)
    path = write_numbers(tmp_path / "a.mkv", range(250))  # 10 s
    held: list[int] = []
    see = rows.RowWindows.see
    monkeypatch.setattr(
        rows.RowWindows,
        "see",
        lambda self, shown: (see(self, shown), held.append(len(self._frames))),
    )
    windows = list(predictor.timeline(path, window=4.0, stride=0.25))
    assert len(windows) == 25
    assert len(held) == 250
    assert max(held) <= 9  # a frame on screen, and those of the tenth of a second that motion needs
    assert toy.batches == 10  # 40 rows by four


def test_frames_wait_no_longer_than_their_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videozoo.timeline.clips import ClipWindows

    predictor = predictor_of("TSN", tmp_path)
    path = write_numbers(tmp_path / "a.mkv", range(100))
    held: list[int] = []
    see = ClipWindows.see
    monkeypatch.setattr(
        ClipWindows, "see", lambda self, shown: (see(self, shown), held.append(len(self._frames)))
    )
    list(predictor.timeline(path, window=1.0, stride=0.2))
    assert len(held) == 100
    assert max(held) <= 25 + 5 + 2


def test_sound_that_is_not_there_is_silence(tmp_path: Path) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path, sound=True)
    path = write_numbers(tmp_path / "a.mkv", range(50))
    (window,) = predictor.timeline(path, window=2.0)
    np.testing.assert_allclose(window.scores, infer(predictor, path), atol=1e-5)


def test_sound_that_ends_early_does_not_stop_the_pictures(tmp_path: Path) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path, sound=True)
    path = write_numbers(tmp_path / "a.mkv", range(300), sound=noise(1))  # 12 s, sound of 1 s
    windows = list(predictor.timeline(path, window=2.0, stride=2.0))
    assert [w.start for w in windows] == [0, 2, 4, 6, 8, 10]
    whole = write_numbers(tmp_path / "b.mkv", range(50), sound=noise(1))
    np.testing.assert_allclose(windows[0].scores, infer(predictor, whole), atol=1e-5)


@pytest.mark.parametrize("crop", ["three", "ten"])
def test_several_crops_are_scored_as_infer_scores_them(tmp_path: Path, crop: str) -> None:
    predictor = predictor_of("TSN", tmp_path)
    predictor.settings = predictor.settings.model_copy(update={"test_crop": crop})
    path = write_numbers(tmp_path / "a.mkv", range(50))
    (window,) = predictor.timeline(path, window=2.0)
    np.testing.assert_allclose(window.scores, infer(predictor, path), atol=1e-5)


def test_lengths_are_checked(tmp_path: Path) -> None:
    predictor = predictor_of("TSN", tmp_path)
    for window, stride, said in ((0, 1, "window 0"), (2, 3, "stride 3"), (2, 0, "stride 0")):
        with pytest.raises(VideozooError, match=said):
            list(predictor.timeline("none.mp4", window=window, stride=stride))
    with pytest.raises(SampleError, match=r"none.mp4: no such file"):
        list(predictor.timeline("none.mp4"))
    Path("text.mp4").write_text("no video")
    with pytest.raises(SampleError, match=r"text.mp4: cannot be opened as a video"):
        list(predictor.timeline("text.mp4"))


def test_a_packet_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path)
    path = write_video(tmp_path / "a.mp4", 100, codec="mpeg4", options={"g": "10"})
    whole = list(predictor.timeline(path, window=1.0, stride=1.0))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20] = b"\xff" * 20
    path.write_bytes(data)
    assert len(list(predictor.timeline(path, window=1.0, stride=1.0))) == len(whole)


def test_frames_of_a_source_come_once_with_times_from_zero(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.mkv", range(10), times=range(5, 15))
    with Source(path, sound=False) as source:
        shown = list(source)
    assert [round(s.start * 25) for s in shown] == list(range(10))
    assert all(isinstance(s.frame, VideoFrame) for s in shown)
    assert source.end == pytest.approx(0.4, abs=0.002)
