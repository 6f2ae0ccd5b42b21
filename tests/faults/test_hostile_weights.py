"""Archives, folders and PyTorch files of strangers: nothing is read before it is looked at."""

from __future__ import annotations

import gzip
import io
import pickle
import resource
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import NESTED_TUPLE

from toy_encoder import toy_recipe
from videozoo.checkpoints.backbones import load_image_resnet
from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid, write_fluid
from videozoo.checkpoints.names import FluidName
from videozoo.checkpoints.native import NativeCheckpoint
from videozoo.checkpoints.torch_files import load_torch
from videozoo.checkpoints.variables import pack_variable
from videozoo.encoders.recipe import carried_recipe
from videozoo.errors import VideozooError
from videozoo.training.log import Curves
from videozoo.training.state import load_state, state_path


def peak() -> int:
    """Returns the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def refused(path: Path, read: Any = read_fluid) -> str:
    before = peak()
    with pytest.raises(VideozooError) as caught:
        read(path)
    assert peak() - before < 700
    assert len(str(caught.value)) < 2000
    return str(caught.value)


def description(shape: tuple[int, ...]) -> bytes:
    """Returns what a variable's file begins with; its values follow."""
    whole = pack_variable(np.zeros([1] * len(shape), np.float32))
    assert len(shape) == 1
    out, size = bytearray(), shape[0]
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    body = b"\x08\x05\x10" + bytes(out)
    return whole[:16] + struct.pack("<i", len(body)) + body


def sparse_member(head: bytes, size: int) -> bytes:
    """Returns a .tar.gz of one GNU sparse member: so many bytes, of which the head is stored."""
    info = tarfile.TarInfo("w/fc_0.w_0")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512 if head else 0
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    pieces = ((0, 512), (size, 0)) if head else ((size, 0),)
    for number, (offset, length) in enumerate(pieces):
        place = 386 + 24 * number
        block[place : place + 24] = b"%011o\0%011o\0" % (offset, length)
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return gzip.compress(bytes(block) + head.ljust(512 if head else 0, b"\0") + bytes(1024))


@pytest.mark.parametrize("head", [b"", description((3 << 28,))[:512]], ids=["hole", "variable"])
def test_a_sparse_member_of_an_archive(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.tar.gz"
    path.write_bytes(sparse_member(head, (3 << 30) + len(head)))
    assert path.stat().st_size < 1000
    refused(path)


@pytest.mark.parametrize("inside", [True, False])
def test_a_gzip_bomb(inside: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.tar.gz"
    info = tarfile.TarInfo("w/fc")
    info.size = 400 << 20 if inside else 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(400):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    refused(path)


def test_values_are_read_where_the_model_wants_them(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    for name in ("fc_0.w_0", "other"):
        head = description((200 << 20,))
        with (tmp_path / "w" / name).open("wb") as file:
            file.write(head)
            file.truncate(len(head) + 4 * (200 << 20))
    table = {"fc.weight": FluidName("fc_0.w_0")}
    model = {"fc.weight": torch.zeros(3)}
    said = refused(tmp_path / "w", lambda path: load_fluid_weights(path, table, model))
    assert "1 surplus: other" in said
    assert "fc_0.w_0 (expected [3], found [209715200])" in said
    keys = ["conv1.weight", "fc.weight"]
    refused(tmp_path / "w", lambda path: load_image_resnet(path, keys))


def test_links_to_devices_in_a_folder(tmp_path: Path) -> None:
    write_fluid(tmp_path / "w", {"a": np.zeros(2, np.float32)})
    (tmp_path / "w/b").symlink_to("/dev/zero")
    assert "is a pipe or a device" in refused(tmp_path / "w")
    (tmp_path / "w/b").unlink()
    (tmp_path / "elsewhere").write_bytes(pack_variable(np.ones(2, np.float32)))
    (tmp_path / "w/b").symlink_to(tmp_path / "elsewhere")  # as caches of downloads have them
    assert sorted(read_fluid(tmp_path / "w")) == ["a", "b"]
    with (tmp_path / "w/notes.txt").open("wb") as file:
        file.truncate(1 << 40)
    assert "absurdly much" in refused(tmp_path / "w", sha256_of_weights)


def torch_file(path: Path, value: Any = None, **options: Any) -> Path:
    torch.save({"a": torch.zeros(4)} if value is None else value, path, **options)
    return path


@pytest.mark.parametrize("old", [False, True])
def test_sound_torch_files_are_read(old: bool, tmp_path: Path) -> None:
    value = {
        "state_dict": OrderedDict(a=torch.ones(2, 3), b=torch.arange(3)),
        "numbers": {i: (str(i), 1.5, None, True) for i in range(1000)},
        "half": torch.ones(4).half().expand(1, 4),
    }
    path = torch_file(tmp_path / "w.pth", value, _use_new_zipfile_serialization=not old)
    found = load_torch(path)
    assert torch.equal(found["state_dict"]["a"], torch.ones(2, 3))
    assert found["numbers"] == value["numbers"]


def rezipped(path: Path, compression: int, **replaced: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            last = name.rpartition("/")[2].replace(".", "_")
            archive.writestr(name, replaced.get(last, data))


def test_a_deflated_storage(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "w.pth", {"a": torch.zeros(4 << 20)})
    rezipped(path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "is compressed" in refused(path, load_torch)


@pytest.mark.parametrize("old", [False, True])
def test_a_key_of_nested_tuples_in_a_torch_file(old: bool, tmp_path: Path) -> None:
    content = b"\x80\x02}" + NESTED_TUPLE + b"K\x01s."
    path = torch_file(tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    if old:
        whole, part = path.read_bytes(), io.BytesIO()
        stream = io.BytesIO(whole)
        for _ in range(3):
            pickle.load(stream)
        part.write(whole[: stream.tell()] + content)
        path.write_bytes(part.getvalue())
    else:
        rezipped(path, zipfile.ZIP_STORED, data_pkl=content)
    assert "a key that is not plain" in refused(path, load_torch)


def test_a_tensor_larger_than_its_values(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "w.pth", {"a": torch.zeros(1).half().expand(10**10)})
    assert "again and again" in refused(path, load_torch)


def test_pytorchs_own_advice_is_not_passed_on(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "w.pth", {"a": Path("x")})
    said = refused(path, load_torch)
    assert "weights_only" not in said
    assert "save its state dict alone" in said


POSITION = {"epoch": 1, "step": 0, "steps_done": 2, "best": 0.5, "worse": 0, "videos": 4}
STATE = {
    "position": POSITION | {"unreadable": {}, "fingerprint": {}},
    "model": {"a": torch.zeros(1)},
    "optimizer": {"state": {}, "param_groups": [{"lr": 1.0, "params": [0]}]},
    "average": None,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"position": None},
        *({"position": POSITION | {"epoch": value}} for value in ("a", -1, 1.5, None, 10**30)),
        {"position": POSITION | {"step": []}},
        {"position": POSITION | {"best": "x"}},
        {"position": POSITION | {"unreadable": []}},
        {"position": POSITION | {"unreadable": {"a": 1}}},
        {"position": POSITION | {"fingerprint": 3}},
        {"position": POSITION | {"other": 3}},
        {"model": {}} | {"model": [1]},
        {"model": {"a": 1}},
        {"model": None},
        {"average": [1]},
        {"optimizer": {}},
        {"optimizer": None},
        {"optimizer": {"param_groups": [], "state": {}}},
        {"optimizer": {"param_groups": [1], "state": {}}},
    ],
    ids=str,
)
def test_a_state_of_wrong_types(changed: dict[str, Any], tmp_path: Path) -> None:
    weights = tmp_path / "X.safetensors"
    torch.save(STATE, state_path(weights))
    assert load_state(weights, "TSN").position.epoch == 1
    torch.save(STATE | changed, state_path(weights))
    with pytest.raises(VideozooError, match="cannot be read as a training state"):
        load_state(weights, "TSN")


@pytest.mark.parametrize(
    "row",
    [b"a,b,c,d,e\n", b"\xff\n", b"1,1,train,loss,\xff\n", b"\0\n", b"9" * 5000 + b",1,a,b,2\n"],
)
def test_a_bad_row_of_curves_is_passed_over(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_bytes(b"step,epoch,split,metric,value\n1,1,train,loss,0.5\n" + row)
    curves = Curves(path, tmp_path / "board", after_step=3)
    curves.show = lambda *_, **__: None  # type: ignore[method-assign]
    curves.add({"loss": 0.25}, step=4, epoch=0, split="train")
    lines = path.read_text().splitlines()
    assert (lines[1], lines[-1]) == ("1,1,train,loss,0.5", "4,1,train,loss,0.25")


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("framing", "width", 10**9, "frames of 1000000000 pixels: an encoder takes 1 to 4096"),
        ("framing", "short_side", -1, "frames of -1 pixels"),
        ("sampling", "most", 10**12, "a video has 1 to 100,000 rows"),
        (None, "window", 10**9, "a row is made of 1 to 1024 frames"),
    ],
)
def test_numbers_of_a_recipe_that_decide_memory_are_bounded(
    part: str | None, key: str, value: int, said: str, tmp_path: Path
) -> None:
    values = toy_recipe().as_dict()
    (values if part is None else values[part])[key] = value
    checkpoint = NativeCheckpoint(
        model="LINEAR", config={}, preprocessing={}, state_dict={}, recipe=values
    )
    with pytest.raises(VideozooError, match=said) as caught:
        carried_recipe(checkpoint, tmp_path / "weights.safetensors")
    assert "weights.safetensors: its recipe of rows asks for too much" in str(caught.value)
