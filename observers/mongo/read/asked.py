"""
A filter as a query of MongoDB, which leaves out what surely does not pass; what is left is asked one by one.

The documents say less than the records, and some of it in another form, so a query may find more than a filter means,
and never less. Of what Sacred wrote all is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from anew.observers.mongo.view import clean, escape_key, short_name
from anew.runner.query.literals import Literal, moment
from anew.runner.query.names import SUMMARIES, Place, places
from anew.runner.query.tree import All, AnyOf, Compare, Leaf, Not, Tree, is_same

Query = dict[str, Any]

_ALL: Query = {}
_NONE: Query = {"_id": {"$in": []}}
_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
# dates have milliseconds there
_BLUR = timedelta(milliseconds=2)
# as doubles, whole numbers beyond 64 bits may have moved a little
_LARGE = 9.2e18
_MOST_PARTS = 200
_SETTLED = ("COMPLETED", "FAILED", "INTERRUPTED")


def likely_query(tree: Tree) -> Query:
    """Return a query that all documents match whose runs may pass a filter; the empty one where nobody can tell."""
    query = _upper(tree)
    return _ALL if query == _ALL else {"$or": [{"anew.uid": {"$exists": False}}, query]}


def _upper(tree: Tree) -> Query:
    if isinstance(tree, All):
        parts = [part for part in map(_upper, tree.parts[:_MOST_PARTS]) if part != _ALL]
        return _ALL if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
    if isinstance(tree, AnyOf):
        parts = [*map(_upper, tree.parts)] if len(tree.parts) <= _MOST_PARTS else [_ALL]
        return _either(parts)
    # what is not what a query finds may be anything, since the query finds too much
    return _ALL if isinstance(tree, Not) else _either([_at(tree, place) for place in places(tree.name)])


def _either(parts: list[Query]) -> Query:
    if any(part == _ALL for part in parts):
        return _ALL
    some = [part for part in parts if part != _NONE]
    return _NONE if not some else some[0] if len(some) == 1 else {"$or": some}


def _at(leaf: Leaf, place: Place) -> Query:
    if place.part in SUMMARIES or place.part in ("first", "mean") or place.part.startswith("at "):
        return {"info.metrics.name": short_name(clean(place.name))}
    if place.part == "config" and (paths := _paths("config", place.name)):
        return _either([_value(leaf, path) for path in paths])
    if place.part == "field":
        return _FIELDS[place.name](leaf) if place.name in _FIELDS else _ALL
    return _ALL


def _paths(tree: str, name: str) -> list[str]:
    """Return where a key may stand in a document, a dot in it or before it; nothing where no path leads to all such."""
    keys = name.split(".")
    is_plain = all(key and key[0] not in "\"'" and escape_key(key, top=True) == key for key in keys)
    # further below a dot in a key is written as it is, and there no path leads
    if not (is_plain and name.isascii() and len(keys) <= 2):
        return []
    return list(dict.fromkeys((f"{tree}.{name}", f"{tree}.{escape_key(name, top=True)}")))


def _value(leaf: Leaf, path: str) -> Query:
    """Return a query for a value that may be of any kind."""
    if not isinstance(leaf, Compare):
        return {path: {"$exists": True}}
    number = leaf.literal.like(0.0)
    found: list[Query] = [{path: {"$type": "array"}}]
    if leaf.operator == "==":
        if is_same(None, leaf.literal.like(None)):
            return _ALL  # what the value is missing of may have been cut
        found += [{path: {"$eq": number}}] if isinstance(number, (bool, int, float)) and abs(number) < _LARGE else []
        found += _texts(path, leaf.literal)
    else:
        operator = _OPERATORS[leaf.operator]
        found += [{path: {operator: number}}] if isinstance(number, (int, float)) and abs(number) < _LARGE else []
        found += [{path: {"$type": "bool"}}, {path: {"$type": "string"}}]
    if isinstance(number, float) and number != number:
        return {path: {"$exists": True}}
    # whole numbers that became doubles, and times
    found += [{path: {"$gte": _LARGE}}, {path: {"$lte": -_LARGE}}, {path: {"$type": "date"}}]
    return {"$or": found}


def _texts(path: str, literal: Literal) -> list[Query]:
    """Return queries for texts that are equal without regard to case; what is no ASCII has ways of its own with it."""
    if not literal.text.isascii() or "\0" in literal.text:
        return [{path: {"$type": "string"}}]
    same = f"^{re.escape(literal.text)}$"
    return [{path: {"$regex": same, "$options": "i"}}, {path: {"$regex": r"[^\x00-\x7F]|\(cut: "}}]


def _status(leaf: Leaf) -> Query:
    if not isinstance(leaf, Compare) or leaf.operator != "==":
        return _ALL
    wanted = leaf.literal.text.upper()
    if wanted in ("COMPLETED", "PRUNED"):
        return {"status": "COMPLETED"}
    return {"status": wanted} if wanted in _SETTLED else {"status": {"$nin": [*_SETTLED]}}


def _of_texts(*paths: str) -> Callable[[Leaf], Query]:
    def query(leaf: Leaf) -> Query:
        if not isinstance(leaf, Compare) or leaf.operator != "==" or is_same(None, leaf.literal.like(None)):
            return _ALL
        return {"$or": [each for path in paths for each in _texts(path, leaf.literal)]}

    return query


def _started(leaf: Leaf) -> Query:
    when = moment(leaf.literal.text) if isinstance(leaf, Compare) else None
    if not isinstance(leaf, Compare) or when is None:
        return _ALL
    try:
        earliest, latest = when - _BLUR, when + _BLUR
    except OverflowError:
        return _ALL
    if leaf.operator == "==":
        return {"start_time": {"$gte": earliest, "$lte": latest}}
    return {"start_time": {"$lte": latest} if leaf.operator.startswith("<") else {"$gte": earliest}}


_FIELDS: Mapping[str, Callable[[Leaf], Query]] = {
    "status": _status,
    "experiment": _of_texts("anew.experiment"),
    "started": _started,
}
