"""Our own checkpoint: one .safetensors file with the weights and all that is needed to use them.

The file's metadata says which model it is, its config, its preprocessing and its label names, so
nobody has to find those again. Safetensors holds no code.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from videozoo.checkpoints import checksum, exports
from videozoo.checkpoints.description import description_fault
from videozoo.checkpoints.not_weights import KNOWN, check_weights_file, check_weights_folder
from videozoo.checkpoints.pdparams import SUFFIX as PDPARAMS
from videozoo.checkpoints.strict import compare_shapes, is_head
from videozoo.errors import FileError, brief
from videozoo.files import replacing
from videozoo.reading import parse_json

FORMAT = "videozoo-1"
_DESCRIPTION = "videozoo"
_EXTRA = "extra."
_KNOWN = {"format", "model", "config", "preprocessing", "labels", "recipe"}  # in 0.1.0

# What changed in the keys of a model's weights since 0.1.0: the old part and the new one.
_RENAMED = {
    "attentionlstm": {".ahead.": ".forward_lstm.", ".back.": ".backward_lstm."},
}


@dataclass(frozen=True, kw_only=True)
class NativeHeader:
    """What a checkpoint says about itself; its tensors are not read.

    Attributes:
        model: name as in videozoo.specs.SPECS.
        config: numbers the model was built from (JSON values).
        preprocessing: how videos become its input (JSON values).
        labels: the name of each class, or None.
        recipe: how videos become rows of features (JSON values), for a model on such rows.
    """

    model: str
    config: dict[str, Any]
    preprocessing: dict[str, Any]
    labels: list[str] | None = None
    recipe: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class NativeCheckpoint(NativeHeader):
    """A model's weights and what they mean.

    Attributes:
        state_dict: the weights, on the CPU.
        extra: further tensors: the eigenvalues of NeXtVLAD's un-whitening, those of `recipe`, a
            calibration.
    """

    state_dict: dict[str, Tensor]
    extra: dict[str, Tensor] = field(default_factory=dict)


def save_native(path: Path | str, checkpoint: NativeCheckpoint) -> None:
    """Writes a checkpoint; a file of that name is replaced at once or stays whole.

    Raises:
        VideozooError: the name does not end in .safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise FileError(path, "a checkpoint's name ends in .safetensors")
    with replacing(path) as temporary:
        write_native(temporary, checkpoint)


def write_native(path: Path, checkpoint: NativeCheckpoint) -> None:
    """Writes a checkpoint under its name at once."""
    tensors = dict(checkpoint.state_dict)
    tensors |= {_EXTRA + key: value for key, value in checkpoint.extra.items()}
    description = {
        "format": FORMAT,
        checksum.KEY: checksum.UNKNOWN,  # before all that a stranger may have named
        "model": checkpoint.model,
        "config": checkpoint.config,
        "preprocessing": checkpoint.preprocessing,
        "labels": checkpoint.labels,
    }
    if checkpoint.recipe is not None:
        description["recipe"] = checkpoint.recipe
    # One entry, since safetensors writes several in an order that differs from file to file.
    metadata = {_DESCRIPTION: json.dumps(description)}
    write_safetensors(path, tensors, metadata)
    checksum.fill_in(path)


def save_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes any .safetensors file; one of that name is replaced at once or stays whole."""
    with replacing(path) as temporary:
        write_safetensors(temporary, tensors, metadata)


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None
) -> None:
    """Writes any .safetensors file under its name at once."""
    # Each tensor gets memory of its own: the format stores no views.
    own = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        save_file(own, path, metadata)
    except SafetensorError as error:  # which hides an OSError
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from None
    path.chmod(0o666 & ~_umask())  # save_file makes it readable by its owner alone


def load_native(path: Path | str) -> NativeCheckpoint:
    """Reads a checkpoint; keys that version 0.1.0 wrote get the names of today.

    Raises:
        VideozooError: there is no such file, it is damaged, or it is no videozoo checkpoint.
    """
    header = read_native_header(path)
    tensors = read_safetensors(path)
    weights = {k: v for k, v in tensors.items() if not k.startswith(_EXTRA)}
    return NativeCheckpoint(
        **vars(header),
        state_dict=with_todays_keys(header.model, weights),
        extra={k.removeprefix(_EXTRA): v for k, v in tensors.items() if k.startswith(_EXTRA)},
    )


def with_todays_keys(model: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a model's state dict with the keys of this version, in the same order.

    Args:
        model: name as in videozoo.specs.SPECS, in any case.
        state: of this version or of 0.1.0: of a checkpoint, or inside a training state.
    """
    renamed = {}
    for key, value in state.items():
        for old, new in _RENAMED.get(model.lower(), {}).items():
            key = key.replace(old, new)
        renamed[key] = value
    return renamed


def read_native_header(path: Path | str) -> NativeHeader:
    """Reads what a checkpoint, or a file exported of one, says about itself.

    Raises:
        VideozooError: there is no such file, it is damaged, or it is no videozoo checkpoint.
    """
    try:
        text = exports.export_text(Path(path))
        wanted = FORMAT if text is None else exports.FORMAT
        description = parse_json(text or _read_metadata(path).get(_DESCRIPTION, "{}"))
    except ValueError as error:
        raise FileError(path, f"the checkpoint's description is damaged ({error})") from error
    found = description.get("format") if isinstance(description, dict) else description
    if found != wanted:
        raise FileError(
            path, f"is no videozoo checkpoint (its format is {brief(found)}, not '{wanted}')"
        )
    if text is None and checksum.KEY not in description and description.keys() - _KNOWN:
        raise FileError(path, "the checkpoint's description is damaged; take another copy")
    if fault := description_fault(description):
        raise FileError(path, f"the checkpoint's description is damaged ({fault})")
    return NativeHeader(
        model=description["model"],
        config=description["config"],
        preprocessing=description["preprocessing"],
        labels=description["labels"],
        recipe=description.get("recipe"),
    )


def read_safetensors(path: Path | str) -> dict[str, Tensor]:
    """Reads all tensors of any .safetensors file.

    Raises:
        VideozooError: there is no such file or it is damaged.
    """
    _read_metadata(path)
    checksum.check_filled_in(Path(path))
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)


def check_state_dict(
    model_state: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str
) -> None:
    """Checks that a state dict fits a model, before it is loaded.

    Counters of batch norms (`num_batches_tracked`) may be missing or surplus: nothing reads them.

    Args:
        model_state: the model's own state dict.
        given: the weights.
        what: begins the sentence: the file.

    Raises:
        VideozooError: weights are missing, surplus or wrongly shaped.
    """
    compare_shapes(
        _shapes_of(model_state),
        _shapes_of(given),
        what=what,
        head={key for key in model_state if is_head(key)},
    )


def _shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a state dict, batch norms' counters left out."""
    return {
        key: tuple(value.shape)
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }


def kind_of(path: Path | str) -> str:
    """Says what a checkpoint is, by its content.

    Returns:
        "native": ours. "export": what `videozoo export` made of one. "fluid": a folder of Fluid
        variables, a .tar.gz of one or a .pdparams file. "torch": a bare PyTorch state dict (.pth,
        .pt, or .safetensors without our description).

    Raises:
        VideozooError: there is no such file or folder, or it is none of these.
    """
    path = Path(path)
    if path.is_dir():
        check_weights_folder(path)
        return "fluid"
    if not path.is_file():
        raise FileError(
            path, "is no regular file" if path.exists() else "there is no such checkpoint"
        )
    if exports.export_text(path) is not None:
        return "export"
    with path.open("rb") as file:
        start = file.read(9)
    check_weights_file(path, start)
    if start[:2] == b"\x1f\x8b" or (start[:1] == b"\x80" and path.suffix == PDPARAMS):
        return "fluid"
    # torch.save writes a zip file, or (before PyTorch 1.6) a pickle.
    if start[:4] == b"PK\x03\x04" or start[:2] == b"\x80\x02":
        return "torch"
    if start[8:9] == b"{":
        return "native" if _DESCRIPTION in _read_metadata(path) else "torch"
    raise FileError(path, f"is no checkpoint; known are {KNOWN}")


def _read_metadata(path: Path | str) -> dict[str, str]:
    """Returns the metadata of a .safetensors file."""
    if not Path(path).is_file():
        raise FileError(path, "there is no such checkpoint")
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise FileError(path, f"is no sound .safetensors file ({error}); copy it again") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
