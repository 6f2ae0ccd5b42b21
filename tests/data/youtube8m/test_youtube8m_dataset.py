"""Videos of shards as samples: order, checks, faults, the original's numbers."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from youtube8m_records import features, source_of

from videozoo.data.youtube8m.dataset import PICKLES_AT_ONCE, SHARDS_AT_ONCE
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.frames import sample_cluster_frames
from videozoo.data.youtube8m.shards import list_shards
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import SampleError, VideozooError

GOLDEN = Path(__file__).parent / "golden"


def one(tmp_path: Path, **changed: Any) -> Path:
    """A TFRecord file with one video."""
    video = {"video": "v", "labels": [1], "features": features(0, 5), **changed}
    path = tmp_path / "one.tfrecord"
    write_tfrecord(path, [encode_example(**video)])
    return path


def pickled(tmp_path: Path, content: object, name: str = "one.pkl") -> Path:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(content, 2))
    return path


def record(number: int = 0, frames: int = 5, **changed: object) -> dict[str, object]:
    made = features(number, frames)
    return {
        "video": f"v{number}",
        "feature": made["rgb"],
        "audio": made["audio"],
        "label": [number],
        "nframes": frames,
        **changed,
    }


def dequantised(stored: np.ndarray) -> np.ndarray:
    return stored.astype(np.float64) * 4 / 255 + 4 / 512 - 2


def test_videos_are_numbered_in_the_order_of_the_files(shards: list[Path]) -> None:
    source = source_of(*shards)
    assert len(source) == 5
    assert source.read_groups.stops.tolist() == [3, 5]
    assert source.read_groups.at_once == SHARDS_AT_ONCE
    assert (source.index_report.shards, source.index_report.videos) == (2, 5)
    assert source.faults == []
    for i in (4, 0, 2, 3, 1):  # any order
        sample = source.read(i)
        assert sample.video == f"v{i}"
        assert sample.labels is not None
        assert sample.labels.tolist() == [i, 9]
        for found, expected in zip(sample.features, features(i, i + 2).values(), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert source.name(3) == f"{shards[1]}#0"
    for outside in (-1, 5):
        with pytest.raises(IndexError):
            source.read(outside)


def test_modalities_come_in_the_order_of_feature_names(shards: list[Path]) -> None:
    source = source_of(*shards, feature_names=["audio"], feature_dims=[4])
    assert [f.shape for f in source.read(1).features] == [(3, 4)]
    turned = source_of(*shards, feature_names=["audio", "rgb"], feature_dims=[4, 8])
    assert [f.shape for f in turned.read(1).features] == [(3, 4), (3, 8)]


def test_tfrecords_and_pickles_mix(shards: list[Path], tmp_path: Path) -> None:
    several = pickled(tmp_path, [record(5), record(6)])
    lone = pickled(tmp_path, record(7), "lone.pkl")
    source = source_of(several, shards[1], lone)
    assert [source.read(i).video for i in range(5)] == ["v5", "v6", "v3", "v4", "v7"]
    np.testing.assert_array_equal(source.read(4).features[0], features(7, 5)["rgb"])


def test_chosen_frames(shards: list[Path]) -> None:
    source = source_of(*shards, frames=partial(sample_cluster_frames, seg_num=4))
    middle = source.read(4)  # 6 frames
    np.testing.assert_array_equal(middle.features[0], features(4, 6)["rgb"][[0, 2, 3, 5]])
    np.testing.assert_array_equal(middle.features[1], features(4, 6)["audio"][[0, 2, 3, 5]])
    first = source.read(4, np.random.default_rng(3))
    again = source.read(4, np.random.default_rng(3))
    others = [source.read(4, np.random.default_rng(seed)).features[0] for seed in range(10)]
    np.testing.assert_array_equal(first.features[0], again.features[0])
    assert any(not np.array_equal(first.features[0], other) for other in others)


def test_collate_pads_and_placeholder_fits(shards: list[Path]) -> None:
    source = source_of(*shards)
    batch = source.collate([source.read(0), source.read(3)])
    assert [tuple(f.shape) for f in batch.features] == [(2, 5, 8), (2, 5, 4)]
    assert batch.lengths.tolist() == [2, 5]
    assert batch.videos == ["v0", "v3"]
    assert batch.labels.nonzero().tolist() == [[0, 0], [0, 9], [1, 3], [1, 9]]
    assert batch.unreadable == []
    assert int(batch.features[0][0, 2:].sum()) == 0
    empty = source.collate([source.placeholder()])
    assert [tuple(f.shape) for f in empty.features] == [(1, 1, 8), (1, 1, 4)]
    assert empty.labelled.tolist() == [False]


def test_a_record_without_id_or_labels(tmp_path: Path) -> None:
    path = one(tmp_path, video="", labels=None)
    sample = source_of(path).read(0)
    assert (sample.video, sample.labels) == ("one.tfrecord#0", None)
    assert source_of(one(tmp_path, labels=[])).read(0).labels is None


@pytest.mark.parametrize("kind", ["tfrecord", "pickle"])
@pytest.mark.parametrize(
    ("changed", "chosen", "reason"),
    [
        ({}, {"feature_names": ["rgb", "flow"]}, "has no feature 'flow'; it has rgb, audio"),
        (
            {},
            {"feature_dims": [1024, 4]},
            "rgb has 8 values a frame, the config's feature_dims says 1024",
        ),
        ({"audio": 4}, {}, "rgb has 5 frames, audio has 4"),
        ({"rgb": 0, "audio": 0}, {}, "rgb has no frames"),
        ({"labels": [3, 10]}, {}, r"label 10 is out of range 0\.\.9; it looks 1-based$"),
        ({"labels": [0, 10]}, {}, r"label 10 is out of range 0\.\.9$"),
        ({"labels": [11, 3]}, {}, r"label 11 is out of range 0\.\.9$"),
        ({"labels": [-1]}, {}, r"label -1 is out of range 0\.\.9$"),
    ],
)
def test_what_does_not_fit_the_config_is_named(
    tmp_path: Path, kind: str, changed: dict[str, Any], chosen: dict[str, Any], reason: str
) -> None:
    made = {name: features(0, changed.get(name, 5))[name] for name in ("rgb", "audio")}
    labels = changed.get("labels", [1])
    if kind == "tfrecord":
        path = one(tmp_path, features=made, labels=labels)
    else:
        stored = {"video": "v", "feature": made["rgb"], "audio": made["audio"], "label": labels}
        path = pickled(tmp_path, [stored])
    with pytest.raises(VideozooError, match=reason) as caught:
        source_of(path, **chosen).read(0)
    assert str(caught.value).startswith(f"{path}: record 0: ")


@pytest.mark.parametrize(
    ("chosen", "labels"), [({"feature_dims": [7, 4]}, [1]), ({}, [10])], ids=["width", "label"]
)
def test_what_shows_that_the_config_is_wrong_stops_the_work(
    tmp_path: Path, chosen: dict[str, Any], labels: list[int]
) -> None:
    path = one(tmp_path, labels=labels)
    with pytest.raises(VideozooError) as caught:
        source_of(path, **chosen).read(0)
    # A SampleError would let training skip every record of the list.
    assert not isinstance(caught.value, SampleError)


def test_labels_that_are_not_wanted_are_not_checked(tmp_path: Path) -> None:
    assert source_of(one(tmp_path, labels=[10]), labelled=False).read(0).labels is None


def test_damage_is_named_and_spares_the_others(shards: list[Path]) -> None:
    content = bytearray(shards[0].read_bytes())
    at = content.index(features(1, 3)["rgb"].tobytes()[:8])
    content[at] ^= 1
    shards[0].write_bytes(content)
    source = source_of(*shards)
    with pytest.raises(SampleError, match=r"train00\.tfrecord: record 1: checksum does not match"):
        source.read(1)
    assert [source.read(i).video for i in (0, 2, 3)] == ["v0", "v2", "v3"]


def test_a_shard_that_breaks_off_has_one_listed_video_more(
    shards: list[Path], tmp_path: Path
) -> None:
    shards[0].write_bytes(shards[0].read_bytes()[:-2])
    bad = tmp_path / "bad.pkl"
    bad.write_bytes(b"\x80\x02oh")
    source = source_of(shards[0], bad, shards[1])
    assert len(source) == 2 + 1 + 1 + 2
    assert source.read_groups.stops.tolist() == [3, 4, 6]
    assert source.read_groups.at_once == PICKLES_AT_ONCE, "a pickle is among them"
    assert [(f.index, f.video) for f in source.faults] == [
        (2, f"{shards[0]}#2"),
        (3, f"{bad}#0"),
    ]
    for fault, phrase in zip(source.faults, ("record 2 is cut off", "damaged or"), strict=True):
        assert phrase in fault.reason
        with pytest.raises(SampleError) as caught:
            source.read(fault.index)
        assert str(caught.value) == fault.reason
    assert [source.read(i).video for i in (0, 1, 4, 5)] == ["v0", "v1", "v3", "v4"]


def test_a_file_that_goes_away_later_is_a_sample_error(shards: list[Path], tmp_path: Path) -> None:
    lone = pickled(tmp_path, record())
    source = source_of(shards[0], lone)
    shards[0].unlink()
    lone.unlink()
    for index in (0, 3):
        with pytest.raises(SampleError, match="cannot be read: No such file"):
            source.read(index)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"feature": np.zeros((5, 8))}, r"feature is float64 \(5, 8\), not a uint8 array"),
        ({"feature": [[1] * 8] * 5}, "feature is <class 'list'>, not a uint8 array"),
        ({"audio": np.zeros(4, dtype=np.uint8)}, r"audio is uint8 \(4,\), not a uint8 array"),
        ({"label": ["cat"]}, "labels are not whole numbers"),
        ({"label": [[1], [2, 3]]}, "labels are not"),
        ({"label": [[1], [2]]}, "labels are not one list"),
        ({"nframes": -1}, "nframes is not a whole number"),
        ({"nframes": 2.5}, "nframes is not a whole number"),
        ({"nframes": 0}, "rgb has no frames"),
    ],
)
def test_a_pickle_of_other_things_is_named(
    tmp_path: Path, changed: dict[str, object], reason: str
) -> None:
    path = pickled(tmp_path, [record(1), record(2, **changed)])
    source = source_of(path)
    assert source.read(0).video == "v1"
    with pytest.raises(SampleError, match=reason) as caught:
        source.read(1)
    assert str(caught.value).startswith(f"{path}: record 1: ")


@pytest.mark.parametrize(
    ("content", "reason"), [("text", "not a list of videos"), ([1], "a dict"), ([], "no video")]
)
def test_a_pickle_that_is_no_shard(tmp_path: Path, content: object, reason: str) -> None:
    [fault] = source_of(pickled(tmp_path, content)).faults
    assert reason in fault.reason


def test_details_of_pickles(tmp_path: Path) -> None:
    keys = {key.encode(): value for key, value in record(3).items()}
    cut = {**keys, b"nframes": np.int32(2), b"video": b"id\xff", b"label": np.array([4, 5])}
    plain = {"rgb": features(1, 3)["rgb"], "audio": features(1, 3)["audio"], "label": 6}
    longer = record(2, nframes=9, label=None)
    source = source_of(pickled(tmp_path, [keys, cut, plain, longer]))
    samples = [source.read(i) for i in range(4)]
    assert [s.video for s in samples] == ["v3", "id\\xff", "one.pkl#2", "v2"]
    assert [len(s.features[1]) for s in samples] == [5, 2, 3, 5]
    assert [None if s.labels is None else s.labels.tolist() for s in samples] == [
        [3],
        [4, 5],
        [6],
        None,
    ]


def test_a_source_is_the_same_in_another_process(shards: list[Path], tmp_path: Path) -> None:
    source = source_of(*shards, pickled(tmp_path, record(7)))
    source.read(0)
    copy = pickle.loads(pickle.dumps(source))
    for index in (0, 3, 5):
        expected, found = source.read(index), copy.read(index)
        assert found.video == expected.video
        np.testing.assert_array_equal(found.features[0], expected.features[0])
    child = os.fork()
    if child == 0:
        os._exit(0 if source.read(1).video == "v1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert source.read(2).video == "v2", "a child does not move the parent's files"


def test_wrong_arguments_are_sentences(shards: list[Path]) -> None:
    with pytest.raises(VideozooError, match="no shard is listed"):
        source_of()
    with pytest.raises(VideozooError, match="they must pair up"):
        source_of(*shards, feature_dims=[8])


@pytest.mark.parametrize("config", ["attention_lstm", "nextvlad"])
def test_the_originals_reader(config: str) -> None:
    golden = np.load(GOLDEN / "youtube8m_reader.npz")
    source = source_of(GOLDEN / "youtube8m.pkl", feature_dims=[1024, 128], num_classes=3862)
    assert len(source) == 6
    factors = None
    for i in range(len(source)):
        sample = source.read(i)
        rgb, audio = (dequantised(feature) for feature in sample.features)
        wanted = golden[f"{config}/{i}/rgb"]
        shown = len(wanted)  # the golden keeps 4 of a long video's frames
        assert shown == (4 if i == 0 else len(rgb))
        np.testing.assert_allclose(audio[:shown], golden[f"{config}/{i}/audio"], atol=1e-6)
        np.testing.assert_array_equal(sample.labels, golden[f"{config}/{i}/label"])
        if config == "nextvlad":
            # un-whitening multiplies (rgb - 4/512) by one number a dimension: the first video
            # gives these numbers, the others must agree
            rgb = rgb - 4 / 512
            if factors is None:
                best = np.abs(rgb[:shown]).argmax(0)[None]
                factors = np.take_along_axis(wanted, best, 0) / np.take_along_axis(rgb, best, 0)
                assert (factors > 0).all()
            rgb = rgb * factors
        np.testing.assert_allclose(rgb[:shown], wanted, atol=2e-6, rtol=2e-6)


@pytest.mark.skipif(
    "VIDEOZOO_SHARED" not in os.environ, reason="VIDEOZOO_SHARED (real data) is not set"
)
def test_real_files() -> None:
    folder = Path(os.environ["VIDEOZOO_SHARED"]) / "data" / "youtube8m"
    shards = [folder / "real_frames_2rec.tfrecord", folder / "real_example.pkl"]
    source = source_of(*shards, feature_dims=[1024, 128], num_classes=3862)
    samples = [source.read(i) for i in range(len(source))]
    assert [s.video for s in samples] == ["fYdw", "SjJ3", "SjJ3"]
    assert [len(s.features[0]) for s in samples] == [265, 170, 170]
    for ours, theirs in zip(samples[1].features, samples[2].features, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(samples[1].labels, samples[2].labels)
    assert list_shards(str(folder)) == sorted(shards)
    # un-whitening with the published eigenvalues
    golden = np.load(GOLDEN / "youtube8m_reader.npz")
    values = np.load(folder / "yt8m_pca" / "eigenvals.npy").astype(np.float32).ravel()[:1024]
    stored = source_of(GOLDEN / "youtube8m.pkl", feature_dims=[1024, 128], num_classes=3862)
    rgb = dequantised(stored.read(1).features[0])
    found = (rgb - 4 / 512) * (np.sqrt(values) + 1e-4)
    np.testing.assert_allclose(found, golden["nextvlad/1/rgb"], atol=2e-6, rtol=2e-6)
