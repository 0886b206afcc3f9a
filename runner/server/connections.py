"""Connections: they say what they want within seconds, and those who have shown no token keep out nobody."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
MOST = 256
LET_IN = "anew.let_in"
"""What the gate sets in the scope of a request that came with the token."""


class Connection(H11Protocol):
    """
    One connection of uvicorn's, which knows no time limit for the head of a request, and refuses all where many idle.

    It is closed where the head of a request is not there 10 s after its first byte, or after the connection was made;
    and, where there are too many, when it is the oldest of those on which no token was shown.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._since = time.monotonic()
        self._waiting: asyncio.TimerHandle | None = None
        self._was_let_in = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; see `H11Protocol`."""
        super().connection_made(transport)
        self._wait()
        # one that is refused has been counted, so that there is room for it
        while len(self.connections) > MOST - 2 and (oldest := self._oldest_stranger()) is not None:
            self.connections.discard(oldest)
            oldest.transport.abort()

    def _oldest_stranger(self) -> Connection | None:
        others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
        return min((each for each in others if not each.is_let_in), key=lambda each: each._since, default=None)

    @property
    def is_let_in(self) -> bool:
        """Whether a request on it came with the token."""
        self._was_let_in = self._was_let_in or bool(self.scope and self.scope.get(LET_IN))
        return self._was_let_in

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a head; see `H11Protocol`."""
        known = self.is_let_in
        super().data_received(data)
        self._was_let_in = known
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more; see `H11Protocol`."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()
