"""Records of YouTube-8M as people have them: each variant is read, or named for what it is."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.commands import Command
from tiny import World, features
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord

DEMO = (  # the sizes of the records in `inputs`
    "MODEL.feature_dims=[512,64]",
    "MODEL.num_classes=6",
    "MODEL.use_gpu=False",
    "MODEL.num_workers=0",
)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model on the features of `inputs`."""
    import torch

    from videozoo.classifier import build_classifier, save_weights
    from videozoo.config import load_experiment
    from videozoo.specs import find_spec

    path = tmp_path_factory.mktemp("weights") / "AttentionCluster.safetensors"
    sizes = (
        "MODEL.seg_num=5",
        "MODEL.cluster_nums=[2,2]",
        "MODEL.hidden_sizes=[8,8]",
        "MODEL.batch_size=4",
    )
    keys = find_spec("AttentionCluster").keys
    experiment = load_experiment(keys, None, overrides=(*DEMO, *sizes))
    torch.manual_seed(1)
    save_weights(path, build_classifier(experiment["TEST"]), experiment, list("abcdef"))
    return path


@pytest.fixture
def tested(command: Command, weights: Path) -> Callable[..., Any]:
    """Tests the model on records; returns the outcome and the counts of its result."""

    def run(path: Path) -> tuple[Any, dict[str, Any]]:
        outcome = command("test", "--weights", weights, "--filelist", path)
        result = Path("AttentionCluster_test_result.json")
        return outcome, json.loads(result.read_text()) if result.exists() else {}

    return run


def test_segments_of_2019_are_refused_by_name(
    tested: Callable[..., Any],
    inputs: Path,
    command: Command,
    weights: Path,
) -> None:
    path = inputs / "records/segments_2019.tfrecord"
    infer = command("infer", "--weights", weights, "--filelist", path)
    for outcome in (tested(path)[0], infer):
        assert outcome.code == 2
        assert "is a segment record of YouTube-8M 2019" in outcome.err
        assert "give the frame-level records of whole videos" in outcome.err


def test_video_level_records_are_named(tested: Callable[..., Any], inputs: Path) -> None:
    outcome, _ = tested(inputs / "records/video_level.tfrecord")
    assert outcome.code == 2
    assert "is a video-level record" in outcome.err
    assert "mean_rgb, mean_audio" in outcome.err


def test_records_of_other_data_are_named(tested: Callable[..., Any], tmp_path: Path) -> None:
    # a tf.train.Example is the context of a SequenceExample alone
    whole = encode_example(video="x", labels=[1], features={})
    write_tfrecord(tmp_path / "a.tfrecord", [whole])
    assert "it is a tf.train.Example (id, labels)" in tested(tmp_path / "a.tfrecord")[0].err


ZSTANDARD = b"\x28\xb5\x2f\xfd\x04\x58"  # as the format's frames begin; no library is needed


@pytest.mark.parametrize("name", ["a.tfrecord.gz", "a.tfrecord", "a.pkl", "a", "train0000-of-9"])
@pytest.mark.parametrize(
    ("way", "packed"),
    [
        ("gzip", gzip.compress),
        ("zlib", zlib.compress),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("zstandard", lambda data: ZSTANDARD + data),
    ],
)
def test_compressed_records_are_named_whatever_the_ending(
    way: str, packed: Callable[[bytes], bytes], name: str, tested: Callable[..., Any], inputs: Path
) -> None:
    Path(name).write_bytes(packed((inputs / "records/good.tfrecord").read_bytes()))
    outcome, _ = tested(Path(name))
    assert outcome.code == 2
    assert f"{name}: is compressed with {way}; unpack it first" in outcome.err


def test_compressed_records_among_others_stop_the_work(
    tested: Callable[..., Any], inputs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "a.tfrecord").write_bytes((inputs / "records/good.tfrecord").read_bytes())
    (folder / "b.tfrecord.gz").write_bytes((inputs / "records/gzip2.tfrecord.gz").read_bytes())
    assert "holds 1 compressed shards (b.tfrecord.gz, ...)" in tested(folder)[0].err
    Path("list").write_text(f"{folder}/a.tfrecord\n{folder}/b.tfrecord.gz\n")
    assert "b.tfrecord.gz: is compressed with gzip" in tested(Path("list"))[0].err


@pytest.mark.parametrize("kind", ["tfrecord", "pickle"])
def test_empty_labels_are_like_missing_ones(
    kind: str, tested: Callable[..., Any], inputs: Path, tmp_path: Path
) -> None:
    path = inputs / "records/some_unlabelled.tfrecord"
    if kind == "pickle":
        made = [features(i, 4, 512, 64) for i in range(5)]
        records = [
            {"video": f"v{i}", "feature": m["rgb"], "audio": m["audio"], "label": [i] if i else []}
            for i, m in enumerate(made)
        ]
        path = tmp_path / "a.pkl"
        path.write_bytes(pickle.dumps(records, 2))
    outcome, result = tested(path)
    assert outcome.code == 0
    assert (result["listed"], result["evaluated"], result["unlabelled"]) == (5, 4, 1)


@pytest.mark.parametrize("name", ["two_dumps.pkl", "stream_p2.pkl", "ordered_dict.pkl"])
def test_all_of_a_pickle_is_read(name: str, tested: Callable[..., Any], inputs: Path) -> None:
    outcome, result = tested(inputs / "records" / name)
    assert outcome.code == 0
    assert (result["listed"], result["evaluated"]) == (2, 2)


def test_labels_may_be_a_set(tested: Callable[..., Any], inputs: Path) -> None:
    outcome, result = tested(inputs / "records/labels_set.pkl")
    assert (outcome.code, result["evaluated"]) == (0, 1)


def records_with(label: Any) -> list[dict[str, Any]]:
    made = features(3, 4, 512, 64)
    return [{"video": "v", "feature": made["rgb"], "audio": made["audio"], "label": label}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "label",
    [
        {2, 1},
        frozenset((1, 2)),
        (1, 2),
        np.array([1, 2]),
        np.array([1, 2], np.uint8),
        [np.int64(1), 2],
    ],
)
def test_labels_in_every_container(label: Any, protocol: int, tmp_path: Path) -> None:
    from videozoo.data.youtube8m.pickles import PickleReader

    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(records_with(label), protocol))
    found = PickleReader().read(path, 0, ["rgb"], count=1)
    assert found.labels is not None
    assert found.labels.tolist() == [1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [OrderedDict, lambda r: defaultdict(list, r)])
def test_records_as_other_dicts(kind: Callable[..., Any], protocol: int, tmp_path: Path) -> None:
    from videozoo.data.youtube8m.pickles import load_shard

    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([kind(records_with([1])[0])], protocol))
    assert [sorted(record) for record in load_shard(path)] == [sorted(records_with([1])[0])]


def test_what_follows_a_pickle_is_never_dropped(tested: Callable[..., Any]) -> None:
    one = pickle.dumps(records_with([1]), 4)
    Path("a.pkl").write_bytes(one + b"more")
    outcome, _ = tested(Path("a.pkl"))
    assert outcome.code == 2
    assert "a damaged or cut off pickle" in outcome.err
    # within the frame of protocol 4, where Python stops reading
    inside = b"\x80\x04\x95" + (3).to_bytes(8, "little") + b"].]" + one
    Path("b.pkl").write_bytes(inside)
    assert "something follows its end" in tested(Path("b.pkl"))[0].err


def test_records_given_to_a_model_on_videos(
    command: Command,
    inputs: Path,
    clip_data: World,
) -> None:
    path = inputs / "records/good.tfrecord"
    Path("list").write_text(f"{path} 0\n")
    for given in ([path], ["--filelist", path], ["--filelist", "list"]):
        outcome = command("infer", "--weights", clip_data.weights, *given)
        assert outcome.code == 2
        assert "is a TFRecord file" in outcome.err
        assert "TSN takes videos" in outcome.err


def test_pickles_given_to_the_wrong_model(
    command: Command,
    inputs: Path,
    clip_data: World,
    weights: Path,
) -> None:
    path = inputs / "records/two_dumps.pkl"
    Path("a.pkl").write_bytes(pickle.dumps(records_with([1]), 2))
    outcome = command("infer", "--weights", clip_data.weights, "a.pkl")
    assert outcome.code == 2
    assert "one of features, as YouTube-8M's" in outcome.out + outcome.err
    Path("clip.pkl").write_bytes(pickle.dumps(("id", 1, [b"jpeg"]), 2))
    outcome = command("infer", "--weights", weights, "clip.pkl")
    assert outcome.code == 2
    assert "is a Kinetics pickle" in outcome.out + outcome.err
    assert command("infer", "--weights", clip_data.weights, path).code == 2


def test_a_video_given_to_a_model_on_records(
    command: Command,
    clip_data: World,
    feature_data: World,
) -> None:
    outcome = command("infer", "--weights", feature_data.weights, clip_data.files[0])
    assert outcome.code == 2
    assert "holds videos, but this AttentionCluster takes records of features" in outcome.err
