"""The page: a video in, what the model says of it out."""

from __future__ import annotations

import atexit
import os
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videozoo.errors import VideozooError
from videozoo.web.listening import OwnNames, listening
from videozoo.web.uploads import Uploads, uploads_folder
from videozoo.web.worker import Job, Worker

if TYPE_CHECKING:
    import gradio as gr

_EXAMPLES = 200  # of a folder


def app(
    weights: str | os.PathLike[str],
    *,
    examples: str | os.PathLike[str] | None = None,
    max_size: float = 500,
    max_length: float = 3600,
    max_time: float = 300,
    window: float = 8.0,
    stride: float = 2.0,
    reject: float | None = None,
    use_gpu: bool = True,
) -> gr.Blocks:
    """Makes a page on which a model is tried; `serve` shows it.

    Videos are looked at one after another, in a process of its own: a script that calls this needs
    `if __name__ == "__main__":`. No row of a video is kept, and its file is removed when another
    one is given, when it is taken away, when its page is closed, and at the end of this process.

    Args:
        weights: a checkpoint that takes videos, or a name of the zoo.
        examples: a folder of videos to click; None: there are none.
        max_size: megabytes of a file, 2^20 bytes each.
        max_length: seconds of a video.
        max_time: seconds that a video may take.
        window: seconds of a window of the timeline that longer videos have.
        stride: seconds from one window to the next.
        reject: the answer is "none of these" where the best score is below this, 0 to 1.
        use_gpu: run on a GPU where there is one.

    Raises:
        VideozooError: gradio is missing, the weights do not fit, the folder holds no videos, or a
            number is out of range.
    """
    for name, limit in {"size": max_size, "length": max_length, "time": max_time}.items():
        if not 0 < limit < inf:
            raise VideozooError(f"max {name} {limit:g}: give a number above 0")
    videos = [] if examples is None else _examples(Path(examples))
    _gradio()
    from videozoo.web.blocks import build

    how = {"limits": (max_size, max_length), "window": window, "stride": stride, "reject": reject}
    opened = partial(_open_looker, os.fspath(weights), use_gpu=use_gpu, **how)
    worker = Worker(opened, max_time)
    atexit.register(worker.end)
    return build(worker, Uploads(uploads_folder()), videos)


def serve(
    page: gr.Blocks, *, host: str = "127.0.0.1", port: int | None = None, max_size: float = 500
) -> str:
    """Shows a page, and nothing of it beyond this machine unless `host` says so.

    Args:
        page: what `app` made.
        host: where it listens.
        port: None: 7860, or a free one where that is taken.
        max_size: megabytes of a file, 2^20 bytes each; an upload stops there.

    Returns:
        The address. The page is there until `page.close()`.

    Raises:
        VideozooError: the port is taken, or there is no such host.
    """
    from starlette.middleware import Middleware  # comes with gradio

    plain = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    _, address, _ = page.launch(
        server_name=host,
        server_port=free_port(host, port),
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=int(max_size * 2**20),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [Middleware(OwnNames, host=host)]},
        theme=_gradio().themes.Default(**plain),
    )
    return str(address)


def free_port(host: str, port: int | None) -> int:
    """Returns a port to listen at; see `serve`."""
    with listening(host, port, usual=7860) as waiting:
        number: int = waiting.getsockname()[1]
        return number


def _open_looker(weights: str, **how: Any) -> tuple[Job, Any]:
    """Loads a model; this process needs neither it nor torch."""
    from videozoo.web.look import open_looker

    return open_looker(weights, **how)


def _gradio() -> Any:
    """Returns gradio, told to call nobody and to keep uploads in a folder of ours.

    Raises:
        VideozooError: it is not installed.
    """
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_TEMP_DIR": str(uploads_folder()),
    }
    try:
        import gradio
    except ImportError as error:
        raise VideozooError(
            "gradio is not installed: pip install 'videozoo[app]' installs it"
        ) from error
    return gradio


def _examples(folder: Path) -> list[Path]:
    """Returns the videos of a folder and of those in it.

    Raises:
        VideozooError: there are none.
    """
    from videozoo.data.clips.clip_files import PICKLE_SUFFIXES, expand_path

    found = expand_path(str(folder))
    videos = [path.absolute() for path in found if path.suffix.lower() not in PICKLE_SUFFIXES]
    if not videos:
        raise VideozooError(f"{folder}: holds no videos; give --examples a folder of some")
    return videos[:_EXAMPLES]
