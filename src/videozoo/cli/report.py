"""videozoo report: one page that shows what a classifier did."""

from __future__ import annotations

from typing import Annotated

import typer

from videozoo.terminal import Terminal


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Folder that a training or test left, or MODEL_test_result.json."
        ),
    ],
    compare: Annotated[
        str | None, typer.Option("--compare", help="Another such folder, to be set beside it.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", help="The page to write. (default: RUN/MODEL_report.html)"),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option("--model-name", help="Of several models in RUN. (default: the newest)"),
    ] = None,
) -> None:
    """Write one HTML page that shows what a classifier did.

    Scores, curves, classes, what is taken for what, the surest mistakes with
    frames that the model saw, labels to look at again, copies, faults. The
    page needs no network and no other file.
    """
    from videozoo.reports.page import report as write_report

    console = Terminal()
    path = write_report(run, compare=compare, out=out, model=model_name, console=console)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)
