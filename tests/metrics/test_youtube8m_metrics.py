"""Hit@1, PERR, GAP and mAP against the original's evaluator and against plain loops."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor

from videozoo.errors import VideozooError
from videozoo.metrics import YouTube8MMetrics
from videozoo.metrics.youtube8m import best_classes

GOLDEN = Path(__file__).parent / "golden"


def measured(
    scores: Tensor, labels: Tensor, *, top_k: int = 20, batch: int = 7
) -> dict[str, float]:
    metric = YouTube8MMetrics(num_classes=scores.shape[1], top_k=top_k)
    for start in range(0, len(scores), batch):
        metric.update(scores[start : start + batch], labels[start : start + batch])
    return {name: float(value) for name, value in metric.compute().items()}


def average_precision(pool: list[tuple[float, bool]], total: int) -> float:
    ranked = sorted(pool, key=lambda entry: (-entry[0], entry[1]))
    found, result = 0, 0.0
    for rank, (_, right) in enumerate(ranked, 1):
        found += right
        result += right * found / rank
    return result / total if total else 0.0


def by_loops(scores: Tensor, labels: Tensor, top_k: int) -> dict[str, float]:
    hits, precisions = [], []
    pool: dict[int, list[tuple[float, bool]]] = {k: [] for k in range(scores.shape[1])}
    for row, truth in zip(scores.tolist(), labels.tolist(), strict=True):
        ranked = sorted(range(len(row)), key=lambda k: (-row[k], k))
        n = sum(truth)
        hits.append(float(truth[ranked[0]]))
        precisions.append(sum(truth[k] for k in ranked[:n]) / n if n else 0.0)
        for k in ranked[:top_k]:
            pool[k].append((row[k], truth[k]))
    counts = labels.sum(0).tolist()
    return {
        "hit_at_1": float(np.mean(hits)),
        "perr": float(np.mean(precisions)),
        "gap": average_precision([e for es in pool.values() for e in es], sum(counts)),
        "map": float(np.mean([average_precision(pool[k], counts[k]) for k in pool])),
    }


def test_the_originals_figures() -> None:
    golden = np.load(GOLDEN / "metrics.npz")
    expected = json.loads((GOLDEN / "metrics.json").read_text())
    scores = torch.from_numpy(golden["predictions"])
    labels = torch.from_numpy(golden["labels"])
    assert (labels.sum(1) == 0).any(), "the golden holds videos without labels"
    metric = YouTube8MMetrics(num_classes=60, top_k=expected["top_k"])
    bounds = golden["batch_bounds"].tolist()
    for start, stop in pairwise(bounds):
        metric.update(scores[start:stop], labels[start:stop])
    found = metric.compute()
    assert found["hit_at_1"] == pytest.approx(expected["avg_hit_at_one"], abs=1e-7)
    assert found["perr"] == pytest.approx(expected["avg_perr"], abs=1e-8)
    assert found["gap"] == pytest.approx(expected["gap"], abs=1e-12)
    assert found["map"] == pytest.approx(expected["mean_average_precision"], abs=1e-12)


def test_each_class_has_the_originals_average_precision() -> None:
    golden = np.load(GOLDEN / "metrics.npz")
    scores = torch.from_numpy(golden["predictions"])
    labels = torch.from_numpy(golden["labels"])
    for k in range(60):
        # without labels elsewhere, the mean over classes is this class's share
        alone = torch.zeros_like(labels)
        alone[:, k] = labels[:, k]
        expected = golden["class_average_precision"][k]
        assert measured(scores, alone, batch=240)["map"] * 60 == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("videos", "classes", "top_k", "levels", "density"),
    [
        (1, 1, 1, 2, 0.5),
        (30, 50, 20, 4, 0.1),  # many ties, also across the cut
        (30, 50, 20, 1, 0.1),  # nothing but ties
        (40, 8, 20, 1000, 0.4),  # fewer classes than top_k
        (25, 60, 5, 1000, 0.4),  # more labels than top_k
        (25, 30, 3, 3, 1.0),  # every class a label
    ],
)
def test_equal_to_plain_loops(
    videos: int, classes: int, top_k: int, levels: int, density: float
) -> None:
    generator = torch.Generator().manual_seed(videos)
    scores = torch.randint(0, levels, (videos, classes), generator=generator) / 1024
    labels = torch.rand(videos, classes, generator=generator) < density
    expected = by_loops(scores, labels, top_k)
    assert measured(scores, labels, top_k=top_k) == pytest.approx(expected, abs=1e-7)


def test_logits_are_ranked_like_any_numbers() -> None:
    generator = torch.Generator().manual_seed(3)
    scores = torch.randint(-3, 4, (40, 12), generator=generator) * 1.5
    labels = torch.rand(40, 12, generator=generator) < 0.3
    signed_zeros = torch.where(torch.rand(40, 12, generator=generator) < 0.5, 0.0, -0.0)
    scores = torch.where(scores == 0, signed_zeros, scores)
    scores[:4, 0], scores[4:8, 1] = float("inf"), -float("inf")
    assert scores.signbit().any()
    expected = by_loops(scores, labels, 20)
    assert measured(scores, labels) == pytest.approx(expected, abs=1e-7)


def test_the_order_of_videos_and_the_batches_change_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randint(0, 5, (50, 30), generator=generator) / 4
    labels = torch.rand(50, 30, generator=generator) < 0.1
    order = torch.randperm(50, generator=generator)
    first = measured(scores, labels, batch=50)
    assert measured(scores[order], labels[order], batch=1) == pytest.approx(first, abs=1e-12)


def test_perfect_and_useless_scores() -> None:
    labels = torch.eye(6)[:, :5]  # the last video has no label
    perfect = measured(labels, labels)
    assert perfect == pytest.approx({"hit_at_1": 5 / 6, "perr": 5 / 6, "gap": 1.0, "map": 1.0})
    # a class that no video has counts as 0, wherever it is ranked
    wider = torch.nn.functional.pad(labels, (0, 5))
    assert measured(wider, wider)["map"] == pytest.approx(0.5)
    nothing = torch.zeros(4, 5)
    assert measured(torch.rand(4, 5), nothing) == dict.fromkeys(perfect, 0.0)


def test_low_precision_and_number_labels_are_taken() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.125], [0.25, 0.5, 0.125]])
    labels = torch.tensor([[True, False, False], [True, True, False]])
    expected = measured(scores, labels)
    for kind in (torch.bfloat16, torch.float16, torch.float64):
        assert measured(scores.to(kind), labels.to(kind)) == expected


def test_memory_does_not_grow_with_the_classes() -> None:
    metric = YouTube8MMetrics(num_classes=3862)
    metric.update(torch.rand(64, 3862), torch.rand(64, 3862) < 0.001)
    kept = [t for state in (metric.scores, metric.classes, metric.precisions) for t in state]
    assert sum(t.numel() for t in kept) == 64 * 41
    # nothing may hold on to the whole [64, 3862] behind a view
    assert all(t.untyped_storage().nbytes() == t.numel() * 4 for t in kept)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_data_is_a_sentence_and_reset_forgets() -> None:
    metric = YouTube8MMetrics(num_classes=3)
    metric.update(torch.empty(0, 3), torch.empty(0, 3))
    with pytest.raises(VideozooError, match="there is no video to measure"):
        metric.compute()
    metric.update(torch.eye(3), torch.eye(3))
    assert metric.compute()["gap"] == 1
    metric.reset()
    with pytest.raises(VideozooError, match="there is no video to measure"):
        metric.compute()


def test_wrong_input_is_a_sentence() -> None:
    metric = YouTube8MMetrics(num_classes=3)
    with pytest.raises(VideozooError, match=r"must both be \[B, 3\]"):
        metric.update(torch.rand(2, 4), torch.rand(2, 4))
    with pytest.raises(VideozooError, match=r"must both be \[B, 3\]"):
        metric.update(torch.rand(2, 3), torch.rand(3, 3))
    with pytest.raises(VideozooError, match="not a number"):
        metric.update(torch.tensor([[0.1, float("nan"), 0.2]]), torch.eye(3)[:1])
    with pytest.raises(VideozooError, match="at least 1"):
        YouTube8MMetrics(num_classes=3, top_k=0)


@pytest.mark.parametrize("count", [1, 3, 6])
def test_best_classes_puts_equals_in_order_of_index(count: int) -> None:
    scores = torch.tensor([[1.0, 2, 2, 0, 2, 1], [0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5]])
    order = [[1, 2, 4, 0, 5, 3], [0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]
    values, classes = best_classes(scores, count)
    assert classes.tolist() == [row[:count] for row in order]
    assert torch.equal(values, scores.gather(1, classes))


def _one_process(rank: int, folder: str, cuts: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    scores, labels = torch.load(f"{folder}/data.pt")
    found = []
    for cut in cuts:
        share = range(cut) if rank == 0 else range(cut, len(scores))
        metric = YouTube8MMetrics(num_classes=scores.shape[1])
        for i in share:
            metric.update(scores[i : i + 1], labels[i : i + 1])
        found.append(metric.compute())
    torch.save(found, f"{folder}/found{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_are_merged_also_one_without_videos(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    scores = torch.randint(0, 9, (11, 40), generator=generator) / 8
    labels = torch.rand(11, 40, generator=generator) < 0.1
    torch.save((scores, labels), tmp_path / "data.pt")
    cuts = (7, 11, 0)
    mp.spawn(_one_process, (str(tmp_path), cuts), nprocs=2)
    expected = pytest.approx(measured(scores, labels), abs=1e-12)
    for rank in range(2):
        assert torch.load(tmp_path / f"found{rank}.pt") == [expected] * len(cuts)
