"""
What the page costs beside a bare Starlette application: its start, a page of 100 of many runs, a series of a million
points, a chart of 50 runs; and the memory of each.

    python -m benchmarks.page --rounds 3

The first of each is the floor. ANEW_PAGE_RUNS=100000 sets how many runs the store has; 10,000 unless said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from benchmarks.driver import Aim, Comparison, Sample, compete, main, workshop

RUNS = int(os.environ.get("ANEW_PAGE_RUNS", "10000"))
POINTS = 1_000_000
ANEW = Path(sys.executable).parent / "anew"
BARE = """\
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
rows = [{"id": n, "status": "COMPLETED", "cells": [n / 3, n / 7, 0.1, "text"]} for n in range(100)]
async def page(request): return JSONResponse(rows)
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/?token=none", flush=True)
app = Starlette(routes=[Route("/", page), Route("/{rest:path}", page)])
Server(uvicorn.Config(app, http="h11", log_level="critical")).run(sockets=[listening])
"""
WRITE = """\
import sys
from pathlib import Path
from anew import Experiment, Run
experiment = Experiment("long")
@experiment.main
def main(points: int, *, run: Run) -> None:
    for step in range(points):
        run.log({"loss": 1 / (step + 1)}, step=step)
main.run(points=int(sys.argv[2]), store=sys.argv[1])
"""


class Served:
    """A server that answers, and what it has taken since it was started."""

    def __init__(self, words: list[str]) -> None:
        self._began = time.perf_counter()
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        url, _, self._token = self._process.stdout.readline().strip().partition("/?token=")
        self._url = url
        self._known = psutil.Process(self._process.pid)

    def ask(self, path: str) -> bytes:
        """Return the body of an answer."""
        request = urllib.request.Request(f"{self._url}{path}", headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    def since_start(self, path: str) -> Sample:
        """Return what it took from its start to the end of an answer."""
        self.ask(path)
        took = time.perf_counter() - self._began
        return {"time_s": took, "cpu_s": sum(self._known.cpu_times()[:2]), "memory_bytes": self._memory()}

    def asked(self, path: str) -> Sample:
        """Return what one answer takes; processor time is counted in hundredths of a second, and is left out."""
        began = time.perf_counter()
        size = len(self.ask(path))
        return {"time_s": time.perf_counter() - began, "size_bytes": float(size), "memory_bytes": self._memory()}

    def _memory(self) -> float:
        return float(self._known.memory_info().rss)

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def served(store: Path | None) -> Iterator[Served]:
    """Serve a store, or what is bare."""
    words = [sys.executable, "-c", BARE] if store is None else [str(ANEW), "ui", "--store", str(store), "--no-browser"]
    server = Served(words)
    try:
        yield server
    finally:
        server.end()


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare starts, answers on many runs, and curves."""
    with workshop() as folder:
        store, long = folder / "runs", folder / "long"
        subprocess.run([sys.executable, "-m", "benchmarks.filled_store", store, str(RUNS), "--small"], check=True)
        subprocess.run(
            [ANEW, "--store", store, "list", "--limit", "1", "lr < 1"], check=True, stdout=subprocess.DEVNULL
        )
        subprocess.run([sys.executable, "-c", WRITE, long, str(POINTS)], check=True, stderr=subprocess.DEVNULL)
        yield compete(
            f"start to the first 100 of {RUNS:,} runs",
            {"bare Starlette": partial(start, None, "/"), "anew ui": partial(start, store, "/api/runs?limit=100")},
            rounds=rounds or 5,
            aims=[Aim(contestant="anew ui", quantity="memory_bytes", limit=150 * 2**20)],
        )
        yield from answers(store, long, rounds or 20)


def start(store: Path | None, path: str) -> Sample:
    """Measure a start up to its first answer."""
    with served(store) as server:
        return server.since_start(path)


def answers(store: Path, long: Path, rounds: int) -> Iterator[Comparison]:
    """Compare single answers of servers that have started."""
    first = f"/api/series?runs={','.join(map(str, range(1, 51)))}&names=train/loss"
    with served(None) as bare, served(store) as page, served(long) as curve:
        yield compete(
            f"an answer on {RUNS:,} runs",
            {
                "bare Starlette, 100 rows": partial(bare.asked, "/"),
                "100 rows": partial(page.asked, "/api/runs?limit=100"),
                "100 rows, filtered and sorted": partial(
                    page.asked, "/api/runs?limit=100&q=config.lr%3C0.1&sort=-result"
                ),
                "curves of 50 runs": partial(page.asked, first),
                "3 columns of all runs": partial(page.asked, "/api/table?columns=config.lr,config.layers,result"),
            },
            rounds=rounds,
        )
        yield compete(
            f"a series of {POINTS:,} points",
            {
                "bare Starlette, 100 rows": partial(bare.asked, "/"),
                "in 400 buckets": partial(curve.asked, "/api/series?runs=1&names=loss"),
                "a hundredth of it": partial(curve.asked, "/api/series?runs=1&names=loss&from=500000&to=510000"),
            },
            rounds=rounds,
            aims=[Aim(contestant="in 400 buckets", quantity="time_s", limit=0.100)],
        )


if __name__ == "__main__":
    main(comparisons)
