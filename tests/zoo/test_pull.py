"""Published weights brought here: equal to the bit, checked, and never half written."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import videozoo
from published import archive_of, left, refused, weights_of
from served import Served, serving
from tiny import World, feature_world
from videozoo.checkpoints.native import load_native
from videozoo.classifier import load_weights
from videozoo.errors import VideozooError
from videozoo.zoo import archives, store
from videozoo.zoo.store import pull


@pytest.fixture
def archive(feature_data: World, tmp_path: Path) -> bytes:
    return archive_of(feature_data, tmp_path)


def test_weights_come_out_as_they_went_in(feature_data: World, archive: bytes) -> None:
    said: list[str] = []
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        path = pull(published, say=said.append)
        assert pull(published) == path == store.pulled(published)
    assert said == [f"fetching {site.url('tiny.tar.gz')}"]
    assert len(site.asked) == 1
    assert left() == ["tiny.json", "tiny.safetensors"]
    before, after = load_native(feature_data.weights), load_native(path)
    assert before.state_dict.keys() == after.state_dict.keys()
    assert all(torch.equal(v, after.state_dict[k]) for k, v in before.state_dict.items())
    assert after.preprocessing == before.preprocessing
    record = json.loads((store.folder() / "tiny.json").read_text())
    assert record["sha256"] == hashlib.sha256(archive).hexdigest()
    assert record["bytes"] == len(archive)
    assert record["address"] == site.url("tiny.tar.gz")


def test_a_broken_transfer_leaves_nothing(feature_data: World, archive: bytes) -> None:
    with serving({"tiny.tar.gz": Served(archive, stops=[100])}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        assert f"breaks off at 100 bytes of {len(archive):,}" in refused(published)
        assert left() == []
        pull(published)
    assert left() == ["tiny.json", "tiny.safetensors"]
    record = json.loads((store.folder() / "tiny.json").read_text())
    assert record["sha256"] == hashlib.sha256(archive).hexdigest()


def test_what_a_killed_process_left_is_not_taken(feature_data: World, archive: bytes) -> None:
    store.folder().mkdir(parents=True)
    (store.folder() / ".tiny.tar.gz.part").write_bytes(archive[:100])
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        pull(weights_of(feature_data, site.url("tiny.tar.gz")))
    assert left() == ["tiny.json", "tiny.safetensors"]


def test_a_published_checksum(feature_data: World, archive: bytes) -> None:
    digest = hashlib.sha256(archive).hexdigest()
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        url = site.url("tiny.tar.gz")
        said = refused(weights_of(feature_data, url, sha256="00000000"))
        assert f"its SHA-256 begins with {digest[:8]}, not 00000000" in said
        assert left() == []
        pull(weights_of(feature_data, url, sha256=digest[:8]))


def test_the_first_checksum_is_compared_ever_after(
    feature_data: World, archive: bytes, tmp_path: Path
) -> None:
    changed = feature_world(tmp_path)
    state = load_weights(changed.weights)
    with torch.no_grad():
        next(state.classifier.model.parameters()).add_(1.0)
    from videozoo.classifier import export_fluid

    export_fluid(tmp_path / "new.tar.gz", state)
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        pull(published).unlink()
        site.files["tiny.tar.gz"] = Served((tmp_path / "new.tar.gz").read_bytes())
        said = refused(published)
        day = json.loads((store.folder() / "tiny.json").read_text())["pulled"]
        assert f"gives another file than on {day}: its SHA-256 begins with" in said
        assert left() == ["tiny.json"]
        site.files["tiny.tar.gz"] = Served(archive)
        pull(published).unlink()
        (store.folder() / "tiny.json").unlink()  # as the sentence says
        site.files["tiny.tar.gz"] = Served((tmp_path / "new.tar.gz").read_bytes())
        pull(published)


def test_pulled_weights_that_have_changed(feature_data: World, archive: bytes) -> None:
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        path = pull(published)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(VideozooError, match="has changed since it was pulled; remove it"):
            pull(published)
        path.write_bytes(data[:-1])  # half a copy is no copy
        assert store.pulled(published) is None
        pull(published)
    assert path.read_bytes() == data


def test_a_damaged_record(feature_data: World, archive: bytes) -> None:
    published = weights_of(feature_data, "http://127.0.0.1:9/tiny.tar.gz")
    store.folder().mkdir(parents=True)
    for text in ("{", "[]", '{"name": "tiny"}', '"x"'):
        (store.folder() / "tiny.json").write_text(text)
        with pytest.raises(VideozooError, match=r"tiny\.json: is damaged; remove it"):
            store.pulled(published)


def test_a_file_fetched_by_hand(feature_data: World, archive: bytes) -> None:
    published = weights_of(feature_data, "http://127.0.0.1:9/tiny.tar.gz")
    file = store.folder() / "tiny.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(archive[:-50])
    said = refused(published)
    assert said.startswith(f"{file}: gives no sound tiny: cannot be read (Compressed file ended")
    assert said.endswith("fetch it again, or remove it")
    assert left() == ["tiny.tar.gz"]
    file.write_bytes(archive)
    pull(published)
    assert left() == ["tiny.json", "tiny.safetensors", "tiny.tar.gz"]
    assert file.read_bytes() == archive


def test_mirrors(feature_data: World, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"b/tiny.tar.gz": Served(archive)}) as site:
        monkeypatch.setenv("VIDEOZOO_ZOO_MIRROR", f"{site.url('a')} {site.url('b')}/")
        pull(weights_of(feature_data, "https://example.invalid/first/tiny.tar.gz"))
    assert site.asked == ["a/tiny.tar.gz", "b/tiny.tar.gz"]


def test_two_at_once_fetch_once(feature_data: World, archive: bytes) -> None:
    paths, said = [], []
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))

        def one() -> None:
            paths.append(pull(published, say=said.append))

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert paths == [store.folder() / "tiny.safetensors"] * 4
    assert len(site.asked) == 1
    assert "another process is pulling tiny: waiting for it" in said


def test_where_the_folder_is(
    feature_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.folder() == tmp_path / "home" / "zoo"
    monkeypatch.delenv("VIDEOZOO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert store.folder() == tmp_path / "caches" / "videozoo" / "zoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.folder() == tmp_path / ".cache" / "videozoo" / "zoo"
    monkeypatch.setenv("VIDEOZOO_HOME", "~no-such-user/weights")
    with pytest.raises(VideozooError, match="VIDEOZOO_HOME is ~no-such-user/weights: there is no"):
        store.folder()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "file"))
    with pytest.raises(VideozooError, match=r"file/zoo: cannot be written to .*VIDEOZOO_HOME"):
        pull(weights_of(feature_data, "http://127.0.0.1:9/tiny.tar.gz"))


def test_names_in_the_python_api(
    feature_data: World, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"tiny.tar.gz": Served(archive)}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        monkeypatch.setattr(archives, "WEIGHTS", (published,))
        predictor = videozoo.load("Tiny", use_gpu=False)
    own = videozoo.load(feature_data.weights, use_gpu=False)
    file = feature_data.files[0]
    scores = [[p.score for r in x.predict(file) for p in r.predictions] for x in (predictor, own)]
    assert scores[0] == scores[1]
    with pytest.raises(VideozooError, match="is an image ResNet, no video model"):
        videozoo.load("resnet50")


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert archives.find("tsn") is archives.of_model("TSN")
    Path("tsn").touch()
    assert archives.find("tsn") is None
    assert archives.named("TSN_kinetics") is archives.of_model("TSN")


def test_nextvlad_reads_its_eigenvalues_when_it_is_used(tmp_path: Path) -> None:
    world = feature_world(tmp_path, "NEXTVLAD")
    data = archive_of(world, tmp_path)
    with serving({"tiny.tar.gz": Served(data)}) as site:
        path = pull(weights_of(world, site.url("tiny.tar.gz")))
    assert load_native(path).extra == {}
    before, after = load_weights(world.weights), load_weights(path)
    assert torch.equal(before.classifier.inputs.eigenvalues, after.classifier.inputs.eigenvalues)
    file = Path(str(world.experiment["INFER"].eigen_file))  # type: ignore[attr-defined]
    np.load(file)
    file.unlink()
    with pytest.raises(VideozooError, match=r"eigenvals\.npy: no such file"):
        load_weights(path)


def test_the_table() -> None:
    for weights in archives.WEIGHTS:
        assert weights.experiment().model == weights.model
        assert weights.batch_size == weights.experiment()["TRAIN"].batch_size
        assert weights.hardware == f"{weights.experiment()['TRAIN'].num_gpus} P40"
        assert weights.addresses[0].endswith(f"/video_classification/{weights.file}")
        assert archives.of_model(weights.model) is weights
    assert len({w.model for w in archives.WEIGHTS}) == 5
    nextvlad = archives.of_model("NEXTVLAD")
    assert not any("attention" in address for address in nextvlad.addresses)
    for resnet in archives.RESNETS:
        assert resnet.addresses[0].endswith(f"/{resnet.file}")
        assert f"-{resnet.sha256}.pth" in resnet.file or not resnet.sha256
    assert len(set(archives.names())) == 11
