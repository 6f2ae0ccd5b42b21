"""videozoo hub: trained weights to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="hub",
    help="The Hugging Face Hub: upload trained weights; hf:OWNER/NAME goes wherever weights do.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keeps the one command's name."""


@app.command("push")
def push(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A .safetensors file of videozoo.")
    ],
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Made where there is none.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository a private one.")
    ] = False,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="Of the weights, as the Hub calls it, such as apache-2.0."),
    ] = None,
    dry_run: Annotated[
        str | None,
        typer.Option("--dry-run", metavar="DIR", help="Upload nothing: write it into a folder."),
    ] = None,
) -> None:
    """Upload a checkpoint with a card that says what it is, scores and takes.

    The token is huggingface_hub's: HF_TOKEN, or what `hf auth login` keeps.
    """
    from videozoo.sharing import HubModel, check_name

    check_name(repository)
    model = HubModel(checkpoint)
    if model.note:
        typer.echo(model.note)
    card = {"repo_id": repository, **({} if license_ is None else {"license": license_})}
    if dry_run is not None:
        model.save_pretrained(dry_run, model_card_kwargs=card)
        files = (f"{file.name} ({file.stat().st_size:,} bytes)" for file in _files(Path(dry_run)))
        typer.echo(f"nothing is uploaded; written to {dry_run}: {', '.join(files)}")
        return
    address = model.push_to_hub(repository, private=private or None, model_card_kwargs=card)
    address = address.partition("/commit/")[0]
    typer.echo(f"uploaded: {address}\nto use it:\n  videozoo infer --weights hf:{repository} VIDEO")


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())
