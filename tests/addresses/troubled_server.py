"""An S3 server on this machine, and a proxy before it that throttles, hangs up and loses bytes."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Trouble:
    """What goes wrong: every so-manieth request; and how often it did, by kind.

    Attributes:
        throttles: 503.
        hangs_up: the connection ends before an answer.
        loses: the body of an answer to GET breaks off in its middle.
    """

    throttles: int = 0
    hangs_up: int = 0
    loses: int = 0
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("503", "cut", "lost"), 0))


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behind: tuple[str, int]
    trouble: Trouble
    numbers: count[int]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        number, trouble = next(self.numbers), self.trouble
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if trouble.throttles and number % trouble.throttles == 0:
            trouble.done["503"] += 1
            self._answer(503, {"Content-Type": "application/xml"}, SLOW_DOWN)
        elif trouble.hangs_up and number % trouble.hangs_up == 0:
            trouble.done["cut"] += 1
            self.close_connection = True
        else:
            server = http.client.HTTPConnection(*self.behind, timeout=30)
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            data = answer.read()
            loses = self.command == "GET" and len(data) > 1000 and trouble.loses
            if loses and number % loses == 0:
                trouble.done["lost"] += 1
                data = data[: len(data) // 2]
                self.close_connection = True
            self._answer(answer.status, dict(answer.getheaders()), data)
            server.close()

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        stated = headers.get("Content-Length", str(len(data)))
        for name, value in headers.items():
            if name not in ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"):
                self.send_header(name, value)
        self.send_header("Content-Length", stated)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(b"" if self.command == "HEAD" else data)


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_Proxy, f"do_{_method}", _Proxy._pass_on)


@contextmanager
def troubled_s3(trouble: Trouble) -> Iterator[str]:
    """Gives the address of an S3 server that is in trouble for the time of the block."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    reset = http.client.HTTPConnection(*moto.get_host_and_port())
    reset.request("POST", "/moto-api/reset")  # buckets are this process's
    reset.getresponse()
    reset.close()
    attributes = {
        "behind": moto.get_host_and_port(), "trouble": trouble, "numbers": count(1),
    }  # fmt: skip
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), attributes))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        moto.stop()
