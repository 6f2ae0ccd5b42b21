"""How fast the models infer and train on this device, and how far that is from its floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from videozoo.bench.apart import call_apart
from videozoo.bench.machine import Machine, this_machine
from videozoo.bench.models_batches import Frames, describe_shape, frames_of
from videozoo.bench.models_floor import Floor, Rates, floor_of, least_bytes, measure_rates
from videozoo.bench.models_passes import Job, Passes, run_job
from videozoo.bench.timing import Spread
from videozoo.config.keys import Settings
from videozoo.errors import VideozooError

Run = Callable[[Job], Passes]
RATE_SECONDS = 2.0

# The original under PaddlePaddle Fluid 1.8.5 at its best settings, two threads on two cores:
# shape of the batch, videos/s in inference and in training.
ORIGINAL: dict[str, tuple[str, float, float]] = {
    "AttentionCluster": ("32 x 100", 18.5, 12.0),
    "AttentionLSTM": ("8 x 300", 1.9, 0.68),
    "NEXTVLAD": ("16 x 300", 12.5, 3.2),
    "STNET": ("2 x 7x5 x 224", 0.35, 0.15),
    "TSN": ("4 x 3x1 x 224", 4.5, 0.52),
}
BATCH_SIZES = {"AttentionCluster": 32, "AttentionLSTM": 8, "NEXTVLAD": 16, "STNET": 2, "TSN": 4}


@dataclass(frozen=True)
class Subject:
    """One model in one precision.

    Attributes:
        infer, train: its settings in these modes.
        frames: of the shortest and of the longest video; None: the usual ones.
        changed: keys were set: the original's figures are of another model.
    """

    infer: Settings
    train: Settings
    frames: Frames | None = None
    changed: bool = False


@dataclass(frozen=True)
class ModelFigures:
    """One model, one precision, inference or training.

    Attributes:
        model: its name.
        precision: "32" or "bf16".
        training: training steps; else inference.
        shape: of the batch, in words.
        videos: a second.
        passes: that were measured.
        peak: bytes of memory beyond the libraries; None where the system does not tell.
        parameters: numbers that the model has learnt.
        operations: a video; a multiplication and an addition are two.
        moved: bytes a batch that any way of computing must move.
        floor: the least time of a batch.
        of_floor: times of that the median batch takes.
        original: videos/s of the original, quoted; None where it is not comparable.
        of_original: times of that.
        said: what the loop said, such as that the memory is too small.
    """

    model: str
    precision: str
    training: bool
    shape: str
    videos: Spread
    passes: int
    peak: int | None
    parameters: int
    operations: float
    moved: int
    floor: Floor
    of_floor: float
    original: float | None
    of_original: float | None
    said: list[str]


@dataclass(frozen=True)
class ModelBench:
    """What was measured.

    Attributes:
        figures: by model, precision, inference and training.
        failed: "model precision pass" and the reason, of what could not be measured.
        rates: of the device by precision.
        device: its name.
        threads: that PyTorch used on the CPU.
        machine: what it was measured on.
    """

    figures: list[ModelFigures]
    failed: list[tuple[str, str]]
    rates: dict[str, Rates]
    device: str
    threads: int
    machine: Machine

    def as_json(self) -> dict[str, Any]:
        """Returns the same in lists, dicts, words and numbers."""
        return asdict(self)


def bench_models(
    subjects: Sequence[Subject],
    *,
    device: torch.device,
    seconds: float,
    rate_seconds: float = RATE_SECONDS,
    run: Run | None = None,
    report: Callable[[str], None] = lambda what: None,
) -> ModelBench:
    """Measures inference and training of each, one after the other, each in a process of its own.

    Args:
        subjects: models and precisions.
        device: to run on.
        seconds: for each inference and each training, roughly.
        rate_seconds: for the rates of the device, twice for each precision.
        run: measures one; None: in a new process.
        report: is told what is measured next.
    """
    machine = this_machine()
    threads = torch.get_num_threads()
    precisions: list[str] = list(dict.fromkeys(subject.infer.precision for subject in subjects))
    report("the device itself")
    before = {p: measure_rates(device, p, seconds=rate_seconds) for p in precisions}
    done: list[tuple[Subject, Job, Passes]] = []
    failed: list[tuple[str, str]] = []
    for subject, job in _jobs(subjects, device, seconds, threads):
        what = f"{job.settings.NAME} {pass_name(job)}"
        report(what)
        try:
            done.append((subject, job, (run or run_apart)(job)))
        except VideozooError as error:
            failed.append((what, str(error)))
    after = {p: measure_rates(device, p, seconds=rate_seconds) for p in precisions}
    rates = {p: before[p].best(after[p]) for p in precisions}
    return ModelBench(
        figures=[
            sum_up(job, found, rates[job.settings.precision], changed=subject.changed)
            for subject, job, found in done
        ],
        failed=failed,
        rates=rates,
        device=device_name(device),
        threads=threads,
        machine=machine,
    )


def pass_name(job: Job) -> str:
    """Returns "infer 32", "train bf16", ..."""
    return f"{'train' if job.training else 'infer'} {job.settings.precision}"


def device_name(device: torch.device) -> str:
    """Returns the name of a GPU, or "CPU"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _jobs(
    subjects: Sequence[Subject], device: torch.device, seconds: float, threads: int
) -> Iterator[tuple[Subject, Job]]:
    for subject in subjects:
        for training, settings in ((False, subject.infer), (True, subject.train)):
            frames = frames_of(settings, subject.frames)
            yield subject, Job(settings, training, frames, seconds, str(device), threads)


def run_apart(job: Job) -> Passes:
    """Measures in a new process: its peak of memory is then that of this job.

    Raises:
        VideozooError: as run_job; or the process was ended from outside.
    """
    return call_apart(run_job, job)


def sum_up(job: Job, found: Passes, rates: Rates, *, changed: bool) -> ModelFigures:
    """Returns what a job's passes mean.

    Args:
        job: what was measured.
        found: the passes.
        rates: of the device, in the job's precision.
        changed: the model is not the usual one.
    """
    settings = job.settings
    moved = least_bytes(
        parameters=found.parameters,
        batch=found.batch,
        precision=settings.precision,
        training=job.training,
        optimizer=found.optimizer,
    )
    floor = floor_of(operations=found.operations, moved=moved, rates=rates)
    videos = Spread.of([settings.batch_size / seconds for seconds in found.seconds])
    shape = describe_shape(settings, job.frames)
    original = None if changed else original_speed(job, shape)
    return ModelFigures(
        model=settings.NAME,
        precision=settings.precision,
        training=job.training,
        shape=shape,
        videos=videos,
        passes=len(found.seconds),
        peak=found.peak,
        parameters=found.parameters,
        operations=found.operations / settings.batch_size,
        moved=moved,
        floor=floor,
        of_floor=settings.batch_size / videos.middle / floor.seconds,
        original=original,
        of_original=None if original is None else videos.middle / original,
        said=found.said,
    )


def original_speed(job: Job, shape: str) -> float | None:
    """Returns the original's videos/s; None for another batch, and for a GPU."""
    known, infer, train = ORIGINAL[job.settings.NAME]
    if torch.device(job.device).type != "cpu" or shape != known:
        return None
    return train if job.training else infer
