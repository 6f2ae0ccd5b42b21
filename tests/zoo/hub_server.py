"""A Hugging Face Hub of this machine: it lists, gives and takes the files of repositories."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "c" * 40


@dataclass
class Hub:
    """What lies on it and what was asked of it.

    Attributes:
        address: of the server.
        files: of each repository, by name.
        asked: methods and paths, in order.
        refuses: the status of every answer; 0: it does not.
        sizes: stated of files, in place of the true ones.
        token: that may upload.
        made: what was said of repositories that were made.
    """

    address: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    token: str = "hf_right_0123456789"
    made: list[dict[str, Any]] = field(default_factory=list)

    def fetched(self) -> list[str]:
        """Returns the files that were given whole."""
        return [line.rpartition("/")[2] for line in self.asked if line.startswith("GET-ALL ")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.refuses:
            return self._answer(self.hub.refuses)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._info(*found.groups())
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(refs/pr/\d+|[^/]+)/(.+)", path)
        held = self.hub.files.get(found[1], {}) if found else {}
        if found is None or found[3] not in held:
            return self._answer(404, X_Error_Code="EntryNotFound")
        self._file(held[found[3]], path)

    def _info(self, name: str, revision: str | None) -> None:
        if name not in self.hub.files:
            return self._answer(401, X_Error_Code="RepoNotFound")
        if revision not in (None, "main", "v1", "refs/pr/1", COMMIT):
            return self._answer(404, X_Error_Code="RevisionNotFound")
        held = self.hub.files[name].items()
        files = [{"rfilename": k, "size": self.hub.sizes.get(k, len(v))} for k, v in held]
        self._json({"id": name, "modelId": name, "sha": COMMIT, "siblings": files})

    def _file(self, data: bytes, path: str) -> None:
        about = {"X_Repo_Commit": COMMIT, "ETag": f'"{sha256(data).hexdigest()}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if wanted and self.command == "GET":
            part = data[int(wanted[1]) : int(wanted[2]) + 1]
            return self._answer(206, part, **about)
        if self.command == "GET":
            self.hub.asked.append(f"GET-ALL {path}")
        self._answer(200, data, **about)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.hub.refuses or given != self.hub.token:
            # A server that repeats what it was given must not get a token printed.
            message = json.dumps({"error": f"Invalid username or password: {given}"}).encode()
            return self._answer(self.hub.refuses or 401, message)
        if path == "/api/repos/create":
            said = json.loads(body)
            self.hub.made.append(said)
            name = f"{said['organization']}/{said['name']}"
            self.hub.files.setdefault(name, {})
            return self._json({"url": f"{self.hub.address}/{name}"})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        name = "/".join(path.split("/")[3:5])
        if "/preupload/" in path:
            files = [{"path": f["path"]} for f in json.loads(body)["files"]]
            how = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self._json({"files": [file | how for file in files]})
        for line in body.splitlines():
            said = json.loads(line)
            if said["key"] == "file":
                data = base64.b64decode(said["value"]["content"])
                self.hub.files[name][said["value"]["path"]] = data
        url = f"{self.hub.address}/{name}/commit/{COMMIT}"
        self._json({"commitUrl": url, "commitOid": COMMIT, "success": True})

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serves a Hub for the time of a test; huggingface_hub asks it, with a cache of its own."""
    constants = pytest.importorskip("huggingface_hub.constants")
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    handler.hub = found  # type: ignore[attr-defined]
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.address + template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
