"""Questions that are saved under a name, and asked by it: `anew list @good`."""

from __future__ import annotations

import re
from collections.abc import Callable

from anew.runner.cli.render import remark
from anew.runner.contracts import RunStore
from anew.runner.errors import StoreError
from anew.runner.query.filters import parse_filter
from anew.runner.store.saved import View, Views

_NAME = re.compile(r"@([\w-]+)")


def names_of(text: str | None) -> list[str]:
    """Return the names in a list as it is typed: `loss, config.lr`."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def how_of(as_json: bool, as_csv: bool, as_markdown: bool) -> str:
    """Return in which form a table is printed; "" for people."""
    return "json" if as_json else "csv" if as_csv else "markdown" if as_markdown else ""


def saved_filter(store: RunStore) -> Callable[[str], str] | None:
    """Return what gives the filter that a name stands for in a store; None where it keeps none."""
    found: Callable[[str], str] | None = getattr(store, "saved_filter", None)
    return found


def as_saved(store: RunStore, text: str) -> View | None:
    """Return what was saved, where a question is nothing but a name. Raises FilterError for a name that is none."""
    found = _NAME.fullmatch(text.strip())
    return _views(store).get(found[1]) if found else None


def save_view(store: RunStore, name: str, view: View) -> None:
    """Save a question, once it can be read. Raises FilterError, StoreError."""
    views = _views(store)
    name = name.removeprefix("@")

    def saved(other: str) -> str:
        # what it will mean, so that it is not a part of itself
        return view.filter if other == name else views.get(other).filter

    parse_filter(view.filter, saved, within=(name,))
    views.save(name, view)
    remark(f"Saved as @{name}. To ask it again: anew list @{name}")


def _views(store: RunStore) -> Views:
    found: Callable[[], Views] | None = getattr(store, "views", None)
    if found is None:
        raise StoreError(f"{store.url} keeps no questions by name. For that name a folder: --store FOLDER")
    return found()
