"""videozoo app: a page on which a model is tried."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from videozoo.cli import arguments as args
from videozoo.cli import timelines
from videozoo.errors import VideozooError
from videozoo.stopping import stoppable
from videozoo.terminal import Terminal


def app(
    weights: args.NeededWeights = None,
    examples: Annotated[
        str | None, typer.Option("--examples", metavar="FOLDER", help="Videos to click.")
    ] = None,
    host: args.Host = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            help="Port to listen at. (default: 7860, or a free one)",
            show_default=False,
        ),
    ] = None,
    max_size: Annotated[float, typer.Option("--max-size", help="Megabytes of a file.")] = 500,
    max_length: Annotated[float, typer.Option("--max-length", help="Seconds of a video.")] = 3600,
    max_time: Annotated[
        float, typer.Option("--max-time", help="Seconds of work that a video may take.")
    ] = 300,
    window: timelines.Window = 8.0,
    stride: timelines.Stride = 2.0,
    reject: args.Reject = None,
    use_gpu: args.UseGpu = None,
) -> None:
    """Open a page in the browser on which a model is tried: drop a video, see what it shows.

    Nothing of a video leaves this machine, and no file of one stays. Ctrl-C ends it.
    """  # fmt: skip
    from videozoo.web import page

    if weights is None:
        raise VideozooError("give --weights, such as checkpoints/LINEAR_best.safetensors")
    console = Terminal(highlight=False, soft_wrap=True)
    port = page.free_port(host, port)  # before the model is loaded, which takes longer
    with stoppable(whole_process=True):
        made = page.app(
            weights, examples=examples, max_size=max_size, max_length=max_length,
            max_time=max_time, window=window, stride=stride, reject=reject,
            use_gpu=args.parse_switch(use_gpu, "--use-gpu") is not False,
        )  # fmt: skip
        address = page.serve(made, host=host, port=port, max_size=max_size)
        try:
            console.print(f"open {address} in a browser; Ctrl-C ends")
            while True:
                time.sleep(3600)
        finally:
            made.close(verbose=False)
