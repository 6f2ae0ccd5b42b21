"""Whether what a checkpoint says about itself is of the types that it must be of."""

from __future__ import annotations

from typing import Any

from videozoo.errors import brief
from videozoo.text import can_be_written


def description_fault(description: dict[str, Any]) -> str | None:
    """Says what is wrong with the types of a description; None: nothing."""
    for key, kind in (("model", str), ("config", dict), ("preprocessing", dict)):
        if not isinstance(description.get(key), kind):
            return f"its {key} is {brief(description.get(key))}"
    if len(description["model"]) > 100:
        return f"its model is {brief(description['model'])}"
    if not isinstance(description.get("recipe", {}), (dict, type(None))):
        return f"its recipe is {brief(description['recipe'])}"
    labels = description.get("labels", ...)
    if labels is None:
        return None
    if not isinstance(labels, list) or not labels:
        return f"its labels are {'missing' if labels is ... else brief(labels)}"
    wrong = [name for name in labels if not isinstance(name, str) or not can_be_written(name)]
    return f"the class name {brief(wrong[0])} among its labels is no text" if wrong else None
