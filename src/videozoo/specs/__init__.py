"""The models by name: one file a model holds its record, its config keys among it.

Every file of this folder that has a SPEC is a model: a new one is its file here, its file in
models/ and its config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from videozoo.config import Experiment, resolve
from videozoo.config.ini import MODES, Values, read_config, value_fault
from videozoo.config.keys import LABEL_KEYS
from videozoo.distributed import usable_cores
from videozoo.errors import FileError, VideozooError, brief, did_you_mean
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.native import NativeHeader


def _found() -> dict[str, ModelSpec]:
    """Returns the records of this folder, in the order of their files' names."""
    files = sorted(module.name for module in iter_modules(__path__))
    records = [getattr(import_module(f"{__name__}.{file}"), "SPEC", None) for file in files]
    return {record.name: record for record in records if isinstance(record, ModelSpec)}


SPECS = _found()

_TOUCHES = (*LABEL_KEYS, "video_path", "pretrain_base", "distill_from")  # files of the user's
_MOST_BATCH = 4 << 30  # bytes of samples


def find_spec(name: str) -> ModelSpec:
    """Returns the record of a model, whatever case its name was typed in.

    Raises:
        VideozooError: there is no such model.
    """
    spec = _spelled(name)
    if spec is None:
        raise VideozooError(
            f"unknown model {brief(name)}{did_you_mean(name, SPECS)}"
            f" (the models are {', '.join(SPECS)})"
        )
    return spec


def build_model(name: str, **arguments: Any) -> nn.Module:
    """Builds a model with fresh weights.

    Args:
        name: a key of SPECS, in any case.
        **arguments: the keyword arguments of that model's constructor.

    Raises:
        VideozooError: there is no such model, or its numbers do not fit together.
    """
    return find_spec(name).build_from(**arguments)


def stored_experiment(
    header: NativeHeader,
    *,
    source: str,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Returns the config that a native checkpoint holds, as far as it is obeyed.

    Args:
        header: what the checkpoint says about itself.
        source: the checkpoint, as messages call it.
        overrides: what --set gave, by (section, key).
        flags: see config.resolve.

    Raises:
        VideozooError: the config has faults.
    """
    config: Values = {}
    kept: Values = {}
    # The names ride in the checkpoint: the file that they came from need not exist any more. And
    # one decoder is left of two: what was trained with the other one is read by that.
    gone = {"decoder", *(LABEL_KEYS if header.labels is not None else ())}
    for mode, values in header.config.items():
        if mode not in MODES or not isinstance(values, dict):
            raise FileError(source, f"the config in it is damaged: {mode[:80]} is {brief(values)}")
        config[mode], kept[mode] = {}, {}
        for key, value in values.items():
            if fault := value_fault(value):
                raise FileError(source, f"the config in it is damaged: {key[:80]} is {fault}")
            if key not in gone:
                (config if _is_obeyed(mode, key, value, header) else kept)[mode][key] = value
    keys = find_spec(header.model).keys
    experiment = resolve(keys, config, source=source, overrides=overrides, flags=flags)
    for mode in ("TEST", "INFER"):
        settings = experiment[mode]
        size = settings.batch_size * settings.sample_bytes()
        if size > _MOST_BATCH and not experiment.origins[mode]["batch_size"].typed:
            raise FileError(
                source,
                f"[{mode}] batch_size {settings.batch_size} makes batches of {size >> 20:,} MB,"
                f" more than {_MOST_BATCH >> 20:,}; give --set {mode}.batch_size=1",
            )
    return replace(experiment, kept=kept)


def _is_obeyed(mode: str, key: str, value: Any, header: NativeHeader) -> bool:
    """Says whether a key of a checkpoint's config counts.

    Whoever made it says how scores are computed; what is read and started is the user's affair. A
    test list counts, as a test without it means nothing; `inputs.open_list` looks at it.
    """
    if key in ("filelist", "video_folder"):
        return mode == "TEST"
    if key == "num_workers":
        return isinstance(value, int) and value <= min(usable_cores(), 8)
    if key == "encoder":  # how videos become rows rides in the checkpoint too
        return header.recipe is not None
    return key not in _TOUCHES


def named_model(path: Path) -> str | None:
    """Returns the model that a config file's `name` key names; None: it names none of SPECS.

    Raises:
        VideozooError: the file cannot be read.
    """
    name = read_config(path).get("MODEL", {}).get("name") if path.is_file() else None
    spec = _spelled(name) if isinstance(name, str) else None
    return spec.name if spec is not None else None


def model_of_file_name(path: Path) -> str | None:
    """Returns the model whose bundled config has this file name."""
    return {spec.config: name for name, spec in SPECS.items()}.get(path.name)


def guess_model(path: Path) -> str | None:
    """Returns the model that a config file is for, by its `name` key or its file name.

    Raises:
        VideozooError: the file cannot be read.
    """
    return named_model(path) or model_of_file_name(path)


def _spelled(name: str) -> ModelSpec | None:
    return {known.lower(): spec for known, spec in SPECS.items()}.get(name.lower())
