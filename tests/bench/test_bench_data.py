from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tiny import World, example, features, write_shard
from videozoo.bench import clips
from videozoo.bench.blocks import Span, cut
from videozoo.bench.clips import ClipSubject
from videozoo.bench.data import bench_data
from videozoo.bench.features import FeatureSubject
from videozoo.bench.figures import DataBench
from videozoo.bench.loaders import EndlessBlocks, deliver
from videozoo.data.clips.listing import ClipEntry
from videozoo.data.clips.source import ClipSource
from videozoo.data.youtube8m import pickles
from videozoo.data.youtube8m.source import YouTube8MSource
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import SampleError, VideozooError


def feature_subject(*shards: Path) -> FeatureSubject:
    source = YouTube8MSource(
        shards, feature_names=["rgb", "audio"], feature_dims=[8, 4], num_classes=8
    )
    return FeatureSubject(source)


def clip_subject(*paths: Path) -> ClipSubject:
    source = ClipSource(
        [ClipEntry(path, None, str(path)) for path in paths],
        num_classes=3,
        seg_num=3,
        seglen=1,
        short_size=36,
        target_size=32,
        labelled=False,
    )
    return ClipSubject(source)


def write_pickle(path: Path, numbers: range) -> Path:
    records = []
    for number in numbers:
        made = features(number, number + 2)
        record = {"video": f"v{number}", "feature": made["rgb"], "audio": made["audio"]}
        records.append(record | {"label": [1], "nframes": number + 2})
    path.write_bytes(pickle.dumps(records, 2))
    return path


def measure(subject: Any, **changes: Any) -> DataBench:
    """Measures with a clock that goes on by a millisecond each time it is asked."""
    ticks = count()
    values: dict[str, Any] = {"workers": 0, "batch_size": 2, "most": 100, "seconds": 0.5}
    return bench_data(
        subject, **(values | changes), clock=lambda: next(ticks) / 1000, cpu_clock=lambda: 0.0
    )


def check(found: DataBench, stages: list[str]) -> None:
    """Checks what holds of all results."""
    assert [cost.stage.name for cost in found.stages] == stages
    if stages:
        assert sum(cost.share for cost in found.stages) == pytest.approx(1.0)
        alone = 1e6 / found.speeds[0].samples.middle
        assert sum(cost.microseconds for cost in found.stages) == pytest.approx(alone)
    for speed in found.speeds:
        assert 0 < speed.samples.lowest <= speed.samples.middle <= speed.samples.highest
        megabytes = speed.samples.middle * found.stored / found.measured / 1e6
        assert speed.megabytes == pytest.approx(megabytes)
        assert speed.of_plain == pytest.approx(speed.megabytes / found.plain.middle)
    assert found.verdict
    json.dumps(found.as_json())


def test_records(feature_data: World) -> None:
    found = measure(feature_subject(*feature_data.files))
    check(found, ["read", "checksum", "parse", "pad"])
    assert (found.noun, found.listed, found.measured, found.unread) == ("videos", 5, 5, [])
    # Every byte of both files belongs to one of the videos.
    assert found.stored == sum(file.stat().st_size for file in feature_data.files)
    assert found.turns == found.plan.turns
    assert [speed.workers for speed in found.speeds] == [0]


def test_records_that_cannot_be_read_are_left_out_and_told(tmp_path: Path) -> None:
    good = write_shard(tmp_path / "good.tfrecord", (0, 1, 2))
    cut = write_shard(tmp_path / "cut.tfrecord", (3, 4))
    cut.write_bytes(cut.read_bytes()[:-5])
    found = measure(feature_subject(good, cut))
    check(found, ["read", "checksum", "parse", "pad"])
    assert (found.listed, found.measured) == (5, 4)
    assert [name for name, _ in found.unread] == [f"{cut}#1"]
    assert "cut off" in found.unread[0][1]


def test_pickles(tmp_path: Path) -> None:
    files = [write_pickle(tmp_path / f"{i}.pkl", range(3 * i, 3 * i + 3)) for i in range(3)]
    subject = feature_subject(*files)
    spans = subject.spans(range(9))
    size = files[1].stat().st_size
    # A pickle's bytes are shared out among its videos.
    assert [span.path for span in spans[3:6]] == [files[1]] * 3
    assert [(span.start, span.stop) for span in spans[3:6]] == [
        (0, size // 3),
        (size // 3, 2 * size // 3),
        (2 * size // 3, size),
    ]
    assert subject.choose(4, 2) == [0, 1, 2]  # whole files alone
    found = measure(subject)
    check(found, ["read", "unpickle", "check", "pad"])
    assert found.stored == sum(file.stat().st_size for file in files)


def test_each_round_unpickles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = feature_subject(write_pickle(tmp_path / "a.pkl", range(3)))
    loads: list[Path] = []
    load = pickles.load_shard

    def spy(path: Path) -> Any:
        loads.append(path)
        return load(path)

    monkeypatch.setattr(pickles, "load_shard", spy)
    (block,) = cut([0, 1, 2], 3, subject.spans)
    for _ in range(2):
        for run in subject.passes():
            run(block)
    assert len(loads) == 2 * 3


def test_records_and_pickles_in_one_list(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tfrecord", (0, 1))
    found = measure(feature_subject(shard, write_pickle(tmp_path / "b.pkl", range(2))))
    check(found, [])
    assert found.measured == 4


def test_spans_hold_records_with_their_frames(feature_data: World) -> None:
    file = feature_data.files[0]
    spans = feature_subject(*feature_data.files).spans([0, 1, 2])
    assert spans[0] == Span(file, 0, len(example(0)) + 16)
    assert spans[1].start == spans[0].stop
    assert spans[2].stop == file.stat().st_size


def test_clips(clip_data: World) -> None:
    missing = Path("missing.mp4")
    found = measure(clip_subject(*clip_data.files, missing))
    check(found, ["read", "open", "decode", "resize", "crop"])
    assert (found.noun, found.listed, found.measured) == ("clips", 6, 5)
    assert found.stored == sum(file.stat().st_size for file in clip_data.files)
    assert found.unread == [("missing.mp4", "missing.mp4: no such file")]


def test_pickled_clips(tmp_path: Path) -> None:
    frames = []
    for shade in range(4):
        out = io.BytesIO()
        Image.new("RGB", (64, 48), (50 * shade, 9, 9)).save(out, "JPEG")
        frames.append(out.getvalue())
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps(("v", 1, frames), 2))
    found = measure(clip_subject(path))
    check(found, ["read", "open", "decode", "resize", "crop"])
    assert found.measured == 1


def test_passes_do_what_reading_does(clip_data: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Any]] = []
    planes = clips.rgb_planes

    def spy(frame: Any, resize: Any) -> Any:
        made = planes(frame, resize)
        seen.append(("resize", made[0].shape))
        return made

    monkeypatch.setattr(clips, "rgb_planes", spy)
    subject = clip_subject(*clip_data.files[:1])
    (block,) = cut([0], 1, subject.spans)
    opened, decoded, resized, whole = subject.passes()
    opened(block)
    decoded(block)
    assert not seen
    resized(block)
    assert seen == [("resize", (36, 48))] * 3
    batch: Any = whole(block)
    assert batch.clips.shape == (1, 3, 3, 32, 32)


def test_resizing_by_pillow_is_measured_as_resizing(
    clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = clip_subject(*clip_data.files[:1])
    subject.source.resize_with = "pillow"
    (block,) = cut([0], 1, subject.spans)
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def spy(image: Any, size: tuple[int, int], *more: Any) -> Any:
        sizes.append(size)
        return resize(image, size, *more)

    monkeypatch.setattr(Image.Image, "resize", spy)
    subject.passes()[2](block)
    assert sizes == [(48, 36)] * 3


def test_few_are_chosen_of_many(tmp_path: Path) -> None:
    shard = tmp_path / "many.tfrecord"
    write_tfrecord(shard, [example(number % 50) for number in range(300)])
    found = measure(feature_subject(shard), most=40, batch_size=8, seconds=5)
    assert (found.listed, found.measured) == (300, 40)
    assert 0 < found.stored < shard.stat().st_size / 4


def test_workers_read_the_same(feature_data: World) -> None:
    found = measure(feature_subject(*feature_data.files), workers=2)
    check(found, ["read", "checksum", "parse", "pad"])
    assert [speed.workers for speed in found.speeds] == [0, 1, 2]
    assert not multiprocessing.active_children()


def test_delivery_counts_whole_rounds(feature_data: World) -> None:
    subject = feature_subject(*feature_data.files)
    blocks = cut(range(5), 2, subject.spans)
    asked: list[int] = []
    ticks = iter([10.0, 11.0, 12.0, 12.0])
    speed = deliver(
        subject.source,
        blocks,
        workers=1,
        rounds=2,
        limit=9.0,
        before=lambda block: asked.append(block.indices[0]),
        clock=lambda: next(ticks),
    )
    # Two batches to get under way; then two rounds of 5 videos, in 2 seconds.
    assert speed == pytest.approx(5.0)
    assert asked[:8] == [0, 2, 4, 0, 2, 4, 0, 2]
    assert not multiprocessing.active_children()


def test_a_slow_delivery_stops_after_a_round(feature_data: World) -> None:
    subject = feature_subject(*feature_data.files)
    ticks = count(step=10.0)
    speed = deliver(
        subject.source,
        cut(range(5), 1, subject.spans),
        workers=1,
        rounds=1000,
        limit=5.0,
        before=lambda block: None,
        clock=lambda: next(ticks),
    )
    assert speed == pytest.approx(5 / 20)


def test_a_reader_process_that_dies_is_told(feature_data: World) -> None:
    subject = feature_subject(*feature_data.files)
    blocks = cut(range(5), 5, subject.spans)
    own = os.getpid()

    class Dying(YouTube8MSource):
        def read_into(self, buffer: Any, index: int, rng: Any) -> Any:
            if os.getpid() != own:
                os._exit(3)
            return super().read_into(buffer, index, rng)

    subject.source.__class__ = Dying
    with pytest.raises(VideozooError, match=r"--workers 1: a reader process failed: .*worker"):
        deliver(
            subject.source,
            blocks,
            workers=1,
            rounds=1,
            limit=9.0,
            before=lambda block: None,
            clock=lambda: 0.0,
        )


def test_endless_blocks_go_round(feature_data: World) -> None:
    blocks = cut(range(3), 2, feature_subject(*feature_data.files).spans)
    chunks = iter(EndlessBlocks(blocks, lambda block: None))
    assert [next(chunks).indices for _ in range(5)] == [(0, 1), (2,), (0, 1), (2,), (0, 1)]


def test_cold_drops_before_each_reading(
    feature_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[Path] = []
    monkeypatch.setattr(
        "videozoo.bench.data.drop", lambda spans: dropped.append([s.path for s in spans])
    )
    found = measure(feature_subject(*feature_data.files), cold=True)
    assert found.cold
    blocks = -(-5 // found.plan.batch_size)
    # Once at the start; then each block before plain reading and before each of three passes.
    assert len(dropped) == blocks * (1 + 4 * found.plan.passes * found.turns)


def test_cold_where_it_cannot_be(feature_data: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    with pytest.raises(VideozooError, match="--cold: this system cannot drop files"):
        measure(feature_subject(*feature_data.files), cold=True)


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match=r"none of the 2 clips .* the first: a.mp4: no such"):
        measure(clip_subject(Path("a.mp4"), Path("b.mp4")))


def test_data_that_are_not_what_the_config_says(feature_data: World) -> None:
    source = YouTube8MSource(
        feature_data.files, feature_names=["rgb"], feature_dims=[1024], num_classes=8
    )
    with pytest.raises(VideozooError, match="rgb has 8 values") as error:
        measure(FeatureSubject(source))
    assert not isinstance(error.value, SampleError)


def test_threads_are_as_before(feature_data: World) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure(feature_subject(*feature_data.files))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_slow_machine_ends_early(feature_data: World) -> None:
    ticks = count()
    found = bench_data(
        feature_subject(*feature_data.files),
        workers=0,
        batch_size=2,
        most=100,
        seconds=0.5,
        clock=lambda: float(next(ticks) ** 2),  # it gets slower and slower
        cpu_clock=lambda: 0.0,
    )
    assert found.turns == 1 < found.plan.turns


def test_samples_are_those_that_training_gets(feature_data: World) -> None:
    subject = feature_subject(*feature_data.files)
    (block,) = cut(range(5), 5, subject.spans)
    batch: Any = subject.passes()[-1](block)
    assert batch.videos == [f"v{i}" for i in range(5)]
    assert np.array_equal(batch.features[0][4, :6].numpy(), features(4, 6)["rgb"])
