"""A local HTTP server whose files break, drip, redirect or are not there, as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """One file and how it is served.

    Attributes:
        data: its bytes.
        stops: after how many bytes of the body each answer breaks off; later ones are whole.
        length: stated instead of the true one; -1: none is stated (chunks).
        drips: seconds between each hundred bytes; 0: all come at once.
        status: of every answer, with no body, where it is not 200.
        place: Location of a redirect.
    """

    data: bytes = b""
    stops: list[int] = field(default_factory=list)
    length: int | str | None = None
    drips: float = 0.0
    status: int = 200
    place: str = ""


@dataclass
class Site:
    """The files by path, and which were asked for."""

    address: str
    files: dict[str, Served]
    asked: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        file = self.site.files.get(self.path.lstrip("/"))
        self.send_response(403 if "?" in self.path else 404 if file is None else file.status)
        self.send_header("Content-Length", str(len(file.data) if file else 0))
        self.end_headers()

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.site.asked.append(name)
        self.close_connection = True
        file = self.site.files.get(name)
        if file is None or file.status != 200:
            self.send_response(404 if file is None else file.status)
            if file is not None and file.place:
                self.send_header("Location", file.place)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with suppress(ConnectionError):  # whoever has heard enough hangs up
            self._send(file)

    def _send(self, file: Served) -> None:
        self.send_response(200)
        if file.length == -1:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            stated = len(file.data) if file.length is None else file.length
            self.send_header("Content-Length", str(stated))
        self.end_headers()
        stop = file.stops.pop(0) if file.stops else None
        sent = file.data[:stop]
        if file.drips:
            for i in range(0, len(sent), 100):
                self.wfile.write(sent[i : i + 100])
                time.sleep(file.drips)
        elif file.length == -1:
            self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
            self.wfile.write(b"0\r\n\r\n" if stop is None else b"")
        else:
            self.wfile.write(sent[: file.length] if isinstance(file.length, int) else sent)


@contextmanager
def serving(files: dict[str, Served]) -> Iterator[Site]:
    """Serves files on a port of this machine for the time of the block."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False  # one that drips need not be heard to its end
    site = Site(f"http://127.0.0.1:{server.server_address[1]}", files)
    handler.site = site  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
