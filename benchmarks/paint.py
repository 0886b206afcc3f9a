"""
What somebody sees of the page, in Chromium, and after how long: first paint, first row, charts; and what it takes.

    python -m benchmarks.paint STORE [STORE ...]                the table of the runs of each
    python -m benchmarks.paint STORE --runs 1-50                the charts of these beside it
    python -m benchmarks.paint --url URL --row CSS              another page that is served already

Times are seconds from the moment that a browser, which runs already and has nothing in its cache, is told the address;
`start` is what the server took from its start until it had printed it. Needs the command chromium.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.driver import in_units
from tests.helpers.browser import Browser, Page, PageError, find_browser

ANEW = Path(sys.executable).parent / "anew"
OWN_ROW = ".rows .row"
OWN_CHART = ".charts .chart canvas"
PATIENCE_S = 300.0
SEEN = """(() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const files = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'));
  return { origin: performance.timeOrigin / 1000, paint: paint ? paint.startTime / 1000 : null,
           bytes: files.reduce((sum, one) => sum + one.transferSize, 0), requests: files.length };
})()"""


@contextmanager
def served(store: str) -> Iterator[tuple[str, float, psutil.Process]]:
    """Serve a store; yield its address, what the start took in seconds, and the process."""
    began = time.perf_counter()
    words = [str(ANEW), "ui", "--store", store, "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            yield url, time.perf_counter() - began, psutil.Process(process.pid)
        finally:
            process.kill()


def seen(browser: Browser, url: str, place: str, wanted: str) -> dict[str, float]:
    """Return what it took a new page to show what is wanted, a selector, at a place of a server."""
    page = browser.open("data:text/html,", width=1280, height=900)
    page.call("Network.enable")
    page.call("Network.setCacheDisabled", cacheDisabled=True)
    page.call("Performance.enable")
    began = time.time()
    page.call("Page.navigate", url=f"{url}{place}")
    until(page, f"!!document.querySelector({wanted!r})")
    shown_s = time.time() - began
    found = page.evaluate(SEEN)
    metrics = {each["name"]: each["value"] for each in page.call("Performance.getMetrics")["metrics"]}
    page.close()
    # the first load leads from the address with the token to that without; all of it is waited for
    paint_s = found["origin"] + found["paint"] - began if found["paint"] is not None else float("nan")
    return {
        "paint_s": paint_s,
        "shown_s": shown_s,
        "sent_bytes": found["bytes"],
        "asked_files": found["requests"],
        "script_s": metrics["ScriptDuration"],
        "heap_bytes": metrics["JSHeapUsedSize"],
    }


def until(page: Page, expression: str) -> None:
    """Wait until an expression holds; while a page goes from one address to another it cannot be asked."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if page.evaluate(expression):
                return
        except PageError:
            pass
        time.sleep(0.01)
    raise PageError(f"no {expression} within {PATIENCE_S:g} s")


def told(title: str, samples: list[dict[str, float]], **more: float) -> None:
    """Print the median of each quantity."""
    middle = {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}
    parts = [f"{name.partition('_')[0]} {in_units(name, value)}" for name, value in {**more, **middle}.items()]
    print(f"{title}: {', '.join(parts)}", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*")
    parser.add_argument("--runs", help="these are selected, and the charts are waited for")
    parser.add_argument("--url", help="another page")
    parser.add_argument("--row", help="what of it is waited for")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    executable = find_browser()
    assert executable is not None, "the command chromium is not here"
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(executable, Path(folder))
        try:
            if asked.url:
                told(asked.url, [seen(browser, asked.url, "", asked.row) for _ in range(asked.rounds)])
            place = f"#/runs?sel={asked.runs}" if asked.runs else "#/runs"
            wanted = OWN_CHART if asked.runs else OWN_ROW
            for store in asked.stores:
                with served(store) as (url, start_s, process):
                    first = seen(browser, url, place, wanted)
                    told(f"{store}, first look", [first], start_s=start_s)
                    samples = [seen(browser, url, place, wanted) for _ in range(asked.rounds)]
                    told(store, samples, memory_bytes=float(process.memory_info().rss))
        finally:
            browser.close()


if __name__ == "__main__":
    main()
