"""videozoo zoo: the published weights, and which of them are here."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from videozoo.errors import VideozooError, did_you_mean
from videozoo.terminal import Terminal
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet, Published, VideoWeights

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name of `videozoo zoo list`, in any case.")
]

app = typer.Typer(
    name="zoo",
    help="Published weights: list them, fetch them, say where they lie.",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """List the published weights with their scores, and say which are here."""
    console = Terminal(highlight=False)
    if not console.is_terminal:
        console.width = 200  # whoever reads a file or a pipe does not want lines folded
    console.print(_weights_table())
    console.print(_resnets_table())
    console.print(
        "Scores were published with the weights, not measured here. NAME goes wherever weights do:"
        " --weights NAME, --pretrain NAME; the model's name will do too.\n"
        f"They are kept in {store.folder()}",
        soft_wrap=True,
    )


@app.command("pull")
def pull(name: Name) -> None:
    """Fetch published weights whole, check them and convert them.

    Prints the path. Weights that are here already are compared with their checksum.
    """
    from videozoo.inputs import pulled

    published = _published(name)
    before = store.pulled(published)
    path = pulled(published, "")
    record = store.read_record(published)
    if record is not None:
        how = "is here, unchanged" if before else f"fetched from {record.address}"
        typer.echo(f"{published.name}: {how}; SHA-256 of the published file {record.sha256}")
    typer.echo(path)


@app.command("where")
def where(name: Name) -> None:
    """Print the path of weights that have been pulled; exit code 2 where they have not."""
    published = _published(name)
    path = store.pulled(published)
    if path is None:
        raise VideozooError(
            f"{published.name} is not here; videozoo zoo pull {published.name} fetches it"
        )
    typer.echo(path)


def _published(name: str) -> VideoWeights | ImageResNet:
    published = archives.named(name)
    if published is None:
        known = archives.names()
        near = did_you_mean(name, known) or f" (there are {', '.join(known)})"
        raise VideozooError(f"no weights are called '{name}'{near}")
    return published


def _here(published: Published) -> str:
    return "yes" if store.pulled(published) is not None else ""


def _weights_table() -> Table:
    table = Table(title="models, as the original library published them")
    for column in ("name", "model, config", "data", "published", "trained on", "here"):
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "here"))
    for weights in archives.WEIGHTS:
        versions = f"CUDA {weights.cuda}, cuDNN {weights.cudnn}" if weights.cuda else ""
        table.add_row(
            weights.name,
            f"{weights.model}\n{weights.config_name}",
            weights.data,
            f"{weights.scores}\n{weights.protocol}",
            f"batch {weights.batch_size}, {weights.hardware}\n{versions}",
            _here(weights),
            end_section=True,
        )
    return table


def _resnets_table() -> Table:
    table = Table(title="image ResNets, for --pretrain")
    for column in ("name", "layers", "data", "published", "from", "here"):
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "here"))
    for resnet in archives.RESNETS:
        table.add_row(
            resnet.name,
            str(resnet.num_layers),
            resnet.data,
            resnet.scores,
            "torchvision" if resnet.sha256 else "the original library",
            _here(resnet),
        )
    return table
