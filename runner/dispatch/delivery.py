"""One observer of one run: batches handed over, errors told apart, the cursor moved."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from anew.runner import events as ev
from anew.runner.contracts import Batching, Beginning, Observer, RunStore
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.observer_log import ObserverLog
from anew.runner.errors import AnewError, UnavailableError
from anew.runner.format.redact import Redactor
from anew.runner.store.position import Cursor, CursorFile, Position
from anew.runner.store.stream import Batch, RunSource
from anew.runner.wording import in_a_line, place_of

LEAST_WAIT_S = 0.25
GREATEST_WAIT_S = 30.0
_TRIES = 4
_TRY_AGAIN_S = (0.05, 0.25, 1.0)
_MOST_ASIDE_IN_A_ROW = 20
# of what is handed over one by one, so that little has to be repeated; more of what is taken within no time, since to
# write down how far it has got takes milliseconds
_FEW_BYTES, _MORE_BYTES = 1 << 12, 1 << 16
_QUICK_S = 0.1


class BrokenObserverError(AnewError, RuntimeError):
    """An observer that cannot be built, or that takes nothing; trying again later is all that is left."""


class OutOfTimeError(Exception):
    """There was no time for the rest of a batch; it is delivered again by whoever goes on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long to wait after failures in a row: doubled each time, with jitter, so that many do not come together."""

    failures: int = 0

    def longer(self) -> Backoff:
        """Return it after one more failure."""
        return replace(self, failures=self.failures + 1)

    @property
    def seconds(self) -> float:
        """A time to wait, different at each look."""
        return min(GREATEST_WAIT_S, LEAST_WAIT_S * 2.0**self.failures) * random.uniform(0.5, 1.0)


class Delivery:
    """
    Hands a run's events to one observer, from where its cursor stands. One thread at a time.

    Args:
        source: The run.
        file: The observer's cursor, held by the caller.
        name: What the observer is called.
        build: Makes the observer; called when there is something to deliver.
        store: Where the run's content is read from.
        redactor: Takes secrets out of errors before they are written down.
        log: Takes what the observer prints, where the caller has that told apart, and its tracebacks.
        is_over: Whether there is no time left; asked between events that are handed over one by one.
        tell: Called with the first error of an event that the observer refuses, and is handed again.
    """

    def __init__(
        self,
        source: RunSource,
        file: CursorFile,
        *,
        name: str,
        build: Callable[[], Observer],
        store: RunStore,
        redactor: Redactor,
        log: ObserverLog,
        is_over: Callable[[], bool] = lambda: False,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.name = name
        self.source = source
        self._file = file
        self._build = build
        self._store = store
        self._redactor = redactor
        self._log = log
        self._is_over = is_over
        self._tell = tell
        self._has_refused = False
        self._most_bytes = _FEW_BYTES
        self._observer: Observer | None = None

    @property
    def cursor(self) -> Cursor:
        """How far it has got."""
        return self._file.cursor

    @property
    def is_done(self) -> bool:
        """Whether the run's end, and all that is there behind it, was delivered."""
        return self.cursor.done.ended and not self.source.next(self.cursor.done).events

    def step(self) -> int:
        """
        Deliver what is next; return how many events that were.

        Raises:
            UnavailableError: The other side cannot be reached; nothing is lost, and `step` can be called again.
            BrokenObserverError: The observer cannot be built, or takes nothing at all.
            OutOfTimeError: `is_over` said so.
            OSError: The run cannot be read, or the cursor not be written.
        """
        observer = self._opened()
        done = self.cursor.done
        if not done.started:
            self._moved(replace(done, started=True, events=1), observer)
            return 1
        batch = self._next(done)
        if not batch.events:
            if batch.after != done:
                self._moved(batch.after, observer)
            return 0
        began = time.monotonic()
        self._hand_over(observer, batch.events)
        is_quick = time.monotonic() - began < _QUICK_S
        self._most_bytes = min(2 * self._most_bytes, _MORE_BYTES) if is_quick else _FEW_BYTES
        self._moved(batch.after, observer)
        return len(batch.events)

    def close(self) -> None:
        """Close the observer, if there is one. Never raises."""
        observer, self._observer = self._observer, None
        if observer is not None:
            try:
                observer.close()
            except Exception as error:
                self._log.note("close", error)

    def note(self, error: str) -> None:
        """Write down what went wrong, for `anew show`. Never raises."""
        if error != self.cursor.error:
            with suppress(OSError):
                self._file.save(error=error)

    # --- one session --------------------------------------------------------------------------------------------

    def _opened(self) -> Observer:
        """Return the observer, built if there is none; it has been told of the start."""
        if self._observer is not None:
            return self._observer
        try:
            observer = self._build()
        except Exception as error:
            raise self._broken("cannot be built", error) from error
        try:
            if isinstance(observer, Beginning):
                observer.begin(self._store)
            observer.handle(self.source.start())
        except Exception as error:
            with suppress(Exception):
                observer.close()
            if isinstance(error, OSError):
                raise self._out_of_reach(error) from error
            raise self._broken("did not take the start of the run", error) from error
        self._observer = observer
        return observer

    def _next(self, done: Position) -> Batch:
        """Return the batch that is next: the one that was tried last, if it may have arrived."""
        trying = self.cursor.trying
        if trying is not None:
            return self.source.next(done, trying)
        many = isinstance(self._observer, Batching)
        batch = self.source.next(done) if many else self.source.next(done, most_bytes=self._most_bytes)
        if batch.events:
            self._file.save(trying=batch.after)
        return batch

    def _moved(self, after: Position, observer: Observer) -> None:
        self._file.save(done=after, trying=None, error="", sink=str(getattr(observer, "sink", "") or ""))

    # --- handing over -------------------------------------------------------------------------------------------

    def _hand_over(self, observer: Observer, events: Sequence[ev.Event]) -> None:
        if isinstance(observer, Batching):
            try:
                observer.handle_many(events)
                return
            except OSError as error:
                raise self._out_of_reach(error) from error
            except Exception:
                # which of them it is shows when they come one at a time
                pass
        self._one_at_a_time(observer, events)

    def _one_at_a_time(self, observer: Observer, events: Sequence[ev.Event]) -> None:
        refused: list[tuple[ev.Event, Exception]] = []
        in_a_row = 0
        for event in events:
            if self._is_over():
                raise OutOfTimeError
            error = self._try(observer, event)
            in_a_row = in_a_row + 1 if error is not None else 0
            if error is not None:
                refused.append((event, error))
            if in_a_row >= _MOST_ASIDE_IN_A_ROW:
                assert error is not None
                raise self._broken(f"has refused {in_a_row} events in a row", error) from error
        for event, problem in refused:
            self._file.set_aside(event.writer, event.q, type(event).__name__, self.described(problem))

    def _try(self, observer: Observer, event: ev.Event) -> Exception | None:
        """Hand over one event; return why it could not be taken, however often it was tried."""
        problem: Exception | None = None
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_TRY_AGAIN_S[attempt - 1])
            try:
                observer.handle(event)
            except OSError as error:
                raise self._out_of_reach(error) from error
            except Exception as error:
                problem = error
                self._refused(event, error, attempt)
            else:
                return None
        return problem

    def _refused(self, event: ev.Event, error: Exception, attempt: int) -> None:
        text = self.described(error)
        self.note(text)
        if not attempt:
            self._log.note(f"handle({type(event).__name__} {event.writer}/{event.q})", error)
        if not self._has_refused:
            self._has_refused = True
            self._tell(text)

    # --- errors -------------------------------------------------------------------------------------------------

    def described(self, error: BaseException) -> str:
        """Return an error as one line that may be kept."""
        text = str(error) or "no reason given"
        kind = "" if isinstance(error, AnewError) else f"{type(error).__name__}: "
        return self._redactor.text(f"{kind}{in_a_line(text)}"[:1000] + place_of(error))

    def _out_of_reach(self, error: OSError) -> UnavailableError:
        text = self.described(error)
        if text != self.cursor.error:
            self._log.note("out of reach", error)
        self.note(text)
        return UnavailableError(text)

    def _broken(self, what: str, error: Exception) -> BrokenObserverError:
        self._log.note(what, error)
        text = f"The observer {self.name!r} {what}: {self.described(error)}"
        self.note(text)
        return BrokenObserverError(text)
