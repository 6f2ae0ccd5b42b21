"""The best weights of Linear, found at once.

Videos are fewer than statistics, so the penalised logistic regression is solved among the products
of the videos with each other (B. Scholkopf, A. Smola: "Learning with Kernels", MIT Press 2002,
section 4.2): in a basis of at most n columns in which they have no correlation. There, L-BFGS needs
a few steps, since the curvature of each column is bounded beforehand (D. Bohning: "Multinomial
Logistic Regression Algorithm", Annals of the Institute of Statistical Mathematics 44, 1992). Of
more than MOST_PRODUCTS videos the statistics are the columns, and memory grows with the videos.

Shapes: n videos, P statistics, R columns, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.errors import VideozooError
from videozoo.models.linear import Linear

MOST_PRODUCTS = 1500
STEPS = 200  # of L-BFGS, at most
SMALL = 1_000_000  # values of a matrix, up to which one thread is as quick


@dataclass(frozen=True)
class Strength:
    """How strongly the weights are held back.

    Attributes:
        penalty: factor of half their squared sum beside the mean loss, where a video's statistics
            have the mean squared sum 1.
        cosines: factor of the cosines' size: a smaller one penalises their weights more.
        balance: 0: a modality counts by its width; 1: all count alike, so that a narrow one is
            heard beside a wide one; between them likewise.
    """

    penalty: float
    cosines: float
    balance: float = 0.0


@dataclass(frozen=True)
class Scale:
    """What standardises statistics.

    Attributes:
        mean: [P], over the training videos.
        variance: [P].
        factors: [P], 1 / sqrt(variance + eps).
    """

    mean: Tensor
    variance: Tensor
    factors: Tensor

    @classmethod
    def of(cls, statistics: Tensor, eps: float) -> Scale:
        """Measures statistics [n, P]; eps is the batch norm's."""
        variance, mean = torch.var_mean(statistics, dim=0, correction=0)  # [P], [P]
        return cls(mean, variance, (variance + eps).rsqrt())

    def __call__(self, statistics: Tensor) -> Tensor:
        """Standardises [m, P]."""
        return (statistics - self.mean) * self.factors


@dataclass(frozen=True)
class Design:
    """The training videos in few columns.

    Attributes:
        columns: [n, R].
        others: [m, R], videos to be scored, in the same columns.
        basis: float64 [n, R]: columns = products of the videos @ basis; None: they are the
            statistics times `factors`.
        factors: [P], of the statistics in the columns.
    """

    columns: Tensor
    others: Tensor
    basis: Tensor | None
    factors: Tensor


class Problem:
    """Standardised statistics of training videos, and of others to be scored.

    Args:
        train: float32 [n, P].
        others: float32 [m, P].
        model: says which statistics are what.
    """

    def __init__(self, train: Tensor, others: Tensor, model: Linear) -> None:
        self.scale = Scale.of(train, model.norm.eps)
        self.train, self.others = self.scale(train), self.scale(others)  # [n, P], [m, P]
        self.modalities, self.cosines = model.modality_columns(), model.cosine_columns()  # [P]
        self.kinds = 2 * self.modalities + self.cosines  # [P]
        self.has_products = len(train) <= MOST_PRODUCTS
        if self.has_products:
            # of each kind by itself: whatever their factors are, no new ones are needed
            self.products = {
                kind: _products(self.train, self.others, self.kinds == kind)
                for kind in sorted(set(self.kinds.tolist()))
            }

    def factors(self, strength: Strength) -> Tensor:
        """Returns how large each statistic is made: [P]."""
        share = self.modalities.bincount()[self.modalities] / len(self.modalities)  # [P]
        factors = torch.where(self.cosines, strength.cosines, 1.0)  # [P]
        return factors * share ** (-strength.balance / 2)

    def design(self, strength: Strength) -> Design:
        """Returns the videos' columns, whatever the penalty."""
        factors = self.factors(strength)  # [P]
        if not self.has_products:
            sizes = [x * factors for x in (self.train, self.others)]
            size = sizes[0].square().sum(dim=1).mean().sqrt()
            return Design(sizes[0] / size, sizes[1] / size, None, factors / size)
        squares = {k: float(factors[self.kinds == k][0]) ** 2 for k in self.products}
        products = torch.stack([squares[k] * one for k, one in self.products.items()]).sum(0)
        n = len(self.train)
        size = products[:n].diagonal().mean().clamp(min=1e-12)
        values, vectors = torch.linalg.eigh(products[:n] / size)  # [n], [n, n]
        kept = values > values[-1].clamp(min=1e-12) * 1e-9
        roots, vectors = values[kept].sqrt(), vectors[:, kept]  # [R], [n, R]
        basis = vectors / roots  # [n, R]
        return Design(
            vectors * roots, products[n:] / size @ basis, basis, factors / size.sqrt().float()
        )

    def weights(self, design: Design, found: Tensor) -> Tensor:
        """Returns the weights of standardised statistics [P, K] for those of columns [R, K]."""
        if design.basis is None:
            return found * design.factors[:, None]
        of_videos = (design.basis @ found).float()  # [n, K]
        return (self.train.t() @ of_videos) * design.factors.square()[:, None]


def _products(train: Tensor, others: Tensor, chosen: Tensor) -> Tensor:
    """Returns the products of all videos with the training ones over some statistics, float64."""
    columns = train[:, chosen]  # [n, chosen]
    return torch.cat([columns, others[:, chosen]]).mm(columns.t()).double()  # [n + m, n]


def solve(
    columns: Tensor,
    target: Tensor,
    penalties: Sequence[float],
    *,
    multi_label: bool,
    tolerance: float = 1e-4,
) -> Iterator[Tensor]:
    """Finds the weights of a penalised logistic regression, for one penalty after another.

    The mean over the videos of the cross-entropy (or of the sum over classes of binary ones), plus
    penalty / 2 times the squared sum of the weights; the offsets are free.

    Args:
        columns: float [n, R].
        target: of the same type [n, K], 1 where a video has a class.
        penalties: the largest first: each start is the solution before.
        multi_label: sigmoids; else softmax.
        tolerance: of the gradient, where every column is scaled to have the curvature 1 at most.

    Yields:
        Weights and, in the last row, offsets: [R + 1, K].
    """
    n = len(columns)
    curvature = columns.square().mean(dim=0) / (4 if multi_label else 2)  # [R]
    share = target.mean(dim=0).clamp(0.5 / n, 1 - 0.5 / n)  # [K]
    found = torch.zeros(columns.shape[1] + 1, target.shape[1], dtype=columns.dtype)
    found[-1] = share.logit() if multi_label else share.log()
    ones = columns.new_ones(n, 1)
    for penalty in penalties:
        steps = torch.cat([curvature + penalty, curvature.new_full((1,), 0.25)]).rsqrt()[:, None]
        held = steps.square() * penalty  # [R + 1, 1]
        held[-1] = 0
        scaled = torch.cat([columns, ones], dim=1) * steps.t()  # [n, R + 1]
        start = found / steps  # [R + 1, K]
        found = steps * _minimum(scaled, target, held, start, multi_label, tolerance)
        yield found


def _minimum(
    x: Tensor, target: Tensor, held: Tensor, start: Tensor, multi_label: bool, tolerance: float
) -> Tensor:
    """Returns the w [R + 1, K] with the least mean loss + sum of held * w^2 / 2."""
    w = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [w],
        max_iter=STEPS,
        history_size=10,
        tolerance_grad=tolerance,
        tolerance_change=tolerance**2,
        line_search_fn="strong_wolfe",
    )

    @torch.no_grad()
    def loss() -> Tensor:
        logits = x @ w  # [n, K]
        if multi_label:
            value = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
            off = logits.sigmoid() - target  # [n, K]
        else:
            logs = logits.log_softmax(dim=1)  # [n, K]
            value, off = -(logs * target).sum(), logs.exp() - target  # [], [n, K]
        w.grad = x.t() @ off / len(x) + held * w  # [R + 1, K]
        return value / len(x) + (held * w.square()).sum() / 2

    with _one_thread_for(x.numel()):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return w.detach()


@contextmanager
def _one_thread_for(values: int) -> Iterator[None]:
    """Computes small products with one thread: several would mostly wait for each other.

    On a machine with other work that waiting took five times as long as all else.

    Args:
        values: of the matrix that is multiplied.
    """
    threads = torch.get_num_threads()
    if values < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def target_of(labels: Sequence[Sequence[int]], *, num_classes: int, multi_label: bool) -> Tensor:
    """Returns float32 [n, K], 1 where a video has a class.

    Raises:
        VideozooError: a video has no class, or several, where each has one.
    """
    target = torch.zeros(len(labels), num_classes)
    for row, classes in zip(target, labels, strict=True):
        if len(classes) != 1 and not multi_label:
            raise VideozooError(
                f"a training video has {len(classes)} classes; it must have one: set"
                " multi_label = True for none or several"
            )
        row[list(classes)] = 1
    return target


def fit_linear(
    model: Linear,
    statistics: Tensor,
    labels: Sequence[Sequence[int]],
    *,
    multi_label: bool,
    strength: Strength,
) -> None:
    """Fills a model with the best weights for some videos.

    Args:
        model: its norm takes the statistics' mean and variance.
        statistics: float32 [n, P], by `Linear.statistics`.
        labels: the classes of each video.
        multi_label: sigmoids, a video may have many classes; else softmax.
        strength: how strongly the weights are held back.

    Raises:
        VideozooError: there is no video, or one has no class, or several where each has one.
    """
    if not len(statistics):
        raise VideozooError("there are no videos to learn from")
    problem = Problem(statistics, statistics[:0], model)
    design = problem.design(strength)
    classes = model.classifier.out_features
    target = target_of(labels, num_classes=classes, multi_label=multi_label)
    (found,) = solve(
        design.columns,
        target.to(design.columns.dtype),
        [strength.penalty],
        multi_label=multi_label,
        tolerance=1e-8 if design.columns.dtype == torch.float64 else 1e-5,
    )
    weights = problem.weights(design, found[:-1])  # [P, K]
    with torch.no_grad():
        model.classifier.weight.copy_(weights.t())
        model.classifier.bias.copy_(found[-1])
        assert model.norm.running_mean is not None
        assert model.norm.running_var is not None
        model.norm.running_mean.copy_(problem.scale.mean)
        model.norm.running_var.copy_(problem.scale.variance)
