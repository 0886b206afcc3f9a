"""
The real Omniboard, and its page as a person sees it.

A test module gets the fixtures by `pytest_plugins = ("tests.helpers.wire", "tests.helpers.omniboard")`
(PYTEST_DONT_REWRITE: it also imports from here). It needs Node with npm, Chromium, and once a network:
without one of them its tests are skipped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import Browser, Page, find_browser
from tests.helpers.wire import with_database

HERE = Path(__file__).parent / "omniboard"
START = Path("node_modules/omniboard/dist/start.js")
INSTALLING_S = 600
STARTING_S = 60.0
INSTALLED = os.environ.get("ANEW_TEST_OMNIBOARD")  # a folder with node_modules; read before the tests' own environment
WINDOW = (1600, 1000)
HUGE = (9000, 4000)  # the table draws what a window has room for, and nothing else
TABS = (
    "Metrics Plot",
    "Captured Out",
    "Fail Trace",
    "Experiment Details",
    "Host Info",
    "Run Info",
    "Meta Info",
    "Artifacts",
    "Source Files",
    "Config",
)


class MissingError(Exception):
    """Something that Omniboard needs is not here."""


def install() -> Path:
    """
    Return a folder with Omniboard in it; install it where it is not yet, below the system's folder for temporary files.

    The folder is used by later tests as well, and made anew when what is to be installed changes. Several processes may
    call this at a time. Raises MissingError.
    """
    if INSTALLED:
        return Path(INSTALLED)
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise MissingError(f"the command {command} is not here")
    parts = [(HERE / name).read_bytes() for name in ("package.json", "package-lock.json")]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"anew-omniboard-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise MissingError(f"{folder} is somebody else's")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / START).exists():
            _install_into(folder)
    return folder


def _install_into(folder: Path) -> None:
    half = folder / "installing"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, half)
    # The tests' home is empty, but who and where the registry is may be said in the real one.
    settings = {"userconfig": f"{pwd.getpwuid(os.getuid()).pw_dir}/.npmrc", "cache": str(half / "cache")}
    settings |= {"update_notifier": "false", "fetch_retries": "1"}
    env = {**os.environ, **{f"npm_config_{name}": value for name, value in settings.items()}}
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=half, env=env, capture_output=True, text=True, timeout=INSTALLING_S)
    except subprocess.TimeoutExpired:
        raise MissingError(f"npm could not install Omniboard within {INSTALLING_S} s") from None
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if " error" in line or "ERR!" in line), "")
        raise MissingError(f"npm could not install Omniboard: {reason}")
    (half / "node_modules").rename(folder / "node_modules")
    shutil.rmtree(half)


class Omniboard:
    """
    Omniboard's server, on a free port of loopback, for one database. It ends with the process that started it.

    Attributes:
        url: Its page.
        log: What the server writes.
    """

    def __init__(self, server_url: str, db: str, *, installed: Path, log: Path) -> None:
        self.url = ""
        self.log = log
        self._installed = installed
        self._mongo_url = with_database(server_url, db)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Omniboard:
        command = ["node", "--require", str(HERE / "loopback.js"), str(self._installed / START)]
        env = {**os.environ, "PORT": "0", "MONGO_URI": self._mongo_url}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.log.parent, env=env, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self.url = self._await()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    @property
    def is_running(self) -> bool:
        """Whether the server is there: some records end it."""
        return self._process is not None and self._process.poll() is None

    def _await(self) -> str:
        deadline = time.monotonic() + STARTING_S
        while self.is_running and time.monotonic() < deadline:
            lines = self.log.read_text().splitlines()
            at = next((line.split()[-1] for line in lines if line.startswith("listening on ")), None)
            if at and any("established successfully" in line for line in lines):
                return f"http://{at}/sacred"
            time.sleep(0.05)
        raise RuntimeError(f"Omniboard did not start; the end of {self.log}:\n{self.log.read_text()[-2000:]}")


def _literal(text: str) -> str:
    return json.dumps(text)


class RunsPage:
    """Omniboard's page: the table of runs, and what opens from it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the table, top to bottom: a column's title to the cell's text, as they are shown."""
        with self._window(HUGE):
            rows: list[dict[str, str]] = self.page.evaluate(
                """(() => {
                  const left = cell => Math.round(cell.getBoundingClientRect().left);
                  const top = row => row.getBoundingClientRect().top;
                  const cells = row => [...row.querySelectorAll('.public_fixedDataTableCell_main')];
                  const table = document.querySelector('.table-wrapper .public_fixedDataTable_main');
                  if (!table) return [];
                  const header = table.querySelector('.fixedDataTableLayout_header');
                  const titles = new Map(cells(header).map(cell => [left(cell), cell.innerText.trim()]));
                  const rows = [...table.querySelectorAll('.public_fixedDataTable_bodyRow')];
                  const texts = row => cells(row).map(cell => [titles.get(left(cell)), cell.innerText.trim()]);
                  return rows.sort((a, b) => top(a) - top(b))
                    .map(row => Object.fromEntries(texts(row).filter(([title]) => title)));
                })()"""
            )
        return rows

    def row(self, run_id: int) -> dict[str, str]:
        """Return the row of one run."""
        return next(row for row in self.rows() if row["Id"] == str(run_id))

    def error(self) -> str:
        """Return the error that is shown in the place of the table; empty if there is none."""
        text: str = self.page.evaluate("document.querySelector('.table-wrapper .alert-danger')?.innerText ?? ''")
        return text

    def is_blank(self) -> bool:
        """Whether the page's code broke, which leaves nothing of it."""
        return bool(self.page.evaluate("!document.querySelector('.App')"))

    def reload_table(self) -> None:
        """Press "Reload": the table then asks for the columns that it shows, by name."""
        self.page.click("document.querySelector('.reload-button')")
        self.page.settle()

    def reload_page(self) -> None:
        """Load the page again; the browser remembers the columns."""
        self.page.go(self.page.evaluate("location.origin + location.pathname"))

    def add_metric_column(self, title: str, metric: str, how: str = "last") -> None:
        """Add a column with one value of a metric: its "average", "min", "max" or "last"."""
        page = self.page
        page.click("document.querySelector('#add_remove_metric_columns')")
        page.wait_for("!!document.querySelector('.modal-body form')", "dialog")
        page.settle()
        page.click("document.querySelector('[test-attr=add-column-btn]')")
        page.settle()
        row = "[...document.querySelectorAll('.modal-body form .row')].at(-1)"
        page.click(f"{row}.querySelector('input[type=text].form-control')")
        page.type(title)
        for at, choice in enumerate((metric, how)):
            page.click(f"[...{row}.querySelectorAll('input[id^=react-select]')].at({at}).closest('[class*=control]')")
            page.type(choice)
            page.press_enter()
        page.click("document.querySelector('[test-attr=apply-btn]:not([disabled])')")
        page.wait_for("!document.querySelector('.modal-body')", "end of the dialog")
        page.settle()

    def add_tag(self, run_id: int, tag: str) -> None:
        """Type a tag in a run's row."""
        with self._window(HUGE):
            self.page.click(f"{self._row_of(run_id)}.querySelector('.select-cell [class*=control]')")
            self.page.type(tag)
            self.page.press_enter()
            self.page.settle()

    def set_notes(self, run_id: int, text: str) -> None:
        """Write notes in a run's row, in the place of those that are there."""
        with self._window(HUGE):
            row = self._row_of(run_id)
            self.page.click(f"{row}.querySelector('[test-attr=edit-button]')")
            self.page.click(f"{row}.querySelector('textarea')")
            self.page.evaluate(f"{row}.querySelector('textarea').select()")
            self.page.type(text)
            self.page.click(f"{row}.querySelector('.editable-submit')")
            self.page.settle()

    def delete_run(self, run_id: int) -> None:
        """Tick a run, press "Delete", and say yes."""
        self.page.click(f"{self._row_of(run_id)}.querySelector('[test-attr^=cell-row_selection]')")
        self.page.click("document.querySelector('#delete_runs:not([disabled])')")
        self.page.click("document.querySelector('[test-attr=delete-btn]')")
        self.page.wait_for("!document.querySelector('.modal-body')", "end of the dialog")
        self.page.settle()

    def open_run(self, run_id: int) -> RunView:
        """Open what there is to see of a run, below its row."""
        if not self.page.evaluate(f"!!{RunView.element_of(run_id)}"):
            self.page.click(f"{self._row_of(run_id)}.querySelector('[test-attr^=cell-row_expander]')")
        view = RunView(self.page, run_id)
        view.settle()
        return view

    def screenshot(self, path: Path) -> Path:
        """Write what a window of ordinary size shows."""
        return self.page.screenshot(path)

    @contextmanager
    def _window(self, size: tuple[int, int]) -> Iterator[None]:
        self.page.resize(*size)
        self.page.settle()
        try:
            yield
        finally:
            self.page.resize(*WINDOW)
            self.page.settle()

    def _row_of(self, run_id: int) -> str:
        rows = "[...document.querySelectorAll('.public_fixedDataTable_bodyRow')]"
        cells = "[...row.querySelectorAll('.public_fixedDataTableCell_main')]"
        return f"{rows}.find(row => {cells}[2].innerText.trim() === '{run_id}')"


class RunView:
    """What Omniboard shows of one run: a tab for each kind of thing."""

    def __init__(self, page: Page, run_id: int) -> None:
        self.page = page
        self._view = self.element_of(run_id)

    @staticmethod
    def element_of(run_id: int) -> str:
        """Return the expression for a run's view; the view is not there before it is opened."""
        views = "[...document.querySelectorAll('.drilldown-view')]"
        return f"{views}.find(view => view.querySelector('nav').innerText.includes('(Id: {run_id})'))"

    def settle(self) -> None:
        """Wait until all is there."""
        self.page.wait_for(f"!!{self._view}", "view of the run")
        self.page.settle()
        self.page.wait_for(f"!{self._view}.innerText.includes('Loading...')", "content of the view")

    def tabs(self) -> list[str]:
        """Return the titles of the tabs."""
        titles: list[str] = self.page.evaluate(
            f"[...{self._view}.querySelectorAll('#sidebar li')].map(e => e.innerText.trim())"
        )
        return titles

    def tab(self, title: str) -> str:
        """Go to a tab; return the text on it."""
        self.page.click(
            f"[...{self._view}.querySelectorAll('#sidebar a')].find(e => e.innerText.trim() === {_literal(title)})"
        )
        self.settle()
        text: str = self.page.evaluate(f"{self._view}.querySelector('.tab-content').innerText")
        return text

    def plotted(self) -> dict[str, list[tuple[Any, Any]]]:
        """Return the lines of the plot that are drawn, without those that are smoothed: their name to (x, y) points."""
        self.tab("Metrics Plot")
        if self.page.evaluate(f"!{self._view}.querySelector('.metrics-plot-view')"):
            return {}
        plot = f"{self._view}.querySelector('.js-plotly-plot')"
        self.page.wait_for(f"!!{plot}?.querySelector('.main-svg')", "plot")
        lines: dict[str, list[tuple[Any, Any]]] = self.page.evaluate(
            f"""(plot => {{
              const drawn = plot.querySelectorAll('.scatterlayer .trace').length;
              if (drawn !== plot.data.filter(line => line.x.length && line.y.length).length) return {{}};
              const end = '.unsmoothed';
              const lines = plot.data.filter(line => line.name.endsWith(end));
              const points = line => line.x.map((x, at) => [x, line.y[at]]);
              return Object.fromEntries(lines.map(line => [line.name.slice(0, -end.length), points(line)]));
            }})({plot})"""
        )
        return {name: [(x, y) for x, y in line] for name, line in lines.items()}

    def files(self, title: str) -> list[str]:
        """Return the names of the files on the tab "Artifacts" or "Source Files"."""
        self.tab(title)
        names: list[str] = self.page.evaluate(
            f"[...{self._view}.querySelectorAll('.accordion__title h5')].map(e => e.innerText.trim())"
        )
        return names

    def open_file(self, title: str, name: str) -> str:
        """Open one of the files on a tab; return what is shown of its content."""
        self.tab(title)
        item = (
            f"[...{self._view}.querySelectorAll('.accordion__item')]"
            f".find(e => e.querySelector('h5').innerText.trim() === {_literal(name)})"
        )
        self.page.click(f"{item}.querySelector('.accordion__title')")
        self.page.settle()
        self.page.wait_for(
            f"!!{item}.querySelector('.accordion__body pre, .accordion__body img, .alert')", f"file {name}"
        )
        text: str = self.page.evaluate(f"{item}.querySelector('.accordion__body').innerText")
        return text


@dataclass(frozen=True, kw_only=True)
class Expected:
    """
    What Omniboard has to show of a run. What is left out is not looked at.

    Attributes:
        row: Titles of columns, and the text below them.
        metrics: Every metric, and its points: (step, value).
        output: Text in the captured output.
        sources: Every source file's name, and text in it; artifacts likewise, with None for one that is not opened.
        fail_trace: Text of it; None for a run that did not fail, which has no such tab.
        texts: Titles of other tabs, and texts on them.
    """

    row: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[tuple[float, float | None]]] | None = None
    output: str = ""
    sources: Mapping[str, str | None] | None = None
    artifacts: Mapping[str, str | None] | None = None
    fail_trace: str | None = None
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)


def _check(condition: object, message: str) -> None:
    if not condition:
        pytest.fail(message, pytrace=False)


def assert_omniboard_shows(page: RunsPage, run_id: int, expected: Expected) -> RunView:
    """Look at the table and at every tab of a run, and return its view."""
    _check(not page.error(), f"in the place of the table is: {page.error()}")
    row = page.row(run_id)
    for title, text in expected.row.items():
        _check(row.get(title) == text, f"below {title!r} is {row.get(title)!r}, not {text!r}; the whole row: {row}")
    view = page.open_run(run_id)
    with_trace = expected.fail_trace is not None
    _check(("Fail Trace" in view.tabs()) is with_trace, f"the tabs are {view.tabs()}")
    if expected.metrics is not None:
        _assert_plotted(view.plotted(), expected.metrics)
    texts = {**expected.texts, "Captured Out": [expected.output]}
    if expected.fail_trace is not None:
        texts["Fail Trace"] = [expected.fail_trace]
    for title, wanted in texts.items():
        shown = view.tab(title)
        for text in wanted:
            _check(text in shown, f"{text!r} is not on the tab {title!r}, but: {shown}")
    for title, files in (("Source Files", expected.sources), ("Artifacts", expected.artifacts)):
        if files is not None:
            _assert_files(view, title, files)
    for title in set(view.tabs()) - texts.keys():
        view.tab(title)
    _check(not page.is_blank(), f"the page broke: {page.page.exceptions}")
    _check(not page.page.exceptions, f"the page threw: {page.page.exceptions}")
    return view


def _assert_plotted(
    lines: Mapping[str, Sequence[tuple[Any, Any]]], metrics: Mapping[str, Sequence[tuple[float, float | None]]]
) -> None:
    _check(lines.keys() == metrics.keys(), f"the plot has {sorted(lines)}, not {sorted(metrics)}")
    for name, points in metrics.items():
        _check(list(lines[name]) == list(points), f"the line {name!r} is {lines[name]}, not {points}")


def _assert_files(view: RunView, title: str, files: Mapping[str, str | None]) -> None:
    names = view.files(title)
    _check(names == list(files), f"on the tab {title!r} are {names}, not {list(files)}")
    for name, text in files.items():
        if text is not None:
            shown = view.open_file(title, name)
            _check(text in shown, f"{text!r} is not shown of {name!r}, but: {shown}")


@pytest.fixture(scope="session")
def omniboard_installed() -> Path:
    """The folder that Omniboard is in; the test is skipped where there can be none."""
    try:
        return install()
    except MissingError as error:
        pytest.skip(f"no Omniboard: {error}")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: the command chromium is not here")
    browser = Browser(executable, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def omniboard(omniboard_installed: Path, tmp_path: Path) -> Callable[[str, str], AbstractContextManager[Omniboard]]:
    """Give Omniboard's server for a database: `with omniboard(server_url, database_name) as board`."""
    return partial(Omniboard, installed=omniboard_installed, log=tmp_path / "omniboard.log")


@pytest.fixture
def runs_page(browser: Browser) -> Iterator[Callable[[Omniboard], RunsPage]]:
    """`page = runs_page(board)`: the page in the browser, closed after the test."""
    pages: list[Page] = []

    def open_page(board: Omniboard) -> RunsPage:
        pages.append(browser.open(board.url, width=WINDOW[0], height=WINDOW[1]))
        return RunsPage(pages[-1])

    yield open_page
    for page in pages:
        page.close()
