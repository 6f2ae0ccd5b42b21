"""Sharing trained weights on the Hugging Face Hub.

HubModel("checkpoints/TSN_best.safetensors").push_to_hub("me/tsn-of-my-videos")
predictor = HubModel.from_pretrained("me/tsn-of-my-videos").predictor()
"""

from __future__ import annotations

import os
import re
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
from videozoo.files import make_folder, write_json, write_text
from videozoo.model_card import model_card, result_beside
from videozoo.predict import Predictor, load_predictor
from videozoo.zoo.hub import LOGIN, PREFIX, REPOSITORY, WEIGHTS_FILE, asking, reason_of
from videozoo.zoo.resolve import resolve_weights

try:
    from huggingface_hub import HfApi, get_token, hf_hub_download
except ImportError as error:
    raise VideozooError(
        "huggingface_hub is not installed: pip install 'videozoo[hub]' installs it"
    ) from error

# What names places of the machine that trained: nobody else can use it, nor need see it.
PATH_KEYS = (
    "filelist", "label_file", "kinetics_labels", "video_folder", "video_path", "pretrain_base",
    "distill_from", "encoder",
)  # fmt: skip


class HubModel:
    """A checkpoint as the Hub knows it: weights, config and a card in one folder.

    Args:
        checkpoint: a native .safetensors file, a name of the zoo or an address of the Hub.

    Attributes:
        tested: what MODEL_test_result.json beside the checkpoint says; None: there is none of it.
        note: why there is none, for people.

    Raises:
        VideozooError: it is no checkpoint of videozoo, or the result beside it is damaged.
    """

    def __init__(self, checkpoint: str | os.PathLike[str]) -> None:
        self.path = resolve_weights(checkpoint)
        self.header = read_native_header(self.path)
        self.tested, self.note = result_beside(self.path, self.header.model)

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
            reason = reason_of(error)
            raise VideozooError(f"{name}: cannot be had from the Hub ({reason})") from None
        return cls(Path(path))

    def predictor(self, *, use_gpu: bool = True) -> Predictor:
        """Returns what names videos with these weights; see videozoo.load."""
        return load_predictor(self.path, device=choose_device(use_gpu))

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, model_card_kwargs: dict[str, str] | None = None
    ) -> None:
        """Writes weights, config and card into a folder, made where there is none.

        `model_card_kwargs` are of the card: `repo_id`, `license`, and `results` (what the weights
        score, and how that was measured) in place of what the test beside them found.

        Raises:
            VideozooError: nobody else can make the rows that the model takes, or the folder cannot
                be written to.
        """
        folder, checkpoint = Path(folder), load_native(self.path)
        _check_encoder(self.path, str((checkpoint.recipe or {}).get("encoder")))
        if (folder / "README.md").exists() and not (folder / WEIGHTS_FILE).exists():
            raise VideozooError(f"{folder}: holds a README.md of something else; give a new folder")
        make_folder(folder)
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

        Raises:
            VideozooError: no token is set, or the Hub refuses.
        """
        check_name(repo_id)
        if token is None and get_token() is None:
            raise VideozooError(f"{repo_id}: no token of the Hub is set; {LOGIN}")
        with TemporaryDirectory() as folder, asking(repo_id):
            card = {"repo_id": repo_id} | (model_card_kwargs or {})
            self.save_pretrained(folder, model_card_kwargs=card)
            api = HfApi(token=token)
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            if branch is not None:
                api.create_branch(repo_id, branch=branch, exist_ok=True)
                how["revision"] = branch
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **how))

    def card(
        self, *, results: str = "", repo_id: str = "OWNER/NAME", license: str | None = None
    ) -> str:
        """Returns the card: what is told of the weights, and what they say about themselves."""
        how = {"results": results, "repo_id": repo_id}
        return model_card(self.header, self.tested, license=license, **how)


def check_name(repo_id: str) -> None:
    """Checks that a name may be one of the Hub.

    Raises:
        VideozooError: it is not of the form OWNER/NAME.
    """
    if not re.fullmatch(REPOSITORY, repo_id):
        raise VideozooError(f"{repo_id}: is not of the form OWNER/NAME")


def _check_encoder(path: Path, encoder: str) -> None:
    if encoder.startswith(PREFIX) and not re.fullmatch(PREFIX + REPOSITORY, encoder):
        raise VideozooError(
            f"{path}: takes rows of {encoder}, a folder that nobody else has; push that network,"
            " and train with --encoder hf:OWNER/NAME"
        )


def _shared(key: str, value: Any, checkpoint: NativeCheckpoint) -> Any:
    """Returns what others are told of a config's value."""
    if key in PATH_KEYS:
        return None
    if key == "eigen_file" and "eigenvalues" in checkpoint.extra and value is not None:
        return Path(value).name  # the values themselves ride in the file
    return value
