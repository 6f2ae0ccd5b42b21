"""videozoo config, and the freedom in writing flags."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from tiny import World
from videozoo.cli.arguments import expand, parse_switch
from videozoo.errors import VideozooError

OPTIONS = ["--epoch-num", "--save-dir", "--save-interval", "--no-use-pyreader", "--resume"]
OPTIONS += ["--resume-weights", "--use-gpu"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--epoch", "3"], ["--epoch-num", "3"]),
        (["--epoch=3"], ["--epoch-num=3"]),
        (["--epoch_num=3", "--use_gpu", "a_b"], ["--epoch-num=3", "--use-gpu", "a_b"]),
        (["--resume", "x"], ["--resume", "x"]),
        (["--resume-w", "x"], ["--resume-weights", "x"]),
        (["--no_use_py"], ["--no-use-pyreader"]),
        (["--save-d", "-1", "a.mp4"], ["--save-dir", "-1", "a.mp4"]),
        (["--unknown=1"], ["--unknown=1"]),
        (["--epoch", "1", "--", "--epoch"], ["--epoch-num", "1", "--", "--epoch"]),
    ],
)
def test_prefixes_and_underscores_are_spelled_out(typed: list[str], meant: list[str]) -> None:
    assert expand(typed, OPTIONS) == meant


def test_a_prefix_of_several_options_is_refused() -> None:
    with pytest.raises(VideozooError, match="--save may mean --save-dir or --save-interval"):
        expand(["--save", "x"], OPTIONS)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("False", False), ("false", False), ("0", False), ("no", False), ("True", True), ("1", True)],
)
def test_switches_are_words(word: str, meant: bool) -> None:
    assert parse_switch(word, "--use-gpu") is meant


def test_a_switch_that_is_neither(command: Command) -> None:
    assert parse_switch(None, "--use-gpu") is None
    done = command("test", "--use-gpu", "perhaps")
    assert (done.code, done.err) == (2, "error: --use-gpu perhaps: give True or False\n")


def test_config_tells_where_values_come_from(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "my [old] config.txt"
    file.write_text("[MODEL]\nname='TSN'\nnum_classes=4\n[TEST]\nbatch_size=3\n")
    done = command("config", file, "--set", "TEST.seg_num=25")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"# TSN, from {file}"
    sections = [line for line in lines if line.startswith("[")]
    assert sections == ["[TRAIN]", "[VALID]", "[TEST]", "[INFER]"]
    test = lines[lines.index("[TEST]") + 1 : lines.index("[INFER]")]
    said = {line.split(" = ")[0]: line.split(" = ")[1].split("  # ") for line in test if line}
    value = {key: (text.strip(), origin) for key, (text, origin) in said.items()}
    assert value["num_classes"] == ("4", f"{file} [MODEL]")
    assert value["batch_size"] == ("3", f"{file} [TEST]")
    assert value["seg_num"] == ("25", "--set TEST.seg_num")
    assert value["short_size"] == ("256", "default")
    assert value["image_mean"] == ("[0.485, 0.456, 0.406]", "default")


def test_config_of_a_checkpoint(command: Command, feature_data: World) -> None:
    done = command("config", feature_data.weights)
    assert done.code == 0
    assert "hidden_sizes = [12, 10]" in done.out
    assert f"# {feature_data.weights} [TEST]" in done.out


def test_config_without_a_file_is_the_models_own(command: Command) -> None:
    done = command("config", "--model", "nextvlad")
    assert done.out.startswith("# NEXTVLAD, from nextvlad.txt\n")
    keys = command("config", "--model", "nextvlad", "--keys")
    assert (keys.code, "gating_reduction" in keys.out) == (0, True)


def test_config_names_faults(command: Command, tmp_path: Path) -> None:
    assert "none.txt: no such config file" in command("config", tmp_path / "none.txt").err
    file = tmp_path / "tsn.txt"
    file.write_text("[MODEL]\nnum_classes=4\nseg_nums=4\n")
    done = command("config", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {file}")
    assert "[MODEL] seg_nums: TSN has no such key; did you mean 'seg_num'?" in done.err


def test_flags_of_fluid_days_are_said_once(command: Command, feature_data: World) -> None:
    done = command(
        *("infer", feature_data.files[1], "--weights", feature_data.weights),
        *("--no_use_pyreader", "--no-memory-optimize", "--no-par"),
    )
    assert done.code == 0
    said = "--no-use-pyreader, --no-memory-optimize, --no-parallel do nothing here"
    assert done.err.count(said) == 1
    assert done.err.count("nothing") == 1


def test_use_gpu_false_means_false(
    command: Command, feature_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[bool] = []

    def spy(use_gpu: bool, say: object = None) -> object:
        import torch

        wanted.append(use_gpu)
        return torch.device("cpu")

    monkeypatch.setattr("videozoo.inference.choose_device", spy)
    for words in (["--use-gpu", "False"], ["--use_gpu=True"], []):
        done = command("infer", feature_data.files[1], "--weights", feature_data.weights, *words)
        assert done.code == 0
    assert wanted == [False, True, False]  # the config says False


def test_version_and_help(command: Command) -> None:
    from videozoo import __version__

    assert command("--version").out == f"videozoo {__version__}\n"
    named = command("--help").out
    assert all(word in named for word in ("train", "test", "infer", "convert", "scan", "doctor"))


@pytest.mark.parametrize("words", [["infer", "--nosuch"], ["nosuch"], ["infer", "--batch-size=x"]])
def test_usage_errors_exit_with_2(command: Command, words: list[str]) -> None:
    done = command(*words)
    assert (done.code, done.out) == (2, "")


@pytest.mark.skipif(not (ROOT / "train.py").is_file(), reason="no source tree: no doors")
@pytest.mark.parametrize("door", ["train.py", "test.py", "infer.py"])
def test_the_originals_doors_open(door: str, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / door), "--model-name=TSNN", "--no-use-pyreader"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "error: unknown model 'TSNN'; did you mean 'TSN'?" in done.stderr
