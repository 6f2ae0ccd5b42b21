"""Addresses that give something else, or nothing: one sentence, and nothing is left behind."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from published import archive_of, left, refused, tar_of, weights_of
from served import Served, serving
from tiny import World, feature_world
from videozoo.checkpoints.native import load_native
from videozoo.errors import VideozooError
from videozoo.zoo import store
from videozoo.zoo.store import pull


@pytest.fixture
def archive(feature_data: World, tmp_path: Path) -> bytes:
    return archive_of(feature_data, tmp_path)


def test_addresses_are_tried_in_turn(feature_data: World, archive: bytes, tmp_path: Path) -> None:
    other = archive_of(feature_world(tmp_path, "AttentionLSTM"), tmp_path)
    files = {
        "page": Served(b"\n<!DOCTYPE html><p>Log in</p>"),
        "cut": Served(archive, length=len(archive) - 100),
        "other": Served(other),
        "nothing": Served(b""),
        "good": Served(archive),
    }
    names = ["gone", *files]
    with serving(files) as site:
        path = pull(weights_of(feature_data, *map(site.url, names)))
    assert site.asked == names
    assert load_native(path).model == "AttentionCluster"


def test_every_address_says_what_was_wrong(feature_data: World, archive: bytes) -> None:
    files = {
        "page": Served(b"<html>"),
        "cut": Served(archive, length=len(archive) - 100),
        "text": Served(b"no archive at all"),
    }
    with serving(files) as site:
        urls = [site.url(name) for name in ("gone", *files)]
        said = refused(weights_of(feature_data, *urls))
    assert said.startswith(
        f"tiny cannot be fetched: {urls[0]} answers 404 Not Found;"
        f" {urls[1]} gives no sound tiny: is a web page;"
        f" {urls[2]} gives no sound tiny: cannot be read (Compressed file ended"
    )
    assert f"; {urls[3]} gives no sound tiny: " in said
    assert said.endswith(
        f"; fetch {urls[0]} by hand and put it to {store.folder() / 'tiny.tar.gz'}"
    )
    assert "\n" not in said
    assert ".part" not in said
    assert left() == []


def test_no_network_is_one_short_sentence(feature_data: World) -> None:
    with serving({}) as site:
        pass
    published = weights_of(feature_data, site.url("a/tiny.tar.gz"), site.url("b/tiny.tar.gz"))
    with pytest.raises(VideozooError) as error:
        pull(published, instead=", or stay at home")
    assert str(error.value) == (
        f"tiny cannot be fetched: {site.address.removeprefix('http://')} cannot be reached"
        f" (Connection refused); fetch {site.url('a/tiny.tar.gz')} by hand and put it to"
        f" {store.folder() / 'tiny.tar.gz'}, or stay at home"
    )
    assert left() == []


def escaping() -> dict[str, bytes]:
    """Archives that would write outside of where they are unpacked, or hold what is no file."""

    def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        return member

    return {
        "up": tar_of((tarfile.TarInfo("../../escaped"), b"x")),
        "inside": tar_of((tarfile.TarInfo("w/../../escaped"), b"x")),
        "absolute": tar_of((tarfile.TarInfo("/tmp/escaped"), b"x")),
        "symlink": tar_of((link("w/fc1.weights", tarfile.SYMTYPE, "/etc/passwd"), b"")),
        "hardlink": tar_of((link("w/fc1.weights", tarfile.LNKTYPE, "../../escaped"), b"")),
        "device": tar_of((link("w/fc1.weights", tarfile.CHRTYPE, ""), b"")),
        "fifo": tar_of((link("w/fc1.weights", tarfile.FIFOTYPE, ""), b"")),
    }


@pytest.mark.parametrize("how", list(escaping()))
def test_archives_that_try_to_escape(feature_data: World, tmp_path: Path, how: str) -> None:
    before = set(tmp_path.rglob("*"))
    with serving({"tiny.tar.gz": Served(escaping()[how])}) as site:
        said = refused(weights_of(feature_data, site.url("tiny.tar.gz")))
    assert re.search("leads out of it; it is not read|is a link or device; it is not read", said)
    assert left() == []
    new = {path.name for path in set(tmp_path.rglob("*")) - before}
    assert new == {"home", "zoo", ".tiny.lock"}
    assert not Path("/tmp/escaped").exists()
