"""A hub on loopback that answers as the Hugging Face hub does, and can misbehave."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34


@dataclass
class FakeHub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By repository and name."""
    token: str | None = None
    """The token it asks for."""
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """Statuses and headers to answer with in place of what was asked, by a part of the path."""
    breaks_off_after: int | None = None
    """It closes the connection after so many bytes of a file."""
    stalls_at: int | None = None
    """It sends nothing of a file from this place on, and keeps the connection open."""
    ignores_ranges: bool = False
    claims_size: int | None = None
    claims_sha256: str | None = None
    body: bytes | None = None
    """An answer to every question about a repository."""
    address: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths and headers, in small letters."""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def ranges(self) -> list[str]:
        """Where each download began."""
        return [headers.get("range", "") for path, headers in self.requests if path.startswith("/cdn/")]

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        """Serve on loopback as long as the block lasts."""
        hub = self

        class Handler(_Handler):
            of = hub

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.address = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                self.over.set()
                server.shutdown()
                thread.join()

    def described(self, repo: str) -> bytes:
        """The answer to a question about a repository."""
        if self.body is not None:
            return self.body
        siblings: list[dict[str, Any]] = [{"rfilename": "README.md", "size": 5, "blobId": "1" * 40}]
        for name, data in self.files[repo].items():
            size = self.claims_size or len(data)
            sha256 = self.claims_sha256 or hashlib.sha256(data).hexdigest()
            lfs = {"sha256": sha256, "size": size, "pointerSize": 130}
            siblings.append({"rfilename": name, "size": size, "blobId": "2" * 40, "lfs": lfs})
        return json.dumps({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}).encode()


class _Handler(BaseHTTPRequestHandler):
    of: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a question about a repository, lead to a file, or send it."""
        hub = self.of
        hub.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        for part, (status, headers) in hub.answers.items():
            if part in self.path:
                self._answer(status, b"", headers)
                return
        opened = hub.token is None or self.headers.get("Authorization") == f"Bearer {hub.token}"
        if not opened and "/cdn/" not in self.path:
            self._answer(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not here"})
            return
        if match := re.match(r"/api/models/([^/?]+/[^/?]+)", self.path):
            if hub.body is None and match[1] not in hub.files:
                self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            else:
                self._answer(200, hub.described(match[1]), {"Content-Type": "application/json"})
        elif match := re.match(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", self.path):
            # Another host, as the real one: localhost is none of 127.0.0.1's.
            address = hub.address.replace("127.0.0.1", "localhost")
            self._answer(302, b"", {"Location": f"{address}/cdn/{match[1]}/{match[2]}?Signature=s3cret"})
        elif match := re.match(r"/cdn/([^/]+/[^/]+)/([^?]+)", self.path):
            self._send(hub.files[match[1]][match[2]])
        else:
            self._answer(404, b"", {})

    def _send(self, data: bytes) -> None:
        hub = self.of
        start = 0
        if (asked := self.headers.get("Range")) and not hub.ignores_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start > len(data) or (start and start == len(data)):
            self._answer(416, b"", {})
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data)
        if hub.breaks_off_after is not None:
            end = min(end, start + hub.breaks_off_after)
        if hub.stalls_at is not None:
            end = min(end, max(start, hub.stalls_at))
        self.wfile.write(data[start:end])
        self.wfile.flush()
        if end < len(data):
            if hub.stalls_at is not None:
                hub.over.wait(30)
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base
        """Say nothing."""
