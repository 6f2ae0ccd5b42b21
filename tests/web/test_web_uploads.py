"""Files that are removed, text that is escaped, and what is said before a page opens."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from tiny import World, clip_data  # noqa: F401 (a fixture)
from videozoo.answers import Prediction, Result
from videozoo.cli.main import main
from videozoo.errors import VideozooError
from videozoo.timeline.segments import Segment
from videozoo.web import page, parts
from videozoo.web.look import Found
from videozoo.web.uploads import Uploads

HOSTILE = "<img src=x onerror=alert(1)>${1+1}{{value}}"


def upload(folder: Path, content: str) -> Path:
    file = folder / "uploads" / content / "clip.mp4"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_an_uploaded_file_stays_while_a_page_shows_it(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    one, two = upload(tmp_path, "one"), upload(tmp_path, "two")
    uploads.show("page a", one)
    uploads.show("page b", one)  # the same file, so that it has the same place
    uploads.show("page a", two)
    assert one.exists()
    uploads.show("page b", None)
    assert not one.parent.exists()
    uploads.show("page a", None)
    assert not two.parent.exists()


def test_what_no_page_came_to_show_is_removed_later(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    shown, lost, new = (upload(tmp_path, name) for name in ("shown", "lost", "new"))
    piece = tmp_path / "uploads" / "tmp1234"  # of an upload that was broken off
    piece.touch()
    for file in (shown, lost, piece):
        os.utime(file, (1, 1))
    uploads.show("page", shown)
    assert shown.exists()
    assert new.exists()
    assert not lost.parent.exists()
    assert not piece.exists()


def test_an_example_is_never_removed(tmp_path: Path) -> None:
    example = tmp_path / "example.mp4"
    example.touch()
    uploads = Uploads(tmp_path / "uploads")
    uploads.show("page", example)
    uploads.show("page", None)
    assert example.exists()


def test_text_of_others_is_escaped() -> None:
    result = Result("x", [Prediction(0, HOSTILE, 0.5)], damage=HOSTILE)
    found = Found(HOSTILE, 2.0, [], result, [Segment(0, 2, HOSTILE, 0.5)], 2.0, fault=HOSTILE)
    made = "".join(parts.found_parts(found)) + parts.title_part("M", [HOSTILE])
    made += parts.word(HOSTILE, "fault") + parts.player_part('/a"><b/c d.mp4')
    assert "<img" not in made
    assert "<b/" not in made
    assert made.count("&lt;img") >= 6


def test_a_timeline_shows_its_longest_classes_in_order() -> None:
    many = [Segment(n, n + 1 + n / 100, f"class {n}", 0.5) for n in range(20)]
    _, made, _ = parts.found_parts(Found("x", 21.0, [], None, many, 21.0))
    assert re.findall(r'<span title="class (\d+)"', made) == [str(n) for n in range(8, 20)]
    assert "and 8 classes more" in made


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (59.96, "1:00.0"), (3723.4, "1:02:03.4")]
)
def test_times_are_written_as_players_do(seconds: float, shown: str) -> None:
    assert parts.clock(seconds) == shown


def test_without_gradio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(VideozooError, match=r"pip install 'videozoo\[app\]'"):
        page.app("x.safetensors")


def test_a_folder_without_videos_is_no_folder_of_examples(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no"):
        page.app("x.safetensors", examples=tmp_path)


@pytest.mark.parametrize("limit", [{"max_size": -1}, {"max_length": 0}, {"max_time": math.nan}])
def test_a_limit_is_a_number_above_0(limit: dict[str, float]) -> None:
    with pytest.raises(VideozooError, match=r"max (size|length|time) .*: give a number above 0"):
        page.app("x.safetensors", **limit)  # type: ignore[arg-type]


def test_a_page_is_not_served_under_a_foreign_name() -> None:
    gradio = pytest.importorskip("gradio")
    with gradio.Blocks() as blocks:
        gradio.HTML("a page")
    address = page.serve(blocks)
    try:
        for name, status in (("127.0.0.1", 200), ("evil.example", 421)):
            asked = urllib.request.Request(f"{address}config", headers={"Host": name})
            with ExitStack() as stack:
                try:
                    found = stack.enter_context(urllib.request.urlopen(asked, timeout=10)).status
                except urllib.error.HTTPError as error:
                    found = stack.enter_context(error).code
            assert found == status
    finally:
        blocks.close(verbose=False)


def test_an_address_that_is_not_free_is_told_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as stop:
            main(["app", "--weights", "x.safetensors", "--port", str(port)])
    assert stop.value.code == 2
    assert f"--host 127.0.0.1 --port {port}: cannot be listened at" in capsys.readouterr().err


def test_the_page_is_served_without_torch() -> None:
    code = "import sys, videozoo; videozoo.app; assert not {'torch', 'gradio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow  # a whole command, and gradio's import
def test_ctrl_c_ends_it_and_removes_what_was_uploaded(clip_data: World, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("gradio")
    command = [sys.executable, "-m", "videozoo", "app", "--weights", str(clip_data.weights)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/ in a browser; Ctrl-C ends\n", line)
        assert len(list(tmp_path.glob("videozoo-app-*"))) == 1
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert list(tmp_path.iterdir()) == []
