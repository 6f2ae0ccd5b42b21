"""`videozoo label` in a browser: by keyboard alone, on a phone, in the dark."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from videos import write_video

pytest.importorskip("uvicorn", reason="videozoo[app] is not installed")
Page = Any
OpenPage = Callable[..., Page]
PHONE = {"width": 375, "height": 740}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves five videos in two class folders, one of them MPEG-2 in AVI."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat/a.mp4", "cat/b.mp4", "dog/c.mp4", "dog/<b>d.mp4", "dog/e.avi"):
        path = Path("videos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 25, codec="mpeg2video" if path.suffix == ".avi" else "libx264")
    from videozoo.labelling.label_app import PORT, LabelPage, server_of
    from videozoo.labelling.label_session import LabelSession
    from videozoo.web.listening import listening

    session = LabelSession(Path("videos"), out=Path("labels.csv"), console=Console(quiet=True))
    server = server_of(LabelPage(session, host="127.0.0.1").app)
    with closing(session.clips), listening("127.0.0.1", None, PORT) as waiting:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [waiting]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{waiting.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def rows() -> dict[str, str]:
    with open("labels.csv", newline="", encoding="utf-8") as file:
        return {row["path"].removeprefix("videos/"): row["label"] for row in csv.DictReader(file)}


def wait(page: Page, condition: str) -> None:
    """Waits until a condition of the page holds; its policy lets no page wait by itself."""
    until = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(10)


def press(page: Page, key: str) -> str:
    """Presses a key and waits for what it does; returns the name of the video from before."""
    name = page.locator("#name").text_content()
    with page.expect_response("**/*"):
        page.keyboard.press(key)
    wait(page, "!busy")
    return name


def is_playing(page: Page) -> bool:
    wait(page, "!film.hidden && film.currentTime > 0")
    return bool(page.evaluate("film.loop && film.muted && film.videoWidth === 64"))


def test_labelling_by_keyboard(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    wait(page, "now && !busy")
    assert is_playing(page)
    folder = page.locator("#name").text_content().split("/")[0]
    first = press(page, "Enter")  # accepts the folder's class
    assert rows() == {first: folder}
    second = press(page, "2")
    assert rows()[second] == "dog"
    assert page.locator("#done").text_content() == "2 of 5 labelled"
    assert "undo" in page.locator("[data-do=undo]").text_content()
    for key, name in (("Backspace", second), ("Control+z", first)):
        press(page, key)
        assert page.locator("#name").text_content() == name
    assert not Path("labels.csv").exists()

    page.keyboard.press("n")
    page.keyboard.type("big cat")
    with page.expect_response("**/answer"):
        page.keyboard.press("Enter")
    wait(page, "!busy")
    assert rows() == {first: "big cat"}
    assert page.locator("#classes button").all_text_contents() == ["1cat", "2dog", "3big cat1"]
    press(page, " ")
    press(page, "0")
    page.reload()
    wait(page, "now && !busy")
    assert rows() == {first: "big cat"}
    assert page.locator("#done").text_content() == "1 of 5 labelled"
    assert page.locator("#unclear").text_content() == "1"
    for left in (3, 2, 1):
        assert page.evaluate("now.total - now.labelled - now.unclear") == left
        assert is_playing(page)  # the AVI too
        press(page, "1")
    assert "All videos have an answer" in page.locator("#note").text_content()
    assert sorted(rows().values()) == ["big cat", "cat", "cat", "cat"]
    press(page, "ArrowLeft")
    assert page.locator("#classes [aria-pressed=true]").count() <= 1
    assert page.locator("#hint").text_content().startswith("labelled: ")


def test_a_mouse_and_a_focused_button_press_what_they_mean(
    address: str, open_page: OpenPage
) -> None:
    page = open_page(address)
    wait(page, "now && !busy")
    with page.expect_response("**/answer"):
        page.get_by_role("button", name="dog").click()
    wait(page, "!busy")
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("button", name="cat").focus()
    name = press(page, "Enter")
    assert rows()[name] == "cat"


def test_no_stuck_key_labels_more_than_one_video(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    wait(page, "now && !busy")
    with page.expect_response("**/answer"):
        page.keyboard.down("1")
    for _ in range(3):
        page.keyboard.down("1")  # playwright repeats a key that is held
    wait(page, "!busy")
    page.wait_for_timeout(100)
    assert len(rows()) == 1


def test_a_phone_in_the_dark(address: str, open_page: OpenPage) -> None:
    page = open_page(address, size=PHONE, dark=True)
    wait(page, "now && !busy")
    assert is_playing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert page.get_by_role("status").count() == 1
    assert page.get_by_role("progressbar", name="videos with an answer").count() == 1
    assert page.locator("#classes button").first.get_attribute("aria-keyshortcuts") == "1"


def test_an_answer_that_reaches_no_server_is_said_to_be_lost(
    address: str, open_page: OpenPage
) -> None:
    page = open_page(address)
    wait(page, "now && !busy")
    page.evaluate("void (window.fetch = () => Promise.reject(new TypeError('gone')))")
    name = page.locator("#name").text_content()
    page.keyboard.press("1")
    wait(page, "find('#said').classList.contains('warn')")
    assert page.locator("#said").text_content().startswith("Not saved: ")
    assert page.locator("#name").text_content() == name
