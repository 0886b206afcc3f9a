"""What is changed from the page: tags, notes, runs in the trash, saved views."""

from __future__ import annotations

import json
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.errors import AnewError, FilterError
from anew.runner.format.values import flaw_of_tags
from anew.runner.server.asking import NothingAsked
from anew.runner.server.failures import Refused
from anew.runner.server.routes import Asked
from anew.runner.server.rows import row_of
from anew.runner.server.shapes import Row
from anew.runner.server.shown import Ref
from anew.runner.server.site import Site
from anew.runner.store.saved import View
from anew.runner.store.stored import StoredRuns

_LONGEST_NOTE = 100_000
_MOST_TAGS = 100
_MOST_RUNS = 10_000
_MOST_VIEW = 1 << 16
_DEEPEST_VIEW = 20
Tag = Annotated[str, Meta(min_length=1, max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=64, description="A letter, then letters, digits, - or _.")]


class TagsAsked(Asked):
    """Which run, and which tags it gets and loses."""

    run: Ref
    add: Annotated[list[Tag], Meta(max_length=_MOST_TAGS)] = []  # noqa: RUF012  # msgspec gives each its own
    remove: Annotated[list[Tag], Meta(max_length=_MOST_TAGS)] = []  # noqa: RUF012  # msgspec gives each its own


class NoteAsked(Asked):
    """Which run, and its note; an empty one takes it away."""

    run: Ref
    text: Annotated[str, Meta(max_length=_LONGEST_NOTE)]


class SomeAsked(Asked):
    """Which runs."""

    runs: Annotated[list[int], Meta(min_length=1, max_length=_MOST_RUNS)]


class ViewAsked(Asked):
    """A view, and what it is called."""

    name: Name
    view: dict[str, Any]


class NameAsked(Asked):
    """What a view is called."""

    name: Name


def tags(site: Site, asked: TagsAsked) -> Row:
    """Give a run tags, and take some away."""
    if flaw := flaw_of_tags(asked.add):
        raise Refused(400, f"{flaw[0].upper()}{flaw[1:]}")
    record = site.store.tag(asked.run, *asked.add, remove=asked.remove)
    site.rows.changes.hurry()
    return row_of(record.id or 0, record, [])


def note(site: Site, asked: NoteAsked) -> Row:
    """Set a run's note."""
    record = site.store.note(asked.run, asked.text)
    site.rows.changes.hurry()
    return row_of(record.id or 0, record, [])


def delete(site: Site, asked: SomeAsked) -> dict[str, Any]:
    """Move runs into the trash; those that go on are refused."""
    return _each(site, asked.runs, site.store.delete)


def restore(site: Site, asked: SomeAsked) -> dict[str, Any]:
    """Bring runs back from the trash."""
    return _each(site, asked.runs, site.store.restore)


def _each(site: Site, numbers: list[int], change: Any) -> dict[str, Any]:
    done: list[int] = []
    refused: list[dict[str, Any]] = []
    for number in dict.fromkeys(numbers):
        try:
            change(number)
            done.append(number)
        except AnewError as error:
            refused.append({"run": number, "message": str(error)})
    site.rows.changes.hurry()
    if refused and not done:
        raise Refused(409, refused[0]["message"])
    return {"runs": done, "refused": refused}


# --- views ----------------------------------------------------------------------------------------------------------


def views(site: Site, asked: NothingAsked) -> dict[str, Any]:
    """The views that were saved, those of `anew list --save` among them."""
    try:
        kept = _stored(site).views()
    except AnewError:
        return {"views": []}
    found = []
    for name in kept.names():
        try:
            found.append({"name": name, "view": _shown(kept.get(name)), "created": kept.saved_at(name)})
        except FilterError:
            continue  # whoever asks by its name is told that it is damaged
    return {"views": found}


def _stored(site: Site) -> StoredRuns:
    if not isinstance(site.store, StoredRuns):
        raise Refused(409, f"{site.store.url} keeps no views.")
    return site.store


def _shown(view: View) -> dict[str, Any]:
    """Return a view as the page has it."""
    try:
        page = json.loads(view.page) if view.page else {}
    except ValueError:
        page = {}
    said = {"q": view.filter, "sort": view.sort, "by": view.by, "columns": list(view.columns)}
    return {**{name: value for name, value in said.items() if value}, **page}


def save_view(site: Site, asked: ViewAsked) -> dict[str, Any]:
    """Save a view under a name; `anew list @NAME` asks the same."""
    view = asked.view
    page = json.dumps(view)
    if len(page) > _MOST_VIEW:
        raise Refused(413, f"The view comes to {len(page):,} bytes; {_MOST_VIEW:,} are kept.")
    for name in ("q", "sort", "by"):
        if not isinstance(view.get(name, ""), str):
            raise Refused(400, f"{name!r} of a view is a text.")
    columns = view.get("columns", [])
    if not isinstance(columns, list) or not all(isinstance(each, str) for each in columns):
        raise Refused(400, "'columns' of a view are a list of texts.")
    if _depth(view) > _DEEPEST_VIEW:
        raise Refused(400, f"A view has at most {_DEEPEST_VIEW} lists and objects inside each other.")
    kept = View(
        filter=view.get("q", ""),
        sort=view.get("sort", ""),
        by=view.get("by", ""),
        columns=tuple(columns),
        page=page,
    )
    _stored(site).views().save(asked.name, kept)
    return {"name": asked.name, "view": _shown(kept)}


def _depth(value: Any) -> int:
    """Return how many lists and objects are inside each other; no more than JSON that was read can have."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)


def delete_view(site: Site, asked: NameAsked) -> dict[str, Any]:
    """Take the name from a view."""
    _stored(site).views().remove(asked.name)
    return {"name": asked.name}
