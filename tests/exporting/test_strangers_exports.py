"""Exported files of strangers: what could run code or take memory without end is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

from videozoo.checkpoints.exports import export_text
from videozoo.checkpoints.native import kind_of
from videozoo.checkpoints.pt2 import check_pt2
from videozoo.errors import VideozooError

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "plain.pt2"
    shapes = ({0: Dim("batch")},)
    program = torch.export.export(nn.Linear(2, 3), (torch.ones(2, 2),), dynamic_shapes=shapes)
    program.example_inputs = None
    torch.export.save(program, path, extra_files={"videozoo.json": "{}"})
    return path


def changed(plain: Path, path: Path, ending: str, change: Change) -> Path:
    """Copies a .pt2; one of its JSON files is changed."""
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(ending):
                values = json.loads(data)
                change(values)
                data = json.dumps(values).encode()
            new.writestr(name, data)
    return path


def first_node(values: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = values["graph_module"]["graph"]["nodes"][0]
    return node


def test_what_is_written_here_is_taken(plain: Path) -> None:
    check_pt2(plain)
    assert export_text(plain) == "{}"


@pytest.mark.parametrize(
    ("ending", "change", "told"),
    [
        ("model.json", lambda v: first_node(v).update(target="torch.hub.load"), "torch.hub.load"),
        ("model.json", lambda v: first_node(v).update(target="_operator.call"), "_operator.call"),
        ("model.json", lambda v: v.update(guards_code=["__import__('os')"]), "guards_code"),
        ("model.json", lambda v: v.update(x={"expr_str": "exec(1)"}), "expr_str"),
        ("model.json", lambda v: v.update(x={"expr_str": ["s0.__class__"]}), "expr_str"),
        ("weights_config.json", lambda v: v.update(use_pickle=True), "pickled weights"),
        ("weights_config.json", lambda v: v.update(use_pickle=1), "pickled weights"),
    ],
)
def test_a_pt2_that_could_run_code_is_refused(
    plain: Path, tmp_path: Path, ending: str, change: Change, told: str
) -> None:
    path = changed(plain, tmp_path / "x.pt2", ending, change)
    with pytest.raises(VideozooError, match="could run code") as error:
        check_pt2(path)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "name", ["plain/data/constants/opaque_obj_0", "plain/data/aotinductor/model/x.so", "other/y"]
)
def test_a_pt2_of_more_files_is_refused(plain: Path, tmp_path: Path, name: str) -> None:
    path = changed(plain, tmp_path / "x.pt2", "-", lambda values: None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(VideozooError, match="could run code"):
        check_pt2(path)


def test_example_inputs_are_a_pickle(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pt2"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"x" if "sample_inputs" in name else old.read(name))
    with pytest.raises(VideozooError, match="a pickle"):
        check_pt2(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 10_000,
        b"\x72\xff\xff\xff\xff\xff\xff\xff\x7f",  # metadata of 2^62 bytes
        b"\x72\x0e\x0a\x08videozoo\x12\x7fx",  # an entry whose value is longer than itself
        b"\xff" * 100,
        b"\x3a\x85\x80\x80\x80\x08\x08\x07",  # a graph behind the end of the file
    ],
)
def test_an_onnx_file_that_is_damaged_is_none_of_ours(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    assert export_text(path) is None
    with pytest.raises(VideozooError, match=r"x\.onnx: is"):
        kind_of(path)


def test_a_description_is_found_behind_other_fields(tmp_path: Path) -> None:
    path, ours = tmp_path / "x.onnx", b"\x72\x0e\x0a\x08videozoo\x12\x02{}"
    path.write_bytes(b"\x08\x0a\x3a\x03abc\x72\x06\x0a\x01a\x12\x01b" + ours)
    assert export_text(path) == "{}"
