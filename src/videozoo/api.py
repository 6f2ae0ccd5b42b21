"""The Python API: load a checkpoint, name what is in videos.

predictor = videozoo.load("checkpoints/TSN_best.safetensors")
for result in predictor.predict(["a.mp4", "folder/of/clips"]):
    print(result.video, result.predictions[0].label, result.predictions[0].score)
"""

from __future__ import annotations

import os

from videozoo.config import Experiment
from videozoo.predict.predictor import Predictor, load_predictor
from videozoo.zoo.resolve import resolve_weights


def load(
    path: str | os.PathLike[str],
    *,
    experiment: Experiment | None = None,
    use_gpu: bool = True,
) -> Predictor:
    """Loads a checkpoint for prediction.

    Args:
        path: a native .safetensors file, or a name of the zoo, whose weights are fetched where they
            are not here; with `experiment` also a Fluid folder or archive.
        experiment: the config to use instead of the checkpoint's own.
        use_gpu: run on a GPU where there is one.

    Raises:
        VideozooError: the file is missing or does not fit, or cannot be fetched.
    """
    return load_predictor(resolve_weights(path), experiment=experiment, use_gpu=use_gpu)
