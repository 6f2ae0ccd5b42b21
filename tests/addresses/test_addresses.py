"""Addresses: told from paths, asked again while faults may pass, and never shown with secrets."""

from __future__ import annotations

import errno
import sys
import threading
import time
from pathlib import Path

import pytest
from memory_bucket import BUCKET, Troubled, content, names, put

from served import Served, serving
from videozoo.addresses import remote
from videozoo.addresses.copies import local
from videozoo.addresses.places import address_of, brought, copy_path, known
from videozoo.addresses.remote import about, download, is_address, listing, upload
from videozoo.errors import SampleError, VideozooError

SIGNED = "?X-Amz-Signature=f00d&X-Amz-Credential=AKIAABCDEFGHIJKLMNOP"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s3://bucket/a.mp4", True),
        ("gs://bucket/a.mp4", True),
        ("hdfs:///videos", True),
        ("https://host/a.mp4", True),
        ("file:///videos/a.mp4", True),
        ("rtsp://camera/1", False),
        ("videos/a.mp4", False),
        ("s3:/bucket/a.mp4", False),
        ("a s3://bucket/a.mp4", False),
    ],
)
def test_what_is_an_address(text: str, told: bool) -> None:
    assert is_address(text) == told


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/train/a cat/1.mp4", "hdfs:///videos/a.mp4", "https://host:8/a%20b.mp4",
     f"https://host/a.mp4{SIGNED}", f"https://host/name{SIGNED}", "s3://bucket/what?.mp4"],
)  # fmt: skip
def test_an_address_is_a_path_and_back(address: str) -> None:
    path = copy_path(address)
    assert address_of(path) == address
    assert address_of(path.parent / "x" / ".." / path.name) == address
    assert "f00d" not in str(path)
    assert path.suffix == ("" if "/name" in address else ".mp4")


def test_a_file_address_is_an_ordinary_path(tmp_path: Path) -> None:
    assert brought(f"file://{tmp_path}/a%20b.mp4") == tmp_path / "a b.mp4"
    assert address_of(tmp_path / "buckets" / "a.mp4") is None


@pytest.mark.parametrize("address", ["s3://", "s3://bucket//a", "s3://bucket/../a"])
def test_an_address_that_has_no_path_is_refused(address: str) -> None:
    with pytest.raises(VideozooError, match="a part of it is empty"):
        copy_path(address)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(VideozooError, match="leave name and password out") as error:
        copy_path("https://me:secret@host/a.mp4")
    assert "secret" not in str(error.value)


def test_faults_that_pass_are_tried_again_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = put("a.mp4", b"video")
    slow_down = OSError(errno.EBUSY, "Please reduce your request rate.")
    system = Troubled(slow_down, ConnectionResetError(), TimeoutError())
    monkeypatch.setattr(remote, "_system", lambda address: system)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert about(address).size == 5
    assert system.calls == ["info"] * 4
    assert all(0.5 <= pause / 0.001 / 2**i <= 1.5 for i, pause in enumerate(pauses))


def test_tries_are_bounded_in_number_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    address = put("a.mp4", b"video")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for longest, tries in ((120.0, remote.TRIES), (0.0, 1)):
        system = Troubled(*[OSError(errno.EBUSY, "SlowDown")] * 50)
        monkeypatch.setattr(remote, "_system", lambda address, system=system: system)
        monkeypatch.setattr(remote, "LONGEST", longest)
        with pytest.raises(VideozooError) as error:
            about(address)
        assert str(error.value) == f"{address}: cannot be had in {tries} tries (SlowDown)"
        assert not isinstance(error.value, SampleError)  # the other files cannot be had either
        assert len(system.calls) == tries


def test_a_try_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    tries: list[int] = []

    def ask() -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            hangs.wait(30)
        return "answer"

    assert remote._tried(BUCKET, ask, 0.05) == "answer"
    assert tries == [0, 1]
    hangs.set()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (FileNotFoundError("bucket/a.mp4"), "there is no such file or folder"),
        (PermissionError("Forbidden"), "access is refused (Forbidden)"),
    ],
)
def test_what_no_try_mends_is_of_that_file_alone_and_asked_once(
    fault: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Troubled(*[fault] * 2)
    monkeypatch.setattr(remote, "_system", lambda address: system)
    with pytest.raises(SampleError) as error:
        about(f"{BUCKET}/a.mp4")
    assert str(error.value) == f"{BUCKET}/a.mp4: {said}"
    assert len(system.calls) == 1
    path = copy_path(f"{BUCKET}/a.mp4")
    assert known(path) is None
    with pytest.raises(SampleError) as error, local(path):
        pass
    assert str(error.value) == f"{BUCKET}/a.mp4: {said}"


def test_a_file_that_comes_short_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = put("a.mp4", b"0123456789")
    system = Troubled(loses=(3, 1))
    monkeypatch.setattr(remote, "_system", lambda address: system)
    download(about(address), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"0123456789"
    assert system.calls.count("get_file") == 3


def test_an_upload_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = put("result.json", b"old")
    (tmp_path / "new.json").write_bytes(b"new")
    system = Troubled(None, *[ConnectionResetError()] * 50)  # behind the first one's part
    monkeypatch.setattr(remote, "_system", lambda address: system)
    with pytest.raises(VideozooError, match="cannot be had in 6 tries"):
        upload(tmp_path / "new.json", address)
    assert content("result.json") == b"old"
    system.faults.clear()
    upload(tmp_path / "new.json", address)
    assert content("result.json") == b"new"
    assert names() == ["result.json"]


def test_a_folder_lists_its_files_at_any_depth() -> None:
    for name in ("v/cat/1.mp4", "v/cat/old/2.mp4", "v/list.txt", "w/3.mp4"):
        put(name, name.encode())
    found = listing(f"{BUCKET}/v/")
    assert [one.address for one in found] == [
        f"{BUCKET}/v/{name}" for name in ("cat/1.mp4", "cat/old/2.mp4", "list.txt")
    ]
    assert [one.size for one in found] == [11, 15, 10]
    assert [one.version for one in found] == [about(one.address).version for one in found]


def test_a_missing_library_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(VideozooError) as error:
        about("s3://bucket/a.mp4")
    line = 'pip install "videozoo[fleet]"'
    assert str(error.value) == f"s3://bucket/a.mp4: cannot be read without {line}"


def test_a_web_server_needs_no_library_and_its_signed_addresses_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with serving({f"a.mp4{SIGNED}": Served(b"video", stops=[2])}) as site:
        path = brought(site.url(f"a.mp4{SIGNED}"))  # HEAD is not answered: it is signed for GET
        with local(path) as file:
            assert file.read_bytes() == b"video"
        with pytest.raises(VideozooError) as error, local(brought(site.url(f"b.mp4{SIGNED}"))):
            pass
        folder = site.url("folder")
        with pytest.raises(VideozooError, match="answers 404") as no_folder:
            brought(folder)
    assert str(error.value) == f"{site.url('b.mp4')}: answers 404 Not Found"
    assert "f00d" not in f"{error.value}{no_folder.value}"


def test_secrets_of_a_librarys_sentence_are_left_out() -> None:
    text = f"Could not connect to https://me:pw@host/a.mp4{SIGNED} with AKIAABCDEFGHIJKLMNOP"
    told = str(remote._fault("s3://bucket/a.mp4", ValueError(text), 1))
    assert told == (
        "s3://bucket/a.mp4: cannot be had (Could not connect to https://host/a.mp4 with (secret))"
    )
