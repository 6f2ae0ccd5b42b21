"""Configs, lists, names and checkpoints of strangers: one sentence and exit code 2."""

from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.commands import Command
from tiny import World
from videozoo.checkpoints.native import load_native, save_safetensors
from videozoo.config.ini import parse_value


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


ODD = pytest.mark.parametrize("make", [fifo, zeros, sparse, Path.mkdir])


def refused(command: Command, *words: object) -> str:
    """Runs a command that must end in one sentence, at once; returns it."""
    begun = time.process_time()
    outcome = command(*words)
    assert outcome.code == 2
    assert time.process_time() - begun < 10
    assert len(outcome.err) < 20_000
    assert "error: " in outcome.err
    return outcome.err


@ODD
def test_a_config_is_a_file_of_bounded_size(make: Any, command: Command) -> None:
    make(Path("c.txt"))
    assert "c.txt" in refused(command, "config", "c.txt", "--model-name", "TSN")


@ODD
def test_a_list_is_a_file_of_bounded_size(
    make: Any, command: Command, clip_data: World, feature_data: World
) -> None:
    for number, world in enumerate((clip_data, feature_data)):
        made = Path(f"{number}.list")
        make(made)
        said = refused(command, "test", "--weights", world.weights, "--filelist", made)
        assert made.name in said


@ODD
@pytest.mark.parametrize("ending", [".txt", ".json", ".csv"])
def test_a_label_file_is_a_file_of_bounded_size(
    make: Any, ending: str, command: Command, clip_data: World
) -> None:
    made = Path(f"names{ending}")
    make(made)
    given = ("--filelist", clip_data.listing, "--set", f"MODEL.label_file={made}")
    assert made.name in refused(command, "test", "--weights", clip_data.weights, *given)


@ODD
@pytest.mark.parametrize("name", ["w", "w.pth", "w.safetensors", "w.tar.gz"])
def test_weights_are_regular_files(
    make: Any, name: str, command: Command, clip_data: World
) -> None:
    make(Path(name))
    assert name in refused(command, "infer", "--weights", name, clip_data.files[0])


@pytest.mark.parametrize("make", [fifo, zeros, sparse])
def test_files_of_a_fluid_folder_are_regular(make: Any, command: Command, clip_data: World) -> None:
    Path("w").mkdir()
    make(Path("w/fc_0.w_0"))
    said = refused(command, "infer", "--weights", "w", "--config", clip_data.config,
                   clip_data.files[0])  # fmt: skip
    assert "fc_0.w_0" in said


@pytest.mark.parametrize(
    "text",
    [
        "[TRAIN]\nepoch = {[]: 1}\n",
        "[TRAIN]\nepoch = {[1]}\n",
        "[TRAIN]\nepoch = {{}: {[]}}\n",
        "[MODEL]\nnum_classes = 0x" + "f" * 10_000 + "\n",
        "[MODEL]\nnum_classes = " + "9" * 5_000 + "\n",
        "[MODEL]\nnum_classes = 1" + "0" * 30 + "\n",
        "[MODEL]\nnum_classes = " + "[" * 5_000 + "\n",
        "[MODEL]\nfilelist = '\\ud800'\n",
        "[MODEL]\nfilelist = 'a\\0b'\n",
        "[MODEL]\na" + " " * 20_000 + "b\n",
        "[MODEL]\n" + "".join(f"k{i} = 1\n" for i in range(9_000)),
        "[MODEL]\n" + "".join(f"k{i} = 1\n" for i in range(200_000)),
        "[MODEL]\n" + "".join(f"line {i}\n" for i in range(9_000)),
        "".join(f"[S{i}]\n" for i in range(9_000)),
        "[" + "A" * 500_000 + "]\n",
        "[MODEL]\n" + "x" * 500_000 + " = 1\n",
        "[MODEL]\nname = " + "x" * 500_000 + "\n",
        "\0\0\0",
    ],
    ids=lambda text: text[:30],
)
def test_a_config_of_odd_content(text: str, command: Command) -> None:
    Path("c.txt").write_text(text)
    assert "c.txt" in refused(command, "config", "c.txt", "--model-name", "TSN")


def test_keys_and_values_of_a_line_are_those_of_the_standard_library() -> None:
    import configparser

    from videozoo.config.ini import _Parser

    text = "[A]\na=1\n b : 2 = 3\nc =\nlong key = x ; y\n# no\nd = 1\n  more\nE=:\n"
    ours, theirs = _Parser(strict=True), configparser.RawConfigParser(strict=True)
    ours.read_string(text)
    theirs.read_string(text)
    assert dict(ours["A"]) == dict(theirs["A"])


@pytest.mark.parametrize("value", ["{[]:1}", "{[1]}", "0x" + "f" * 10_000, "'\\ud800'"])
def test_a_literal_that_is_none(value: str, command: Command) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_value(value)
    refused(command, "config", "--model-name", "TSN", "--set", f"TRAIN.epoch={value}")


@pytest.mark.parametrize(
    ("setting", "bound"),
    [
        ("MODEL.num_classes=1" + "0" * 30, "16777216"),
        ("MODEL.num_workers=100000", "256"),
        ("MODEL.seg_num=10000000", "10000"),
        ("MODEL.short_size=100000", "8192"),
        ("MODEL.target_size=100000", "8192"),
        ("MODEL.seglen=1000000", "1000"),
        ("MODEL.batch_size=10000000000", "1048576"),
        ("MODEL.seed=1" + "0" * 30, "9223372036854775808"),
        ("MODEL.seg_num=9000", "is more than 1,024"),
    ],
)
def test_numbers_that_decide_memory_are_bounded(setting: str, bound: str, command: Command) -> None:
    said = refused(command, "config", "--model-name", "TSN", "--set", setting)
    assert setting.partition("=")[0].partition(".")[2] in said
    assert bound.removeprefix("is ") in said


def described(world: World, **changed: Any) -> Path:
    """Returns a checkpoint whose description is another one."""
    from safetensors import safe_open

    with safe_open(world.weights, "pt") as file:
        description = json.loads(file.metadata()["videozoo"])
    del description["crc32c"]  # of what it was before
    for key, value in changed.items():
        description[key] = value(description[key]) if callable(value) else value
    path = Path("odd.safetensors")
    tensors = load_native(world.weights).state_dict
    save_safetensors(path, tensors, {"videozoo": json.dumps(description)})
    return path


@pytest.mark.parametrize("model", ["TSN", "features"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", []),
        ("config", "text"),
        ("config", None),
        ("config", {"INFER": None}),
        ("config", {"INFER": []}),
        ("config", {"INFER": {"num_classes": "\ud800"}}),
        ("config", {"ELSE": {}}),
        ("model", 1),
        ("model", None),
        ("model", []),
        ("model", "x" * 100_000),
        ("preprocessing", 3),
        ("labels", 1),
        ("labels", "abc"),
        ("labels", [1, 2, 3]),
        ("labels", [None]),
        ("labels", [["a"], "b", "c"]),
        ("labels", ["\ud800", "b", "c"]),
        ("labels", {}),
        ("recipe", []),
        ("recipe", {"dims": 1}),
        ("format", {"a": [1]}),
    ],
)
def test_a_description_of_wrong_types(
    model: str, key: str, value: Any, command: Command, clip_data: World, feature_data: World
) -> None:
    world = clip_data if model == "TSN" else feature_data
    path = described(world, **{key: value})
    assert path.name in refused(command, "infer", "--weights", path, world.files[0])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "9" * 5_000 + "}", "3", "{"])
def test_a_description_that_is_no_json(text: str, command: Command) -> None:
    save_safetensors(Path("odd.safetensors"), {"a": torch.zeros(1)}, {"videozoo": text})
    said = refused(command, "infer", "--weights", "odd.safetensors", "a.mp4")
    assert "odd.safetensors: " in said


def with_keys(**keys: Any) -> Any:
    return lambda config: {mode: values | keys for mode, values in config.items()}


def test_a_checkpoint_does_not_say_what_to_touch(command: Command, clip_data: World) -> None:
    touched = Path("names.txt")
    fifo(touched)
    path = described(
        clip_data,
        config=with_keys(
            filelist="/**/*", label_file=str(touched), kinetics_labels=str(touched),
            num_workers=100, video_folder="/proc", pretrain_base=str(touched),
        ),
    )  # fmt: skip
    for labels in (None, ["a", "b", "c"]):
        path = described(clip_data, config=with_keys(label_file=str(touched)), labels=labels)
        outcome = command("infer", "--weights", path, clip_data.files[0])
        assert outcome.code == 0
    said = refused(command, "infer", "--weights", path)
    assert "nothing to infer is given; name files, or give --filelist" in said
    path = described(clip_data, config=with_keys(filelist="/**/*"))
    assert "give --filelist" in refused(command, "test", "--weights", path)


def test_a_checkpoints_numbers_are_bounded(command: Command, clip_data: World) -> None:
    for key, value in (("num_workers", 100_000), ("num_workers", "x")):
        path = described(clip_data, config=with_keys(**{key: value}))
        assert command("infer", "--weights", path, clip_data.files[0]).code == 0
    for key, value in (("seg_num", 10**7), ("target_size", 10**5), ("batch_size", 2**20)):
        path = described(clip_data, config=with_keys(**{key: value}))
        assert key in refused(command, "infer", "--weights", path, clip_data.files[0])


def test_a_tensor_beside_the_weights_has_the_shape_it_must_have(
    command: Command, feature_data: World
) -> None:
    tensors = load_native(feature_data.weights).state_dict
    path = described(feature_data)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    for odd in (torch.ones(3), torch.ones(2, 8), torch.ones(8, dtype=torch.int64)):
        save_safetensors(path, tensors | {"extra.eigenvalues": odd}, metadata)
        said = refused(command, "infer", "--weights", path, feature_data.files[0])
        assert "eigenvalues" in said


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "9" * 5_000,
        '{"a": "²"}',
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": "' + "9" * 5_000 + '"}',
        '{"a": [[]]}',
        '["\\ud800", "b", "c"]',
        "3",
        '{"a": 1e400}',
    ],
    ids=lambda text: text[:20],
)
def test_a_label_file_of_odd_content(content: str, command: Command, clip_data: World) -> None:
    Path("names.json").write_text(content)
    given = ("--filelist", clip_data.listing, "--set", "MODEL.label_file=names.json")
    assert "names.json" in refused(command, "test", "--weights", clip_data.weights, *given)


LONG = "x" * (csv.field_size_limit() + 1)


@pytest.mark.parametrize(
    "text", [f"path,label\na.mp4,{LONG}\n", f"path,{LONG}\na.mp4,1\n", f"{LONG},label\n"]
)
def test_a_csv_with_a_cell_too_long(text: str, command: Command, clip_data: World) -> None:
    Path("a.csv").write_text(text)
    said = refused(command, "test", "--weights", clip_data.weights, "--filelist", "a.csv")
    assert "a.csv" in said
    Path("n.csv").write_text(f"Index,Name\n0,{LONG}\n")
    given = ("--filelist", clip_data.listing, "--set", "MODEL.label_file=n.csv")
    assert "n.csv" in refused(command, "test", "--weights", clip_data.weights, *given)


def test_a_label_of_many_digits(command: Command, clip_data: World) -> None:
    Path("l.txt").write_text(f"{clip_data.files[0]} {'9' * 5000}\n")
    refused(command, "test", "--weights", clip_data.weights, "--filelist", "l.txt")
