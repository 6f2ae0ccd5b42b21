"""The page of `videozoo label`, and its server."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from rich.console import Console

from videozoo.errors import VideozooError
from videozoo.labelling.label_file import UNCLEAR, one_labelling
from videozoo.labelling.label_session import LabelSession
from videozoo.reading import parse_json
from videozoo.text import escaped
from videozoo.web.listening import OwnNames, listening

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from starlette.routing import Route
except ImportError:
    raise VideozooError(
        'videozoo label needs starlette and uvicorn: pip install "videozoo[app]" installs them'
    ) from None

PORT = 8020
_MOST_BYTES = 1 << 16  # of an answer
_GUARD = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; media-src blob:;"
    " connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
)


def label_folder(
    folder: Path,
    *,
    out: Path,
    weights: str | None = None,
    classes: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int | None = None,
    console: Console,
) -> None:
    """Serves the page on which a person labels the videos of a folder, until Ctrl-C.

    Args:
        folder: of the videos; this and out, weights, classes and console are LabelSession's.
        out: the csv.
        weights: a checkpoint.
        classes: their names.
        host: the address of this machine to listen at.
        port: None: 8020, or a free one where that is taken.
        console: where to print.

    Raises:
        VideozooError: something that was given has faults, another labelling writes the csv, or
            the port is taken.
    """
    with one_labelling(out), listening(host, port, PORT) as waiting:
        session = LabelSession(folder, out=out, weights=weights, classes=classes, console=console)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        with closing(session.clips), suppress(KeyboardInterrupt):
            session.tell()
            at = f"{f'[{host}]' if ':' in host else host}:{waiting.getsockname()[1]}"
            told = f"open http://{at} in a browser; each answer is saved at once; Ctrl-C ends"
            console.print(told, highlight=False, soft_wrap=True)
            server_of(LabelPage(session, host=host).app).run(sockets=[waiting])
        signal.signal(signal.SIGTERM, before)
        session.tell()


def server_of(app: Starlette) -> uvicorn.Server:
    """Returns what serves a page: without a log, and ended within a second."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )


class LabelPage:
    """The page and what its keys call.

    Videos have numbers, so that no path is ever asked for. Answers carry a token that stands in the
    page, which no other site can read; requests under a foreign name of this machine are refused.

    Args:
        session: what is labelled.
        host: what it listens at: a name that may be asked for, beside addresses and localhost.

    Attributes:
        app: the web application.
    """

    def __init__(self, session: LabelSession, *, host: str) -> None:
        self._session, self._token = session, secrets.token_urlsafe(24)
        source = files("videozoo.labelling").joinpath("label_page.html").read_text("utf-8")
        self._template = Environment(autoescape=True).from_string(source)
        routes = [
            Route("/", self._page),
            Route("/state", self._state),
            Route("/answer", self._answer, methods=["POST"]),
            Route("/undo", self._undo, methods=["POST"]),
            Route("/clip/{number:int}", self._clip),
        ]
        bad = (VideozooError, ValueError, LookupError, TypeError, OverflowError)
        guard = Middleware(BaseHTTPMiddleware, dispatch=self._guard)
        told, own = dict.fromkeys(bad, self._fault), Middleware(OwnNames, host=host)
        self.app = Starlette(routes=routes, middleware=[own, guard], exception_handlers=told)

    async def _guard(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        sent = request.headers.get("x-token", "").encode()
        if request.method == "POST" and not secrets.compare_digest(sent, self._token.encode()):
            return JSONResponse({"error": "this page is an old one; reload it"}, 403)
        response = await call_next(request)
        response.headers.update(_GUARD)
        return response

    async def _page(self, request: Request) -> Response:
        nonce, folder = secrets.token_urlsafe(16), escaped(str(self._session.folder))
        text = self._template.render(token=self._token, nonce=nonce, folder=folder)
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY.format(nonce)})

    async def _state(self, request: Request) -> Response:
        asked = request.query_params
        after = self._session.next_after(int(asked.get("after", -1)))
        return JSONResponse(self._session.state(int(asked["at"]) if "at" in asked else after))

    async def _answer(self, request: Request) -> Response:
        sent = await _sent(request)
        label = UNCLEAR if sent["label"] is None else str(sent["label"])
        number, new = int(sent["number"]), bool(sent.get("new"))
        return JSONResponse(self._session.answer(number, label, new=new))

    async def _undo(self, request: Request) -> Response:
        return JSONResponse(self._session.undo())

    async def _clip(self, request: Request) -> Response:
        number = self._session.checked(request.path_params["number"])
        path, note = await asyncio.wrap_future(self._session.clips.ask(number))
        if path is None:
            return JSONResponse({"error": escaped(note)})
        return FileResponse(path, media_type="video/mp4", headers={"X-Note": note})

    async def _fault(self, request: Request, error: Exception) -> Response:
        said = str(error) if isinstance(error, VideozooError) else "this is no request of the page"
        return JSONResponse({"error": escaped(said)}, 400)


async def _sent(request: Request) -> Any:
    """Returns the JSON of a request; raises ValueError where it is none, or too long."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise ValueError("too long")
    return parse_json(bytes(data))
