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

from anew.runner.server import (
    asking,
    comparing,
    completing,
    editing,
    files,
    live,
    reports,
    series,
    shown,
    starting,
    sweeps,
)
from anew.runner.server.failures import answer
from anew.runner.server.gate import Doors, Gate, script_digests
from anew.runner.server.openapi import openapi
from anew.runner.server.page_files import PageFiles
from anew.runner.server.routes import Way, route, written
from anew.runner.server.site import Site

WAYS: Sequence[Way] = (
    Way("GET", "/api/store", asking.store),
    Way("GET", "/api/runs", asking.runs),
    Way("GET", "/api/columns", asking.columns),
    Way("GET", "/api/complete", completing.complete),
    Way("GET", "/api/groups", asking.groups),
    Way("GET", "/api/table", asking.table),
    Way("GET", "/api/series", series.series, long=True),
    Way("GET", "/api/compare", comparing.compare),
    Way("GET", "/api/sweeps", sweeps.sweeps),
    Way("GET", "/api/sweeps/{sweep}", sweeps.sweep),
    Way("POST", "/api/sweeps/{sweep}/stop", sweeps.stop, writes=True),
    Way("POST", "/api/sweeps/{sweep}/resume", sweeps.resume, starts=True),
    Way("GET", "/api/views", editing.views),
    Way("POST", "/api/views", editing.save_view, writes=True),
    Way("POST", "/api/views/delete", editing.delete_view, writes=True),
    Way("GET", "/api/reports", reports.reports),
    Way("GET", "/api/report", reports.report),
    Way("POST", "/api/report", reports.save_report, writes=True),
    Way("POST", "/api/report/preview", reports.preview, long=True),
    Way("GET", "/api/report/shown/{key}", reports.shown),
    Way("POST", "/api/runs/delete", editing.delete, writes=True),
    Way("POST", "/api/runs/restore", editing.restore, writes=True),
    Way("GET", "/api/runs/{run}", shown.run),
    Way("GET", "/api/runs/{run}/page", shown.page),
    Way("GET", "/api/runs/{run}/metrics", shown.metrics),
    Way("GET", "/api/runs/{run}/output", shown.output),
    Way("GET", "/api/runs/{run}/config", shown.config),
    Way("GET", "/api/runs/{run}/events", shown.events),
    Way("GET", "/api/runs/{run}/source", files.source),
    Way("GET", "/api/runs/{run}/source/file", files.source_file),
    Way("GET", "/api/runs/{run}/source/diff", files.source_diff),
    Way("GET", "/api/runs/{run}/artifacts", files.artifacts),
    Way("GET", "/api/runs/{run}/content/{sha256}", files.content),
    Way("POST", "/api/runs/{run}/tags", editing.tags, writes=True),
    Way("POST", "/api/runs/{run}/note", editing.note, writes=True),
    Way("GET", "/api/form/{run}", starting.form, starts=True),
    Way("POST", "/api/rerun", starting.rerun, starts=True),
    Way("GET", "/api/jobs/{job}", starting.job, starts=True),
)
LIVE = "/api/live"
OPENAPI = "/api/openapi.json"


def application(site: Site, doors: Doors, page: PageFiles) -> ASGIApp:
    """Return the ASGI application that answers for a site."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        site.rows.begin()
        yield
        site.rows.end()
        site.jobs.close()

    routes = [
        *(route(way, site) for way in WAYS),
        Route(LIVE, live.endpoint(site), methods=["GET"]),
        Route(OPENAPI, _described, methods=["GET"]),
        *(Route(path, page.answer, methods=["GET"]) for path in page.files),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _nothing, 405: _nothing})
    app.router.redirect_slashes = False
    return Gate(app, doors, script_digests(page.index()))


async def _described(request: Request) -> Response:
    what = "What changes, from a cursor on."
    return await written(openapi(WAYS, [(LIVE, live.LiveAsked, what)]), request)


async def _nothing(request: Request, error: Exception) -> Response:
    status = HTTPStatus(getattr(error, "status_code", 404))
    if status == 404 and request.url.path.startswith("/page/"):
        message = f"There is nothing at {request.url.path[:200]} in the page that was started."
        return answer(status, message, hint="If anew was updated since then, start anew ui again.")
    return answer(status, f"There is nothing at {request.url.path[:200]}." if status == 404 else f"{status.phrase}.")
