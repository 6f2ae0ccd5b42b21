"""Copies of files at addresses: whole, the newest used, and shared by processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from memory_bucket import BUCKET, Troubled, forget, put

from served import Served, serving
from videozoo.addresses import copies, places, remote
from videozoo.addresses.copies import SIZE_VARIABLE, content_sha256, fetched, local
from videozoo.addresses.places import brought, copy_path, home, is_file, stamp, walk
from videozoo.errors import VideozooError
from videozoo.files import sha256_of


def read(address: str) -> bytes:
    with local(copy_path(address)) as file:
        return file.read_bytes()


def kept() -> list[str]:
    """Returns the names of the copies that are here."""
    return sorted(path.name for path in (home() / "memory").rglob("*") if path.is_file())


def test_a_file_is_fetched_once_and_again_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = put("a.mp4", b"first")
    system = Troubled()
    monkeypatch.setattr(remote, "_system", lambda address: system)
    assert [read(address), read(address)] == [b"first", b"first"]
    forget()  # a new process
    assert read(address) == b"first"
    assert system.calls.count("get_file") == 1
    put("a.mp4", b"second")
    forget()
    assert read(address) == b"second"
    assert system.calls.count("get_file") == 2


def test_a_file_that_changes_while_a_command_runs_is_told() -> None:
    address = put("a.mp4", b"first")
    path = brought(address)
    put("a.mp4", b"second")
    with pytest.raises(VideozooError) as error, local(path):
        pass
    assert str(error.value) == (
        f"{address}: has changed since it was looked at; give the command again"
    )


def test_what_was_used_longest_ago_goes_when_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, "0.000001")  # a thousand bytes
    for i in range(3):
        read(put(f"{i}.mp4", bytes(300)))
        os.utime(copy_path(f"{BUCKET}/{i}.mp4"), (1e9 + i, 1e9))
    assert read(f"{BUCKET}/0.mp4") == bytes(300)  # which makes it the newest
    read(put("3.mp4", bytes(300)))
    assert kept() == ["0.mp4", "2.mp4", "3.mp4"]
    assert read(f"{BUCKET}/1.mp4") == bytes(300)


def test_a_file_that_is_open_stays_though_it_is_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, "0.000001")
    addresses = [put(f"{i}.mp4", bytes(400)) for i in range(3)]
    with local(copy_path(addresses[0])) as file:
        os.utime(file, (1, 1))
        read(addresses[1])
        read(addresses[2])
        assert file.is_file()
    assert "1.mp4" not in kept()


def test_a_file_larger_than_all_copies_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, "0.000001")
    address = put("a.mp4", bytes(2000))
    with pytest.raises(VideozooError, match=f"give {SIZE_VARIABLE} a larger number"):
        read(address)
    monkeypatch.setenv(SIZE_VARIABLE, "lots")
    with pytest.raises(VideozooError, match="VIDEOZOO_BUCKETS_GB is lots: must be a number of GB"):
        read(address)


def test_a_transfer_that_breaks_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    address = put("a.mp4", b"0123456789")
    system = Troubled(loses=(3,) * 50)
    monkeypatch.setattr(remote, "_system", lambda address: system)
    with pytest.raises(VideozooError, match="breaks off at 7 bytes of 10"):
        read(address)
    assert kept() == []


def test_a_copy_is_never_taken_for_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed between the record and the file leaves no wrong pair."""
    address = put("a.mp4", b"first")
    read(address)
    put("a.mp4", b"second")
    forget()
    monkeypatch.setattr(copies, "write_record", lambda path, said: (_ for _ in ()).throw(OSError))
    with pytest.raises(VideozooError, match="cannot be kept"):
        read(address)
    assert kept() == []


def test_the_hash_of_a_file_that_was_here_is_known_without_fetching_it() -> None:
    address = put("a.mp4", b"video")
    path = copy_path(address)
    expected = content_sha256(path)
    assert expected == sha256_of(path)
    path.unlink()
    forget()
    assert content_sha256(path) == expected
    assert kept() == []
    put("a.mp4", b"other")
    forget()
    assert content_sha256(path) != expected


def test_a_folder_is_walked_as_it_was_listed() -> None:
    for name in ("v/cat/1.mp4", "v/cat/old/2.mp4", "v/dog/3.mp4", "v/a.csv", "w/4.mp4"):
        put(name, b"x")
    folder = brought(f"{BUCKET}/v")
    found = [(Path(place).name, folders, names) for place, folders, names in walk(folder)]
    assert found[0] == ("v", ["cat", "dog"], ["a.csv"])
    assert sorted(found[1:]) == [("cat", ["old"], ["1.mp4"]), ("dog", [], ["3.mp4"]),
                                 ("old", [], ["2.mp4"])]  # fmt: skip
    assert is_file(folder / "cat" / "1.mp4")
    assert not is_file(folder / "cat" / "5.mp4")
    assert not is_file(folder / "cat")
    assert kept() == []


def test_a_stamp_changes_with_the_file_at_the_address() -> None:
    address = put("a.mp4", b"one")
    before = stamp(copy_path(address))
    assert stamp(copy_path(address)) == before
    put("a.mp4", b"two")
    forget()
    assert stamp(copy_path(address)) != before


def test_threads_that_want_one_file_fetch_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    address = put("a.mp4", bytes(100_000))
    system = Troubled()
    monkeypatch.setattr(remote, "_system", lambda address: system)
    brought(address)
    threads = [threading.Thread(target=read, args=(address,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert system.calls.count("get_file") == 1


def test_processes_that_want_one_file_fetch_it_once() -> None:
    code = (
        "import sys; from videozoo.addresses.copies import fetched; from pathlib import Path;"
        " data = fetched(sys.argv[1]).read_bytes(); assert data == bytes(100_000), len(data)"
    )
    with serving({"a.mp4": Served(bytes(100_000), drips=0.0002)}) as site:
        commands = [sys.executable, "-c", code, site.url("a.mp4")]
        running = [subprocess.Popen(commands) for _ in range(3)]
        assert [one.wait() for one in running] == [0, 0, 0]
        assert site.asked.count("a.mp4") == 1


def test_a_file_that_is_here_already_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    assert fetched(tmp_path / "a.mp4") == tmp_path / "a.mp4"
    assert fetched(f"file://{tmp_path}/a.mp4") == tmp_path / "a.mp4"
    assert not places._known
