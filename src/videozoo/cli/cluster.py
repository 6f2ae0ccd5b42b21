"""--cluster: the shards of a list are done by workers of a cluster, the rest by the command."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from videozoo.addresses.remote import is_address
from videozoo.cli import arguments as args
from videozoo.cli.last_net import sentence_of
from videozoo.distributed import has_launcher, settle_process
from videozoo.errors import VideozooError
from videozoo.fleet.ray_fleet import Fleet
from videozoo.fleet.workers import Tell
from videozoo.progress import RELAY, progress
from videozoo.shards import SHARED_OUT, Shard
from videozoo.terminal import Terminal

Cluster = Annotated[
    Literal["ray"] | None,
    typer.Option(
        "--cluster",
        help="Have the list done by the workers of a Ray cluster, which see the same files: one of"
        " this machine, or the one at --address. Needs the extra fleet.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT|auto",
        help="Running Ray cluster that --cluster ray joins. (default: one of this machine alone)",
        show_default=False,
    ),
]
_OWN = ("--cluster", "--address")
_NOT_WITH = ("shard", "dry_run", "devices", "restart")


@contextmanager
def on_cluster(
    context: typer.Context,
    cluster: str | None,
    address: str | None,
    *,
    use_gpu: bool,
    result: str | None = None,
) -> Iterator[None]:
    """Has the shards of what is done in the block done by a cluster, where one is given.

    Args:
        context: of the command.
        cluster: "ray"; None: this process does all.
        address: of the cluster.
        use_gpu: workers take GPUs, where there are any.
        result: path of the result, beside which shards lie; None: they lie nowhere.

    Raises:
        VideozooError: another option does not go with it.
    """
    if cluster is None:
        if address is not None:
            raise VideozooError("--address: is for --cluster ray, which is not given")
        yield
        return
    args.refuse_given(context, _NOT_WITH, "is not for --cluster")
    if has_launcher():
        raise VideozooError("--cluster ray: has workers of its own; start it without a launcher")
    if result is not None and is_address(result):
        raise VideozooError(f"--cluster ray: writes to a folder that all workers see, not {result}")
    console = Terminal(highlight=False, soft_wrap=True)
    every = context.params.get("log_interval", 10)
    fleet = Fleet(
        do=partial(do_shard, _words_of(context)),
        address=address,
        use_gpu=use_gpu,
        count=None if result is None else _shards_beside(Path(result)),
        say=console.print,
        progress=lambda: progress(console, str(context.info_name), every, forecast=True),
    )
    token = SHARED_OUT.set(fleet)
    try:
        yield
    finally:
        SHARED_OUT.reset(token)


def do_shard(words: tuple[Sequence[str], Sequence[str]], shard: Shard, tell: Tell) -> str | None:
    """Runs a command over a shard, in a worker; returns what it cannot do, in a sentence.

    Args:
        words: the command, and what was typed behind it.
        shard: of the list.
        tell: told of the progress.
    """
    from typer.main import get_command

    from videozoo.cli.main import app

    settle_process()
    command, options = words
    given = [*command, "--shard", str(shard), *options]
    token = RELAY.set(tell)
    try:
        get_command(app)(args=given, prog_name="videozoo", obj=given)
    except SystemExit as stop:
        return None if stop.code in (0, 2) else f"a worker ended with exit code {stop.code}"
    except Exception as error:
        sentence = str(error) if isinstance(error, VideozooError) else sentence_of(error)
        if sentence is None:
            raise
        return sentence
    finally:
        RELAY.reset(token)
    return None


def _words_of(context: typer.Context) -> tuple[list[str], list[str]]:
    """Returns the command that was typed, and what behind it is not of the cluster."""
    typed: list[str] = context.find_root().obj
    place = 0
    for word in context.command_path.split()[1:]:
        place = typed.index(word, place) + 1
    words, options = iter(typed[place:]), list[str]()
    for word in words:
        if word in _OWN:
            next(words)
        elif word.partition("=")[0] not in _OWN:
            options.append(word)
        if word == "--":
            options += words
    return typed[:place], options


def _shards_beside(result: Path) -> int | None:
    """Returns into how many shards an earlier run has cut the list, to go on from them."""
    for path in result.parent.glob(f"{glob.escape(result.name)}.*-of-*.part*"):
        if found := re.search(r"\.\d+-of-(\d+)\.parts?$", path.name):
            return int(found[1])
    return None
