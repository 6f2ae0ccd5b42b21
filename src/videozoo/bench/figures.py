"""Measurements of reading, and what they sum up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from videozoo.bench.blocks import Block
from videozoo.bench.disk import read_plainly
from videozoo.bench.loaders import deliver
from videozoo.bench.machine import Machine
from videozoo.bench.subjects import Pass, Stage, Subject
from videozoo.bench.timing import Clock, Plan, Spread, go_round, stage_shares
from videozoo.bench.verdict import describe

Unread = tuple[str, str]


@dataclass(frozen=True)
class Speed:
    """How fast one way of reading is.

    Attributes:
        workers: reader processes; 0: this process.
        samples: a second.
        megabytes: stored MB (1,000,000 bytes) a second.
        of_plain: share of the speed of plain reading.
    """

    workers: int
    samples: Spread
    megabytes: float
    of_plain: float


@dataclass(frozen=True)
class StageCost:
    """What one stage costs one process.

    Attributes:
        stage: which.
        share: of the whole; they sum to 1.
        microseconds: a sample.
    """

    stage: Stage
    share: float
    microseconds: float


@dataclass(frozen=True)
class DataBench:
    """What was measured.

    Attributes:
        noun: what a sample is called, in the plural.
        listed: samples in the list.
        measured: samples that were read, again and again.
        stored: bytes of these.
        unread: name and reason of those that were chosen and could not be read.
        plan: how they were read.
        turns: that were taken; fewer than planned where they took long.
        seconds: all measurements together.
        cold: files were dropped from memory before they were read.
        kept: share of the bytes that was in memory before reading; None where not told.
        plain: MB a second of reading the bytes plainly.
        speeds: this process, then worker processes.
        stages: of one process; empty where they cannot be told apart.
        cpu_share: which share of the time one process had a core.
        verdict: what the figures mean, in sentences.
        machine: what they were measured on.
    """

    noun: str
    listed: int
    measured: int
    stored: int
    unread: list[Unread]
    plan: Plan
    turns: int
    seconds: float
    cold: bool
    kept: float | None
    plain: Spread
    speeds: list[Speed]
    stages: list[StageCost]
    cpu_share: float
    verdict: list[str]
    machine: Machine

    def as_json(self) -> dict[str, Any]:
        """Returns the same in lists, dicts, words and numbers."""
        return asdict(self)


class Figures:
    """Measures everything once a turn, and keeps the figures.

    Args:
        subject: what is measured.
        blocks: its samples; all can be read.
        plan: how they are read.
        counts: numbers of workers to try.
        before: what is done with a block before it is read.
        clock: tells seconds.
        cpu_clock: tells seconds that this process had a core.

    Attributes:
        turns: that were taken.
    """

    def __init__(
        self,
        subject: Subject,
        blocks: Sequence[Block],
        *,
        plan: Plan,
        counts: Sequence[int],
        before: Callable[[Block], None],
        clock: Clock,
        cpu_clock: Clock,
    ) -> None:
        self.subject = subject
        self.blocks = blocks
        self.plan = plan
        self.counts = counts
        self.before = before
        self.clock = clock
        self.cpu_clock = cpu_clock
        self.turns = 0
        self.measured = sum(len(block.indices) for block in blocks)
        self.stored = sum(block.size for block in blocks)
        self._plain: list[float] = []  # MB a second
        self._speeds: dict[int, list[float]] = {count: [] for count in (0, *counts)}
        self._rounds: list[list[list[float]]] = []  # seconds, by round, pass and block
        self._cpu_shares: list[float] = []

    def take_turn(self) -> None:
        """Measures everything once."""
        rounds = self.plan.passes
        seconds: list[list[float]] = []  # by round and pass
        cpu = self.cpu_clock()
        for _ in range(rounds):
            passes: list[Pass] = [lambda block: read_plainly(block.spans), *self.subject.passes()]
            found = go_round(passes, self.blocks, before=self.before, clock=self.clock)
            self._rounds.append(found)
            seconds.append([sum(each) for each in found])
        plain, *_, whole = (sum(each) for each in zip(*seconds, strict=True))
        self._cpu_shares.append((self.cpu_clock() - cpu) / sum(map(sum, seconds)))
        self._plain.append(self.stored * rounds / plain / 1e6)
        self._speeds[0].append(self.measured * rounds / whole)
        for count in self.counts:
            speed = deliver(
                self.subject.source,
                self.blocks,
                workers=count,
                rounds=rounds,
                limit=1.5 * self.plan.reading,
                before=self.before,
                clock=self.clock,
            )
            self._speeds[count].append(speed)
        self.turns += 1

    def result(
        self,
        *,
        unread: list[Unread],
        seconds: float,
        cold: bool,
        kept: float | None,
        machine: Machine,
    ) -> DataBench:
        """Sums the turns up; the arguments are those of DataBench."""
        speeds = self._summed_speeds()
        stages = self._stage_costs(speeds[0].samples.middle)
        cpu_share = Spread.of(self._cpu_shares).middle
        return DataBench(
            noun=self.subject.noun,
            listed=len(self.subject.source),
            measured=self.measured,
            stored=self.stored,
            unread=unread,
            plan=self.plan,
            turns=self.turns,
            seconds=seconds,
            cold=cold,
            kept=kept,
            plain=Spread.of(self._plain),
            speeds=speeds,
            stages=stages,
            cpu_share=cpu_share,
            verdict=describe(
                stages=[(cost.stage.doing, cost.share) for cost in stages],
                speeds={speed.workers: speed.samples.middle for speed in speeds},
                megabytes={speed.workers: speed.megabytes for speed in speeds},
                of_plain={speed.workers: speed.of_plain for speed in speeds},
                cpu_share=cpu_share,
                cores=machine.cores,
                load=machine.load,
                cold=cold,
            ),
            machine=machine,
        )

    def _summed_speeds(self) -> list[Speed]:
        a_sample = self.stored / self.measured / 1e6  # MB
        plain = Spread.of(self._plain).middle
        summed = []
        for count, values in self._speeds.items():
            samples = Spread.of(values)
            megabytes = samples.middle * a_sample
            summed.append(Speed(count, samples, megabytes, megabytes / plain))
        return summed

    def _stage_costs(self, samples_a_second: float) -> list[StageCost]:
        stages = self.subject.stages
        shares = stage_shares(self._rounds) if stages else []
        return [
            StageCost(stage, share, share * 1e6 / samples_a_second)
            for stage, share in zip(stages, shares, strict=True)
        ]
