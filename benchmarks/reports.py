"""What benchmarks say: options, the machine, tables, JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turns import OURS, Running, Table, version_of

Group = tuple[Sequence[Table[Any]], Sequence[Running]]
"""Tables and those who are in them."""


def options(about: str, rounds: int) -> argparse.ArgumentParser:
    """Returns the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=rounds, help="timed rounds (%(default)s)")
    parser.add_argument("--only", nargs="*", metavar="TEXT", help="peers with TEXT in their names")
    parser.add_argument("--json", type=json_path, metavar="FILE", help="write all times there")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    return parser


def machine(distributions: Sequence[str]) -> dict[str, Any]:
    """Returns what the figures depend on, to be printed and kept with them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version_of(name) or "not installed" for name in distributions},
    }


def report(
    tables: Sequence[Table[Any]],
    running: Sequence[Running],
    about: dict[str, Any],
    arguments: argparse.Namespace,
) -> None:
    """Prints machine and tables, and writes all times to the file of --json."""
    print(heading(about, arguments.rounds) + "\n")
    show((tables, running), markdown=arguments.markdown)
    if arguments.json:
        write_json(arguments.json, [(tables, running)], about)


def heading(about: dict[str, Any], rounds: int) -> str:
    """Returns in words what was measured on; notes how busy the machine is now."""
    about |= {"load after": os.getloadavg()[0], "rounds": rounds}
    return (
        f"{describe_machine(about)}\n"
        f"{rounds} rounds in turn; medians; load average {about['load before']:.1f} "
        f"before, {about['load after']:.1f} after"
    )


def describe_machine(about: dict[str, Any]) -> str:
    """Returns processor, cores and versions, in words."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores; Python {about['python']}; {versions}"


def show(group: Group, *, markdown: bool) -> None:
    """Prints the tables of the same peers."""
    tables, running = group
    for table in tables:
        print(_text(table, running, markdown=markdown) + "\n", flush=True)
    if len(tables) > 1:
        for cpu in (False, True):
            print(_ratios(tables, running, cpu=cpu, markdown=markdown) + "\n")


def _text(table: Table[Any], running: Sequence[Running], *, markdown: bool) -> str:
    head = [table.title, f"{table.unit}/s", "lowest", "highest", f"{table.unit}/s of CPU"]
    head += ["cores used", f"{OURS} is faster", "by CPU time", ""]
    rows = []
    for one in running:
        name, times = one.peer.name, table.times[one.peer.name]
        rate, by_cpu = table.rate(name), table.rate(name, cpu=True)
        row = [name, number(rate), number(table.units / max(times.wall))]
        row += [number(table.units / min(times.wall)), number(by_cpu), f"{rate / by_cpu:.2f}"]
        if name == OURS or one.peer.floor:
            row += ["", ""]
        else:
            row += [f"{table.ours_against(name, cpu=cpu):.2f} x" for cpu in (False, True)]
        rows.append([*row, times.remark])
    return text_table(head, rows, markdown=markdown)


def _ratios(
    tables: Sequence[Table[Any]], running: Sequence[Running], *, cpu: bool, markdown: bool
) -> str:
    names = [one.peer.name for one in running if not one.peer.floor]
    peers = [name for name in names if not name.startswith(OURS)]
    ratios = {name: [table.ours_against(name, cpu=cpu) for table in tables] for name in peers}
    if peers:
        ratios["the best of them"] = [min(column) for column in zip(*ratios.values(), strict=True)]
    rows = [[name, *(f"{ratio:.2f}" for ratio in row)] for name, row in ratios.items()]
    head = f"{OURS} is faster{', by CPU time,' if cpu else ''} than"
    return text_table([head, *(table.title for table in tables)], rows, markdown=markdown)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    """Returns a table whose columns are aligned."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:  # the first column is text, the others are numbers and short remarks
        line[:] = [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Writes three or more digits: 0.123, 12.3, 1,234."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_json(path: Path, groups: Sequence[Group], about: dict[str, Any]) -> None:
    """Writes all times of all tables, and what was measured on."""
    content = {
        "machine": about,
        "tables": [
            {
                "title": table.title,
                "unit": table.unit,
                "units": table.units,
                "peers": {
                    name: {
                        "wall": times.wall,
                        "cpu": times.cpu,
                        "per_second": table.rate(name),
                        "videozoo_is_faster": table.ours_against(name),
                        "videozoo_is_faster_by_cpu": table.ours_against(name, cpu=True),
                        "remark": times.remark,
                    }
                    for name, times in table.times.items()
                },
            }
            for tables, _ in groups
            for table in tables
        ],
    }
    save_json(path, content)


def json_path(text: str) -> Path:
    """Reads the name of a file to be written: whether it can be is said before the work."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: give a file in a folder that is there")
    return path


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Writes figures whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1))
    os.replace(temporary, path)
