"""
The live stream: rows that changed, points that came, output that grew, as server-sent events.

Each message carries a cursor that says up to where all before it goes, so that a stream which is opened again, or after
an answer, begins there: nothing is left out, and no point comes twice.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from anew.runner.errors import AnewError
from anew.runner.query.filters import parse_filter
from anew.runner.records import RunRecord
from anew.runner.server import failures
from anew.runner.server.asking import Filter
from anew.runner.server.cursors import Counts, Cursor, understood
from anew.runner.server.failures import Refused
from anew.runner.server.routes import Asked, in_address
from anew.runner.server.series import names_of, numbers_of
from anew.runner.server.site import Site
from anew.runner.server.wire import encoded, listed, number
from anew.runner.store.folder import FolderStore
from anew.runner.store.stored import StoredRuns

TICK_S = 0.4
BEAT_S = 15.0
MOST_POINTS = 400
_MOST_ROWS = 400
_THREADS = 4


class LiveAsked(Asked):
    """
    From where on, and what is watched.

    Attributes:
        cursor: Cursors of answers.
        runs: Runs whose points and output are told.
        names: Which of their metrics; those that they share unless said.
        q: Of which runs rows are told.
        columns: What the cells of these rows are.
    """

    cursor: str = ""
    runs: str = ""
    names: str = ""
    q: Filter = ""
    columns: str = ""


@dataclass
class _Watched:
    """
    What one stream has told so far. Used by one thread at a time.

    Attributes:
        version: Up to which change of the store rows were told.
        points: Of which run how many points of each metric, by writer.
        ended: Runs that have ended, all of whose points were told.
        sizes: Of which run how long its output was.
    """

    version: int
    points: Counts
    ended: set[int] = field(default_factory=set)
    sizes: dict[int, int] = field(default_factory=dict)
    indexing: Any = None


Message = tuple[str, dict[str, Any]]


class Stream:
    """
    One live stream, from a cursor on.

    Args:
        site: What it is of.
        asked: What is watched.
        cursor: Where it begins.
    """

    def __init__(self, site: Site, asked: LiveAsked, cursor: Cursor) -> None:
        self._site = site
        self._asked = asked
        self._names = listed(asked.names)
        self._columns = listed(asked.columns)
        site.refuse_gone()
        # whoever brings no cursor is told what happens from now on
        version = cursor.version if cursor.version is not None else site.rows.changes.version()
        self._told = _Watched(version, {run: dict(names) for run, names in cursor.points.items()})
        self._runs = [run for run, _ in numbers_of(site, asked.runs)] if asked.runs else []
        parse_filter(asked.q, site.saved)

    @property
    def cursor(self) -> str:
        """Up to where all was told."""
        return Cursor(self._told.version, self._told.points).text

    def messages(self) -> list[Message]:
        """Look, and return what is new. Raises AnewError, OSError, Refused where the store cannot be read."""
        self._site.refuse_gone()
        return [*self._rows(), *self._points(), *self._outputs(), *self._indexing()]

    def _rows(self) -> list[Message]:
        rows = self._site.rows
        if rows.indexing is not None:
            return []
        changed = rows.changes.since(self._told.version)
        if changed.version == self._told.version:
            return []
        # what changes while this is looked at has a greater version, and is told again
        found = rows.found(self._asked.q)
        matching = {*found.numbers}
        numbers = [run for run in changed.runs if run in matching][:_MOST_ROWS]
        records = rows.records(sorted(numbers, reverse=True))
        gone = [*changed.gone, *(run for run in changed.runs if run not in matching)]
        self._told.version = changed.version
        is_stale = changed.is_stale or len(changed.runs) > _MOST_ROWS
        data = {"rows": rows.rows(records, self._columns), "gone": gone, "total": len(found.numbers)}
        return [("rows", {**data, "stale": is_stale})]

    # --- points -------------------------------------------------------------------------------------------------------

    def _points(self) -> list[Message]:
        store = self._site.store
        if not self._runs or not isinstance(store, StoredRuns):
            return []
        watched = [run for run in self._runs if run not in self._told.ended]
        found: list[dict[str, Any]] = []
        room = MOST_POINTS
        for run, record in self._site.rows.records(watched).items():
            series = self._of_run(store, run, record, room)
            room -= sum(len(each["x"]) for each in series)
            found += series
            if record.status.final and room > 0:
                # nothing more comes, and all was told
                self._told.ended.add(run)
                self._told.points.pop(str(run), None)
            if room <= 0:
                break
        return [("points", {"series": found})] if found else []

    def _of_run(self, store: StoredRuns, run: int, record: RunRecord, room: int) -> list[dict[str, Any]]:
        known = self._told.points.get(str(run))
        if known is None:
            if record.status.final:
                return []  # its series was answered whole
            known = self._told.points[str(run)] = {}
        found = []
        for name in self._names or names_of([record]):
            if name not in record.metrics or room <= 0:
                continue
            sent = known.get(name, {})
            if sum(sent.values()) >= record.metrics[name].count and not record.status.final:
                continue
            fresh, known[name] = _fresh(store.by_writer(run, name), sent, room)
            room -= len(fresh)
            if fresh:
                found.append(_series(run, name, record, fresh))
        return found

    # --- output and the first reading --------------------------------------------------------------------------------

    def _outputs(self) -> list[Message]:
        store = self._site.store
        if not isinstance(store, FolderStore):
            return []
        found: list[Message] = []
        for run in self._runs:
            with suppress(OSError):
                size = os.lstat(store.present(run).output).st_size
                if self._told.sizes.get(run) != size:
                    self._told.sizes[run] = size
                    found.append(("output", {"run": run, "size": size}))
        return found

    def _indexing(self) -> list[Message]:
        now = self._site.rows.indexing
        if now == self._told.indexing:
            return []
        self._told.indexing = now
        if now is not None:
            return [("indexing", {"done": now.done, "total": now.total})]
        count = len(self._site.rows.found().numbers)
        return [("indexing", {"done": count, "total": count})]


def _fresh(lanes: Any, sent: dict[str, int], room: int) -> tuple[list[tuple[float, int, float]], dict[str, int]]:
    """Return points that were not sent, at most so many, and how many are sent then, by writer."""
    now = dict(sent)
    found: list[tuple[float, int, float]] = []
    for writer, lane in lanes.items():
        begin = sent.get(writer, 0)
        end = min(len(lane.times), begin + room - len(found))
        if end > begin:
            found += zip(lane.times[begin:end], lane.steps[begin:end], lane.values[begin:end], strict=True)
            now[writer] = end
    return sorted(found), now


def _series(run: int, name: str, record: RunRecord, points: list[tuple[float, int, float]]) -> dict[str, Any]:
    return {
        "run": run,
        "name": name,
        "x": [step for _, step, _ in points],
        "time": [seconds for seconds, _, _ in points],
        "started": record.started_at.timestamp(),
        "y": [_drawable(value) for _, _, value in points],
    }


def _drawable(value: float) -> float | None:
    try:
        return number(float(value))
    except OverflowError:
        return None


def endpoint(site: Site) -> Callable[[Request], Any]:
    """Return what answers a request for the live stream."""
    limiter: list[anyio.CapacityLimiter] = []

    async def live(request: Request) -> Response:
        limiter[:] = limiter or [anyio.CapacityLimiter(_THREADS)]
        try:
            asked = msgspec.convert(in_address(request, LiveAsked), LiveAsked, strict=False)
            last = request.headers.get("last-event-id")
            cursor = understood([last] if last else listed(asked.cursor))
            begun = cursor if cursor is not None else Cursor()
            stream = await anyio.to_thread.run_sync(Stream, site, asked, begun, limiter=limiter[0])
        except Exception as error:
            return failures.answered(error, site)
        events = _events(site, stream, is_lost=cursor is None, limiter=limiter[0])
        return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return live


async def _events(site: Site, stream: Stream, *, is_lost: bool, limiter: anyio.CapacityLimiter) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    if is_lost:
        yield _event("reset", {}, stream.cursor)
    since = anyio.current_time()
    while not site.stopping.is_set():
        try:
            found = await anyio.to_thread.run_sync(stream.messages, limiter=limiter)
        except (AnewError, OSError, Refused) as error:
            found = [("trouble", {"message": str(error)})]
        # a cursor is of all messages of one look: with the last of them it holds
        for place, (kind, data) in enumerate(found, 1):
            yield _event(kind, data, stream.cursor if place == len(found) else None)
        if found:
            since = anyio.current_time()
        elif anyio.current_time() - since >= BEAT_S:
            since = anyio.current_time()
            yield b": still here\n\n"
        await anyio.sleep(TICK_S)


def _event(kind: str, data: dict[str, Any], cursor: str | None) -> bytes:
    head = b"" if cursor is None else b"id: %s\n" % cursor.encode()
    return head + b"event: %s\ndata: %s\n\n" % (kind.encode(), encoded(data))
