"""The page of `videozoo label`, and its server."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import signal
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jinja2 import Environment
from rich.console import Console

from videozoo.errors import VideozooError
from videozoo.labelling.label_file import UNCLEAR, one_labelling
from videozoo.labelling.label_session import LabelSession, open_session
from videozoo.text import escaped

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PORT = 8020
_GUARD = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; media-src 'self';"
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
        folder: of the videos.
        out: the csv of the labels, saved after each answer.
        weights: what says whose label helps most; None: nothing, so the order is random.
        classes: none: the folder's, the weights' and the csv's.
        host: the address of this machine to listen at.
        port: None: 8020, or a free one where that is taken.
        console: where to print.

    Raises:
        VideozooError: something that was given has faults, another labelling writes the csv, or
            the port is taken.
    """
    try:
        import uvicorn
    except ImportError:
        raise VideozooError(
            'videozoo label needs starlette and uvicorn: pip install "videozoo[app]" installs them'
        ) from None
    with one_labelling(out), closing(_listening(host, port)) as listening:
        opened = open_session(folder, out=out, weights=weights, classes=classes, console=console)
        with closing(opened) as session:
            opened.tell()
            shown = f"[{host}]" if ":" in host else host
            console.print(
                f"open http://{shown}:{listening.getsockname()[1]} in a browser; each answer is"
                " saved at once; Ctrl-C ends",
                highlight=False,
                soft_wrap=True,
            )
            config = uvicorn.Config(
                build_app(session, host=host),
                log_level="error",
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                with suppress(KeyboardInterrupt):
                    uvicorn.Server(config).run(sockets=[listening])
            finally:
                signal.signal(signal.SIGTERM, before)
            session.tell()


def _listening(host: str, port: int | None) -> socket.socket:
    """Returns a socket that waits for browsers.

    Raises:
        VideozooError: there is no such address of this machine, or the port is taken.
    """
    for number in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server(
                (host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            fault = error
    where = f"--host {host}" if port is None else f"--host {host} --port {port}"
    raise VideozooError(f"{where}: cannot be listened at: {fault.strerror or fault}")


def build_app(session: LabelSession, *, host: str) -> Starlette:
    """Returns the page and what its keys call, as a web application.

    Videos have numbers, so that no path is ever asked for. Answers carry a token that stands in the
    page, which no other site can read; requests under a foreign name of this machine are refused.

    Args:
        session: what is labelled.
        host: what it listens at: a name that may be asked for, beside addresses and localhost.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse
    from starlette.routing import Route

    token, names = secrets.token_urlsafe(24), {"localhost", host, socket.gethostname().lower()}
    source = files("videozoo.labelling").joinpath("label_page.html").read_text("utf-8")
    template = Environment(autoescape=True).from_string(source)

    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if not is_own(request.headers.get("host", ""), names):
            fault = "this name is not one of this machine's; give it as --host"
            return JSONResponse({"error": fault}, 421)
        sent = request.headers.get("x-token", "")
        if request.method == "POST" and not secrets.compare_digest(sent.encode(), token.encode()):
            fault = "this page is of an earlier videozoo label; reload it"
            return JSONResponse({"error": fault}, 403)
        response = await call_next(request)
        response.headers.update({**_GUARD, **response.headers})
        return response

    async def page(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = template.render(token=token, nonce=nonce, folder=escaped(str(session.folder)))
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY.format(nonce)})

    async def state(request: Request) -> Response:
        at = request.query_params.get("at")
        number = session.next_after(-1) if at is None else int(at)
        return JSONResponse(session.state(number))

    async def answer(request: Request) -> Response:
        sent = await request.json()
        label, new = sent["label"], bool(sent.get("new"))
        if label is None:
            return JSONResponse(session.answer(int(sent["number"]), UNCLEAR))
        return JSONResponse(session.answer(int(sent["number"]), str(label), new=new))

    async def skip(request: Request) -> Response:
        return JSONResponse(session.state(session.next_after(int(request.query_params["at"]))))

    async def undo(request: Request) -> Response:
        return JSONResponse(session.undo())

    async def clip(request: Request) -> Response:
        made = await asyncio.wrap_future(session.clip(request.path_params["number"]))
        return JSONResponse({"plays": made.path is not None, "note": made.note})

    async def film(request: Request) -> Response:
        made = await asyncio.wrap_future(session.clip(request.path_params["number"]))
        if made.path is None:
            return JSONResponse({"error": made.note}, 404)
        return FileResponse(made.path, media_type="video/mp4")

    async def fault(request: Request, error: Exception) -> Response:
        said = str(error) if isinstance(error, VideozooError) else "this is no request of the page"
        return JSONResponse({"error": escaped(said)}, 400)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/state", state),
            Route("/skip", skip),
            Route("/answer", answer, methods=["POST"]),
            Route("/undo", undo, methods=["POST"]),
            Route("/clip/{number:int}", clip),
            Route("/clip/{number:int}.mp4", film),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=guard)],
        exception_handlers=dict.fromkeys((VideozooError, ValueError, KeyError, TypeError), fault),
    )


def is_own(header: str, names: set[str]) -> bool:
    """Whether a Host header names this machine, not a name that a foreign site lets lead here.

    Args:
        header: what the browser has asked for, with a port or without.
        names: of this machine. An address is its own in any case: names alone can be led astray.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
