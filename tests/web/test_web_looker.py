"""What the page says of a video, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from timeline_worlds import NAMES, predictor_of
from tiny import feature_world
from toy_encoder import toy  # noqa: F401 (a fixture of all tests here)
from videos import write_video
from videozoo.errors import VideozooError
from videozoo.web.look import Found, Limits, Looker, open_looker


def found_in(look: Looker, video: Path) -> list[Found]:
    return list(look.look(video, video.name))


def looker(folder: Path, model: str = "TSN", **limits: float) -> Looker:
    return Looker(predictor_of(model, folder), Limits(**limits), window=2.0, stride=1.0)


@pytest.mark.parametrize("model", ["TSN", "LINEAR"])
def test_names_frames_and_a_timeline_come_one_after_another(tmp_path: Path, model: str) -> None:
    video = write_video(tmp_path / "a clip.mp4", 125)
    look = looker(tmp_path, model)
    first, second, *_, last = found_in(look, video)
    assert (first.name, first.seconds, first.result) == ("a clip.mp4", 5.0, None)
    assert all(0 <= one.second < 5 for one in first.frames)
    assert second.result == look.predictor.predict(video, top_k=10)[0]
    assert second.segments is None
    windows = look.predictor.timeline(video, window=2.0, stride=1.0)
    assert last.segments == look.predictor.segments(windows)
    assert last.scored == last.seconds == 5.0
    assert last.headline in NAMES


def test_a_video_of_one_window_has_no_timeline(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", 50)
    assert found_in(looker(tmp_path), video)[-1].segments is None


def test_below_reject_it_is_none_of_these(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", 20)
    look = Looker(predictor_of("TSN", tmp_path), Limits(), reject=1.0)
    assert found_in(look, video)[-1].headline == "none of these"


def test_why_names_the_file_without_its_folder(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", 50)
    ((why,),) = looker(tmp_path)(("why", str(video)))
    assert re.search(r"<p>clip\.mp4: \w+ 0\.\d{3};", why)
    assert "data:image/jpeg" in why
    assert str(tmp_path) not in why


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"max_size": 10 / 2**20}, r"^clip\.mp4: has 0\.0 MB; files up to .* MB are taken here$"),
        ({"max_length": 1}, r"^clip\.mp4: is 2\.0 s long; videos up to 1 s are taken here$"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_before_the_model_sees_it(
    tmp_path: Path, limits: dict[str, float], sentence: str
) -> None:
    video = write_video(tmp_path / "clip.mp4", 50)
    with pytest.raises(VideozooError, match=sentence):
        next(looker(tmp_path, **limits)(("look", str(video))))


def test_a_container_that_states_a_short_length_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_video(tmp_path / "clip.mp4", 50)
    monkeypatch.setattr("videozoo.video.stream.VideoStream.duration", 0.5)
    with pytest.raises(VideozooError, match=r"is 2\.0 s long"):
        next(looker(tmp_path, max_length=1)(("look", str(video))))


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "gone.mp4"])
def test_what_is_no_video_is_told_by_its_name_alone(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if "gone" not in name:
        file.write_text("no video\n")
    with pytest.raises(
        VideozooError, match=f"^{name}: (is a text|cannot be opened|was taken)"
    ) as e:
        next(looker(tmp_path)(("look", str(file))))
    assert str(tmp_path) not in str(e.value)


def test_rows_of_videos_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = predictor_of("LINEAR", tmp_path)
    monkeypatch.setattr("videozoo.web.look.load", lambda weights, use_gpu: made)
    look, (model, names) = open_looker("x.safetensors", (500, 3600), use_gpu=False)
    assert (model, names) == ("LINEAR", NAMES)
    list(look(("look", str(write_video(tmp_path / "clip.mp4", 50)))))
    assert not (tmp_path / "home" / "rows").exists()


def test_weights_that_take_no_videos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="takes records of features made elsewhere, no videos"):
        open_looker(str(feature_world(tmp_path).weights), (500, 3600), use_gpu=False)
