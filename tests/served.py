"""A local HTTP server whose files break, change, redirect or are not there, as they are told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """One file and how it is served.

    Attributes:
        data: its bytes.
        etag, changed: what the answers say; "" leaves the header out.
        ranges: whether Range is honoured.
        stops: after how many bytes of the body each answer breaks off; the last one counts on.
        length: stated instead of the true one; -1: none is stated (chunks).
        status: of every answer, with no body, where it is not 200.
        statuses: of the first answers.
        place: Location of a redirect.
        starts: stated as the beginning of every part.
        heeds: whether If-Range is.
        names_parts: whether parts come with etag and changed.
    """

    data: bytes = b""
    etag: str = '"one"'
    changed: str = ""
    ranges: bool = True
    stops: list[int | None] = field(default_factory=list)
    length: int | None = None
    status: int = 200
    statuses: list[int] = field(default_factory=list)
    place: str = ""
    starts: int | None = None
    heeds: bool = True
    names_parts: bool = True


@dataclass
class Site:
    """The files by path, and what was asked of them: (path, Range, If-Range)."""

    address: str
    files: dict[str, Served]
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        wanted, condition = self.headers.get("Range", ""), self.headers.get("If-Range", "")
        self.site.asked.append((name, wanted, condition))
        self.close_connection = True
        file = self.site.files.get(name)
        status = 404 if file is None else file.statuses.pop(0) if file.statuses else file.status
        if file is None or status != 200:
            self.send_response(status)
            if file is not None and file.place:
                self.send_header("Location", file.place)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(file, wanted, condition)

    def _send(self, file: Served, wanted: str, condition: str) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = 0
        same = not file.heeds or condition in (file.etag, file.changed)
        if found and file.ranges and same:
            start = int(found[1])
            if start >= len(file.data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        body = file.data[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start if file.starts is None else file.starts
            last = len(file.data)
            self.send_header("Content-Range", f"bytes {first}-{last - 1}/{last}")
        for header, value in (("ETag", file.etag), ("Last-Modified", file.changed)):
            if value and (file.names_parts or not start):
                self.send_header(header, value)
        if file.length == -1:
            self.send_header("Transfer-Encoding", "chunked")
        elif file.length is not None and not start:
            self.send_header("Content-Length", str(file.length))
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stop = file.stops.pop(0) if file.stops else None
        sent = body if stop is None else body[:stop]
        if file.length != -1:
            self.wfile.write(sent[: file.length] if file.length and not start else sent)
            return
        self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        if stop is None:
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def serving(files: dict[str, Served]) -> Iterator[Site]:
    """Serves files on a port of this machine for the time of the block."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
