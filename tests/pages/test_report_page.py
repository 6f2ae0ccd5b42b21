"""The page of `videozoo report` in a browser: by night, on a phone, by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import videozoo
from report_worlds import write_beside, write_result

PHONE = {"width": 375, "height": 740}
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const paint = (over, colour) => {
    canvas.fillStyle = over; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return `rgb(${[...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(',')})`;
  };
  const ground = e => e ? paint(ground(e.parentElement), getComputedStyle(e).backgroundColor)
                        : 'rgb(255,255,255)';
  const light = colour => {
    const [r, g, b] = colour.match(/[0-9]+/g).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  for (const e of document.querySelectorAll('h1,h2,p,a,td,th,dt,dd,caption,summary,pre,li,span')) {
    if (!e.textContent.trim() || e.classList.contains('key')) continue;
    const below = ground(e), on = paint(below, getComputedStyle(e).color);
    const [low, high] = [light(below), light(on)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) bad.push([e.tagName, e.textContent.trim().slice(0, 30), ratio]);
  }
  return bad;
}"""


@pytest.fixture
def address(tmp_path: Path) -> str:
    names = ["a long name of a class with many words", "x" * 70]
    rows = [(f"{'folder/' * 20}{k}.mp4", names[k % 2], names[k % 3 % 2], 0.5 + k / 60,
             names[1], 0.1) for k in range(24)]  # fmt: skip
    write_result(tmp_path, rows=rows, names=names)
    write_beside(tmp_path)
    return videozoo.report(tmp_path, compare=tmp_path).as_uri()


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_its_ground(
    open_page: Callable[..., Any], address: str, dark: bool
) -> None:
    page = open_page(address, dark=dark)
    assert page.evaluate(CONTRAST) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(18, 22, 29)") == dark


def test_a_phone_scrolls_tables_and_not_the_page(
    open_page: Callable[..., Any], address: str
) -> None:
    page = open_page(address, size=PHONE)
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 375
    boxes = page.locator(".scroll")
    assert boxes.evaluate_all("all => all.some(one => one.scrollWidth > one.clientWidth)")


def test_the_keyboard_reaches_every_section(open_page: Callable[..., Any], address: str) -> None:
    page = open_page(address)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["x"] >= 0  # it shows when it is reached
    outline = skip.evaluate("link => getComputedStyle(link).outlineStyle")
    assert outline != "none"
    links = page.locator("nav a")
    for number in range(links.count()):
        page.keyboard.press("Tab")
        assert links.nth(number).evaluate("link => link === document.activeElement")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#made"
    top = page.locator("#made").bounding_box()["y"]
    assert -5 <= top < 900
