"""Strict loading: every missing, surplus or wrongly shaped weight is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from videozoo.errors import FileError

Shape = tuple[int, ...]

_SHOWN = 12
_HEADS = ("fc.", "classifier.")


def is_head(key: str) -> bool:
    """Says whether a state dict's key belongs to a model's last layer, whose width is K."""
    return key.startswith(_HEADS)


def compare_shapes(
    wanted: Mapping[str, Shape], found: Mapping[str, Shape], *, what: str, head: Iterable[str]
) -> None:
    """Compares two sets of named shapes.

    Args:
        wanted: what the model has.
        found: what the checkpoint has.
        what: begins the sentence: the file.
        head: names of the last layer, which have K in their shape.

    Raises:
        VideozooError: they differ; one sentence when the number of classes explains it all.
    """
    missing = [name for name in wanted if name not in found]
    surplus = [name for name in found if name not in wanted]
    wrong = [name for name in wanted if name in found and wanted[name] != found[name]]
    if not (missing or surplus or wrong):
        return
    if not missing and not surplus and set(wrong) <= set(head):
        classes = _class_counts(wanted, found, wrong)
        if classes is not None:
            raise FileError(
                what,
                f"the weights are for {classes[1]} classes, "
                f"the config says num_classes = {classes[0]}",
            )
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing: {_listed(missing)}")
    if surplus:
        parts.append(f"{len(surplus)} surplus: {_listed(surplus)}")
    if wrong:
        shapes = [f"{n} (expected {list(wanted[n])}, found {list(found[n])})" for n in wrong]
        parts.append(f"{len(wrong)} of another shape: {_listed(shapes)}")
    raise FileError(what, "the weights do not fit this model; " + "; ".join(parts))


def _class_counts(
    wanted: Mapping[str, Shape], found: Mapping[str, Shape], wrong: Sequence[str]
) -> tuple[int, int] | None:
    """Returns the classes expected and found where one changed dimension explains every name."""
    pairs: set[tuple[int, int]] = set()
    for name in wrong:
        if len(wanted[name]) != len(found[name]):
            return None
        pairs |= {(w, f) for w, f in zip(wanted[name], found[name], strict=True) if w != f}
    return pairs.pop() if len(pairs) == 1 and len(wrong) == 2 else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
