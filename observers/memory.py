"""A run's events in a list: for tests and notebooks."""

from __future__ import annotations

import threading
from typing import TypeVar

from anew.runner import events as ev
from anew.runner.errors import RunStateError
from anew.runner.format.replay import replay
from anew.runner.records import RunRecord

E = TypeVar("E", bound=ev.Event)


class MemoryObserver:
    """
    Keeps events in this process, in the order in which they came, each once.

        memory = MemoryObserver()
        experiment = Experiment("digits", observers=[memory])
        ...
        memory.points()["loss"], memory.record().status

    What was taken stays after `close`, and is gone with the object. One may be handed the events of several runs, one
    after the other, as in a notebook; then `record`, `points` and `output` speak of the run that was started last
    unless they are told another one's uid. Safe in threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[tuple[str, str, int], ev.Event] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.events)} events)"

    def handle(self, event: ev.Event, /) -> None:
        """Take one event; a repeat changes nothing."""
        with self._lock:
            self._events[event.uid, event.writer, event.q] = event

    def close(self) -> None:
        """Do nothing: what was taken can still be looked at."""

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._events.clear()

    @property
    def events(self) -> tuple[ev.Event, ...]:
        """All events, in the order in which they came."""
        with self._lock:
            return tuple(self._events.values())

    def of(self, kind: type[E]) -> tuple[E, ...]:
        """Return the events of one kind, such as `MetricsLogged`, in the order in which they came."""
        return tuple(event for event in self.events if isinstance(event, kind))

    def record(self, uid: str | None = None) -> RunRecord:
        """Return the run's record as it is after the events so far. Raises RunStateError when no run has started."""
        events = self._of_run(uid)
        start = next(event for event in events if isinstance(event, ev.RunStarted))
        return replay(start.record, events)

    def points(self, uid: str | None = None) -> dict[str, list[tuple[int, float | int]]]:
        """Return every metric's (step, value) pairs, in the order in which they came. Raises as `record`."""
        found: dict[str, list[tuple[int, float | int]]] = {}
        for event in self._of_run(uid):
            if isinstance(event, ev.MetricsLogged):
                for name, value in event.values.items():
                    found.setdefault(name, []).append((event.step, value))
        return found

    def output(self, uid: str | None = None) -> str:
        """Return the captured output, as far as it has come. Raises as `record`."""
        pieces: list[ev.OutputCaptured] = []
        for event in self._of_run(uid):
            if isinstance(event, ev.OutputCaptured):
                pieces = [piece for piece in pieces if piece.offset < event.offset]
                pieces.append(event)
        return "".join(piece.text for piece in pieces)

    def _of_run(self, uid: str | None) -> tuple[ev.Event, ...]:
        started = [event.uid for event in self.of(ev.RunStarted)]
        if not started or (uid is not None and uid not in started):
            raise RunStateError(
                "No run has been observed yet: run one with Experiment(NAME, observers=[memory])."
                if uid is None
                else f"No run with uid {uid!r} has been observed; there are: {', '.join(started) or 'none'}"
            )
        chosen = started[-1] if uid is None else uid
        return tuple(event for event in self.events if event.uid == chosen)
