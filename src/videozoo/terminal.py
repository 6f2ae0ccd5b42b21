"""The one console that commands print to: what others named does nothing to the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from videozoo.errors import as_given
from videozoo.text import harmless


class Terminal(Console):
    """A console that shows escapes in file names, labels and answers of servers as text.

    Brackets are no markup in it: paths may hold them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints; paths that stand for addresses are shown as these."""
        super().print(*(as_given(o) if isinstance(o, str) else o for o in objects), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields what is printed, with harmless text."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text), style, control)
