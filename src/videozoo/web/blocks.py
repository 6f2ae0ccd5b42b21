"""The page in gradio's words: what stands where, and what happens when. Imports gradio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from videozoo.errors import VideozooError
from videozoo.web import parts
from videozoo.web.uploads import Uploads
from videozoo.web.worker import Worker

_WAITING = 20  # requests that may wait for their turn
EMPTY = "Drop a video to see what it shows."


class Actions:
    """What the events of a page do.

    Args:
        worker: looks at videos.
        uploads: are told what pages show.
    """

    def __init__(self, worker: Worker, uploads: Uploads) -> None:
        self._worker, self._uploads = worker, uploads

    def look(self, video: str | None, request: gr.Request) -> Iterator[list[Any]]:
        """Yields player, names, timeline, frames, the button "why" and its answer."""
        page, hidden = str(request.session_hash), gr.update(visible=False)
        if video is None or not Path(video).exists():  # it was taken away while it waited
            yield self.clear(request)
            return
        self._uploads.show(page, Path(video))
        waits = parts.word("the model looks at the video", "busy")
        yield [parts.player_part(video), waits, "", "", hidden, ""]
        try:
            for found in self._worker(("look", video)):
                yield [gr.skip(), *found, hidden, ""]
            yield [*[gr.skip()] * 4, gr.update(visible=True), ""]
        except VideozooError as error:
            if self._uploads.shows(page, Path(video)):
                yield ["", parts.word(str(error), "fault"), "", "", hidden, ""]
            else:
                yield self.clear(request)

    def why(self, video: str | None) -> Iterator[str]:
        """Yields why the video was given its class."""
        yield parts.word("moments are left out, one after another", "busy")
        try:
            for found in self._worker(("why", video)):
                yield found[0]
        except VideozooError as error:
            yield parts.word(str(error), "fault")

    def clear(self, request: gr.Request) -> list[Any]:
        """Removes what a page shows and stops work on it; returns what `look` yields, empty."""
        before = self._uploads.show(str(request.session_hash), None)
        if before is not None:
            self._worker.stop(lambda task: task[1] == str(before))
        return ["", parts.word(EMPTY), "", "", gr.update(visible=False), ""]

    def close(self, request: gr.Request) -> None:
        """Does so for a page that is closed."""
        self.clear(request)


def build(worker: Worker, uploads: Uploads, examples: Sequence[Path]) -> gr.Blocks:
    """Puts the page together.

    Args:
        worker: looks at videos; says the model and its classes.
        uploads: which files are shown.
        examples: videos to click.
    """
    model, names = worker.info
    do = Actions(worker, uploads)
    html = partial(gr.HTML, apply_default_css=False, js_on_load=parts.script())
    with gr.Blocks(title=f"{model} - videozoo", analytics_enabled=False) as page:
        html(parts.title_part(model, names))
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                video = gr.File(label="a video of yours", height=130)
                player = html("")
            with gr.Column(scale=2, min_width=280):
                answer = html(parts.word(EMPTY))
        timeline, frames = html(""), html("")
        with gr.Row():
            button = gr.Button("Why this class?", visible=False, scale=0, min_width=180)
        reason = html("")
        listed = None
        if examples:
            gr.set_static_paths(list(examples))
            rows = [[str(path)] for path in examples]
            listed = gr.Examples(rows, [video], examples_per_page=12, label="examples")
        shown = [player, answer, timeline, frames, button, reason]
        how: dict[str, Any] = {
            "show_progress": "hidden", "api_visibility": "private", "concurrency_id": "model",
        }  # fmt: skip
        video.upload(do.look, video, shown, **how)
        if listed is not None:
            listed.load_input_event.success(do.look, video, shown, **how)
        button.click(do.why, video, reason, **how)
        video.clear(do.clear, None, shown, queue=False, **how)
        page.unload(do.close)
    made: gr.Blocks = page.queue(max_size=_WAITING, default_concurrency_limit=1, api_open=False)
    return made
