"""Where a page listens for browsers."""

from __future__ import annotations

import socket

from videozoo.errors import VideozooError


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
            fault = error.strerror or str(error)
    told = "" if port is None else f" --port {port}"
    raise VideozooError(f"--host {host}{told}: cannot be listened at: {fault}")
