"""Sharing trained weights on the Hugging Face Hub.

HubModel("checkpoints/TSN_best.safetensors").push_to_hub("me/tsn-of-my-videos")
predictor = HubModel.from_pretrained("me/tsn-of-my-videos").predictor()
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from videozoo.checkpoints.native import (
    NativeCheckpoint,
    load_native,
    read_native_header,
    save_native,
)
from videozoo.distributed import choose_device
from videozoo.errors import VideozooError
from videozoo.files import write_json, write_text
from videozoo.predict import Predictor, load_predictor
from videozoo.zoo.resolve import resolve_weights

try:
    from huggingface_hub import HfApi, hf_hub_download
except ImportError as error:
    raise VideozooError(
        "huggingface_hub is not installed: pip install 'videozoo[hub]' installs it"
    ) from error

WEIGHTS_FILE = "model.safetensors"
# What names places of the machine that trained: nobody else can use it, nor need see it.
PATH_KEYS = (
    "filelist", "label_file", "kinetics_labels", "video_folder", "video_path", "pretrain_base",
    "distill_from", "encoder",
)  # fmt: skip
_SHOWN = 50

CARD = """---
library_name: videozoo
pipeline_tag: video-classification
tags:
- videozoo
- video-classification
---

# {model}

{model} with {classes} classes, trained with videozoo.

{results}

## Use

```python
from videozoo.sharing import HubModel

predictor = HubModel.from_pretrained("{repo_id}").predictor()
for result in predictor.predict("video.mp4", top_k=3):
    print(result.video, result.unreadable or result.predictions)
```

The file model.safetensors is a checkpoint of videozoo: it goes to --weights as it is.

## Input

| what | value |
|---|---|
{preprocessing}

## Classes

{labels}
"""


class HubModel:
    """A checkpoint as the Hub knows it: weights, config and a card in one folder.

    Args:
        checkpoint: a native .safetensors file, or a name of the zoo.

    Raises:
        VideozooError: it is no checkpoint of videozoo.
    """

    def __init__(self, checkpoint: str | os.PathLike[str]) -> None:
        self.path = resolve_weights(checkpoint)
        self.header = read_native_header(self.path)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **how: Any) -> Self:
        """Opens OWNER/NAME of the Hub, or a folder that save_pretrained has written.

        Keyword arguments are those of huggingface_hub.hf_hub_download: revision, token, cache_dir,
        force_download, local_files_only.

        Raises:
            VideozooError: there is no such checkpoint, or it cannot be fetched.
        """
        if os.path.isdir(name):
            return cls(Path(name) / WEIGHTS_FILE)
        try:
            path = hf_hub_download(repo_id=os.fspath(name), filename=WEIGHTS_FILE, **how)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise VideozooError(f"{name}: cannot be had from the Hub ({reason})") from error
        return cls(Path(path))

    def predictor(self, *, use_gpu: bool = True) -> Predictor:
        """Returns what names videos with these weights; see videozoo.load."""
        return load_predictor(self.path, device=choose_device(use_gpu))

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, model_card_kwargs: dict[str, str] | None = None
    ) -> None:
        """Writes weights, config and card into a folder, made where there is none.

        `model_card_kwargs` are of the card: `results` (what the weights score, and how that was
        measured) and `repo_id`.
        """
        folder, checkpoint = Path(folder), load_native(self.path)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            mode: {k: _shared(k, v, checkpoint) for k, v in keys.items()}
            for mode, keys in checkpoint.config.items()
        }
        save_native(folder / WEIGHTS_FILE, replace(checkpoint, config=config))
        told: dict[str, Any] = {"model": checkpoint.model, "settings": config}
        told |= {"preprocessing": checkpoint.preprocessing, "labels": checkpoint.labels}
        write_json(folder / "config.json", {"library": "videozoo"} | told)
        write_text(folder / "README.md", self.card(**(model_card_kwargs or {})))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        model_card_kwargs: dict[str, str] | None = None,
        **how: Any,
    ) -> str:
        """Uploads what save_pretrained writes to OWNER/NAME, made where there is none.

        `branch` names the branch, the main one where it is None. Other keyword arguments are those
        of huggingface_hub.HfApi.upload_folder: create_pr, commit_message. Returns the address of
        what was made.
        """
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            card = {"repo_id": repo_id} | (model_card_kwargs or {})
            self.save_pretrained(folder, model_card_kwargs=card)
            if branch is not None:
                api.create_branch(repo_id, branch=branch, exist_ok=True)
                how["revision"] = branch
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **how))

    def card(self, *, results: str = "", repo_id: str = "OWNER/NAME") -> str:
        """Returns the card: what is told of the weights, and what they say about themselves."""
        header = self.header
        labels = header.labels or []
        more = f", and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        return CARD.format(
            model=header.model,
            classes=header.config["INFER"]["num_classes"],
            results=results or "No scores were stated for these weights.",
            repo_id=repo_id,
            preprocessing="\n".join(f"| {k} | {v} |" for k, v in header.preprocessing.items()),
            labels=", ".join(labels[:_SHOWN]) + more or "Their names are not known.",
        )


def _shared(key: str, value: Any, checkpoint: NativeCheckpoint) -> Any:
    """Returns what others are told of a config's value."""
    if key in PATH_KEYS:
        return None
    if key == "eigen_file" and "eigenvalues" in checkpoint.extra and value is not None:
        return Path(value).name  # the values themselves ride in the file
    return value
