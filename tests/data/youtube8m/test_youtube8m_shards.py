"""Which files a filelist means."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import pytest

from videozoo.data.youtube8m.shards import kind_of_shard, list_shards
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import SampleError, VideozooError


def test_a_list_file_keeps_its_order(shards: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "train.list"
    file.write_bytes(
        b"\xef\xbb\xbf# shards\r\n\r\ntrain01.tfrecord\r\n"
        + str(shards[0]).encode()
        + b"  \r\n   \r\ntrain01.tfrecord"
    )
    assert list_shards(str(file)) == [shards[1], shards[0], shards[1]]


def test_relative_names_from_the_working_folder_first(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "a.list").write_text("train00.tfrecord\ntrain01.tfrecord\n")
    (here / "train01.tfrecord").write_bytes(shards[1].read_bytes())
    monkeypatch.chdir(here)
    assert list_shards("../a.list") == [Path("../train00.tfrecord"), Path("train01.tfrecord")]
    assert list_shards("a.list", tmp_path) == [shards[0], Path("train01.tfrecord")]
    with pytest.raises(VideozooError, match="there is no such list, folder or shard"):
        list_shards("a.list")


def test_all_missing_shards_are_named(shards: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "train.list"
    file.write_text("train00.tfrecord\nnone1.tfrecord\ntrain01.tfrecord\nsub/none2.pkl\n")
    with pytest.raises(VideozooError, match="2 of 4 listed shards do not exist") as caught:
        list_shards(str(file))
    assert str(caught.value).endswith(":\n  none1.tfrecord\n  sub/none2.pkl")
    assert str(file) in str(caught.value)


def test_a_folder_a_pattern_and_one_shard(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no shard")
    (tmp_path / ".hidden.tfrecord").touch()
    assert list_shards(str(tmp_path)) == shards
    assert list_shards(tmp_path / "train*.tfrecord") == shards
    assert list_shards("train0?.tfrecord", tmp_path) == shards
    assert list_shards(str(shards[1])) == [shards[1]]
    unnamed = tmp_path / "shard"
    unnamed.write_bytes(shards[0].read_bytes())
    assert list_shards(str(unnamed)) == [unnamed]
    (tmp_path / "one.dat").write_bytes(pickle.dumps([{}], 2))
    assert list_shards(str(tmp_path / "one.dat")) == [tmp_path / "one.dat"]


def test_nothing_found_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match=r"no file matches .*x\*"):
        list_shards(str(tmp_path / "x*.tfrecord"))
    with pytest.raises(VideozooError, match="holds no shard"):
        list_shards(str(tmp_path))
    (tmp_path / "empty.list").write_text("\n# nothing\n")
    with pytest.raises(VideozooError, match=r"empty\.list: the list names no shard"):
        list_shards(str(tmp_path / "empty.list"))
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    with pytest.raises(VideozooError, match="neither a text file"):
        list_shards(str(tmp_path / "binary"))


def test_content_and_not_the_name_tells_the_kind(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a.pkl", [b"record"])
    assert kind_of_shard(tmp_path / "a.pkl") == "tfrecord"
    for protocol in range(6):
        for name, value in (("b", [{"video": 1}]), ("c", {"video": 1})):
            (tmp_path / f"{name}.tfrecord").write_bytes(pickle.dumps(value, protocol))
            assert kind_of_shard(tmp_path / f"{name}.tfrecord") == "pickle"
    (tmp_path / "d.tfrecord").write_bytes(bytes(100))
    assert kind_of_shard(tmp_path / "d.tfrecord") == "tfrecord"
    (tmp_path / "e.pkl").write_bytes(b"oh")
    assert kind_of_shard(tmp_path / "e.pkl") == "pickle"


def test_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(gzip.compress(b"record"))
    with pytest.raises(SampleError, match="compressed with gzip; unpack it first"):
        kind_of_shard(tmp_path / "a.tfrecord")
    (tmp_path / "b.csv").write_text("id,label\n")
    with pytest.raises(SampleError, match=r"b\.csv: is neither a TFRecord file nor a pickle"):
        kind_of_shard(tmp_path / "b.csv")
    with pytest.raises(SampleError, match=r"c: cannot be read"):
        kind_of_shard(tmp_path / "c")
