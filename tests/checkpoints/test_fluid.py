from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from fluid_tables import fluid_table
from videozoo.checkpoints.fluid import load_fluid_weights, read_fluid, write_fluid
from videozoo.checkpoints.names import to_fluid
from videozoo.checkpoints.variables import pack_variable, parse_variable
from videozoo.errors import VideozooError
from videozoo.models import TSN, AttentionCluster

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.ones((3,), np.float16),
    "double": np.full((1, 1, 2), 0.1),
    "counter": np.array([300], dtype=np.int64),
    "wide.b_0": np.zeros((1, 200), np.float32),
}


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["weights", "weights.tar.gz", "weights.tgz"])
def test_round_trip(name: str, tmp_path: Path) -> None:
    write_fluid(tmp_path / name, ARRAYS)
    found = read_fluid(tmp_path / name)
    assert found.keys() == ARRAYS.keys()
    for key, array in ARRAYS.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_array_equal(found[key], array)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no temporary files


def test_the_layout_of_a_variable() -> None:
    data = pack_variable(np.array([[1.0, 2.0]], np.float32))
    description = bytes([0x08, 5, 0x10, 1, 0x10, 2])
    head = struct.pack("<IQIi", 0, 0, 0, len(description))
    assert data == head + description + struct.pack("<2f", 1, 2)


def test_lod_tables_and_packed_dimensions_are_read() -> None:
    description = bytes([0x08, 5, 0x12, 3, 2, 0x81, 0x01])  # dimensions 2, 129 in one field
    lod = struct.pack("<QQ8s", 1, 8, b"whatever")
    head = struct.pack("<I", 0) + lod + struct.pack("<Ii", 0, len(description))
    values = np.random.rand(2, 129).astype("<f4")
    np.testing.assert_array_equal(parse_variable(head + description + values.tobytes()), values)


def test_strays_and_skipped_names_do_not_matter(tmp_path: Path) -> None:
    write_fluid(tmp_path / "w", ARRAYS)
    for stray in ("__model__", ".DS_Store", "._w", "_SUCCESS", "readme.txt"):
        (tmp_path / "w" / stray).write_bytes(b"anything")
    assert read_fluid(tmp_path / "w").keys() == ARRAYS.keys()
    assert "w" not in read_fluid(tmp_path / "w", skip=lambda name: name == "w")


def test_a_folder_around_the_folder_is_looked_through(tmp_path: Path) -> None:
    write_fluid(tmp_path / "outer" / "inner", ARRAYS)
    assert read_fluid(tmp_path / "outer").keys() == ARRAYS.keys()


def test_a_file_that_is_no_variable_is_named(tmp_path: Path) -> None:
    write_fluid(tmp_path / "w", ARRAYS)
    (tmp_path / "w" / "holiday.jpg").write_bytes(b"\xff\xd8" * 50)
    with pytest.raises(VideozooError, match=r"'holiday.jpg' is not a Fluid variable"):
        read_fluid(tmp_path / "w")


@pytest.mark.parametrize("keep", [0, 3, 15, 22, 30, -1])
def test_a_variable_cut_short_is_named(keep: int, tmp_path: Path) -> None:
    write_fluid(tmp_path / "w", ARRAYS)
    file = tmp_path / "w" / "double"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(VideozooError, match=r"'double' is (cut short|damaged)"):
        read_fluid(tmp_path / "w")


def test_every_cut_is_an_error_and_nothing_else() -> None:
    data = pack_variable(ARRAYS["w"])
    for keep in range(len(data)):
        with pytest.raises(ValueError, match=r"cut short|damaged|not a Fluid"):
            parse_variable(data[:keep])


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no such checkpoint"):
        read_fluid(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideozooError, match="holds no Fluid variables"):
        read_fluid(tmp_path / "empty")


def test_an_archive_is_never_unpacked(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", {"w/good": pack_variable(ARRAYS["w"])})
    assert list(read_fluid(archive)) == ["good"]
    for name in ("../../evil", "w/../../evil", "/tmp/evil"):
        tar_of(archive, {name: pack_variable(ARRAYS["w"])})
        with pytest.raises(VideozooError, match=f"'{name}' leads out of it; it is not read"):
            read_fluid(archive)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("w/passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(VideozooError, match="'w/passwords' is a link"):
        read_fluid(tmp_path / "a.tar.gz")


def test_an_archive_of_two_folders_is_refused(tmp_path: Path) -> None:
    data = pack_variable(ARRAYS["w"])
    archive = tar_of(tmp_path / "a.tar.gz", {"one/w": data, "two/w": data})
    with pytest.raises(VideozooError, match="the folders 'one' and 'two'"):
        read_fluid(archive)


def test_an_archive_that_claims_absurd_sizes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", {"w/w": pack_variable(ARRAYS["w"])})
    monkeypatch.setattr("videozoo.checkpoints.fluid._MOST_BYTES", 10)
    with pytest.raises(VideozooError, match="absurdly much"):
        read_fluid(archive)


def test_an_archive_with_an_absurdly_long_name_is_not_read_into_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 64 << 20
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(member.tobuf())
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(VideozooError, match="absurdly much"):
            read_fluid(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(1,) * 100, (0, 2**63)])
def test_a_variable_with_an_impossible_shape_is_named(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    data = bytearray(b"\x08\x05")
    for size in shape:
        data.append(0x10)
        while size > 127:
            data.append(size & 127 | 128)
            size >>= 7
        data.append(size)
    values = bytes(4 * min(shape))
    (tmp_path / "fc.w").write_bytes(struct.pack("<IQIi", 0, 0, 0, len(data)) + data + values)
    with pytest.raises(VideozooError, match=r"'fc\.w' has a damaged description of its shape"):
        read_fluid(tmp_path)


def test_a_damaged_archive_is_said_to_be(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_fluid(tmp_path / "a.tar.gz", {"w": rng.random((100, 100), dtype=np.float32)})
    whole = (tmp_path / "a.tar.gz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    cuts = [whole[:keep] for keep in (5, 100, len(whole) // 2, len(whole) - 4)]
    for damaged in (*cuts, bytes(flipped)):
        (tmp_path / "b.tar.gz").write_bytes(damaged)
        with pytest.raises(VideozooError, match=r"b.tar.gz: "):
            read_fluid(tmp_path / "b.tar.gz")


def test_writing_refuses_an_existing_folder_and_bad_names(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with pytest.raises(VideozooError, match="exists already"):
        write_fluid(tmp_path / "w", ARRAYS)
    with pytest.raises(VideozooError, match="cannot be the name"):
        write_fluid(tmp_path / "x", {"../up": ARRAYS["w"]})
    with pytest.raises(VideozooError, match="no element type"):
        write_fluid(tmp_path / "x", {"c": np.zeros(2, np.complex64)})
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def small_model(classes: int = 5) -> AttentionCluster:
    return AttentionCluster(
        feature_dims=[8, 4], cluster_nums=[3, 2], num_classes=classes, hidden_sizes=(6, 7)
    )


def test_optimizer_state_beside_the_weights_is_left_aside(tmp_path: Path) -> None:
    model = small_model()
    table = fluid_table("AttentionCluster", model)
    arrays = to_fluid(model.state_dict(), table)
    extra = {
        "fc1.weights_moment1_0": np.zeros(3, np.float32),
        "fc1.weights_beta1_pow_acc_0": np.zeros(1, np.float32),
        "learning_rate_0": np.zeros(1, np.float32),
        "@LR_DECAY_COUNTER@": np.zeros(1, np.int64),
    }
    write_fluid(tmp_path / "w", arrays | extra)
    state = load_fluid_weights(tmp_path / "w", table, model.state_dict())
    for key, value in model.state_dict().items():
        assert torch.equal(state[key], value)


def test_all_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    model = small_model()
    table = fluid_table("AttentionCluster", model)
    arrays = to_fluid(model.state_dict(), table)
    del arrays["fc1.bias"], arrays["satt0.shift_w"]
    arrays["strange"] = np.zeros(2, np.float32)
    arrays["fc2.weights"] = np.zeros((6, 9), np.float32)
    write_fluid(tmp_path / "w", arrays)
    with pytest.raises(VideozooError) as caught:
        load_fluid_weights(tmp_path / "w", table, model.state_dict())
    message = str(caught.value)
    assert "2 missing: satt0.shift_w, fc1.bias" in message
    assert "1 surplus: strange" in message
    assert "fc2.weights (expected [6, 7], found [6, 9])" in message


def test_another_number_of_classes_is_said_plainly(tmp_path: Path) -> None:
    model = TSN(num_classes=4, num_layers=18)
    write_fluid(tmp_path / "w", to_fluid(model.state_dict(), fluid_table("TSN", model)))
    other = TSN(num_classes=7, num_layers=18)
    with pytest.raises(VideozooError, match=r"for 4 classes, the config says num_classes = 7$"):
        load_fluid_weights(tmp_path / "w", fluid_table("tsn", other), other.state_dict())
