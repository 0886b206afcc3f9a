"""The page's server in a process of its own, as a user starts it, and somebody who asks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx

from tests.helpers.scripts import ANEW

START_S = 60


@dataclass
class Page:
    """
    A server that answers.

    Attributes:
        url: Its address, without a path.
        token: What opens it.
        client: Somebody who has the token, and is no browser.
        process: The server.
    """

    url: str
    token: str
    client: httpx.Client
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, /, status: int = 200, **params: Any) -> Any:
        """Ask, and return the JSON of the answer, which must have a status."""
        answer = self.client.get(f"/api/{path}", params=params or None)
        assert answer.status_code == status, f"{answer.status_code}, not {status}: {answer.text[:2000]}"
        return answer.json()

    def post(self, path: str, /, status: int = 200, **body: Any) -> Any:
        """Have something done, and return the JSON of the answer, which must have a status."""
        answer = self.client.post(f"/api/{path}", json=body)
        assert answer.status_code == status, f"{answer.status_code}, not {status}: {answer.text[:2000]}"
        return answer.json()

    @contextmanager
    def live(self, headers: dict[str, str] | None = None, **params: Any) -> Iterator[Live]:
        """Listen to the live stream."""
        stream = self.client.stream("GET", "/api/live", params=params, headers=headers, timeout=None)
        with stream as answer:
            assert answer.status_code == 200, answer.read()
            yield Live(answer)

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


class Live:
    """What a live stream says, one message after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self._messages: Queue[tuple[str, Any, str]] = Queue()
        self._last = ""
        threading.Thread(target=self._read, args=[answer], daemon=True).start()

    def _read(self, answer: httpx.Response) -> None:
        kind = ""
        try:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    self._last = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    self._messages.put((kind, json.loads(value), self._last))
        except (httpx.HTTPError, httpx.StreamError):
            return  # the test has heard enough

    def next(self, kind: str, patience_s: float = 60) -> tuple[Any, str]:
        """Return what the next message of a kind says, and the latest cursor; others are passed over."""
        while True:
            try:
                said, data, cursor = self._messages.get(timeout=patience_s)
            except Empty:
                raise AssertionError(f"nothing was said of {kind}") from None
            if said == kind:
                return data, cursor


@contextmanager
def served(store: Path | str, *options: str, folder: Path | None = None, **variables: str) -> Iterator[Page]:
    """Serve a store until the end of the block."""
    words = [*ANEW, "ui", "--store", str(store), "--no-browser", *options]
    if "--port" not in options:
        words += ["--port", str(free_port())]
    environment = {**os.environ, **variables}
    process = subprocess.Popen(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline().strip()
        assert line.startswith("http://"), f"{line}{process.stderr.read()}"
        url, _, token = line.partition("/?token=")
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            yield Page(url, token, client, process, [line])
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    """Return a port that nobody listens at just now."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
