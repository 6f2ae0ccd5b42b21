"""The command `videozoo` and the original's three scripts.

Nothing heavy is imported here: torch comes with the command that needs it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.main import get_command

from videozoo.cli import app as page
from videozoo.cli import (
    config,
    convert,
    cut,
    doctor,
    explain,
    export,
    hub,
    infer,
    label,
    prepare,
    report,
    scan,
    split,
    test,
    train,
    verify,
    zoo,
)
from videozoo.cli.arguments import expand
from videozoo.cli.last_net import fault_of_ours, sentence_of
from videozoo.cli.moved import add_moved
from videozoo.cli.output import GONE, survive_readers
from videozoo.distributed import settle_process, tell_launcher
from videozoo.errors import VideozooError
from videozoo.text import harmless

app = typer.Typer(
    name="videozoo",
    help="Video classification: train, test and use models on clips and on features of frames.",
    epilog="First try, with your own videos, a folder a class: videozoo train FOLDER",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("test")(test.test)
app.command("infer")(infer.infer)
app.command("explain")(explain.explain)
app.command("cut")(cut.cut)
app.command("app")(page.app)
app.command("label")(label.label)
app.command("report")(report.report)
app.command("convert")(convert.convert)
app.command("export")(export.export)
app.command("config")(config.config)
app.command("scan")(scan.scan)
app.command("split")(split.split)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(prepare.app)
app.add_typer(zoo.app)
app.add_typer(hub.app)
add_moved(app)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    traceback: bool = typer.Option(False, "--traceback", help="Show tracebacks of errors."),
) -> None:
    if version:
        from videozoo import __version__

        typer.echo(f"videozoo {__version__}")
        raise typer.Exit
    if traceback:
        os.environ["VIDEOZOO_TRACEBACK"] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; faults of the user's end in one sentence and exit code 2, ours with 1.

    Where the output is read no more, the command does its work all the same, and ends with 141.
    """
    settle_process()
    output = survive_readers()
    try:
        _run(arguments)
    except SystemExit as stop:
        if output is not None:
            sys.stdout.flush()
        if output is not None and output.gone and not stop.code:
            sys.exit(GONE)
        raise


def _run(arguments: Sequence[str] | None) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file or class name that this terminal cannot show must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = get_command(app)
    try:
        given = _spelled_out(command, given)
        command(args=given, prog_name="videozoo", obj=given)
    except VideozooError as error:
        _end(error, str(error))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is not None:
            _end(error, sentence)
        _end(error, fault_of_ours(error), code=1)


def _end(error: Exception, sentence: str, *, code: int = 2) -> NoReturn:
    """Ends a command with one sentence, or with a traceback where that was asked for."""
    if os.environ.get("VIDEOZOO_TRACEBACK"):
        raise error
    if code != 2 or not tell_launcher(sentence):
        typer.echo(f"error: {harmless(sentence)}", err=True)
    sys.exit(code)


def _spelled_out(command: Any, given: Sequence[str]) -> list[str]:
    """Spells out the options behind a command, or behind a group's command."""
    place = 0
    while names := getattr(command, "commands", {}):
        words = enumerate(given[place:], place)
        word = next((i for i, word in words if not word.startswith("-")), None)
        if word is None or given[word] not in names:
            return list(given)
        command, place = names[given[word]], word + 1
    options = [o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[:2] == "--"]
    return [*given[:place], *expand(given[place:], options)]


def run_script(command: str) -> None:
    """Runs one command with the arguments of the script: train.py, test.py, infer.py."""
    main([command, *sys.argv[1:]])
