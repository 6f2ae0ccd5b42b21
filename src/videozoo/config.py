"""Config files: the INI files of the original become typed settings here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videozoo.errors import Faults, VideozooError, did_you_mean
from videozoo.ini import MODES, Values, parse_overrides, read_config
from videozoo.settings import SETTINGS, Settings

CONFIG_FILES = {
    "AttentionCluster": "attention_cluster.txt",
    "AttentionLSTM": "attention_lstm.txt",
    "NEXTVLAD": "nextvlad.txt",
    "STNET": "stnet.txt",
    "TSN": "tsn.txt",
}


@dataclass(frozen=True)
class Experiment:
    """One experiment: a model and its settings in the four modes.

    Attributes:
        model: the model's name, spelled as in MODELS.
        source: where the config came from.
        modes: settings of TRAIN, VALID, TEST and INFER.
        origins: for each mode and key, where its value came from.
    """

    model: str
    source: str
    modes: Mapping[str, Settings]
    origins: Mapping[str, Mapping[str, str]]

    def __getitem__(self, mode: str) -> Settings:
        return self.modes[mode]

    def as_dict(self) -> Values:
        """Returns the plain values of every mode, as native checkpoints keep them."""
        return {mode: settings.model_dump() for mode, settings in self.modes.items()}


def canonical_model_name(name: str) -> str:
    """Returns the model name as MODELS spells it, whatever case was typed.

    Raises:
        VideozooError: there is no such model.
    """
    spelled = {known.lower(): known for known in SETTINGS}
    if name.lower() not in spelled:
        raise VideozooError(
            f"unknown model '{name}'{did_you_mean(name, SETTINGS)}"
            f" (the models are {', '.join(SETTINGS)})"
        )
    return spelled[name.lower()]


def bundled_config(model: str) -> Path:
    """Returns the path of the config that comes with videozoo for a model."""
    return Path(str(resources.files("videozoo") / "configs" / CONFIG_FILES[model]))


def named_model(path: Path) -> str | None:
    """Returns the model that a config file's `name` key names; None: it names none of MODELS.

    Raises:
        VideozooError: the file cannot be read.
    """
    name = read_config(path).get("MODEL", {}).get("name") if path.is_file() else None
    spelled = {known.lower(): known for known in SETTINGS}
    return spelled.get(name.lower()) if isinstance(name, str) else None


def guess_model(path: Path) -> str | None:
    """Returns the model that a config file is for, by its `name` key or its file name.

    Raises:
        VideozooError: the file cannot be read.
    """
    return named_model(path) or model_of_file_name(path)


def model_of_file_name(path: Path) -> str | None:
    """Returns the model whose bundled config has this file name."""
    models = {file: model for model, file in CONFIG_FILES.items()}
    return models.get(path.name)


def find_config(path: str | None, model: str) -> Path:
    """Returns the config file to read: the path given, or the one that comes with the model.

    A path such as configs/tsn.txt that does not exist here means the bundled file of that name, so
    that the original's commands work where videozoo is installed as a package.
    """
    if path is None:
        return bundled_config(model)
    given = Path(path)
    if (
        not given.exists()
        and given.parent.name == "configs"
        and given.name in CONFIG_FILES.values()
    ):
        return bundled_config(model).with_name(given.name)
    return given


def resolve(
    model: str,
    values: Values,
    *,
    source: str,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Merges defaults, file, --set and flags (in this order) into typed settings.

    Args:
        model: the model's name.
        values: the sections of the file.
        source: what the values are called in messages.
        overrides: what --set gave, by (section, key).
        flags: what other flags gave: (value, flag) by (section, key).

    Raises:
        VideozooError: lists every unknown or ill-typed key.
    """
    layers = [
        _Layer(section, key, value, f"{source} [{section}]")
        for section, keys in values.items()
        for key, value in keys.items()
    ]
    for (section, key), value in (overrides or {}).items():
        layers.append(_Layer(section, key, value, f"--set {section}.{key}"))
    for (section, key), (value, flag) in (flags or {}).items():
        layers.append(_Layer(section, key, value, flag))
    cls = SETTINGS[model]
    faults = Faults()
    modes: dict[str, Settings] = {}
    origins: dict[str, dict[str, str]] = {}
    for layer in layers:
        if layer.key not in cls.model_fields:
            where = layer.origin if layer.typed else f"{layer.origin} {layer.key}"
            faults.add(f"{where}: {model} has no such key{_nearest_key(layer.key, cls)}")
    layers = [layer for layer in layers if layer.key in cls.model_fields]
    for mode in MODES:
        merged = _merged(layers, mode)
        origin_of = {key: layer.origin for key, layer in merged.items()}
        try:
            modes[mode] = cls.model_validate({key: layer.value for key, layer in merged.items()})
        except ValidationError as error:
            for message in _sentences(error, origin_of, source, mode):
                faults.add(message)
        origins[mode] = {key: origin_of.get(key, "default") for key in cls.model_fields}
    faults.raise_if_any()
    return Experiment(model=model, source=source, modes=modes, origins=origins)


@dataclass(frozen=True)
class _Layer:
    """One value of a key, and where it came from."""

    section: str
    key: str
    value: Any
    origin: str

    @property
    def typed(self) -> bool:
        """Whether it was typed on the command line."""
        return self.origin.startswith("--")


def _merged(layers: Sequence[_Layer], mode: str) -> dict[str, _Layer]:
    """Returns what counts of each key in a mode.

    A mode's own value stands above MODEL's, but what was typed stands above both.
    """
    ordered = [
        layer
        for typed in (False, True)
        for wanted in ("MODEL", mode)
        for layer in layers
        if layer.section == wanted and layer.typed == typed
    ]
    return {layer.key: layer for layer in ordered}


def _nearest_key(key: str, cls: type[Settings]) -> str:
    fields = cls.model_fields.items()
    useful = [k for k, field in fields if not (field.description or "").startswith("accepted")]
    return did_you_mean(key, useful)


def _sentences(
    error: ValidationError, origins: dict[str, str], source: str, mode: str
) -> list[str]:
    """Returns one sentence for each fault, whichever of a union's branches reported it."""
    sentences: dict[str, str] = {}
    for fault in error.errors():
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "missing":
            key = str(fault["loc"][0])
            sentences[key] = f"{source}: {key} is missing; give it in [MODEL]"
        elif not fault["loc"]:
            sentences[text] = f"{source}: [{mode}] {text}"
        else:
            key = str(fault["loc"][0])
            text = text[0].lower() + text[1:]
            typed = origins[key].startswith("--")
            name = origins[key] if typed else f"{origins[key]} {key}"
            before = f"{sentences[key]}, or " if key in sentences else f"{name}: "
            given = "" if key in sentences else f" (it is {fault['input']!r})"
            sentences[key] = f"{before}{text}{given}"
    return list(sentences.values())


def load_experiment(
    model: str,
    path: str | None,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Reads the config of a model: `path`, or the bundled one.

    Raises:
        VideozooError: the model is unknown or the config has faults; all are listed.
    """
    name = canonical_model_name(model)
    file = find_config(path, name)
    faults = Faults()
    values: Values = {}
    typed: dict[tuple[str, str], Any] = {}
    with faults.noting():
        values = read_config(file)
    with faults.noting():
        typed = parse_overrides(overrides)
    faults.raise_if_any()
    source = str(file) if path is not None else file.name
    return resolve(name, values, source=source, overrides=typed, flags=flags)


def experiment_from_dict(
    model: str,
    values: Values,
    *,
    source: str,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Returns the experiment that a native checkpoint holds (see Experiment.as_dict)."""
    return resolve(
        canonical_model_name(model), values, source=source, overrides=overrides, flags=flags
    )
