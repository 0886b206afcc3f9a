"""
A service that takes POST requests on loopback, and answers as it is told.

A test module gets the fixture by `pytest_plugins = ("tests.helpers.hooks",)`
(PYTEST_DONT_REWRITE: it also imports from here).
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Posted:
    """A request: path with query, headers, and what its JSON says."""

    path: str
    headers: dict[str, str]
    body: Any


class HookServer:
    """
    Answers 200, or what `answers` holds for the next ones: a status, with headers; or "silence" until the test ends.

    Attributes:
        posted: What came, in order; also what was not answered with 200.
    """

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answers: deque[tuple[int, dict[str, str]] | str] = deque()
        self.silence = threading.Event()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        """What the requests said."""
        return [each.body for each in self.posted]

    def answer(self, status: int, **headers: str) -> None:
        """Have the next request that has no answer yet answered so."""
        self.answers.append((status, headers))

    def stop(self) -> None:
        """Close the port."""
        self.silence.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.posted.append(Posted(self.path, dict(self.headers), json.loads(data)))
                answer = hooks.answers.popleft() if hooks.answers else (200, {})
                if isinstance(answer, str):
                    if answer == "silence":
                        hooks.silence.wait()
                    else:
                        self.wfile.write(answer.encode())
                    self.close_connection = True
                    return
                status, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_GET(self) -> None:
                hooks.posted.append(Posted(self.path, dict(self.headers), None))
                self.send_error(405)

            def do_HEAD(self) -> None:
                self.send_error(405)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookServer]:
    """A service of the test's own; proxies that are meant for the world do not stand before it."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = HookServer()
    yield server
    server.stop()
