from __future__ import annotations

from typing import Any

from videozoo.bench.verdict import describe


def verdict(**changes: Any) -> list[str]:
    values: dict[str, Any] = {
        "stages": [("reading the bytes", 0.1), ("decoding", 0.61), ("resizing", 0.29)],
        "speeds": {0: 10.0, 1: 10.0, 2: 19.0},
        "megabytes": {0: 5.0, 1: 5.0, 2: 9.5},
        "of_plain": {0: 0.01, 1: 0.01, 2: 0.02},
        "cpu_share": 1.0,
        "cores": 2,
        "load": 0.1,
        "cold": False,
    }
    return describe(**(values | changes))


def test_cores_that_bound() -> None:
    assert verdict() == [
        "One process: 61% of the time is decoding, 29% resizing.",
        "2 workers give 1.9 times what one gives: the cores bound it, and more of them would"
        " give more.",
        "Fastest here: 2 workers (num_workers = 2). For this speed a disk must give 9.5 MB/s;"
        " --cold tries it.",
    ]


def test_small_stages_are_not_named() -> None:
    stages = [("reading the bytes", 0.04), ("decoding", 0.9), ("resizing", 0.06)]
    assert verdict(stages=stages)[0] == "One process: 90% of the time is decoding."
    assert verdict(stages=[])[0].startswith("2 workers give")


def test_reading_that_bounds() -> None:
    stages = [("reading the bytes", 0.8), ("parsing", 0.2)]
    assert "Reading the bytes takes 80%: the disk bounds it." in verdict(stages=stages, cold=True)
    warm = verdict(stages=stages)
    assert "Reading the bytes takes 80%: copying bytes out of memory bounds it." in warm
    near = verdict(of_plain={0: 0.4, 1: 0.4, 2: 0.85}, cold=True)
    assert "Bytes come at 85% of the speed of plain reading: the disk bounds it." in near
    assert not any("--cold" in sentence for sentence in near)


def test_workers_that_do_not_help() -> None:
    speeds = {0: 10.0, 1: 10.0, 2: 19.0, 4: 20.0, 8: 20.5}
    numbers = dict.fromkeys(speeds, 0.1)
    found = verdict(speeds=speeds, megabytes=numbers, of_plain=numbers, cores=8)
    assert found[1] == (
        "8 workers give 2 times what one gives, 2 as much: workers get in each other's way, by"
        " memory or disk."
    )


def test_handing_over_that_bounds() -> None:
    found = verdict(speeds={0: 10.0, 1: 4.0, 2: 5.0})
    assert found[1] == (
        "One worker gives 0.4 times what this process gives: handing batches from process to"
        " process bounds it."
    )
    assert found[2].startswith("Fastest here: no workers (num_workers = 0).")
    assert "the cores bound it" in verdict(speeds={0: 10.0, 1: 6.0, 2: 11.0})[1]


def test_few_workers_and_few_cores() -> None:
    one = {"megabytes": {0: 5.0, 1: 5.0}, "of_plain": {0: 0.1, 1: 0.1}}
    found = verdict(speeds={0: 10.0, 1: 9.9}, **one)
    assert "more of them may give more" in found[1]
    none = verdict(speeds={0: 10.0}, megabytes={0: 5.0}, of_plain={0: 0.1})
    assert none[1] == "No worker processes were tried: one core bounds it."
    assert verdict(cores=1)[1] == "There is one core: it bounds it."


def test_other_programs_are_told() -> None:
    warning = "Other programs run here (load 1.5 before measuring): the figures are"
    assert verdict(load=1.5)[-1].startswith(warning)
    assert verdict(cpu_share=0.6, load=None)[-1].startswith("Other programs run here: the figures")
    poor = verdict(load=1.5, speeds={0: 10.0, 1: 10.0, 2: 11.0})
    assert poor[1] == (
        "2 workers give 1.1 times what one gives: other programs have the cores; measure again"
        " when they have ended."
    )
    # Waiting for a disk is no other program.
    assert "Other" not in verdict(cpu_share=0.6, cold=True)[-1]
    assert "Other" not in verdict()[-1]
