"""Whether the pages of tables, runs, comparisons and sweeps keep nobody out, by axe; in the light and the dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.page.driving import View
from tests.page.stores import Kinds


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(look: Callable[..., View], kinds: Kinds, dark: bool) -> None:
    """In the dark nothing is other than the colours."""
    rules = ["color-contrast"] if dark else []
    view = look("sweeps", dark=dark)
    run = f"run/{kinds.full}"
    parts = ["", "/config?with=default", "/output", "/source", "/files", "/environment", "/events", "/rerun"]
    others = [
        f"compare?runs={kinds.full},{kinds.other}",
        f"sweep/{kinds.grid}",
        f"new/{kinds.full}",
        f"runs?sort=id&sel={kinds.full},{kinds.other}",
    ]
    paths = [*(run + part for part in parts), f"run/{kinds.failed}", f"run/{kinds.different}", *others]
    if kinds.pareto is not None:
        paths += [f"sweep/{kinds.search}", f"sweep/{kinds.pareto}"]
    found: dict[str, list[str]] = {"sweeps": view.axe(*rules)}
    for path in paths:
        view.go(path)
        view.page.settle()
        found[path] = view.axe(*rules)
    assert {path: what for path, what in found.items() if what} == {}
