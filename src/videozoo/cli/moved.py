"""Commands that left the package: each answers in one sentence where it went."""

from __future__ import annotations

from collections.abc import Callable

import typer

from videozoo.errors import VideozooError

MOVED = {
    "bench": "bench left the package: run python benchmarks/data.py or benchmarks/models.py, from a"
    " checkout of videozoo",
    "demo": "the demo left the package: run make demo, or python examples/demo/run.py, from a"
    " checkout of videozoo",
}


def add_moved(app: typer.Typer) -> None:
    """Adds the commands of MOVED, unlisted; whatever arguments follow, the answer is the same."""
    for name, sentence in MOVED.items():
        app.command(
            name,
            hidden=True,
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_answer(sentence))


def _answer(sentence: str) -> Callable[[], None]:
    def answer() -> None:
        raise VideozooError(sentence)

    return answer
