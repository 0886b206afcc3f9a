"""
Chromium without a window, told what to do by its DevTools protocol over a pipe.

Nothing but the browser has to be installed, and the little that is used of the protocol has not changed for years.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 30.0
# The browser reads commands from descriptor 3 and writes to 4. Taking them to numbers above 9 first keeps one from
# closing the other.
WITH_PIPES = """\
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# The sandbox needs rights that containers do not give; nothing is opened but pages of servers on this machine.
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)
# Counts what a page waits for, so that a test can wait for it too.
COUNT_REQUESTS = """
window.__requests = {open: 0, done: 0, last: performance.now()};
const opened = () => { __requests.open += 1; __requests.last = performance.now(); };
const closed = () => { __requests.open -= 1; __requests.done += 1; __requests.last = performance.now(); };
const send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (...rest) {
  opened();
  this.addEventListener('loadend', closed);
  return send.apply(this, rest);
};
const fetching = window.fetch;
window.fetch = (...rest) => { opened(); return fetching(...rest).finally(closed); };
"""
QUIET_MS = 100
MIDDLE_AT_REST = """async element => {
  element.scrollIntoView({block: 'center', inline: 'center'});
  const box = () => element.getBoundingClientRect();
  const before = box();
  await new Promise(done => setTimeout(done, 40));
  const {x, y, width, height} = box();
  return x === before.x && y === before.y && [x + width / 2, y + height / 2];
}"""


def find_browser() -> str | None:
    """Return where Chromium, or a browser built on it, is."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class PageError(Exception):
    """A page did not do what it was asked to."""


class Browser:
    """A browser process; it ends with the process that started it, because its pipe does. Not for several threads."""

    def __init__(self, executable: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "browser.log"
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}
        reads, self._commands = os.pipe()
        self._answers, writes = os.pipe()
        home = {"HOME": str(folder), "TZ": "UTC", "LANG": "C.UTF-8"}
        xdg = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
        command = [sys.executable, "-c", WITH_PIPES, str(reads), str(writes), executable, *FLAGS]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, f"--user-data-dir={folder / 'profile'}", "about:blank"],
                pass_fds=(reads, writes),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **home, **xdg},
            )
        os.close(reads)
        os.close(writes)

    def open(self, url: str, *, width: int = 1600, height: int = 1000) -> Page:
        """Open a page that shares nothing with those that are open already."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=COUNT_REQUESTS)
        page.resize(width, height)
        page.go(url)
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result. Raises PageError."""
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": params,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._take_event(answer)

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

    def _read(self, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._answers, 1 << 20) if select.select([self._answers], [], [], PATIENCE_S)[0] else b""
            if not data:
                raise PageError(f"the browser did not answer to {what}; the end of its log:\n{self._log_end()}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _take_event(self, event: dict[str, Any]) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        if page is not None and event["method"] == "Runtime.exceptionThrown":
            page.exceptions.append(_what_was_thrown(event["params"]["exceptionDetails"]))

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


class Page:
    """
    A page, and what a person does with it.

    An *element* is a JavaScript expression that gives one.

    Attributes:
        exceptions: What the page's own code threw and did not catch.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.exceptions: list[str] = []
        self._browser = browser
        self._session = session
        self._target = target

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol for this page."""
        return self._browser.call(method, self._session, **params)

    def go(self, url: str) -> None:
        """Load a URL, and wait until the page has what it asked for."""
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'", url)
        self.settle()

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of the promise that it gives. Raises PageError."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageError(_what_was_thrown(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait_for(self, expression: str, what: str = "") -> Any:
        """Wait until an expression is true, and return its value. Raises PageError."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            value = self.evaluate(expression)
            if value:
                return value
            time.sleep(0.03)
        raise PageError(f"no {what or expression} within {PATIENCE_S} s; thrown on the page: {self.exceptions}")

    def settle(self) -> None:
        """Wait until the page has asked for nothing for a moment, and has drawn what it has."""
        self.wait_for(
            f"__requests.open === 0 && performance.now() - __requests.last > {QUIET_MS}", "end of its requests"
        )
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def click(self, element: str) -> None:
        """Press and let go the mouse in the middle of an element, once it is there and has come to rest."""
        self.wait_for(f"!!({element})", element)
        x, y = self.wait_for(f"({MIDDLE_AT_REST})({element})", f"rest of {element}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def press_enter(self) -> None:
        """Press Enter where the focus is."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def resize(self, width: int, height: int) -> None:
        """Show the page in a window of this many pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> Path:
        """Write what the window shows to a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path

    def close(self) -> None:
        """Close the page."""
        self._browser.call("Target.closeTarget", targetId=self._target)


def _what_was_thrown(details: dict[str, Any]) -> str:
    text: str = details.get("exception", {}).get("description") or details["text"]
    return text
