"""The application: its routes, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from anew.runner.server import asking, series, shown
from anew.runner.server.failures import answer
from anew.runner.server.gate import Doors, Gate, script_digests
from anew.runner.server.page_files import PageFiles
from anew.runner.server.routes import Way, route
from anew.runner.server.site import Site

WAYS: Sequence[Way] = (
    Way("GET", "/api/store", asking.store),
    Way("GET", "/api/runs", asking.runs),
    Way("GET", "/api/columns", asking.columns),
    Way("GET", "/api/groups", asking.groups),
    Way("GET", "/api/table", asking.table),
    Way("GET", "/api/series", series.series),
    Way("GET", "/api/runs/{run}", shown.run),
)


def application(site: Site, doors: Doors, files: PageFiles) -> ASGIApp:
    """Return the ASGI application that answers for a site."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        site.rows.begin()
        yield
        site.rows.end()
        site.jobs.close()

    routes = [
        *(route(way, site) for way in WAYS),
        *(Route(path, files.answer, methods=["GET"]) for path in files.files),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _nothing, 405: _nothing})
    app.router.redirect_slashes = False
    return Gate(app, doors, script_digests(files.index()))


async def _nothing(request: Request, error: Exception) -> Response:
    status = HTTPStatus(getattr(error, "status_code", 404))
    return answer(status, f"There is nothing at {request.url.path[:200]}." if status == 404 else f"{status.phrase}.")
