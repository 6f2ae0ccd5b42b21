"""The page of `videozoo app` in a browser."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tiny import clip_world
from videos import write_video
from videozoo.classifier import load_weights, save_weights
from videozoo.web.page import app, serve
from videozoo.web.uploads import uploads_folder

pytest.importorskip("gradio")

NAMES = ["<b>jump</b> ${1+1}{{x}}", "run", "swim"]
PHONE = {"width": 375, "height": 740}
WAIT = 90_000  # milliseconds


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    world = clip_world(tmp_path_factory.mktemp("model"))
    loaded = load_weights(world.weights)
    weights = world.folder / "named.safetensors"
    save_weights(weights, loaded.classifier, loaded.experiment, NAMES)
    examples = world.folder / "examples"
    examples.mkdir()
    write_video(examples / "example.mp4", 30)
    page = app(weights, examples=examples, max_size=1, max_length=10, window=2, stride=1)
    yield serve(page, max_size=1)
    page.close(verbose=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "a clip.mp4", 200, size=(128, 96))


def give(page: Any, file: Path) -> None:
    page.set_input_files("input[type=file]", file)


def uploaded() -> list[Path]:
    # os.walk passes over a folder that goes while it looks
    found = [Path(at, name) for at, _, names in os.walk(uploads_folder()) for name in names]
    return [path for path in found if path.suffix]


def test_a_video_is_named_and_a_click_on_a_segment_moves_the_player(
    open_page: Callable[..., Any], address: str, video: Path
) -> None:
    page = open_page(address)
    give(page, video)
    page.wait_for_selector(".vz-rows", timeout=WAIT)
    page.wait_for_function("!document.querySelector('.vz-busy')", timeout=WAIT)
    assert "a clip.mp4, 0:08.0" in page.locator("body").inner_text()
    assert str(uploads_folder()) not in page.locator("body").inner_text()
    named = page.locator(".vz-bars li span:first-child").all_inner_texts()
    assert sorted(named) == sorted(NAMES)
    player = page.locator(".vz-player")
    page.wait_for_function("document.querySelector('.vz-player').readyState > 0", timeout=WAIT)
    for place in (".vz-rows [data-at]", ".vz-frames [data-at]"):
        player.evaluate("player => {player.currentTime = 5}")
        segment = page.locator(place).first
        segment.click()
        start = float(segment.get_attribute("data-at"))
        page.wait_for_function(
            "start => Math.abs(document.querySelector('.vz-player').currentTime - start) < 0.05",
            arg=start,
        )
    page.get_by_role("button", name="Why").click()
    page.wait_for_selector(".vz-wide img", timeout=WAIT)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    assert [name for name in loaded if not name.startswith((address, "data:", "blob:"))] == []


def test_a_file_is_removed_when_it_is_taken_away_and_when_its_page_is_closed(
    open_page: Callable[..., Any], address: str, video: Path
) -> None:
    page = open_page(address)

    def clear() -> None:
        page.get_by_label("Clear").click()
        page.wait_for_selector(".vz-bars", state="detached", timeout=WAIT)

    for leave in (clear, page.close):
        give(page, video)
        page.wait_for_selector(".vz-bars", timeout=WAIT)
        page.wait_for_function("!document.querySelector('.vz-busy')", timeout=WAIT)
        assert [path.name for path in uploaded()] == ["a clip.mp4"]
        leave()
        for _ in range(300):
            if not uploaded():
                break
            time.sleep(0.1)
        assert uploaded() == []


def test_what_is_refused_is_said_on_the_page(
    open_page: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    page = open_page(address)
    text = tmp_path / "notes.txt"
    text.write_text("no video\n")
    give(page, text)
    page.get_by_text("notes.txt: is a text, not a video").wait_for(timeout=WAIT)
    page.get_by_label("Clear").click()
    page.get_by_text("Drop a video to see what it shows").wait_for(timeout=WAIT)
    give(page, write_video(tmp_path / "long.mp4", 275))
    page.get_by_text("long.mp4: is 11.0 s long; videos up to 10 s").wait_for(timeout=WAIT)
    page.get_by_label("Clear").click()
    page.get_by_text("Drop a video to see what it shows").wait_for(timeout=WAIT)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2**20 + 1))
    give(page, large)
    page.get_by_text("exceed the maximum allowed size of 1.0 M").wait_for(timeout=WAIT)
    assert uploaded() == []


def test_an_example_on_a_dark_phone(open_page: Callable[..., Any], address: str) -> None:
    page = open_page(address, size=PHONE, dark=True)
    page.get_by_text("example.mp4").first.click()
    page.wait_for_selector(".vz-bars", timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    rgb = "at => getComputedStyle(document.querySelector(at[0]))[at[1]].match(/\\d+/g).map(Number)"
    assert min(page.evaluate(rgb, [".vz-part h2", "color"])[:3]) > 200
    assert max(page.evaluate(rgb, ["body", "backgroundColor"])[:3]) < 60
