from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo_pictures import plot_confusion, plot_curves, plot_frames
from videozoo.errors import VideozooError

LIMIT = 200_000  # bytes: small enough for a page


def _pixels(path: Path) -> np.ndarray:
    assert path.stat().st_size < LIMIT
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def _near(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Counts the pixels of about this colour."""
    return int((np.abs(pixels - colour).max(axis=2) < 25).sum())


HEADER = "step,epoch,split,metric,value\n"


def test_curves_one_plot_a_metric_one_line_a_split(tmp_path: Path) -> None:
    loss = "".join(f"{step},1,train,loss,{2.0 - step / 20}\n" for step in (0, 10, 20))
    (tmp_path / "one.csv").write_text(HEADER + loss)
    (tmp_path / "two.csv").write_text(
        HEADER + loss + "10,1,valid,loss,1.8\n20,1,valid,loss,1.2\n20,1,train,rate,0.1\n"
    )
    plot_curves(tmp_path / "one.csv", tmp_path / "one.png")
    plot_curves(tmp_path / "two.csv", tmp_path / "two.png", title="TSN")
    one, two = _pixels(tmp_path / "one.png"), _pixels(tmp_path / "two.png")
    assert two.shape[1] == 2 * one.shape[1]
    train, valid = (0x1F, 0x6F, 0x8B), (0xC0, 0x39, 0x2B)
    assert _near(one, train) > 100
    assert _near(one, valid) == 0
    half = two.shape[1] // 2
    assert _near(two[:, :half], train) > 100
    assert _near(two[:, :half], valid) > 100
    assert _near(two[:, half:], valid) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no curve"),
        (HEADER, "holds no curve"),
        ("step,loss\n1,2\n", "cannot be read"),
        (HEADER + "1,1,train,loss,high\n", "cannot be read"),
    ],
)
def test_curves_without_numbers_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(VideozooError, match=rf"c\.csv: .*{reason}"):
        plot_curves(tmp_path / "c.csv", tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


def test_missing_curves_are_named(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match=r"none\.csv: the curves cannot be read"):
        plot_curves(tmp_path / "none.csv", tmp_path / "c.png")


def test_confusion_is_dark_where_the_counts_are(tmp_path: Path) -> None:
    names = ["blink", "move left", "move right"]
    plot_confusion(np.diag([5, 5, 5]), names, tmp_path / "right.png", title="StNet")
    plot_confusion(np.full((3, 3), 2), names, tmp_path / "even.png")
    dark = (8, 48, 107)  # the end of the colour scale
    right, even = (_near(_pixels(tmp_path / f"{n}.png"), dark) for n in ("right", "even"))
    assert right > 3000
    assert even < 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["even.png", "right.png"]


def test_confusion_checks_its_shape(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 classes"):
        plot_confusion(np.zeros((3, 3), np.int64), ["a", "b"], tmp_path / "a.png")


def test_frames_show_the_clip_and_whether_it_was_named(tmp_path: Path) -> None:
    clip = np.zeros((9, 12, 16, 3), np.uint8)
    clip[:, :, :, 2] = 255
    right, wrong = (0x2A, 0x7D, 0x4F), (0xC0, 0x39, 0x2B)
    plot_frames([clip, clip], ["grow", "spin"], ["grow", "spin"], tmp_path / "a.png")
    plot_frames([clip], ["grow"], ["shrink"], tmp_path / "b.png", frames=20, title="unseen")
    a, b = _pixels(tmp_path / "a.png"), _pixels(tmp_path / "b.png")
    assert _near(a, (0, 0, 255)) > 10_000
    assert _near(b, (0, 0, 255)) > 5_000
    assert _near(a, right) > 20
    assert _near(a, wrong) == 0
    assert _near(b, wrong) > 20
    assert _near(b, right) == 0


def test_frames_need_clips_and_a_name_each(tmp_path: Path) -> None:
    clip = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="no clips"):
        plot_frames([], [], [], tmp_path / "a.png")
    with pytest.raises(ValueError, match="shorter"):
        plot_frames([clip, clip], ["grow", "grow"], ["grow"], tmp_path / "a.png")


def test_frames_are_neighbours_from_the_middle_of_the_clip(tmp_path: Path) -> None:
    clip = np.zeros((20, 12, 16, 3), np.uint8)
    clip[0] = (255, 0, 255)
    clip[11] = (0, 255, 255)
    plot_frames([clip], ["a"], ["a"], tmp_path / "few.png", frames=4, every=2)
    plot_frames([clip], ["a"], ["a"], tmp_path / "next.png", frames=4, every=1)
    plot_frames([clip], ["a"], ["a"], tmp_path / "all.png", frames=20, every=1)
    few, near, every = (_pixels(tmp_path / f"{n}.png") for n in ("few", "next", "all"))
    assert [_near(p, (255, 0, 255)) > 500 for p in (few, near, every)] == [False, False, True]
    assert [_near(p, (0, 255, 255)) > 500 for p in (few, near, every)] == [False, True, True]


def test_colours_of_the_names_survive_beside_colourful_clips(tmp_path: Path) -> None:
    clip = np.random.default_rng(0).integers(0, 60, (9, 48, 64, 3), dtype=np.uint8)
    plot_frames([clip] * 6, ["grow"] * 6, ["shrink"] * 6, tmp_path / "a.png")
    assert _near(_pixels(tmp_path / "a.png"), (0xC0, 0x39, 0x2B)) > 100
