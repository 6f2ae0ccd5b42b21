"""Transfers from a server that misbehaves: whole and equal to the byte, or not at all."""

from __future__ import annotations

import random
import resource
from pathlib import Path

import pytest

from served import Served, Site, serving
from videozoo.errors import VideozooError
from videozoo.zoo import download
from videozoo.zoo.download import AddressError, fetch

DATA = random.Random(1).randbytes(1_000_000)
DATE = "Wed, 21 Oct 2020 07:28:00 GMT"


def fetched(served: Served, part: Path, name: str = "file") -> Site:
    """Fetches the file; it must come out whole."""
    with serving({name: served}) as site:
        fetch(site.url(name), part)
    assert part.read_bytes() == DATA
    return site


def refused(served: Served | dict[str, Served], part: Path) -> str:
    """Fetches the file `file`; it must be refused. Returns the reason."""
    files = served if isinstance(served, dict) else {"file": served}
    with serving(files) as site, pytest.raises(AddressError) as error:
        fetch(site.url("file"), part)
    return str(error.value)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".file.part"


def test_a_file_and_how_far_it_is(part: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with serving({"file": Served(DATA)}) as site:
        fetch(site.url("file"), part, report=lambda done, total: told.append((done, total)))
    assert part.read_bytes() == DATA
    assert (told[0], told[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))
    assert sorted(told) == told


@pytest.mark.parametrize(
    ("etag", "changed", "condition"),
    [('"one"', "", '"one"'), ("", DATE, DATE), ('W/"weak"', DATE, DATE), ('"one"', DATE, '"one"')],
)
def test_a_broken_transfer_goes_on_where_it_broke(
    part: Path, etag: str, changed: str, condition: str
) -> None:
    stops: list[int | None] = [300_000, 200_000, 0, 100]
    site = fetched(Served(DATA, etag=etag, changed=changed, stops=stops), part)
    starts = [0, 300_000, 500_000, 500_000, 500_100]
    ranges = [(f"bytes={n}-", condition) if n else ("", "") for n in starts]
    assert [asked[1:] for asked in site.asked] == ranges


@pytest.mark.parametrize("served", [{"etag": ""}, {"etag": 'W/"weak"'}, {"ranges": False}])
def test_what_cannot_go_on_begins_anew(part: Path, served: dict[str, object]) -> None:
    site = fetched(Served(DATA, stops=[300_000], **served), part)  # type: ignore[arg-type]
    assert len(site.asked) == 2
    assert bool(site.asked[1][1]) is ("ranges" in served)


def test_a_later_run_goes_on_too(part: Path) -> None:
    served = Served(DATA, stops=[700, 0, 0])
    with serving({"file": served}) as site:
        with pytest.raises(AddressError, match=r"breaks off at 700 bytes of 1,000,000"):
            fetch(site.url("file"), part)
        assert part.read_bytes() == DATA[:700]
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked[-1][1] == "bytes=700-"


def test_an_address_that_gives_nothing_costs_nothing_of_another_ones(part: Path) -> None:
    with serving({"file": Served(DATA, stops=[700, 0, 0])}) as site:
        for name in ("file", "gone"):
            with pytest.raises(AddressError):
                fetch(site.url(name), part)
        with pytest.raises(AddressError, match="cannot be reached"):
            fetch("http://127.0.0.1:9/file", part)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked[-1][1] == "bytes=700-"


def test_another_address_begins_anew(part: Path) -> None:
    other = Served(DATA[::-1], stops=[700, 0, 0])
    with serving({"file": Served(DATA), "other": other}) as site:
        with pytest.raises(AddressError):
            fetch(site.url("other"), part)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked[-1] == ("file", "", "")


def test_a_file_that_changes_in_between_begins_anew(part: Path) -> None:
    first = Served(DATA[::-1], etag='"old"', stops=[700, 0, 0])
    with serving({"file": first}) as site:
        with pytest.raises(AddressError):
            fetch(site.url("file"), part)
        site.files["file"] = Served(DATA)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("tags", [('"old"', '"one"', ""), ("", "", DATE)])
def test_a_file_that_changes_where_if_range_is_not_heeded(
    part: Path, tags: tuple[str, str, str]
) -> None:
    first = Served(DATA[::-1], etag=tags[0], changed="Tue, 20 Oct 2020 07:28:00 GMT")
    first.stops = [700, 0, 0]
    with serving({"file": first}) as site:
        with pytest.raises(AddressError):
            fetch(site.url("file"), part)
        site.files["file"] = Served(DATA, etag=tags[1], changed=tags[2], heeds=False)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA


def test_parts_need_not_name_the_file_again(part: Path) -> None:
    stops: list[int | None] = [700, 200]
    with serving({"file": Served(DATA, stops=stops, names_parts=False)}) as site:
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert [asked[1] for asked in site.asked] == ["", "bytes=700-", "bytes=900-"]


def test_a_file_that_grows_under_the_same_tag_begins_anew(part: Path) -> None:
    with serving({"file": Served(DATA[:5000], stops=[700, 0, 0])}) as site:
        with pytest.raises(AddressError):
            fetch(site.url("file"), part)
        site.files["file"] = Served(DATA)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA


def test_another_part_than_was_asked_for_is_not_appended(part: Path) -> None:
    site = fetched(Served(DATA, stops=[700], starts=5), part)
    assert [asked[1] for asked in site.asked] == ["", "bytes=700-", ""]


def test_what_is_whole_is_not_asked_for_again(part: Path) -> None:
    with serving({"file": Served(DATA)}) as site:
        fetch(site.url("file"), part)
        fetch(site.url("file"), part)
    assert len(site.asked) == 1
    assert part.read_bytes() == DATA


def test_a_file_of_unstated_length(part: Path) -> None:
    fetched(Served(DATA, length=-1), part)


def test_a_file_of_unstated_length_that_breaks(part: Path) -> None:
    reason = refused(Served(DATA, length=-1, stops=[700, 700, 700], ranges=False), part)
    assert reason == "breaks off at 700 bytes"


def test_more_bytes_promised_than_there_are(part: Path) -> None:
    reason = refused(Served(DATA, length=len(DATA) + 5), part)
    assert reason == "breaks off at 1,000,000 bytes of 1,000,005"


def test_absurd_lengths_are_not_begun(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "absurdly much" in refused(Served(DATA, length=1 << 40), part)
    monkeypatch.setattr(download, "MOST_BYTES", 600_000)
    assert "sends more than 600,000 bytes" in refused(Served(DATA, length=-1), part)
    assert not part.exists()


def test_no_room(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 999_999

    monkeypatch.setattr(download.shutil, "disk_usage", lambda place: Usage)
    with (
        serving({"file": Served(DATA)}) as site,
        pytest.raises(VideozooError, match=r"999,999 bytes left, 1,000,000 are needed"),
    ):
        fetch(site.url("file"), part)


def test_a_full_disk(part: Path) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving({"file": Served(DATA[:2000])}) as site:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
        try:
            with pytest.raises(VideozooError, match=r"part: cannot be written: File too large"):
                fetch(site.url("file"), part)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA[:2000]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusals_are_not_repeated(part: Path, status: int) -> None:
    with (
        serving({"file": Served(status=status)}) as site,
        pytest.raises(AddressError, match=f"^answers {status} "),
    ):
        fetch(site.url("file"), part)
    assert len(site.asked) == 1
    assert not part.exists()


def test_a_busy_server_is_asked_again(part: Path) -> None:
    site = fetched(Served(DATA, statuses=[503, 429]), part)
    assert len(site.asked) == 3
    assert "answers 500" in refused(Served(DATA, status=500), part)


def test_a_part_that_is_longer_than_the_file(part: Path) -> None:
    served = Served(DATA, stops=[700_000, 0, 0])
    with serving({"file": served}) as site:
        with pytest.raises(AddressError):
            fetch(site.url("file"), part)
        part.write_bytes(DATA + b"more")
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked[-2][1] == "bytes=1000004-"  # answered 416


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_the_range(part: Path, status: int) -> None:
    files = {"file": Served(status=status, place="/there"), "there": Served(DATA, stops=[700])}
    with serving(files) as site:
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked[-1] == ("there", "bytes=700-", '"one"')


def test_redirects_that_lead_nowhere(part: Path) -> None:
    assert "answers 302" in refused(Served(status=302, place="/file"), part)
    reason = refused(Served(status=302, place="file:///etc/passwd"), part)
    assert "is not allowed" in reason
    reason = refused(Served(status=302, place="http://[bad/"), part)
    assert reason == "cannot be reached (Invalid IPv6 URL)"
    reason = refused(Served(status=302, place="ftp://127.0.0.1/file"), part)
    assert reason == "leads to ftp://127.0.0.1/file, which is no https address"
    files = {"file": Served(status=301, place="/gone")}
    assert refused(files, part) == "answers 404 Not Found"


def test_redirects_do_not_leave_https() -> None:
    request = download.Request("https://example.org/file")
    with pytest.raises(AddressError, match="no https address"):
        download._Redirects().redirect_request(
            request,
            None,
            302,
            "Found",
            {},
            "http://example.org/file",  # type: ignore[arg-type]
        )


def test_nobody_answers(part: Path) -> None:
    with serving({}) as site:
        pass
    with pytest.raises(AddressError, match=r"^cannot be reached \(Connection refused\)$"):
        fetch(site.url("file"), part)
    with pytest.raises(AddressError, match="no http or https address"):
        fetch("file:///etc/passwd", part)
    for address in ("http://[bad/file", "http://127.0.0.1:9/\u00e9"):
        with pytest.raises(AddressError, match=r"^cannot be reached"):
            fetch(address, part)


def test_a_network_that_goes_away_is_waited_for(
    part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"file": Served(DATA, stops=[700])}) as site:
        opened, transfer = [], download._open

        def flaky(address: str, headers: dict[str, str], *, begun: bool) -> object:
            opened.append(address)
            address = "http://127.0.0.1:9/" if len(opened) == 2 else address
            return transfer(address, headers, begun=begun)

        monkeypatch.setattr(download, "_open", flaky)
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert len(opened) == 3
