"""Sharing trained weights on the Hugging Face Hub, through its own mixin.

HubModel("checkpoints/TSN_best.safetensors").push_to_hub("me/tsn-of-my-videos")
predictor = HubModel.from_pretrained("me/tsn-of-my-videos").predictor()
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from videozoo.checkpoints.native import (
    NativeCheckpoint,
    load_native,
    read_native_header,
    save_native,
)
from videozoo.errors import VideozooError
from videozoo.files import write_json
from videozoo.predict.predictor import Predictor, load_predictor
from videozoo.zoo.resolve import resolve_weights

try:
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
except ImportError as error:
    raise VideozooError(
        "huggingface_hub is not installed: pip install 'videozoo[hub]' installs it"
    ) from error

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
# What names places of the machine that trained: nobody else can use it, nor need see it.
PATH_KEYS = (
    "filelist", "label_file", "kinetics_labels", "video_folder", "video_path", "pretrain_base",
    "distill_from",
)  # fmt: skip
_SHOWN = 50

CARD = """---
{{ card_data }}
---

# {{ model }}

{{ model }} with {{ classes }} classes, trained with videozoo.

{{ results | default("No scores were stated for these weights.", true) }}

## Use

```python
from videozoo.zoo.hub import HubModel

predictor = HubModel.from_pretrained("{{ repo_id | default("OWNER/NAME", true) }}").predictor()
for result in predictor.predict("video.mp4", top_k=3):
    print(result.video, result.unreadable or result.predictions)
```

The file model.safetensors is a checkpoint of videozoo: it goes to --weights as it is.

## Input

| what | value |
|---|---|
{% for key, value in preprocessing.items() -%}
| {{ key }} | {{ value }} |
{% endfor %}
## Classes

{{ labels }}
"""


class HubModel(
    ModelHubMixin,
    library_name="videozoo",
    pipeline_tag="video-classification",
    tags=["videozoo", "video-classification"],
    model_card_template=CARD,
):
    """A checkpoint as the Hub knows it: weights, config and a card in one folder.

    `save_pretrained`, `push_to_hub` and `from_pretrained` are huggingface_hub's. Keyword arguments
    of the card go through its `model_card_kwargs`: `results` (what the weights score, and how that
    was measured) and `repo_id`.

    Args:
        checkpoint: a native .safetensors file, or a name of the zoo.

    Raises:
        VideozooError: it is no checkpoint of videozoo.
    """

    def __init__(self, checkpoint: str | os.PathLike[str]) -> None:
        self.path = resolve_weights(checkpoint)
        self.header = read_native_header(self.path)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **how: Any) -> Self:  # type: ignore[override]
        """Opens a checkpoint of the Hub, or one that save_pretrained has written.

        Args:
            name: OWNER/NAME on the Hub, or a folder.
            how: see huggingface_hub's ModelHubMixin.from_pretrained: revision, token, cache_dir,
                force_download, local_files_only.

        Raises:
            VideozooError: there is no such checkpoint, or it cannot be fetched.
        """
        try:
            return super().from_pretrained(os.fspath(name), **how)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise VideozooError(f"{name}: cannot be had from the Hub ({reason})") from error

    def predictor(self, *, use_gpu: bool = True) -> Predictor:
        """Returns what names videos with these weights; see videozoo.load."""
        return load_predictor(self.path, use_gpu=use_gpu)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """Returns the card, of the template and of what the checkpoint says about itself."""
        header = self.header
        labels = header.labels or []
        more = f", and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        facts = {
            "model": header.model,
            "classes": header.config["INFER"]["num_classes"],
            "preprocessing": header.preprocessing,
            "labels": ", ".join(labels[:_SHOWN]) + more or "Their names are not known.",
        }
        return super().generate_model_card(*args, **(facts | kwargs))

    def _save_pretrained(self, save_directory: Path) -> None:
        checkpoint = load_native(self.path)
        config = {
            mode: {k: _shared(k, v, checkpoint) for k, v in keys.items()}
            for mode, keys in checkpoint.config.items()
        }
        save_native(save_directory / WEIGHTS_FILE, replace(checkpoint, config=config))
        description = {
            "library": "videozoo",
            "model": checkpoint.model,
            "settings": config,
            "preprocessing": checkpoint.preprocessing,
            "labels": checkpoint.labels,
        }
        write_json(save_directory / CONFIG_FILE, description)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **others: Any,
    ) -> Self:
        if os.path.isdir(model_id):
            return cls(Path(model_id) / WEIGHTS_FILE)
        path = hf_hub_download(
            repo_id=model_id,
            filename=WEIGHTS_FILE,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return cls(Path(path))


def _shared(key: str, value: Any, checkpoint: NativeCheckpoint) -> Any:
    """Returns what others are told of a config's value."""
    if key in PATH_KEYS:
        return None
    if key == "eigen_file" and "eigenvalues" in checkpoint.extra and value is not None:
        return Path(value).name  # the values themselves ride in the file
    return value
