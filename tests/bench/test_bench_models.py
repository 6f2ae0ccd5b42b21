"""What bench models makes of what it measures; never how fast anything is."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from tiny import FEATURE_SIZES
from videozoo.bench import models
from videozoo.bench.apart import call_apart
from videozoo.bench.machine import Machine
from videozoo.bench.models import (
    BATCH_SIZES,
    ORIGINAL,
    Subject,
    bench_models,
    original_speed,
    run_apart,
    sum_up,
)
from videozoo.bench.models_batches import (
    SameBatch,
    batch_bytes,
    describe_shape,
    frames_of,
    lengths_between,
    make_batch,
)
from videozoo.bench.models_floor import Floor, Rates, floor_of, least_bytes, measure_rates
from videozoo.bench.models_memory import PeakMemory, status_bytes
from videozoo.bench.models_passes import Job, Meter, Passes, count_operations, kept_bytes, run_job
from videozoo.bench.models_table import print_models
from videozoo.config import Experiment, load_experiment
from videozoo.config.keys import Settings
from videozoo.data.batches import Batch, ClipBatch, FeatureBatch
from videozoo.data.loader import checked, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.errors import VideozooError
from videozoo.predict.inputs import build_classifier
from videozoo.specs import find_spec

CPU = torch.device("cpu")
CLIP_SIZES = ["num_layers=18", "num_classes=3", "short_size=36", "target_size=32"]
RATES = Rates(operations=1000.0, copied=100.0)


def tiny(model: str, *more: str, **flags: object) -> Experiment:
    sizes = [*FEATURE_SIZES.get(model, CLIP_SIZES), *more]
    if model in FEATURE_SIZES:
        sizes += ["feature_dims=[8, 4]", "num_classes=8"]
    given = {"batch_size": 2, "num_gpus": 1, "num_workers": 0, "learning_rate": 1e-6, **flags}
    every = {(m, key): (v, "--") for m in ("INFER", "TRAIN") for key, v in given.items()}
    sections = [f"{mode}.{size}" for mode in ("INFER", "TRAIN") for size in sizes]
    return load_experiment(find_spec(model).keys, None, overrides=sections, flags=every)


def job_of(settings: Settings, *, training: bool = False, frames: tuple[int, int] = (4, 4)) -> Job:
    return Job(settings, training, frames, seconds=0.0, device="cpu", threads=1)


def passes(**changed: Any) -> Passes:
    given: dict[str, Any] = {
        "seconds": [0.5, 0.25, 1.0], "peak": 2_000_000, "parameters": 10, "operations": 100,
        "batch": 20, "optimizer": 0, "said": [],
    }  # fmt: skip
    return Passes(**(given | changed))


# What models are measured on.


def test_frames() -> None:
    assert frames_of(tiny("AttentionCluster")["INFER"], None) == (5, 5)
    assert frames_of(tiny("NEXTVLAD")["INFER"], None) == (300, 300)
    assert frames_of(tiny("AttentionCluster")["INFER"], (2, 9)) == (2, 9)
    assert lengths_between((7, 7), 3) == [7, 7, 7]
    assert sorted(lengths_between((120, 300), 4)) == [120, 180, 240, 300]
    assert lengths_between((120, 300), 16) != sorted(lengths_between((120, 300), 16))
    assert lengths_between((120, 300), 1) == [210]


def test_shapes_in_words() -> None:
    assert describe_shape(tiny("NEXTVLAD")["INFER"], (300, 300)) == "2 x 300"
    assert describe_shape(tiny("NEXTVLAD")["INFER"], (120, 300)) == "2 x 120-300"
    assert describe_shape(tiny("STNET")["INFER"], (1, 1)) == "2 x 7x5 x 32"


def test_batches() -> None:
    batch = make_batch(tiny("NEXTVLAD")["INFER"], (3, 6))
    assert isinstance(batch, FeatureBatch)
    assert [tuple(f.shape) for f in batch.features] == [(2, 6, 8), (2, 6, 4)]
    assert sorted(batch.lengths.tolist()) == [3, 6]
    assert batch.labels.any(1).all()
    assert batch.labelled.all()
    assert batch_bytes(batch) == 2 * 6 * 12
    clips = make_batch(tiny("STNET")["INFER"], (1, 1))
    assert isinstance(clips, ClipBatch)
    assert tuple(clips.clips.shape) == (2, 7, 15, 32, 32)
    assert (clips.labels >= 0).all()
    assert batch_bytes(clips) == clips.clips.numel()


@pytest.mark.parametrize("chunk_size", [2, 1])
def test_the_same_batch_comes_again_and_again(chunk_size: int) -> None:
    batch = make_batch(tiny("TSN")["INFER"], (1, 1))
    assert isinstance(batch, ClipBatch)
    source = SameBatch(batch, 3)
    sampler = StepSampler(len(source), batch_size=2, chunk_size=chunk_size, shuffle=True)
    loader = make_loader(source, sampler, training=True, num_workers=0)
    found: list[Batch] = [checked(each) for each in loader]
    assert len(found) == 3 * 2 // chunk_size
    for each in found:
        assert isinstance(each, ClipBatch)
        assert each.clips.data_ptr() == batch.clips.data_ptr(), "nothing is copied"
        assert len(each) == chunk_size
        assert each.chunk is not None


# Floors.


def test_the_floor_is_the_longer_of_both() -> None:
    assert floor_of(operations=2000, moved=100, rates=RATES) == Floor(2.0, "operations")
    assert floor_of(operations=2000, moved=300, rates=RATES) == Floor(3.0, "bytes")
    assert RATES.best(Rates(900.0, 200.0)) == Rates(1000.0, 200.0)


def test_least_bytes() -> None:
    given = {"parameters": 10, "batch": 7}
    assert least_bytes(**given, precision="32", training=False) == 7 + 40
    assert least_bytes(**given, precision="bf16", training=False) == 7 + 20
    # weights read twice; gradients and weights written and read; what Adam keeps read and written
    step = 2 * 40 + 2 * 40 + 2 * 40 + 2 * 80
    assert least_bytes(**given, precision="32", training=True, optimizer=80) == 7 + step
    assert least_bytes(**given, precision="bf16", training=True, optimizer=80) == 7 + step - 40


def test_rates_come_from_the_fastest_turn() -> None:
    times: list[float] = []
    for begun in (0.0, 100.0):  # the product, the copy
        times.append(begun)
        for start, taken in ((1, 5), (7, 2), (10, 3)):
            times += [begun + start, begun + start + taken]
        times.append(begun + 20)  # asked whether the time is over, once there are three
    clock = iter(times).__next__
    found = measure_rates(CPU, "bf16", seconds=2, clock=clock, matrix=4, copied=64)
    assert found == Rates(operations=2 * 4**3 / 2, copied=2 * 64 / 2)


# Memory.


def test_status_of_a_process() -> None:
    text = "Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t   1024 kB\n"
    assert status_bytes(text, "VmHWM") == 2048 * 1024
    assert status_bytes(text, "VmRSS") == 1024 * 1024
    assert status_bytes(text, "VmSwap") is None


def _take(megabytes: int) -> int | None:
    memory = PeakMemory(CPU)
    np.ones(megabytes * 2**20, np.uint8)  # is given back at once
    np.ones(2**20, np.uint8)
    return memory.taken()


def test_the_peak_is_what_was_taken_since() -> None:
    taken = call_apart(_take, 300)
    assert taken is None or 250 * 2**20 < taken < 400 * 2**20


def test_what_optimizers_keep() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    assert kept_bytes(optimizer.state) == 0
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert kept_bytes(optimizer.state) == 2 * 8 * 4


# Passes.


def test_a_meter_leaves_the_first_passes_out() -> None:
    ticks = count()
    meter = Meter(4.0, clock=lambda: float(next(ticks)))
    seen = 0
    while not meter.enough:
        meter.start()
        meter.stop()
        seen += 1
    assert seen == len(meter.seconds) + 2
    assert set(meter.seconds) == {1.0}
    assert len(meter.seconds) >= 3


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", sorted(ORIGINAL))
def test_every_model_runs(model: str, training: bool) -> None:
    settings = tiny(model, precision="bf16" if training else "32")["TRAIN" if training else "INFER"]
    found = run_job(job_of(settings, training=training))
    assert len(found.seconds) >= 3
    assert all(seconds > 0 for seconds in found.seconds)
    assert found.operations > 0
    assert (found.optimizer > 0) == training
    model_of = build_classifier(settings).model
    assert found.parameters == sum(p.numel() for p in model_of.parameters())
    assert found.said == []


def counted(settings: Settings, frames: tuple[int, int], *, training: bool = False) -> int:
    return count_operations(build_classifier(settings), make_batch(settings, frames), training)


def test_operations_of_products() -> None:
    def by_hand(frames: int) -> int:
        each = 0
        for dim, clusters in ((8, 3), (4, 2)):
            each += 2 * frames * dim * clusters * 2  # attention of every frame, their sum
        joined = 8 * 3 + 4 * 2
        return 2 * (each + 2 * (joined * 12 + 12 * 10 + 10 * 8))

    assert counted(tiny("AttentionCluster")["INFER"], (5, 5)) == by_hand(5)


def test_operations_of_recurrences_are_counted() -> None:
    frames, embedding, states = 40, 6, 5
    recurrence = 2 * 2 * frames * 2 * 4 * states * (embedding + states)  # modalities, directions
    all_of_them = counted(tiny("AttentionLSTM")["INFER"], (frames, frames)) / 2
    rest = 2 * frames * (8 + 4) * embedding + 2 * 4 * states * 12 + 2 * (12 * 10 + 10 * 8)
    assert all_of_them == pytest.approx(recurrence + rest, rel=0.1)
    training = counted(tiny("AttentionLSTM")["TRAIN"], (frames, frames), training=True) / 2
    assert training == pytest.approx(3 * (recurrence + rest), rel=0.1)


def test_frames_that_are_not_there_are_not_counted() -> None:
    settings = tiny("NEXTVLAD")["INFER"]
    assert counted(settings, (2, 40)) < 0.8 * counted(settings, (40, 40))


def test_operations_of_convolutions() -> None:
    # a ResNet-18 on 32 x 32 pixels, 3 frames: 16 x 16 after the first layer, 8 x 8 after the pool
    def block(size: int, into: int, out: int) -> int:
        first = size * size * 9 * (into * out + out * out)
        shortcut = size * size * into * out if into != out else 0
        return first + shortcut + size * size * 9 * 2 * out * out

    places = 16 * 16 * 49 * 3 * 64
    places += block(8, 64, 64) + block(4, 64, 128) + block(2, 128, 256) + block(1, 256, 512)
    forward = 2 * (2 * 3 * places + 2 * 512 * 3)
    assert counted(tiny("TSN")["INFER"], (1, 1)) == forward
    training = counted(tiny("TSN")["TRAIN"], (1, 1), training=True)
    assert 2.5 * forward < training < 3 * forward  # nothing flows back to the pixels
    assert counted(tiny("STNET")["INFER"], (1, 1)) > 2 * forward


def test_a_process_of_its_own() -> None:
    found = run_apart(job_of(tiny("AttentionCluster")["INFER"]))
    assert found.peak is None or found.peak > 0
    assert len(found.seconds) >= 3


# What it means.


def test_figures() -> None:
    found = sum_up(job_of(tiny("NEXTVLAD")["INFER"]), passes(), RATES, changed=False)
    assert (found.model, found.precision, found.shape) == ("NEXTVLAD", "32", "2 x 4")
    assert (found.videos.middle, found.videos.lowest, found.videos.highest) == (4.0, 2.0, 8.0)
    assert found.operations == 50
    assert found.moved == 20 + 40
    assert found.floor == Floor(0.6, "bytes")
    assert found.of_floor == pytest.approx(0.5 / 0.6)
    assert found.original is None
    assert found.of_original is None


def test_the_originals_figures_are_for_its_own_batch_on_a_cpu() -> None:
    assert BATCH_SIZES.keys() == ORIGINAL.keys()
    for model, (shape, infer, train) in ORIGINAL.items():
        settings = load_experiment(
            find_spec(model).keys, None, flags={
                (mode, key): (value, "--")
                for mode in ("INFER", "TRAIN")
                for key, value in {
                    "batch_size": BATCH_SIZES[model],
                    **({"target_size": 224} if model in ("STNET", "TSN") else {}),
                }.items()
            },
        )  # fmt: skip
        frames = frames_of(settings["INFER"], None)
        job = job_of(settings["INFER"], frames=frames)
        assert describe_shape(job.settings, frames) == shape
        assert original_speed(job, shape) == infer
        assert original_speed(job_of(settings["TRAIN"], training=True), shape) == train
        assert original_speed(job, "1 x 1") is None
        on_gpu = Job(settings["INFER"], False, frames, 0.0, "cuda:0", 1)
        assert original_speed(on_gpu, shape) is None
    found = sum_up(job, passes(), RATES, changed=False)
    assert found.of_original == pytest.approx(found.videos.middle / 4.5)
    assert sum_up(job, passes(), RATES, changed=True).original is None


def test_what_fails_is_named_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([Rates(10.0, 5.0), Rates(8.0, 6.0)])
    monkeypatch.setattr(models, "measure_rates", lambda *_, **__: next(rates))
    machine = Machine("Test CPU", 2, 1.5, {"videozoo": "1", "torch": "2"})
    monkeypatch.setattr(models, "this_machine", lambda: machine)
    asked: list[Job] = []

    def run(job: Job) -> Passes:
        asked.append(job)
        if job.training:
            raise VideozooError("too large")
        return passes(said=["out of memory: 1 at once"])

    made = load_experiment(
        find_spec("NEXTVLAD").keys, None, flags={("INFER", "batch_size"): (16, "--")}
    )
    told: list[str] = []
    found = bench_models(
        [Subject(made["INFER"], made["TRAIN"])], device=CPU, seconds=3, run=run, report=told.append
    )
    assert told == ["the device itself", "NEXTVLAD infer 32", "NEXTVLAD train 32"]
    assert [job.training for job in asked] == [False, True]
    assert all(job.seconds == 3 and job.frames == (300, 300) for job in asked)
    assert found.rates == {"32": Rates(10.0, 6.0)}
    assert found.failed == [("NEXTVLAD train 32", "too large")]
    assert found.as_json()["figures"][0]["floor"] == {"seconds": 10.0, "bound": "operations"}
    console = Console(width=80, record=True, markup=False, highlight=False, quiet=False)
    with console.capture() as captured:
        print_models(found, console)
    text = " ".join(captured.get().split())
    assert "machine: Test CPU, cores: 2, threads: 1, load 1.5 before; videozoo 1, torch 2" in text
    assert "not measured: NEXTVLAD train 32: too large" in text
    assert "NEXTVLAD infer 32: out of memory: 1 at once" in text
    assert "quoted, not re-run" in text
    assert "NEXTVLAD infer 12.5." in text
    assert "A floor below 1" in text
    assert "Other programs run here (load 1.5" in text
    assert "NEXTVLAD infer 32 32 16 64 2 0.05 2.56" in text
