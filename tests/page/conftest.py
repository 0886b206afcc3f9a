"""A browser, and stores that are served to it; where one of these is not there, the tests are skipped by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import Browser, find_browser
from tests.page.driving import Served, View, Window, serving
from tests.page.stores import Kinds, has_optuna, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).resolve().parents[2] / "page"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests of the page; each page in it shares nothing with the others."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: the command chromium is not here")
    for name in ("starlette", "uvicorn", "msgspec"):
        if find_spec(name) is None:
            pytest.skip(f"no server of the page: {name} is not installed; pip install 'anew[ui]'")
    if not (PAGE / "vendor" / "made-of.json").is_file():
        pytest.skip("no page: its files were not made; make page")
    browser = Browser(executable, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Kinds:
    """A store with a run of every kind; made only where there is a browser to show it. What changes it says so."""
    return make(tmp_path_factory.mktemp("kinds") / "project", searches=has_optuna())


@pytest.fixture(scope="session")
def served(kinds: Kinds, browser: Browser) -> Iterator[Served]:
    """The store with a run of every kind, served with all that is allowed."""
    with serving(kinds.store, browser, "--allow-rerun", cwd=kinds.folder) as served:
        yield served


@pytest.fixture(scope="session")
def window(served: Served) -> Iterator[Window]:
    """A window that tests look into one after the other."""
    window = Window(served)
    yield window
    window.close()


@pytest.fixture
def look(window: Window) -> Iterator[Callable[..., View]]:
    """
    Go to a place of the page, where nothing is left of what was shown before; checked at the end of the test.

    It is one window for all tests: to load the page takes longer than what most of them do.
    """
    yield window.look
    window.leave()
