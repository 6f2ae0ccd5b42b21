"""Tables and lines that several commands print."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from videozoo.errors import MAX_BAD
from videozoo.score_notes import METRIC_NAMES
from videozoo.text import escaped

if TYPE_CHECKING:
    from videozoo.evaluate import Evaluation
    from videozoo.shards import Shard

GOES_ON = "interrupted; the same command goes on from what is done"
COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "AP",
}


def shard_done(shard: Shard | str) -> str:
    """Returns what is said when a shard is done."""
    return (
        f"shard {shard} is done; when all are, the same command without --shard writes the result"
    )


def print_evaluation(found: Evaluation, model: str, console: Console) -> None:
    """Prints the metrics, the counts and the first samples that could not be read."""
    title = (
        f"{model}: {found.evaluated} of {found.listed} videos evaluated,"
        f" {len(found.unreadable)} unreadable"
    )
    table = Table(title=title, min_width=min(len(title), console.width))  # the title in one line
    few = found.class_count in range(1, 6)  # any answer is among the first five
    shown = {k: value for k, value in found.metrics.items() if not (few and k == "top5")}
    for name in (*shown, "videos/s"):
        table.add_column(METRIC_NAMES.get(name, name), justify="right")
    table.add_row(
        *("-" if isnan(value) else f"{value:.4f}" for value in shown.values()),
        f"{found.evaluated / found.seconds:.3g}",
    )
    console.print(table)
    for note in found.notes_on(shown):
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    print_faults(found, console)


def print_faults(found: Evaluation, console: Console) -> None:
    """Prints how many samples have no label, and the first that could not be read."""
    if found.unlabelled:
        console.print(f"{found.unlabelled} videos name no class and were left out")
    print_unreadable([(u.video, u.reason) for u in found.unreadable], console)
    print_damaged([(d.video, d.reason) for d in found.damaged], console)


def warn_of_unreadable(count: int, listed: int, console: Console, settings: object = None) -> None:
    """Says it loudly where too large a share of the samples cannot be read.

    Args:
        count: samples that cannot be read.
        listed: samples in the list.
        console: where to print.
        settings: of the mode; its max_bad is the largest share, where it has that key.
    """
    most = getattr(settings, "max_bad", MAX_BAD)
    if count > most * listed:
        console.print(
            f"WARNING: {count:,} of {listed:,} samples ({count / listed:.0%}) cannot be read, more"
            f" than the {most:.0%} that are usual: the results are of the others alone",
            style="bold red",
            highlight=False,
            soft_wrap=True,
        )


def print_classes(found: Evaluation, console: Console, *, most: int = 30) -> None:
    """Prints how well each class is told from the others, the worst first.

    That is by F1, or by average precision where no thresholds say which of many classes a video is
    called. Columns that are not known, and classes that neither occur in the list nor are given to
    a video, are left out.
    """
    classes = found.classes or []
    table = Table(Column("class", overflow="fold"), title="by class, the worst first")
    columns = [key for key in COLUMNS if any(getattr(one, key) is not None for one in classes)]
    for key in (*columns, "videos"):
        table.add_column(COLUMNS.get(key, key), justify="right", no_wrap=True)
    by = "f1" if "f1" in columns else "average_precision"
    ranked = sorted(
        (index for index, one in enumerate(classes) if one.support or one.called),
        key=lambda index: getattr(classes[index], by) or 0.0,
    )
    if not ranked:
        return
    for index in ranked[:most]:
        values = [getattr(classes[index], key) for key in columns]
        numbers = ["-" if value is None else f"{value:.4f}" for value in values]
        table.add_row(Text(found.name(index)), *numbers, str(classes[index].support))
    console.print(table)
    if len(ranked) > most:
        console.print(f"... and {len(ranked) - most} better ones, all in the result file")


def print_unreadable(
    unreadable: list[tuple[str, str]],
    console: Console,
    *,
    most: int = 5,
    heading: str = "unreadable: {}",
    where: str = ", all in the result file",
) -> None:
    """Prints the first samples that could not be read, a line each: its name and the reason.

    Args:
        unreadable: name and reason of each; a reason that holds the name stands alone.
        console: where to print.
        most: how many.
        heading: of their number.
        where: the others are found.
    """
    if not unreadable:
        return
    console.print(heading.format(len(unreadable)), highlight=False)
    for video, reason in unreadable[:most]:
        text = reason if video in reason else f"{video}: {reason}"
        console.print(f"  {escaped(text)}", highlight=False, markup=False, soft_wrap=True)
    if len(unreadable) > most:
        console.print(f"  ... and {len(unreadable) - most} more{where}")


def print_damaged(
    damaged: list[tuple[str, str]], console: Console, *, where: str = ", all in the result file"
) -> None:
    """Prints the first samples that were read though something is missing, see print_unreadable."""
    print_unreadable(
        damaged,
        console,
        most=3,
        heading="damaged, used as far as they can be read: {}",
        where=where,
    )
