"""Whatever a command meets, it ends in one sentence."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
import torch

from videozoo.cli import config as config_command
from videozoo.cli.main import main


def ended(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Runs a command that raises; returns its exit code and what it said."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(config_command, "open_experiment", fail)
    with pytest.raises(SystemExit) as caught:
        main(["config", "--model-name", "TSN"])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "there is not enough memory;"),
        (MemoryError("Unable to allocate 9 TiB"), "(Unable to"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "there is not enough memory (CUDA"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), "enough"),
        (RecursionError("maximum"), "is nested too deep"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("cannot say"), "cannot say"),
        (OSError(5, "Input/output error", b"a\x1b[1m"), "a\\x1b[1m: Input/output error"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = ended(error, monkeypatch, capsys)
    assert code == 2
    assert words in said


def test_a_fault_of_ours_says_so_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = ZeroDivisionError("by\nzero\x1b[1m. Set weights_only=False")
    code, said = ended(error, monkeypatch, capsys)
    assert code == 1
    found = re.fullmatch(
        r"this is a fault of videozoo: ZeroDivisionError: by zero\\x1b\[1m; the traceback was saved"
        r" in (\S+); please report it with that",
        said,
    )
    assert found, said
    file = Path(found[1])
    assert file.parent == tmp_path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "in fail\n    raise error\nZeroDivisionError: by\nzero" in file.read_text()


def test_where_no_traceback_can_be_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.mkstemp", full)
    code, said = ended(KeyError("a"), monkeypatch, capsys)
    assert code == 1
    assert "KeyError: 'a'; --traceback before the command shows where" in said


def test_a_traceback_is_shown_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a")

    monkeypatch.setenv("VIDEOZOO_TRACEBACK", "")
    monkeypatch.setattr(config_command, "open_experiment", fail)
    with pytest.raises(KeyError):
        main(["--traceback", "config", "--model-name", "TSN"])
