"""A page of `anew ui` in a browser: what serves it, and what a person sees and does there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.browser import PATIENCE_S, PageError
from tests.helpers.scripts import ANEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

from tests.helpers.browser import Browser, Page

AXE = Path(__file__).resolve().parents[2] / "page" / "node_modules" / "axe-core" / "axe.min.js"
# What a page of ours must never do: be stopped by its own policy, or ask another host.
WATCH = """
window.__violations = [];
addEventListener("securitypolicyviolation", (e) => __violations.push(`${e.violatedDirective} ${e.blockedURI}`));
window.open = () => { __violations.push("window.open"); return null; };
"""


class Served:
    """A store, served by a process of its own."""

    def __init__(self, url: str, browser: Browser) -> None:
        address, _, self.token = url.partition("?")
        self.origin = address.rstrip("/")
        self._browser = browser

    def open(self, path: str, *, width: int = 1280, height: int = 900, dark: bool = False, without: str = "") -> View:
        """Open a place of the page, such as "run/1/output", as someone who was given its address; *without* a file."""
        page = self._browser.open("data:text/html,", width=width, height=height)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        view = View(page)
        view.paint(dark=dark)
        if without:
            page.call("Network.enable")
            page.call("Network.setBlockedURLs", urls=[f"*{without}"])
        page.call("Page.navigate", url=f"{self.origin}/?{self.token}#/{path}")
        if not without:
            view.arrive()
        return view


class View:
    """What a page shows, and what is done to it. *css* is a selector; texts are as they are read, in one line."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def arrive(self) -> None:
        """Wait until the page is there; till then it goes from the address with the token to that without."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self.page.evaluate("!location.search && !!document.querySelector('main h1')"):
                    return self.page.settle()
            except PageError:
                pass  # asked in the midst of going there
            assert time.monotonic() < until, f"the page did not come: {self.page.exceptions}"
            time.sleep(0.03)

    def paint(self, *, dark: bool) -> None:
        """Prefer the dark, or the light."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.page.call("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, path: str) -> None:
        """Go to another place of the page."""
        self.page.evaluate(f"location.hash = {json.dumps('#/' + path)}")
        self.page.settle()

    def text(self, css: str = "main") -> str:
        """What stands in the first element."""
        found = self.page.evaluate(f"document.querySelector({json.dumps(css)})?.innerText ?? null")
        assert found is not None, f"nothing is {css}; the page shows: {self.page.evaluate('document.body.innerText')}"
        return " ".join(str(found).split())

    def texts(self, css: str) -> list[str]:
        """What stands in each element."""
        found = self.page.evaluate(f"[...document.querySelectorAll({json.dumps(css)})].map(e => e.innerText)")
        return [" ".join(each.split()) for each in found]

    def count(self, css: str) -> int:
        """How many there are."""
        return int(self.page.evaluate(f"document.querySelectorAll({json.dumps(css)}).length"))

    def wait_for(self, css: str) -> None:
        """Wait until there is such an element."""
        self.page.wait_for(f"!!document.querySelector({json.dumps(css)})", css)

    def wait_for_text(self, text: str, css: str = "main") -> None:
        """Wait until an element shows a text."""
        inner = f"document.querySelector({json.dumps(css)})?.innerText.replace(/\\s+/g, ' ')"
        self.page.wait_for(f"({inner} ?? '').includes({json.dumps(text)})", f"{text!r} in {css}")

    def click(self, name: str, css: str = "button, a, summary, label") -> None:
        """Click what has this name: its label, or what stands in it."""
        self.page.click(
            f"[...document.querySelectorAll({json.dumps(css)})].find(e => e.checkVisibility() && "
            f"(e.getAttribute('aria-label') ?? e.innerText.replace(/\\s+/g, ' ').trim()) === {json.dumps(name)})"
        )
        self.page.settle()

    def fill(self, name: str, text: str) -> None:
        """Put a text into the field with this label, in place of what stands there."""
        labelled = f'[aria-label={json.dumps(name)}], [id="parameter-{name}"]'
        self.page.click(f"document.querySelector({json.dumps(labelled)})")
        self.page.evaluate("document.activeElement.select()")
        if text:
            self.page.type(text)
        else:
            self.page.call("Input.dispatchKeyEvent", type="keyDown", key="Backspace", windowsVirtualKeyCode=8)
        self.page.settle()

    def choose(self, css: str, value: str) -> None:
        """Choose an option of a list."""
        self.page.evaluate(
            f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('change', {{bubbles: true}})); }})"
            f"(document.querySelector({json.dumps(css)}))"
        )
        self.page.settle()

    def key(self, key: str) -> None:
        """Press a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            self.page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        self.page.settle()

    def run(self, module: str, expression: str) -> Any:
        """Return what a function gives when it is called with a module of the page, such as "views/ansi.js"."""
        return self.page.evaluate(f"import('/page/{module}').then({expression})")

    def rest(self) -> None:
        """Wait until nothing is on its way: nowhere is said so, and no chart in sight waits for its curves."""
        self.page.settle()
        awaited = "[...document.querySelectorAll('.awaited')].some(e => e.getBoundingClientRect().top < innerHeight)"
        self.page.wait_for(f"!document.querySelector('.spinner') && !{awaited}", "end of what is on its way")

    def axe(self, *rules: str) -> list[str]:
        """What axe finds that keeps people out, in short; by all its rules, or by some."""
        if not AXE.is_file():
            pytest.skip("no axe: page/node_modules has no axe-core; make page")
        if not self.page.evaluate("!!window.axe"):
            self.page.evaluate(f"{AXE.read_text()}\n;0")
        self.rest()
        asked = json.dumps({"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})})
        found = self.page.evaluate(f"axe.run(document, {asked}).then(found => found.violations)")
        return [
            f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")
        ]

    def check(self) -> None:
        """Nothing was thrown, nothing was against the page's policy, and nothing hostile took effect."""
        assert not self.page.exceptions, "\n".join(self.page.exceptions)
        assert self.page.evaluate("__violations") == []
        assert "taken" not in self.page.evaluate("document.title")
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} pixels wider than its window"

    def close(self) -> None:
        """Check the page, and close it."""
        self.check()
        self.page.close()


class Window:
    """A page that is open for many tests. Between two of them it is nowhere, so that no view is left standing."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._view: View | None = None
        self._used = False

    def look(self, path: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> View:
        """Go to a place, as someone who comes there first."""
        assert not self._used, "a test has one look; further places are gone to"
        self._used = True
        if self._view is None:
            self._view = self._served.open(path, width=width, height=height, dark=dark)
            return self._view
        self._view.page.resize(width, height)
        self._view.paint(dark=dark)
        self._view.go(path)
        self._view.arrive()
        return self._view

    def leave(self) -> None:
        """Check the page and go nowhere; a page that is not as it should be is not looked at again."""
        view, self._used = self._view, False
        if view is None:
            return
        try:
            view.check()
            view.go("nowhere")
            view.wait_for_text("There is no such page")
        except BaseException:
            self._view = None
            view.page.close()
            raise

    def close(self) -> None:
        """Close the page."""
        if self._view is not None:
            self._view.close()


@contextmanager
def serving(store: Path | str, browser: Browser, *options: str, cwd: Path | None = None) -> Iterator[Served]:
    """Serve a store while the block lasts."""
    command = [*ANEW, "--store", str(store), "ui", "--no-browser", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSH_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("http://"), f"no address was printed, but {line!r}"
            yield Served(line, browser)
        finally:
            process.terminate()
            process.wait(30)
