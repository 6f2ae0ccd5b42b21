"""State dicts as people have them: in other dicts, under prefixes, with other libraries' names.

Nothing here knows a wrapper's name by heart: the place is taken where most of the wanted names are
found, whatever stands before them. What is left over is told apart by its shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from videozoo.checkpoints.strict import is_head
from videozoo.checkpoints.torch_files import TorchFile
from videozoo.errors import FileError

State = dict[str, Tensor]

# Parts of names that PyTorch's own wrappers put in: DataParallel, compile, FSDP, checkpointing.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# What the weights in use are called where there are others, such as averages, beside them.
_USUAL = {"state_dict", "model_state_dict", "model", "net", "network", "weights", "params"}
_DEPTH = 8  # dicts in dicts
_QUIET = ("numpy.", "collections.", "argparse.", "datetime.", "pathlib.", "torch.")

Rename = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _numbered(before: str, add: int) -> Callable[[re.Match[str]], str]:
    """Returns what writes a number behind a word, counted from elsewhere."""
    return lambda found: f"{before}{int(found[1]) + add}."


# How libraries spell a ResNet's names, as what makes torchvision's spelling of them.
_SPELLINGS: dict[str, tuple[Rename, ...]] = {
    "torchvision, timm": (),
    "MMAction2": (
        (re.compile(r"\bconv(\d)\.conv\."), r"conv\1."),
        (re.compile(r"\bconv(\d)\.bn\."), r"bn\1."),
        (re.compile(r"\bdownsample\.conv\."), "downsample.0."),
        (re.compile(r"\bdownsample\.bn\."), "downsample.1."),
    ),
    "Transformers": (
        (re.compile(r"\bembedder\.embedder\.convolution\."), "conv1."),
        (re.compile(r"\bembedder\.embedder\.normalization\."), "bn1."),
        (re.compile(r"\bencoder\.stages\.(\d)\.layers\."), _numbered("layer", 1)),
        (re.compile(r"\bshortcut\.convolution\."), "downsample.0."),
        (re.compile(r"\bshortcut\.normalization\."), "downsample.1."),
        (re.compile(r"\blayer\.(\d)\.convolution\."), _numbered("conv", 1)),
        (re.compile(r"\blayer\.(\d)\.normalization\."), _numbered("bn", 1)),
    ),
    "torch.nn.Sequential": (
        (re.compile(r"(?<!downsample\.)\b0\.(?=weight$)"), "conv1."),
        (re.compile(r"(?<!downsample\.)\b1\.(?=[a-z_]+$)"), "bn1."),
        (re.compile(r"\b([4-7])\.(?=\d+\.)"), _numbered("layer", -3)),
    ),
}


@dataclass(frozen=True)
class _Found:
    """Names that were wanted, in one dict of a file, behind one prefix."""

    place: tuple[str, ...]
    prefix: str
    names: State
    matched: int

    @property
    def parts(self) -> tuple[str, ...]:
        """The names that lead here."""
        return (*self.place, *filter(None, self.prefix.split(".")))

    def split(self) -> tuple[State, State]:
        """Returns what lies behind the prefix, without it, and what lies elsewhere."""
        inside, outside = {}, {}
        for key, value in self.names.items():
            if key.startswith(self.prefix):
                inside[key.removeprefix(self.prefix)] = value
            else:
                outside[key] = value
        return inside, outside


def find_state_dict(
    file: TorchFile, wanted: Collection[str], path: Path | str
) -> tuple[State, list[str]]:
    """Returns the weights that a file holds, under the names that are wanted.

    Args:
        file: what was read.
        wanted: a model's names, or those of an image ResNet as torchvision has them.
        path: of the file, for messages.

    Returns:
        The weights found, and what else lies behind the same prefix: whoever loads them compares.
        A classifier with another name is called as the model's. And sentences for people: what was
        left aside.

    Raises:
        VideozooError: the file holds no state dict, or several that fit.
    """
    needed = {k for k in wanted if not is_counter(k) and not is_head(k)} or set(wanted)
    dicts = list(_dicts(file.value, (), set()))
    if not dicts:
        raise FileError(path, _no_state_dict(file))
    founds = [found for place, names in dicts for found in _founds(place, names, needed)]
    if not founds:
        return max((names for _, names in dicts), key=len), []
    most = max(found.matched for found in founds)
    best = [found for found in founds if found.matched == most]
    chosen = _the_usual(best, path)
    others = [found for found in best if found is not chosen]
    inside, outside = chosen.split()
    for other in others:
        if other.names is chosen.names:
            outside = {k: v for k, v in outside.items() if not k.startswith(other.prefix)}
    state = _with_head(inside, outside, wanted)
    aside = [f"weights under '{'.'.join(found.parts)}'" for found in others]
    taken = {id(value) for value in state.values()}
    aside += [k for k, v in outside.items() if id(v) not in taken and not is_counter(k)]
    said = [f"left aside: {_some(aside)}"] if aside else []
    unread = [name for name in file.unread if not name.startswith(_QUIET)]
    return state, said + ([f"not read beside the weights: {_some(unread)}"] if unread else [])


def is_counter(key: str) -> bool:
    """Says whether a name is that of a batch norm's counter, which nothing reads."""
    return key.endswith("num_batches_tracked")


def lacks(state: Mapping[str, Tensor], wanted: Collection[str]) -> int:
    """Returns how many weights that are wanted, the last layer's aside, are not in a state dict."""
    return sum(k not in state and not is_head(k) and not is_counter(k) for k in wanted)


def _dicts(
    value: Any, place: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], State]]:
    """Gives every dict inside a value that holds tensors, with the names that lead to it."""
    if not isinstance(value, Mapping) or id(value) in seen or len(place) > _DEPTH:
        return
    seen.add(id(value))
    named = {_name(key): each for key, each in value.items() if isinstance(key, (str, bytes))}
    own = {key: each for key, each in named.items() if isinstance(each, Tensor)}
    own.pop("n_averaged", None)  # of torch.optim.swa_utils
    if own:
        plain = {_unwrapped(key): each for key, each in own.items()}
        yield place, plain if len(plain) == len(own) else own
    for key, each in named.items():
        yield from _dicts(each, (*place, key), seen)


def _name(key: str | bytes) -> str:
    return key if isinstance(key, str) else key.decode("latin1")  # of Python 2


def _unwrapped(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)


def _founds(place: tuple[str, ...], given: State, needed: Collection[str]) -> list[_Found]:
    """Finds the wanted names in one dict, by the spelling and the prefixes that give most."""
    best: list[_Found] = []
    for renames in _SPELLINGS.values():
        names = {_respelled(key, renames): value for key, value in given.items()}
        if len(names) != len(given):
            continue
        counts: Counter[str] = Counter()
        for name in names:
            starts = [0, *(found.end() for found in re.finditer(r"\.", name))]
            counts.update(name[:start] for start in starts if name[start:] in needed)
        most = max(counts.values(), default=0)
        if most > (best[0].matched if best else 0):
            best = [_Found(place, p, names, most) for p, count in counts.items() if count == most]
    return best


def _respelled(key: str, renames: tuple[Rename, ...]) -> str:
    for pattern, new in renames:
        key = pattern.sub(new, key)
    return key


def _the_usual(best: list[_Found], path: Path | str) -> _Found:
    """Returns the one of several that is called as weights in use are.

    Raises:
        VideozooError: none is, or several are.
    """
    strange = [sum(part not in _USUAL for part in found.parts) for found in best]
    chosen = [f for f, count in zip(best, strange, strict=True) if count == min(strange)]
    if len(chosen) > 1:
        places = ", ".join(sorted(f"'{'.'.join(found.parts)}'" for found in chosen))
        raise FileError(path, f"holds several networks that fit: {places}; save one of them alone")
    return chosen[0]


def _with_head(inside: State, outside: State, wanted: Collection[str]) -> State:
    """Returns a network's weights with its classifier, called as the model's is.

    One with another name is a matrix [K, C] and a vector [K] that are all that is left over.
    """
    if any(map(is_head, inside)):
        return inside
    rest = {k: v for k, v in inside.items() if k not in wanted and not is_counter(k)} | outside
    heads = {k.rpartition(".")[0] for k in wanted if is_head(k)} or {"fc"}
    matrices = [k for k, v in rest.items() if k.endswith("weight") and v.ndim == 2]
    if len(rest) == 2 and len(matrices) == len(heads) == 1:
        matrix, head = matrices[0], heads.pop()
        vector = rest.get(matrix.removesuffix("weight") + "bias")
        if vector is not None and vector.shape == rest[matrix].shape[:1]:
            kept = {k: v for k, v in inside.items() if k not in rest}
            return kept | {f"{head}.weight": rest[matrix], f"{head}.bias": vector}
    return inside


def _no_state_dict(file: TorchFile) -> str:
    if not file.unread:
        return "holds no state dict (names and tensors)"
    return (
        f"holds more than weights, which is not read ({_some(file.unread)}), and no state dict"
        " beside it; save its state dict alone: torch.save(model.state_dict(), 'weights.pth')"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
