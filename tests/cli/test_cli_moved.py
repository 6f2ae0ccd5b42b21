from __future__ import annotations

import pytest

from videozoo.cli.main import main


@pytest.mark.parametrize("arguments", [[], ["--folder", "x", "--seed", "1"], ["--help"], ["data"]])
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("demo", "make demo, or python examples/demo/run.py"),
        ("bench", "python benchmarks/data.py or benchmarks/models.py"),
    ],
)
def test_what_left_says_where_it_went(
    name: str, where: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, *arguments])
    assert stop.value.code == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("error: ")
    assert sentence.endswith(f"left the package: run {where}, from a checkout of videozoo\n")
    assert sentence.count("\n") == 1


def test_what_left_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    assert "train" in shown
    assert "demo" not in shown
    assert "bench" not in shown
