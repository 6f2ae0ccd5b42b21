"""What a command line means: which config, which model, which weights. Nothing is read but heads.

torch comes in with the weights that need it: a config alone is read without.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videozoo.config import Experiment, load_experiment
from videozoo.config.ini import parse_overrides
from videozoo.distributed import is_first_process
from videozoo.errors import Faults, VideozooError
from videozoo.specs import SPECS, find_spec, guess_model, model_of_file_name, named_model
from videozoo.zoo.archives import VideoWeights
from videozoo.zoo.resolve import find_weights

Engine = Literal["auto", "torch", "onnxruntime", "openvino"]
"""What scores, see engine_choice.chosen_export."""
DEFAULT_MODEL = "AttentionCluster"
Flags = Mapping[tuple[str, str], tuple[Any, str]]


def flags_of(mode: str, **values: tuple[Any, str] | None) -> dict[tuple[str, str], tuple[Any, str]]:
    """Returns the flags that were given, as config.resolve takes them.

    Args:
        mode: the section that the flags change.
        **values: (value, flag) by config key; a value of None was not given.
    """
    return {
        (mode, key): value
        for key, value in values.items()
        if value is not None and value[0] is not None
    }


@dataclass(frozen=True)
class Weights:
    """Weights that somebody named, found once: a file or folder, or a name of the zoo.

    Attributes:
        given: what was named; None: nothing, so the model's published weights are meant.
        found: where they are, or which published ones are meant; None: see `fault`.
        fault: why there are none.
        engine: what scores with them, see engine_choice.chosen_export.
    """

    given: str | None = None
    found: Path | VideoWeights | None = None
    fault: VideozooError | None = None
    engine: str | None = None

    @classmethod
    def named(cls, given: str | None, engine: str | None = None) -> Weights:
        """Finds what was named; what is wrong is raised when the weights are needed."""
        if given is None or Path(given).exists():
            return cls(given, None if given is None else Path(given), engine=engine)
        try:
            return cls(given, find_weights(given), engine=engine)
        except VideozooError as error:
            return cls(given, fault=error, engine=engine)

    @property
    def model(self) -> str | None:
        """The model that they say they are of; None: they do not say, or there are none."""
        if isinstance(self.found, VideoWeights):
            return self.found.model
        if not self.has_config:
            return None
        from videozoo.checkpoints.native import read_native_header

        assert isinstance(self.found, Path)
        return read_native_header(self.found).model

    @property
    def has_config(self) -> bool:
        """Whether they carry their config: a checkpoint of videozoo's own, or an export of one."""
        return self.kind in ("native", "export")

    @property
    def kind(self) -> str | None:
        """What is named, as checkpoints.native.kind_of says it; None: no file or folder."""
        if not isinstance(self.found, Path):
            return None
        from videozoo.checkpoints.native import kind_of

        return kind_of(self.found)

    def of_model(self, model: str) -> Path | VideoWeights:
        """Returns what was found, or the published weights of a model where nothing was named.

        Raises:
            VideozooError: there are none.
        """
        if self.fault is not None:
            raise self.fault
        return self.found or find_weights(None, model=model)


def open_experiment(
    model_name: str | None,
    config: str | None,
    *,
    weights: Weights | None = None,
    overrides: Sequence[str] = (),
    flags: Flags | None = None,
) -> Experiment:
    """Returns the config that a command runs with.

    It is the file given; without one the native checkpoint's own; else the model's bundled file.

    Raises:
        VideozooError: model, config, overrides or checkpoint have faults.
    """
    faults, weights = Faults(), weights or Weights()
    if weights.fault is not None and config is None and model_name is None:
        raise weights.fault
    name = experiment = None
    with faults.noting():
        name = _model_of(model_name, config, weights)
    with faults.noting():
        if config is None and weights.has_config:
            from videozoo.classifier import experiment_of

            assert isinstance(weights.found, Path)
            typed = parse_overrides(overrides)
            experiment = experiment_of(weights.found, overrides=typed, flags=flags)
        elif name is not None:
            file = weights.found.config if isinstance(weights.found, VideoWeights) else None
            keys = find_spec(name).keys
            experiment = load_experiment(keys, config or file, overrides=overrides, flags=flags)
    if experiment is None and weights.fault is not None:  # else opening the weights says so
        faults.add(str(weights.fault))
    faults.raise_if_any()
    assert experiment is not None
    return experiment


def takes_clips(model_name: str | None, config: str | None) -> bool:
    """Says whether the model that is named, or that the config is for, is one on clips."""
    name = model_name or (guess_model(Path(config)) if config is not None else None)
    return name is not None and find_spec(name).keys.family == "clips"


def _model_of(model_name: str | None, config: str | None, weights: Weights) -> str:
    """Returns the model that is meant: the one typed, the config's, the weights', the default.

    Raises:
        VideozooError: there is no such model, or what was given contradicts itself.
    """
    typed = find_spec(model_name).name if model_name is not None else None
    named = named_model(Path(config)) if config is not None else None
    if typed is not None and named not in (None, typed):
        raise VideozooError(f'{config}: has name = "{named}", but --model-name says {typed}')
    meant = typed or named or (model_of_file_name(Path(config)) if config is not None else None)
    of_weights = weights.model
    if of_weights is not None:
        if meant not in (None, of_weights):
            raise VideozooError(f"{weights.given}: holds weights of {of_weights}, not of {meant}")
        return of_weights
    if meant is None and weights.kind == "torch":
        raise VideozooError(
            f"{weights.given}: a state dict of PyTorch does not say its model; give --model-name"
            f" ({', '.join(SPECS)}) and --config, or --set, with its sizes"
        )
    if meant is None and weights.found is not None and is_first_process():
        sentence = f"{weights.given} does not say its model: it is taken for {DEFAULT_MODEL}"
        print(f"{sentence}; give --model-name for another", file=sys.stderr)
    return meant or DEFAULT_MODEL
