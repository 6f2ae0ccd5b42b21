from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from demo_clips import make_clips, write_clip
from demo_scenes import CLASSES, draw_scene
from videozoo.encoders.sound_track import RATE, SoundTrack


def _decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_layout_and_labels(tmp_path: Path) -> None:
    made = make_clips(tmp_path, per_class_train=2, per_class_test=1, frames=6)
    assert made.names == tuple(sorted(CLASSES))
    assert Counter(label for _, label in made.train) == dict.fromkeys(range(6), 2)
    assert Counter(label for _, label in made.test) == dict.fromkeys(range(6), 1)
    for split, clips in (("train", made.train), ("test", made.test)):
        for path, label in clips:
            assert path.parent == tmp_path / split / made.names[label]
    listed = sorted(path for path, _ in (*made.train, *made.test))
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == listed


def test_clips_are_h264_and_aac_of_one_length(tmp_path: Path) -> None:
    scene = draw_scene("spin", seed=(0,))
    write_clip(tmp_path / "a.mp4", scene)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.format.name.startswith("mov,mp4")
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.frames, float(video.average_rate)) == (30, 10.0)
        assert (audio.rate, audio.channels) == (16_000, 1)
    frames = _decode(tmp_path / "a.mp4")
    assert frames.shape == scene.frames.shape
    assert np.abs(frames.astype(int) - scene.frames).mean() < 8
    sound = np.concatenate([samples for _, samples in SoundTrack(tmp_path / "a.mp4")])
    assert abs(len(sound) - 3 * RATE) <= 1024
    assert np.corrcoef(sound[: 3 * RATE], scene.sound[: len(sound)])[0, 1] > 0.95


@pytest.mark.parametrize(("one", "other"), [("move left", "move right"), ("grow", "shrink")])
def test_decoded_twins_hold_the_same_frames(tmp_path: Path, one: str, other: str) -> None:
    # Coding must not leave trails that point into the past.
    for name in (one, other):
        write_clip(tmp_path / f"{name}.mp4", draw_scene(name, seed=(5,), frames=12))
    a, b = _decode(tmp_path / f"{one}.mp4"), _decode(tmp_path / f"{other}.mp4")
    np.testing.assert_array_equal(a, b[::-1])


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed, workers in zip(folders, (0, 0, 1), (1, 3, 1), strict=True):
        make_clips(
            folder, per_class_train=1, per_class_test=1, frames=4, seed=seed, workers=workers
        )
    names = [p.relative_to(folders[0]) for p in sorted(folders[0].rglob("*.mp4"))]
    assert len(names) == 12
    a, b, c = ([(folder / n).read_bytes() for n in names] for folder in folders)
    assert a == b
    assert all(x != y for x, y in zip(a, c, strict=True))
    assert len(set(a)) == 12


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    scene = draw_scene("spin", seed=(0,), frames=4)
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(OSError, match=r"a\.mp4"):
        write_clip(tmp_path / "a.mp4", scene)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
