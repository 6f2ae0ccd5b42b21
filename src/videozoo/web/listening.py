"""Where a page listens for browsers, and under which names."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from videozoo.errors import VideozooError

_Passes = Callable[..., Awaitable[Any]]


def listening(host: str, port: int | None, usual: int) -> socket.socket:
    """Returns a socket that waits for browsers, on any free port where `usual` is taken.

    Raises:
        VideozooError: there is no such address of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (usual, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            fault = (error.strerror or str(error)).partition(" (while ")[0]  # that has the address
    told = "" if port is None else f" --port {port}"
    raise VideozooError(f"--host {host}{told}: cannot be listened at: {fault}")


class OwnNames:
    """Refuses requests under a foreign name of this machine: a site may let its own lead here.

    Args:
        app: what answers the others, as ASGI has it.
        host: what it listens at: a name that may be asked for, beside addresses and localhost.
    """

    def __init__(self, app: _Passes, *, host: str) -> None:
        self._app, machine = app, socket.gethostname().lower()
        self._names = {"localhost", host.lower(), machine, f"{machine}.local"}

    async def __call__(self, scope: dict[str, Any], receive: _Passes, send: _Passes) -> None:
        """Answers a request."""
        header = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
        if scope["type"] == "lifespan" or is_own(header, self._names):
            await self._app(scope, receive, send)
            return
        told = "this machine has another name; open the page by its address, or see --host"
        body, kind = json.dumps({"error": told}).encode(), (b"content-type", b"application/json")
        await send({"type": "http.response.start", "status": 421, "headers": [kind]})
        await send({"type": "http.response.body", "body": body})


def is_own(header: str, names: Collection[str]) -> bool:
    """Whether a Host header names this machine, not a name that a foreign site lets lead here.

    Args:
        header: what the browser has asked for, with a port or without.
        names: of this machine; addresses are its own in any case, as they cannot be led astray.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
