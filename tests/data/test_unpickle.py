"""load_pickle gives data back and runs nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videozoo.errors import SampleError, VideozooError
from videozoo.pickling.unpickle import load_pickle

GOLDEN = Path(__file__).parent / "youtube8m" / "golden" / "youtube8m.pkl"

# what Python 2.7 with numpy 1.16 writes for {'video': 'a\xe9', 'x': array([[1, 2]], uint8)}
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x05videoq\x01U\x02a\xe9q\x02U\x01xq\x03cnumpy.core.multiarray\n"
    b"_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85q\x06U\x01bq\x07\x87q\x08Rq\t(K\x01K\x01"
    b"K\x02\x86q\ncnumpy\ndtype\nq\x0bU\x02u1q\x0cK\x00K\x01\x87q\rRq\x0e(K\x03U\x01|q\x0fNNNJ"
    b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\x89U\x02\x01\x02q\x11tq\x12bu."
)

ARRAYS = [
    np.arange(24, dtype=np.uint8).reshape(4, 6),
    np.arange(6, dtype=">i4").reshape(2, 3).T,
    np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2),
    np.zeros((0, 1024), dtype=np.uint8),
    np.array(7),
    np.array([True, False]),
    np.array(["ab", "c"]),
    np.array([b"ab", b"c"]),
]


class Evil:
    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> object:
        return self.call


def protocol_2(module: str, name: str, call: bytes) -> bytes:
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n" + call + b"R."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_come_back(array: np.ndarray, protocol: int) -> None:
    [found] = load_pickle(pickle.dumps([array], protocol), what="x")
    assert type(found) is np.ndarray
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(protocol: int) -> None:
    shared = [1]
    value = {
        "a": [None, True, -3, 2**80, 1.5],
        b"b": ("text é", b"", b"\xff\x00", bytearray(b"ab"), bytearray()),
        (1, 2): [shared, shared],
        "n": [np.float32(2.5), np.int64(-7), np.bool_(True)],
    }
    assert load_pickle(pickle.dumps(value, protocol), what="x") == value


def test_python_2_text_comes_as_bytes_and_arrays_as_arrays() -> None:
    found = load_pickle(PYTHON_2, what="x")
    assert found[b"video"] == b"a\xe9"
    np.testing.assert_array_equal(found[b"x"], np.array([[1, 2]], dtype=np.uint8))
    protocol_0 = b"(dp0\nS'label'\np1\n(lp2\nI3\naI5\nasS'id'\np3\nS'x\\xff'\np4\ns."
    assert load_pickle(protocol_0, what="x") == {b"label": [3, 5], b"id": b"x\xff"}


def test_the_originals_pickle_is_read_from_its_file() -> None:
    records = load_pickle(GOLDEN, what="the shard")
    assert [record[b"video"] for record in records] == [b"vid%03d" % i for i in range(30, 36)]
    assert records[0][b"feature"].shape == (300, 1024)
    assert load_pickle(str(GOLDEN), what="x")[1][b"label"] == [120, 795, 2883]


def test_a_program_is_named_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    file = tmp_path / "evil.pkl"
    file.write_bytes(pickle.dumps([np.zeros(3), Evil(os.mkdir, str(mark))]))
    with pytest.raises(VideozooError, match=r"evil\.pkl wants to run posix\.mkdir") as caught:
        load_pickle(file, what=str(file))
    assert "it is not a data file; do not trust it" in str(caught.value)
    assert str(caught.value).count(str(file)) == 1
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists(), "the test's own pickle must be a working attack"


@pytest.mark.parametrize(
    ("function", "args"),
    [(eval, ("1",)), (getattr, ("a", "b")), (subprocess.Popen, ("true",)), (np.load, ("x",))],
)
def test_other_names_are_refused(function: object, args: tuple[object, ...]) -> None:
    with pytest.raises(VideozooError, match="wants to run"):
        load_pickle(pickle.dumps(Evil(function, *args)), what="x")


@pytest.mark.parametrize(
    "content",
    [
        protocol_2("_codecs", "encode", b"X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86"),
        protocol_2("_codecs", "encode", b"K\x05X\x06\x00\x00\x00latin1\x86"),
        protocol_2("builtins", "bytes", b"J\xff\xff\xff\x7f\x85"),
        protocol_2("builtins", "bytearray", b"J\xff\xff\xff\x7f\x85"),
        protocol_2("numpy", "ndarray", b"J\xff\xff\xff\x7f\x85"),
        b"\x80\x02cnumpy\nndarray\n.",
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02]r\xff\xff\xff\x7f",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00abc",
        b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
        b"\x80\x05\x96\x00\x00\x00\xc0\x00\x00\x00\x00a",  # a bytearray of 3 GiB
        b"\x80\x04)" + b"q\x000h\x00h\x00\x86" * 40 + b"}h\x00K\x01s.",  # hashed for ever
        b"\x80\x04\x8f(]\x90.",
        b"hello, this is text\n",
        b"",
    ],
)
def test_what_is_not_data_is_one_sentence(content: bytes) -> None:
    with pytest.raises(SampleError, match=r"^the clip: a damaged or cut off pickle \("):
        load_pickle(content, what="the clip")


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()], dtype=object),
        np.zeros(2, dtype=[("a", "i4"), ("b", "f4")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
)
def test_arrays_that_hold_more_than_numbers_are_refused(array: np.ndarray) -> None:
    content = pickle.dumps(array.astype("O") if array.dtype == object else array)
    with pytest.raises(SampleError):
        load_pickle(content, what="x")


def test_an_array_must_have_the_bytes_its_shape_says() -> None:
    content = pickle.dumps(np.arange(6, dtype=np.uint8).reshape(2, 3), 2)
    assert content.count(b"K\x02K\x03\x86") == 1
    longer = content.replace(b"K\x02K\x03\x86", b"K\x63K\x03\x86")
    with pytest.raises(SampleError, match=r"shape \(99, 3\) with 6 bytes"):
        load_pickle(longer, what="x")


def test_a_list_held_a_billion_times_takes_no_time() -> None:
    value: list[object] = []
    for _ in range(40):
        value = [value, value]
    found = load_pickle(pickle.dumps(value), what="x")
    assert found[0] is found[1]


@pytest.mark.parametrize("module", ["_codecs", "builtins"])
def test_one_text_made_into_bytes_again_and_again_is_refused(module: str) -> None:
    name, text = ("encode", b"X") if module == "_codecs" else ("bytearray", b"B")
    content = protocol_2(module, name, b"")[:-2] + b"q\x000"
    content += text + (1 << 16).to_bytes(4, "little") + b"a" * (1 << 16) + b"q\x010"
    content += b"X\x06\x00\x00\x00latin1q\x020]"
    call = b"h\x00h\x01h\x02\x86R" if module == "_codecs" else b"h\x00h\x01\x85R"
    assert len(load_pickle(content + call + b"a.", what="x")[0]) == 1 << 16
    with pytest.raises(SampleError, match="again and again"):
        load_pickle(content + (call + b"a") * 1000 + b".", what="x")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_off_file_is_named(keep: float, tmp_path: Path) -> None:
    content = GOLDEN.read_bytes()
    file = tmp_path / "cut.pkl"
    file.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(SampleError, match=r"cut\.pkl: a damaged or cut off pickle"):
        load_pickle(file, what="the shard")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"none\.pkl: cannot be read: No such file"):
        load_pickle(tmp_path / "none.pkl", what="the shard")
    with pytest.raises(SampleError, match="cannot be read: Is a directory"):
        load_pickle(tmp_path, what="the shard")


@settings(max_examples=300)
@given(at=st.integers(0, len(PYTHON_2) - 1), byte=st.integers(0, 255), cut=st.integers(0, 300))
def test_damage_never_gives_another_error(at: int, byte: int, cut: int) -> None:
    content = bytearray(PYTHON_2)
    content[at] = byte
    with suppress(VideozooError):  # any other exception fails the test
        load_pickle(bytes(content[: len(content) - cut // 2]), what="x")


def test_torch_is_not_imported() -> None:
    code = "import sys, videozoo.pickling.unpickle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
