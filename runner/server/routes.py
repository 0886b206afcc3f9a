"""
What is asked at which address: a table by which requests are checked and answered, and the OpenAPI is made.

A handler takes the site and a struct of what was asked (from the path, the query and the body), and returns a struct, a
dict, or a response of its own. It is called in a thread; it may raise whatever `failures` knows.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, get_type_hints

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from anew.runner.server import failures
from anew.runner.server.failures import Refused
from anew.runner.server.site import Site
from anew.runner.server.wire import encoded

MOST_BODY = 1 << 20
BODY_S = 10.0
_LEAST_ZIPPED = 1 << 13
_THREADS = 8
_THREADS_OF_LONG = 2
_WATCH_S = 0.25
_LEFT: ContextVar[threading.Event | None] = ContextVar("left", default=None)
Handler = Callable[[Site, Any], Any]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a request may say; its subclasses say more."""


@dataclass(frozen=True)
class Way:
    """
    One thing that can be asked.

    Attributes:
        method: "GET" or "POST".
        path: With names in braces.
        handler: What answers.
        writes: Whether it changes the store: then it is refused where nothing is written.
        starts: Whether it runs what is recorded: then it is refused unless that was allowed.
        long: Whether it may take long: then few are answered at a time, and the handler calls `refuse_left` now and
            then, so that it ends where nobody waits for it any more.
    """

    method: str
    path: str
    handler: Handler
    writes: bool = False
    starts: bool = False
    long: bool = False

    @property
    def asked(self) -> type[Asked]:
        """The struct of what is asked."""
        found: type[Asked] = get_type_hints(self.handler)["asked"]
        return found

    @property
    def answer(self) -> Any:
        """The type of what is answered."""
        return get_type_hints(self.handler)["return"]


def route(way: Way, site: Site) -> Route:
    """Return the route of one way."""
    kind = way.asked
    limiter: list[anyio.CapacityLimiter] = []

    async def endpoint(request: Request) -> Response:
        # made in the loop that it belongs to
        limiter[:] = limiter or [anyio.CapacityLimiter(_THREADS_OF_LONG if way.long else _THREADS)]
        try:
            values = in_address(request, kind)
            _refuse_closed(way, site)
            if way.method == "POST":
                values.update(await _body(request, kind))
                refuse_odd_text(values)
            asked = msgspec.convert(values, kind, strict=False)
            async with _watched(request, way):
                found = await anyio.to_thread.run_sync(_handled, way, site, asked, limiter=limiter[0])
            return found if isinstance(found, Response) else await written(found, request)
        except Exception as error:
            return failures.answered(error, site)

    return Route(way.path, endpoint, methods=[way.method])


@asynccontextmanager
async def _watched(request: Request, way: Way) -> AsyncIterator[None]:
    """Tell the handler of a long way when whoever asked has left."""
    if not way.long:
        yield
        return
    left = threading.Event()
    _LEFT.set(left)

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(_WATCH_S)
        left.set()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def refuse_left() -> None:
    """Raise Refused where whoever asked does not wait for the answer any more."""
    left = _LEFT.get()
    if left is not None and left.is_set():
        raise Refused(400, "Nobody waits for this any more.")


def _handled(way: Way, site: Site, asked: Any) -> Any:
    # an answer that is remembered would be half of one, and none says why
    site.refuse_gone()
    return way.handler(site, asked)


def _refuse_closed(way: Way, site: Site) -> None:
    if way.writes and site.read_only:
        raise Refused(403, "Nothing is written here: it was started with --read-only.")
    if way.starts and (site.read_only or not site.allow_rerun):
        raise Refused(403, "Runs are not started from here.", "To allow it, start the page anew: anew ui --allow-rerun")


def in_address(request: Request, kind: type[Asked]) -> dict[str, Any]:
    """Return what path and query say. Raises Refused for what is said twice."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in values or name in request.path_params:
            raise Refused(400, f"{name!r} is given twice.", "A list is given once, its items separated by commas.")
        values[name] = value
    own = {field.encode_name for field in msgspec.structs.fields(kind)}
    if odd := sorted(values.keys() - own):
        known = ", ".join(sorted(own - request.path_params.keys())) or "nothing"
        raise Refused(400, f"There is no parameter {odd[0]!r} here; what can be given: {known}.")
    return {**values, **request.path_params}


async def _body(request: Request, kind: type[Asked]) -> dict[str, Any]:
    """Return what the body says: one object. Raises Refused for one that is none, too large, or too slow."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Refused(415, "What is written is sent as application/json.")
    data = bytearray()
    try:
        with anyio.fail_after(BODY_S):
            async for block in request.stream():
                data += block
                if len(data) > MOST_BODY:
                    raise Refused(413, f"More than {MOST_BODY:,} bytes are not read.")
    except TimeoutError:
        raise Refused(408, f"It was not all there after {BODY_S:g} s.") from None
    except ClientDisconnect:
        raise Refused(400, "It was not all sent.") from None
    values = msgspec.json.decode(bytes(data) or b"{}")
    if not isinstance(values, dict):
        raise Refused(400, "An object is sent, such as {}.")
    if same := sorted(values.keys() & request.path_params.keys()):
        raise Refused(400, f"{same[0]!r} stands in the address.")
    return values


def refuse_odd_text(value: Any) -> None:
    """Refuse texts that no process can be given, and no file called: it may be what one of them is handed on to."""
    if isinstance(value, str):
        if "\0" in value:
            raise Refused(400, f"{value[:100]!r} has a NUL in it, which no text here may have.")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Refused(400, f"{value[:100]!r} has half a letter in it (a surrogate), which no text here may have.")
    elif isinstance(value, dict):
        refuse_odd_text([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for each in value:
            refuse_odd_text(each)


async def written(found: Any, request: Request) -> Response:
    """Return an answer as a response, packed where it is large."""
    data = encoded(found)
    headers = {}
    if len(data) >= _LEAST_ZIPPED and "gzip" in request.headers.get("accept-encoding", ""):
        data = await anyio.to_thread.run_sync(lambda: gzip.compress(data, 1))
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(data, headers=headers, media_type="application/json")
