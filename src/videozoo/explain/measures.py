"""What a class owes to parts of a video: occlusion, the model's own weights, Grad-CAM.

Shapes: n rows of features or segments of frames, S stretches of a video, K classes, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from videozoo.classifier import Classifier
from videozoo.data.batch import Batch
from videozoo.data.sample import Int64Array
from videozoo.explain.explanation import Moment
from videozoo.explain.stretches import Stretches
from videozoo.models.layers import full_precision
from videozoo.scoring import Scorer


def moments_of(
    classifier: Classifier,
    scorer: Scorer,
    batch: Batch,
    logits: Tensor,
    index: int,
    cut: Stretches,
    weights: Mapping[str, Tensor],
) -> list[Moment]:
    """Returns what the stretches of a video weigh.

    Args:
        classifier: says what scores are.
        scorer: of the same model.
        batch: one video.
        logits: of it, float [1, K].
        index: of the class.
        cut: the stretches.
        weights: the model's own of the rows by modality, float [n].
    """
    falls: list[float | None] = [None] * len(cut.all)
    scores: list[float | None] = [None] * len(cut.all)
    if len(cut.all) > 1:
        without = logits_without(scorer, batch, [one.places for one in cut.all])  # [S, K]
        odds = log_odds(classifier, torch.cat([logits, without]), index)  # [1 + S]
        falls = (odds[0] - odds[1:]).tolist()
        scores = classifier.scores(without)[:, index].tolist()
    found = []
    for one, fall, score in zip(cut.all, falls, scores, strict=True):
        shares = {name: float(of_rows[one.places].sum()) for name, of_rows in weights.items()}
        attention = sum(shares.values()) / len(shares) if shares else None
        found.append(Moment(one.start, one.end, fall, score, attention, shares))
    return found


def logits_without(scorer: Scorer, batch: Batch, parts: Sequence[Int64Array]) -> Tensor:
    """Scores a video once a part, with that part left out as if it had been cut away.

    Left out, not replaced, for every model: all take videos of any number of rows or segments, and
    statistics, attention, recurrence and temporal convolutions are then those of a shorter video.
    Mean rows in its place would stand still, which LINEAR takes for less deviation and change; a
    mean of frames is a picture of nothing. What order tells is kept, since what follows moves up.

    After M. Zeiler, R. Fergus: "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    section 4.2: there parts of a picture are covered.

    Args:
        scorer: of the model.
        batch: one video.
        parts: the numbers of the rows or segments of each part; together they are all of them.

    Returns:
        Logits, float [S, K]. Videos of one length go through the model together: one pass, or two
        where the parts are not of one size.
    """
    everything = np.sort(np.concatenate(parts))
    kept = [np.setdiff1d(everything, part) for part in parts]
    batches = (np.stack(list(alike)) for _, alike in groupby(kept, key=len))
    return torch.cat([scorer.logits(batch.keeping(torch.from_numpy(p))) for p in batches])


def log_odds(classifier: Classifier, logits: Tensor, index: int) -> Tensor:
    """Returns log(score / (1 - score)) of a class, which tells scores apart that are nearly 1.

    Args:
        classifier: says what scores are.
        logits: float [S, K].
        index: of the class.

    Returns:
        float64 [S].
    """
    scaled = classifier.calibration.scaled(full_precision(logits)).double()  # [S, K]
    if classifier.multi_label:
        return scaled[:, index]
    others = torch.cat([scaled[:, :index], scaled[:, index + 1 :]], dim=1)  # [S, K - 1]
    return scaled[:, index] - others.logsumexp(dim=1)  # [S]


def own_weights(classifier: Classifier, batch: Batch) -> Tensor | None:
    """Returns what the model's `frame_weights` says of a video on its device; None: it has none.

    Returns:
        float [M, n] on the CPU.
    """
    weigh = getattr(classifier.model, "frame_weights", None)
    if weigh is None:
        return None
    with torch.inference_mode():
        weights: Tensor = weigh(*classifier.arguments(batch))[0]  # [M, n]
    return weights.float().cpu()


def best_view(scorer: Scorer, batch: Batch, index: int) -> Batch:
    """Returns of a video's views (crops and mirror images) the one that shows a class best."""
    if batch.view_count == 1:
        return batch
    views = batch.view_part(0, batch.view_count, torch.device("cpu"))
    best = int(scorer.logits(views)[:, index].argmax())
    return views.part(best, best + 1)


def grad_cam(classifier: Classifier, batch: Batch, index: int) -> Tensor | None:
    """Says where in the frames of a video a class is seen: Grad-CAM of the last block.

    R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra: "Grad-CAM: Visual
    Explanations from Deep Networks via Gradient-based Localization", ICCV 2017, section 3: the
    channels of the maps, each weighed by the mean of the logit's gradient over the map, summed, and
    what is below 0 left out. Weights are of each segment, the maximum is the whole video's.

    Args:
        classifier: a model that gradients go through: no copy for inference.
        batch: one view of one video, on the device.
        index: of the class.

    Returns:
        float32 [n, h, w] on the CPU, at most 1; None: the model has no `last_maps` of frames.
    """
    last_maps = getattr(classifier.model, "last_maps", None)
    if last_maps is None:
        return None
    with torch.no_grad():
        maps = last_maps(*classifier.arguments(batch))  # [1, n, C, h, w]
    with torch.enable_grad():
        maps = maps.detach().requires_grad_()
        logit = classifier.model.classify_maps(maps)[0, index]  # type: ignore[operator]
        (slope,) = torch.autograd.grad(logit, maps)  # [1, n, C, h, w]
    weights = slope.mean(dim=(3, 4), keepdim=True)  # [1, n, C, 1, 1]
    heat: Tensor = (weights * maps.detach()).sum(dim=2)[0].relu()  # [n, h, w]
    return (heat / heat.max().clamp(min=1e-30)).float().cpu()
