"""One experiment: defaults, file, --set and flags become typed settings in four modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videozoo.config.ini import MODES, Values, parse_overrides, read_config
from videozoo.config.keys import Settings
from videozoo.errors import Faults, brief, did_you_mean


@dataclass(frozen=True)
class Origin:
    """Where the value of a key came from; str() says it to people.

    Attributes:
        source: a file, or what was typed, such as "--epoch-num".
        section: the section that it was given for; None: nobody gave it, it is the default.
        typed: it was typed on the command line.
    """

    source: str
    section: str | None = None
    typed: bool = False

    def __str__(self) -> str:
        given_in_file = self.section is not None and not self.typed
        return f"{self.source} [{self.section}]" if given_in_file else self.source

    @property
    def is_default(self) -> bool:
        """Whether nobody gave the value."""
        return self.section is None

    def of(self, key: str) -> str:
        """Returns what a fault of the key begins with."""
        return str(self) if self.typed else f"{self} {key}"


DEFAULT = Origin("default")
_MODES = "[\0]"


@dataclass(frozen=True)
class Experiment:
    """One experiment: a model and its settings in the four modes.

    Attributes:
        model: the model's name, as its settings spell it.
        source: where the config came from.
        modes: settings of TRAIN, VALID, TEST and INFER.
        origins: for each mode and key, where its value came from.
        kept: by mode, values of a checkpoint that are not obeyed, and are saved with it again.
    """

    model: str
    source: str
    modes: Mapping[str, Settings]
    origins: Mapping[str, Mapping[str, Origin]]
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __getitem__(self, mode: str) -> Settings:
        return self.modes[mode]

    def as_dict(self) -> Values:
        """Returns the plain values of every mode, as native checkpoints keep them."""
        values: Values = {}
        for mode, settings in self.modes.items():
            kept, origins = self.kept.get(mode, {}), self.origins[mode]
            known = {key: kept[key] for key in kept if key in origins and origins[key].is_default}
            values[mode] = settings.model_dump() | known
        return values


def bundled_config(file_name: str) -> Path:
    """Returns the path of a config that comes with videozoo."""
    return Path(str(resources.files("videozoo") / "configs" / file_name))


def find_config(path: str | None, keys: type[Settings]) -> Path:
    """Returns the config file to read: the path given, or the one that comes with the model.

    A path such as configs/tsn.txt that does not exist here means the bundled file of that name, so
    that the original's commands work where videozoo is installed as a package.
    """
    if path is None:
        return bundled_config(keys.CONFIG_FILE)
    given = Path(path)
    if not given.exists() and given.parent.name == "configs":
        bundled = bundled_config(given.name)
        return bundled if bundled.is_file() else given
    return given


def resolve(
    keys: type[Settings],
    values: Values,
    *,
    source: str,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Merges defaults, file, --set and flags (in this order) into typed settings.

    Args:
        keys: the model's config keys.
        values: the sections of the file.
        source: what the values are called in messages.
        overrides: what --set gave, by (section, key).
        flags: what other flags gave: (value, flag) by (section, key).

    Raises:
        VideozooError: lists every unknown or ill-typed key.
    """
    layers = [
        _Layer(key, value, Origin(source, section))
        for section, given in values.items()
        for key, value in given.items()
    ]
    for (section, key), value in (overrides or {}).items():
        origin = Origin(f"--set {section}.{key}", section, typed=True)
        layers.append(_Layer(key, value, origin))
    for (section, key), (value, flag) in (flags or {}).items():
        layers.append(_Layer(key, value, Origin(flag, section, typed=True)))
    faults = Faults()
    modes: dict[str, Settings] = {}
    told: dict[str, list[str]] = {}  # in which modes, by fault
    origins: dict[str, dict[str, Origin]] = {}
    for layer in layers:
        if layer.key not in keys.model_fields:
            nearest = "" if faults.are_enough else did_you_mean(layer.key, keys.useful_keys())
            where = layer.origin.of(layer.key[:80])
            faults.add(f"{where}: {keys.NAME} has no such key{nearest}")
    layers = [layer for layer in layers if layer.key in keys.model_fields]
    for mode in MODES:
        merged = _merged(layers, mode)
        origin_of = {key: layer.origin for key, layer in merged.items()}
        try:
            modes[mode] = keys.model_validate({key: layer.value for key, layer in merged.items()})
        except ValidationError as error:
            for message in _sentences(error, origin_of, source):
                told.setdefault(message, []).append(mode)
        origins[mode] = {key: origin_of.get(key, DEFAULT) for key in keys.model_fields}
    for message, wrong in told.items():
        faults.add(message.replace(_MODES, f"[{', '.join(wrong)}]", 1))
    faults.raise_if_any()
    return Experiment(model=keys.NAME, source=source, modes=modes, origins=origins)


@dataclass(frozen=True)
class _Layer:
    """One value of a key, and where it came from."""

    key: str
    value: Any
    origin: Origin


def _merged(layers: Sequence[_Layer], mode: str) -> dict[str, _Layer]:
    """Returns what counts of each key in a mode.

    A mode's own value stands above MODEL's, but what was typed stands above both.
    """
    ordered = [
        layer
        for typed in (False, True)
        for wanted in ("MODEL", mode)
        for layer in layers
        if layer.origin.section == wanted and layer.origin.typed == typed
    ]
    return {layer.key: layer for layer in ordered}


def _sentences(error: ValidationError, origins: dict[str, Origin], source: str) -> list[str]:
    """Returns one sentence for each fault, whichever of a union's branches reported it.

    _MODES stands for the modes that have it.
    """
    sentences: dict[str, str] = {}
    for fault in error.errors():
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "missing":
            key = str(fault["loc"][0])
            sentences[key] = f"{source}: {key} is missing; give it in [MODEL]"
        elif not fault["loc"]:
            sentences[text] = f"{source}: {_MODES} {text}"
        else:
            key = str(fault["loc"][0])
            text = text[0].lower() + text[1:]
            before = f"{sentences[key]}, or " if key in sentences else f"{origins[key].of(key)}: "
            given = "" if key in sentences else f" (it is {brief(fault['input'])})"
            sentences[key] = f"{before}{text}{given}"
    return list(sentences.values())


def load_experiment(
    keys: type[Settings],
    path: str | None,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Reads the config of a model: `path`, or the bundled one.

    Args:
        keys: the model's config keys, such as videozoo.specs.find_spec("TSN").keys.
        path: the file; None: the one that comes with the model.
        overrides: what --set gave, such as "TEST.seg_num=7".
        flags: see resolve.

    Raises:
        VideozooError: the config has faults; all are listed.
    """
    file = find_config(path, keys)
    faults = Faults()
    values: Values = {}
    typed: dict[tuple[str, str], Any] = {}
    with faults.noting():
        values = read_config(file)
    with faults.noting():
        typed = parse_overrides(overrides)
    faults.raise_if_any()
    source = str(file) if path is not None else file.name
    return resolve(keys, values, source=source, overrides=typed, flags=flags)
