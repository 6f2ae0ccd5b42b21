"""Results at an address: uploaded when whole, and not before."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from memory_bucket import BUCKET, Troubled, content, names, put

from videozoo.addresses import remote, results
from videozoo.addresses.places import brought, home
from videozoo.addresses.results import parts_taken, results_folder, uploading
from videozoo.errors import VideozooError, as_given
from videozoo.files import replacing, write_text
from videozoo.shards import Shard

RUN = f"{BUCKET}/run"


def left() -> list[str]:
    """Returns the files of results that are left on this machine."""
    return [path.name for path in (home() / "results").rglob("*") if path.is_file()]


def test_an_ordinary_folder_is_itself(tmp_path: Path) -> None:
    with results_folder("out") as folder:
        assert folder == Path("out")
    with results_folder(f"file://{tmp_path}/out") as folder:
        assert folder == tmp_path / "out"


def test_files_are_uploaded_at_the_end_and_go_from_here() -> None:
    with results_folder(f"{RUN}/") as folder:
        write_text(folder / "a.json", "{}")
        write_text(folder / "logs" / "b.txt", "b")
        write_text(folder / "x_result.parts" / "0000.part", "half a result")
        assert as_given(folder / "a.json") == f"{RUN}/a.json"
        assert brought(f"{RUN}/a.json") == folder / "a.json"  # which the bucket has not yet
    assert names() == ["run/a.json", "run/logs/b.txt"]
    assert left() == []
    assert brought(f"{RUN}/a.json") != folder / "a.json"


def test_files_are_uploaded_while_work_goes_on_but_none_that_is_half_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "INTERVAL", 0.01)
    with results_folder(RUN) as folder, replacing(folder / "half.txt") as half:
        half.write_text("ha")
        write_text(folder / "whole.txt", "one")
        deadline = time.monotonic() + 5
        while names() != ["run/whole.txt"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert names() == ["run/whole.txt"]
        write_text(folder / "whole.txt", "two, longer")
        half.write_text("half and half")
    assert content("run/whole.txt") == b"two, longer"
    assert content("run/half.txt") == b"half and half"


def test_what_is_whole_is_uploaded_and_parts_stay_here_where_work_fails() -> None:
    def work(folder: Path) -> None:
        write_text(folder / "state.json", "{}")
        write_text(folder / "x_result.parts" / "0000.part", "half a result")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), results_folder(RUN) as folder:
        work(folder)
    assert names() == ["run/state.json"]
    assert left() == ["0000.part"]


def test_results_that_cannot_be_uploaded_are_kept_and_it_is_said_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = Troubled()
    monkeypatch.setattr(remote, "_system", lambda address: system)

    def work() -> None:
        with results_folder(RUN) as folder:
            write_text(folder / "a.json", "{}")
            system.faults += [ConnectionResetError("reset")] * 50

    with pytest.raises(VideozooError) as error:
        work()
    assert "cannot be had in 6 tries (reset); the results are kept below /" in str(error.value)
    assert (Path(str(error.value).split("kept below ")[1]) / "memory/bucket/run/a.json").is_file()


def test_a_folder_that_may_not_be_written_to_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = Troubled(*[PermissionError("Access Denied")] * 9)
    monkeypatch.setattr(remote, "_system", lambda address: system)
    with pytest.raises(VideozooError, match="access is refused"), results_folder(RUN):
        raise AssertionError("the work has begun")


def test_what_later_runs_keep_to_is_fetched_first() -> None:
    put("run/features.json", b"{}")
    put("run/train00000.tfrecord", b"large")
    with results_folder(RUN, ("features.json", "*_last.*")) as folder:
        assert [path.name for path in folder.iterdir()] == ["features.json"]
    assert names() == ["run/features.json", "run/train00000.tfrecord"]


def test_shards_that_one_machine_does_at_once_do_not_meet() -> None:
    one, two = Shard(1, 2), Shard(2, 2)
    with results_folder(RUN, parts_taken(one), one) as folder:
        write_text(folder / "x_result.1-of-2.parts" / "0000.part", "1")
        with results_folder(RUN, parts_taken(two), two) as other:
            write_text(other / "x_result.2-of-2.parts" / "0000.part", "2")
            assert as_given(other) == RUN
        assert (folder / "x_result.1-of-2.parts" / "0000.part").is_file()
    assert names() == [f"run/x_result.{n}-of-2.parts/0000.part" for n in (1, 2)]
    assert not list(home().glob("results*/**/*.part"))


def test_functions_of_the_library_keep_shards_apart_too() -> None:
    @uploading
    def work(*, save_dir: object, shard: Shard | None = None) -> str:
        assert as_given(save_dir) == RUN
        return str(save_dir)

    assert len({work(save_dir=RUN, shard=one) for one in (None, Shard(1, 2), Shard(2, 2))}) == 3


def test_what_is_removed_here_is_removed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    put("run/x_result.1-of-2.parts/0000.part", b"part")
    put("run/other.txt", b"another's")
    with results_folder(RUN, parts_taken(None)) as folder:
        shutil.rmtree(folder / "x_result.1-of-2.parts")
        write_text(folder / "x.json", "{}")
    assert names() == ["run/other.txt", "run/x.json"]


def test_json_of_a_result_names_addresses_alone() -> None:
    with results_folder(RUN) as folder:
        write_text(folder / "x.json", json.dumps({"list": as_given(folder / "val.list")}))
    assert json.loads(content("run/x.json")) == {"list": f"{RUN}/val.list"}
