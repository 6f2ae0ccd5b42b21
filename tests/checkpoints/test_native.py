from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.checkpoints.fluid import write_fluid
from videozoo.checkpoints.native import (
    NativeCheckpoint,
    check_state_dict,
    kind_of,
    load_native,
    read_native_header,
    save_native,
)
from videozoo.errors import VideozooError
from videozoo.models import TSN


def checkpoint(labels: list[str] | None = None) -> NativeCheckpoint:
    weight = torch.arange(6.0).view(2, 3)
    return NativeCheckpoint(
        model="TSN",
        state_dict={"fc.weight": weight, "fc.bias": weight[0], "n": torch.tensor(3)},
        config={"MODEL": {"num_classes": 2, "image_mean": [0.485]}},
        preprocessing={"short_size": 256},
        labels=labels,
        extra={"eigenvalues": weight.t()},
    )


@pytest.mark.parametrize("labels", [None, ["a cat", "größer"]])
def test_round_trip(labels: list[str] | None, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    given = checkpoint(labels)
    save_native(path, given)
    found = load_native(path)
    assert (found.model, found.config, found.preprocessing, found.labels) == (
        given.model,
        given.config,
        given.preprocessing,
        labels,
    )
    assert found.state_dict.keys() == given.state_dict.keys()
    for key, value in given.state_dict.items():
        assert torch.equal(found.state_dict[key], value)
        assert found.state_dict[key].dtype == value.dtype
    assert torch.equal(found.extra["eigenvalues"], given.extra["eigenvalues"])
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]


def test_the_header_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_native(path, checkpoint(["x", "y"]))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    description = json.loads(metadata["videozoo"])
    assert description["format"] == "videozoo-1"
    assert description["labels"] == ["x", "y"]
    header = read_native_header(path)
    assert (header.model, header.labels) == ("TSN", ["x", "y"])


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_native(path, checkpoint())
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("videozoo.checkpoints.native.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_native(path, checkpoint(["x"]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_bad_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no such checkpoint"):
        load_native(tmp_path / "none.safetensors")
    path = tmp_path / "w.safetensors"
    save_native(path, checkpoint())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(VideozooError, match=r"no sound .safetensors"):
        load_native(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(VideozooError, match="no videozoo checkpoint"):
        load_native(path)
    save_file({"a": torch.zeros(1)}, path, {"videozoo": '{"format": "videozoo-1", "model": "TSN"}'})
    with pytest.raises(VideozooError, match="description is damaged"):
        read_native_header(path)
    with pytest.raises(VideozooError, match=r"ends in .safetensors"):
        save_native(tmp_path / "w.pt", checkpoint())


def test_kinds(tmp_path: Path) -> None:
    save_native(tmp_path / "a.safetensors", checkpoint())
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "c.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "d.pt", _use_new_zipfile_serialization=False)
    arrays = {"w": torch.zeros(2).numpy()}
    write_fluid(tmp_path / "e", arrays)
    write_fluid(tmp_path / "f.tar.gz", arrays)
    (tmp_path / "g.txt").write_text("hello there")
    found = {p.name: kind_of(p) for p in tmp_path.iterdir() if p.name != "g.txt"}
    assert found == {
        "a.safetensors": "native",
        "b.safetensors": "torch",
        "c.pth": "torch",
        "d.pt": "torch",
        "e": "fluid",
        "f.tar.gz": "fluid",
    }
    with pytest.raises(VideozooError, match=r"g.txt: is no checkpoint"):
        kind_of(tmp_path / "g.txt")
    with pytest.raises(VideozooError, match="no such checkpoint"):
        kind_of(tmp_path / "none")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_weights(tmp_path / "a").startswith("ba7816bf8f01cfea")
    one = {"v": torch.zeros(2).numpy(), "w": torch.ones(2).numpy()}
    write_fluid(tmp_path / "one", one)
    write_fluid(tmp_path / "same", dict(reversed(one.items())))
    write_fluid(tmp_path / "swapped", {"w": one["v"], "v": one["w"]})
    digests = [sha256_of_weights(tmp_path / n) for n in ("one", "same", "swapped")]
    assert digests[0] == digests[1] != digests[2]
    with pytest.raises(VideozooError, match="no such checkpoint"):
        sha256_of_weights(tmp_path / "none")


def test_check_state_dict() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = model.state_dict()
    check_state_dict(state, state, "x")
    given = {k: v for k, v in state.items() if k != "1.num_batches_tracked"}
    check_state_dict(state, given, "x")
    given["0.weight"] = torch.zeros(3, 4)
    given["more"] = given.pop("1.bias")
    with pytest.raises(VideozooError) as caught:
        check_state_dict(state, given, "file.pth")
    message = str(caught.value)
    assert message.startswith("file.pth: ")
    assert "1 missing: 1.bias" in message
    assert "1 surplus: more" in message
    assert "0.weight (expected [3, 2], found [3, 4])" in message


def test_check_state_dict_counts_classes() -> None:
    with torch.device("meta"):
        ours, theirs = TSN(num_classes=7), TSN(num_classes=400)
    with pytest.raises(VideozooError, match=r"^w: the weights are for 400 classes, .* = 7$"):
        check_state_dict(ours.state_dict(), theirs.state_dict(), "w")
