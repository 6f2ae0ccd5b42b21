"""The card of a checkpoint on the Hugging Face Hub: what it is, what it scores, how it is used.

Whatever a checkpoint says, names of classes above all, is shown as it is: none of it is markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from videozoo.checkpoints.native import NativeHeader
from videozoo.errors import FileError
from videozoo.files import sha256_of
from videozoo.reading import parse_json, read_text
from videozoo.score_notes import METRIC_NAMES
from videozoo.text import counted, escaped
from videozoo.zoo.hub import PREFIX

_TASK = "video-classification"
_TYPES = {"top1": "accuracy", "macro_f1": "f1"}  # what the Hub calls them
_SHOWN = 50  # names of classes
_MOST_BYTES = 64 << 20  # of a result
_MARKS = re.compile(r"([!\"#$%&()*+.:;<=>?@\[\\\]^_`{|}~-])")
_SCORES_NONE = "No scores were stated for these weights."

_CARD = """---
{front}
---

# {title}

{model} with {classes}, trained with videozoo, a library for PyTorch that names what is in videos.
{encoder}
## Use

```bash
pip install "videozoo[hub]"
videozoo infer --weights hf:{repo_id} video.mp4
```

```python
import videozoo

predictor = videozoo.load("hf:{repo_id}")
print(predictor("video.mp4", top_k=3))
```

## Scores

{results}

## Input

| what | value |
|---|---|
{preprocessing}

## Classes

{labels}
"""


def plain(text: object) -> str:
    """Returns text that Markdown shows as it is, in one line: no markup, link or mention."""
    return _MARKS.sub(r"\\\1", escaped(str(text)))


def result_beside(weights: Path, model: str) -> tuple[dict[str, Any] | None, str]:
    """Returns what a test of weights found, where MODEL_test_result.json lies beside them.

    Returns:
        The result, None where there is none; and a sentence for people where it is left out.

    Raises:
        VideozooError: the file is damaged.
    """
    path = weights.with_name(f"{model}_test_result.json")
    if not path.is_file():
        return None, f"no scores: {path} is not there; videozoo test writes it"
    try:
        found = parse_json(read_text(path, most=_MOST_BYTES))
        of = found["protocol"]["weights_sha256"]
    except (ValueError, KeyError, TypeError, OSError):
        raise FileError(path, "is no result of a test; remove it, or test anew") from None
    if of != sha256_of(weights):
        return None, f"no scores: {path} is of other weights; test these, and push again"
    return found, ""


def model_card(
    header: NativeHeader,
    tested: Mapping[str, Any] | None,
    *,
    repo_id: str,
    results: str = "",
    license: str | None = None,
) -> str:
    """Returns the text of a card, README.md, with its YAML.

    Args:
        header: what the checkpoint says of itself.
        tested: what a test found, as MODEL_test_result.json has it.
        repo_id: OWNER/NAME.
        results: Markdown in place of what the test found.
        license: of the weights, as the Hub calls it; None: none is stated.
    """
    from huggingface_hub import EvalResult, ModelCardData

    classes = int(header.config["INFER"]["num_classes"])
    scores = _scores(tested or {}, classes)
    title = repo_id.rpartition("/")[2]
    videos = f"{(tested or {}).get('evaluated', 0)} videos of its own list"
    measured = [
        EvalResult(
            task_type=_TASK, dataset_type="videos", dataset_name=videos,
            metric_type=_TYPES.get(name, name), metric_name=METRIC_NAMES[name], metric_value=value,
        )
        for name, value in scores.items()
    ]  # fmt: skip
    front = ModelCardData(
        license=license, library_name="videozoo", pipeline_tag=_TASK, tags=["videozoo", _TASK],
        model_name=title if measured else None, eval_results=measured or None,
    )  # fmt: skip
    names = [plain(name) for name in (header.labels or [])[:_SHOWN]]
    more = f", and {classes - _SHOWN} more" if header.labels and classes > _SHOWN else ""
    return _CARD.format(
        front=front.to_yaml(),
        title=plain(title),
        model=plain(header.model),
        classes=counted(classes, "class"),
        encoder=_encoder(header.recipe),
        repo_id=repo_id,
        results=results or _results(tested, scores),
        preprocessing="\n".join(
            f"| {plain(k)} | {plain(v)} |" for k, v in header.preprocessing.items()
        ),
        labels=", ".join(names) + more or "Their names are not known.",
    )


def _scores(tested: Mapping[str, Any], classes: int) -> dict[str, float]:
    """Returns the metrics of a result that say something."""
    found = {name: tested.get(name) for name in METRIC_NAMES if name != "top5" or classes > 5}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and isfinite(value)
    }


def _results(tested: Mapping[str, Any] | None, scores: Mapping[str, float]) -> str:
    """Returns a table of metrics, and how they were measured."""
    if tested is None or not scores:
        return _SCORES_NONE
    lost, how = tested.get("unreadable"), tested["protocol"]
    lines = [
        f"| {' | '.join(METRIC_NAMES[name] for name in scores)} |",
        f"|{'---|' * len(scores)}",
        f"| {' | '.join(f'{value:.4f}' for value in scores.values())} |",
        "",
        f"Measured with `videozoo test` on {plain(tested.get('evaluated'))} of the"
        f" {plain(tested.get('listed'))} videos of a list of its maker's;"
        f" {len(lost) if isinstance(lost, list) else 0} could not be read; precision"
        f" {plain(how.get('precision'))}.",
    ]
    return "\n".join(lines)


def _encoder(recipe: Mapping[str, Any] | None) -> str:
    """Returns a sentence on what describes the frames, and its licence."""
    if recipe is None:
        return ""
    name = str(recipe.get("encoder"))
    if name == "efficientnet_lite0":
        whose = "licence Apache-2.0, comes with videozoo"
    elif re.fullmatch(r"resnet\d+", name):
        whose = "of torchvision, licence BSD-3-Clause, is fetched by videozoo"
    elif name.startswith(PREFIX):
        page = f"https://huggingface.co/{name.removeprefix(PREFIX)}"
        whose = f"has the licence that <{page}> states, is fetched from there"
    else:
        whose = "is in the file too"
    digest = plain(recipe.get("sha256"))
    return f"\nFrames are described by the encoder {plain(name)} ({whose}; SHA-256 {digest}).\n"
