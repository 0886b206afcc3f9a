"""Questions that are saved under a name, and asked by it: `anew list @good`."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from anew.runner.cli.context import print_json
from anew.runner.cli.render import remark, say, table
from anew.runner.contracts import RunStore
from anew.runner.errors import FilterError, StoreError
from anew.runner.lazy.patterns import regexp
from anew.runner.query.filters import parse_filter
from anew.runner.store.saved import View, Views
from anew.runner.wording import printable

_NAME = regexp(r"@([\w-]+)")


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


def print_views(store: RunStore, *, as_json: bool) -> None:
    """Print which questions are saved; one that is damaged, with what is wrong with it."""
    views = _views(store)
    found: dict[str, View | str] = {}
    for name in views.names():
        try:
            found[name] = views.get(name)
        except FilterError as error:
            found[name] = str(error)
    if as_json:
        print_json([{"name": name, **_shown(view)} for name, view in found.items()])
    elif found:
        rows = [[f"@{name}", *(printable(str(each or "")) for each in _cells(view))] for name, view in found.items()]
        table(["name", "filter", "sort", "by", "columns"], rows, keep=2)
    else:
        say(f"No questions are saved in {store.url}. To save one: anew list FILTER --save NAME")


def _cells(view: View | str) -> list[str]:
    if isinstance(view, str):
        return [view, "", "", ""]
    return [view.filter, view.sort, view.by, ",".join(view.columns)]


def _shown(view: View | str) -> dict[str, str | list[str] | None]:
    if isinstance(view, str):
        return {"filter": None, "sort": None, "by": None, "columns": None, "error": view}
    shown: dict[str, str | list[str] | None] = {"filter": view.filter, "sort": view.sort, "by": view.by}
    return {**shown, "columns": list(view.columns), "error": None}


def forget_view(store: RunStore, name: str) -> None:
    """Remove a saved question, and say how to have it again. Raises FilterError, StoreError."""
    name = name.removeprefix("@")
    view = _views(store).forget(name)
    words = {"--sort": view.sort, "--by": view.by, "--columns": ",".join(view.columns), "--save": name}
    typed = ["anew", "list", *([view.filter] if view.filter else [])]
    typed += [word for option, value in words.items() if value for word in (f"{option}={value}",)]
    say(f"@{name} is forgotten. To save it again: {printable(shlex.join(typed))}")


def _views(store: RunStore) -> Views:
    found: Callable[[], Views] | None = getattr(store, "views", None)
    if found is None:
        raise StoreError(f"{store.url} keeps no questions by name. For that name a folder: --store FOLDER")
    return found()
