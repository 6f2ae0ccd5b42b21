from __future__ import annotations

import pytest

from videozoo.cli.main import main


@pytest.mark.parametrize("arguments", [[], ["--folder", "x", "--seed", "1"], ["--help"], ["more"]])
def test_the_demo_says_where_it_went(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "error: the demo left the package: run make demo, or python examples/demo/run.py,"
        " from a checkout of videozoo\n"
    )


def test_what_left_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    assert "train" in shown
    assert "demo" not in shown
