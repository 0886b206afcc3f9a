"""
A filter as SQL over the rows of `index_facts`: which runs pass, and in which order.

What SQL finds is what `tree.passes` says of the records. Where it cannot tell, it finds more, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.lazy.modules import later
from anew.runner.query.literals import Literal
from anew.runner.query.names import HERE, LISTS, SUMMARIES, TREES, Place, places
from anew.runner.query.tree import (
    All,
    AnyOf,
    Compare,
    Has,
    Leaf,
    Not,
    SameList,
    Search,
    Tree,
    compared_versions,
    holds,
    is_same,
    leaves,
)
from anew.runner.store.index_facts import PARTS, microseconds, moment_of

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_NO, _YES = "0", "1"
_NUMBERS = "('n', 'b')"
Here = Callable[[str, str, "int | None"], Any]
"""What a field of `HERE` is in this store, given the uid and the number that are on record."""


@dataclass(slots=True)
class Question:
    """
    A filter and a sort on their way to SQL.

    Attributes:
        database: The index; the functions that the SQL calls are made there.
        here: See `Here`.
        is_exact: Whether the runs that are found are those that pass; else some of them do not.
        error: What a function raised.
        values: What stands for the marks in the SQL, in their order.
        names: The numbers of names in the index; 0 where no run has one.
        made: How many functions were made.
    """

    database: sqlite3.Connection
    here: Here
    values: list[Any] = field(default_factory=list)
    is_exact: bool = True
    error: FilterError | None = None
    names: dict[tuple[str, str], int] = field(default_factory=dict)
    made: int = 0

    def runs(self, tree: Tree, sort: str | None, limit: int | None) -> list[int] | None:
        """
        Return the numbers of finished runs, in order; None for a sort that SQL cannot do.

        Those that have parts which are not all in the rows, and that the question asks about, are not among them.

        Raises:
            FilterError: A pattern takes too long.
            sqlite3.Error: The index is odd, or the question too deep for SQLite.
        """
        try:
            where = self._sql(tree, upper=True)
            mask = partial_mask(tree, sort)
            self.values += [mask]
            join, order = "", "known.run DESC"
            if sort is not None:
                found = self._order(sort)
                if found is None:
                    return None
                join, order = found
            if limit is not None and self.is_exact:
                order += f" LIMIT {int(limit)}"
            text = f"SELECT known.run FROM known {join} WHERE ({where}) AND (known.partial & ?) = 0 ORDER BY {order}"
            return [run for (run,) in self.database.execute(text, self.values)]
        except sqlite3.Error:
            if self.error is not None:
                raise self.error from None
            raise

    # --- the tree -------------------------------------------------------------------------------------------------

    def _sql(self, tree: Tree, *, upper: bool) -> str:
        """Return a condition on `known.run`: of what SQL cannot tell, true with *upper*, else false."""
        if isinstance(tree, Not):
            return f"NOT ({self._sql(tree.part, upper=not upper)})"
        if isinstance(tree, All):
            return _joined([self._sql(part, upper=upper) for part in tree.parts], "AND", _YES)
        if isinstance(tree, AnyOf):
            return _joined([self._sql(part, upper=upper) for part in tree.parts], "OR", _NO)
        return self._leaf(tree, list(places(tree.name)), upper=upper)

    def _leaf(self, leaf: Leaf, rest: Sequence[Place], *, upper: bool) -> str:
        """Return the condition for what stands at the first of some places that a run has anything at."""
        if not rest:
            return _NO
        place, *later = rest
        hit = self._at(leaf, place, upper=upper)
        if not later:
            return hit
        return f"(({hit}) OR (NOT ({self._present(place)}) AND {self._leaf(leaf, later, upper=upper)}))"

    def _at(self, leaf: Leaf, place: Place, *, upper: bool) -> str:
        if place.part == "field":
            if place.name == "id":
                return self._on_number(leaf)
            if place.name in HERE:
                return self._on_relation(leaf, place.name)
            if _is_none(leaf) and place.name not in LISTS:
                return f"NOT ({self._present(place)})"
        if place.part in SUMMARIES:
            return self._on_metric(leaf, place)
        return self._on_facts(leaf, place, upper=upper)

    def _present(self, place: Place) -> str:
        name = self._name(place)
        if name is None:
            return _NO
        if place.part in SUMMARIES:
            known = f" AND {place.part} IS NOT NULL" if place.part in ("min", "max") else ""
            return self._among("metrics", name, f"1{known}")
        return self._among("facts", name, "seq = 0")

    def _name(self, place: Place) -> int | None:
        """Return the number of a name; None where no run has it."""
        key = ("metric" if place.part in SUMMARIES else place.part, place.name)
        if key not in self.names:
            row = self.database.execute("SELECT id FROM names WHERE part = ? AND name = ?", key).fetchone()
            self.names[key] = 0 if row is None else row[0]
        return self.names[key] or None

    def _among(self, table: str, name: int, condition: str, *values: Any) -> str:
        self.values += values
        return f"known.run IN (SELECT run FROM {table} WHERE name = {name} AND ({condition}))"

    # --- leaves ---------------------------------------------------------------------------------------------------

    def _on_number(self, leaf: Leaf) -> str:
        if isinstance(leaf, Has):
            return _YES
        return f"{self._function(lambda value: holds(leaf, value))}(known.run)"

    def _on_relation(self, leaf: Leaf, name: str) -> str:
        """Return the condition for what another run or a sweep is called here, which is looked up once for each."""
        found = self._name(Place("field", name.partition(".")[0]))
        if found is None:
            return _YES if _is_none(leaf) else _NO
        pairs = self.database.execute("SELECT DISTINCT value, low FROM facts WHERE name = ? AND kind = 's'", (found,))
        some = []
        for uid, number in pairs.fetchall():
            if holds(leaf, self.here(name, uid, None if number is None else int(number))):
                some.append((uid, number))
        test = self._function(lambda uid, number, those=frozenset(some): (uid, number) in those, arguments=2)
        hit = self._among("facts", found, f"{test}(value, low)") if some else _NO
        return f"({hit} OR NOT ({self._among('facts', found, _YES)}))" if _is_none(leaf) else hit

    def _on_metric(self, leaf: Leaf, place: Place) -> str:
        name = self._name(place)
        if name is None or isinstance(leaf, SameList):
            return _NO
        column = place.part
        # of a last value that is none is NaN, of bounds there is none
        there = _YES if column not in ("min", "max") else f"{column} IS NOT NULL"
        if isinstance(leaf, Has):
            return self._among("metrics", name, there)
        if isinstance(leaf, Search):
            found = self._function(lambda value: leaf.pattern.found(float("nan") if value is None else value))
            return self._among("metrics", name, f"{there} AND {found}({column})")
        other = leaf.literal.like(0.0)
        if isinstance(other, float) and other != other:
            return self._among("metrics", name, f"{there} AND {column} IS NULL") if leaf.operator == "==" else _NO
        if not isinstance(other, (int, float)) or (leaf.operator == "==" and isinstance(other, bool)):
            return _NO
        return self._among("metrics", name, f"{column} {leaf.operator} ?", _bound(other))

    def _on_facts(self, leaf: Leaf, place: Place, *, upper: bool) -> str:
        name = self._name(place)
        if name is None:
            return _NO
        if isinstance(leaf, Has):
            return self._among("facts", name, "seq = 0 AND kind <> '0' AND NOT (kind IN ('m', 'l') AND value = 0)")
        if isinstance(leaf, SameList):
            self.is_exact = False
            hit = self._among("facts", name, "seq = 0 AND kind = 'l' AND value = ?", len(leaf.literals))
            if upper:
                return hit
            self.values.pop()
            return _NO
        if isinstance(leaf, Search):
            found = self._function(lambda kind, value: leaf.pattern.found(_as_text(kind, value)), arguments=2)
            return self._among("facts", name, f"kind NOT IN ('0', 'm', 'l') AND {found}(kind, value)")
        conditions, values = self._compared(leaf)
        return self._among("facts", name, _joined(conditions, "OR", _NO), *values) if conditions else _NO

    def _compared(self, leaf: Compare) -> tuple[list[str], list[Any]]:
        """Return what facts of each kind have to be, and the values that stand for the marks in there."""
        literal, operator = leaf.literal, leaf.operator
        number, moment = literal.like(0.0), literal.like(moment_of(0))
        single = "" if operator == "==" else "seq = 0 AND "
        conditions: list[str] = []
        values: list[Any] = []
        if isinstance(number, (int, float)):
            kinds = _NUMBERS if operator != "==" else "('b')" if isinstance(number, bool) else "('n')"
            conditions.append(f"{single}kind IN {kinds} AND value {operator} ?")
            values.append(_bound(number))
        text = _text(literal)
        if text is not None:
            if operator == "==":
                conditions += ["kind = 't' AND coalesce(low, value) = ?"]
                values.append(text.lower())
                conditions += [
                    "kind = 'x' AND (coalesce(low, value) = ? OR (? AND substr(coalesce(low, value), 1, ?) = ?))"
                ]
                values += [text.lower(), len(text) >= 4, len(text), text.lower()]
            else:
                conditions.append(f"{single}kind IN ('t', 'x') AND value {operator} ?")
                values.append(text)
        if moment is not None:
            conditions.append(f"{single}kind = 'd' AND value {operator} ?")
            values.append(microseconds(moment))
        test = self._function(lambda value: compared_versions(value, operator, literal.text))
        conditions.append(f"{single}kind = 'v' AND {test}(value)")
        if operator == "==" and is_same(None, literal.like(None)):
            conditions.append("kind = '0'")
        return conditions, values

    def _function(self, test: Callable[..., Any], arguments: int = 1) -> str:
        """Make a test one that SQL can call; return its name. What it raises is kept for whoever asked."""

        def called(*values: Any) -> int:
            try:
                return int(bool(test(*values)))
            except FilterError as error:
                self.error = error
                raise

        self.made += 1
        name = f"anew_{self.made}"
        self.database.create_function(name, arguments, called, deterministic=True)
        return name

    # --- the order ------------------------------------------------------------------------------------------------

    def _order(self, sort: str) -> tuple[str, str] | None:
        """Return what is joined for an order, and the order; None where SQL cannot tell it."""
        down = " DESC" if sort.startswith("-") else ""
        there = [each for each in places(sort.lstrip("-").strip()) if self._is_known(each)]
        if not there:
            return "", "known.run DESC"
        if len(there) > 1:
            return None
        [place] = there
        if place == Place("field", "id"):
            return "", f"known.run{down}"
        if place.name in HERE and place.part == "field":
            return None
        name = self._name(place)
        if place.part in SUMMARIES:
            join = f"LEFT JOIN metrics AS s ON s.name = {name} AND s.run = known.run"
            column = f"s.{place.part}"
            return join, f"{column} IS NULL, {column}{down}, known.run DESC"
        # a time among numbers is one of them, in seconds
        odd = "SELECT 1 FROM facts WHERE name = ? AND seq = 0 AND kind IN ('v', 'm', 'l', 's'{}) LIMIT 1".format(
            "" if place.part == "field" else ", 'd'"
        )
        if self.database.execute(odd, (name,)).fetchone():
            return None
        join = f"LEFT JOIN facts AS s ON s.name = {name} AND s.run = known.run AND s.seq = 0"
        lacks = "(s.value IS NULL)"
        # numbers and times come before texts, as `sorting` has it
        return join, f"{lacks}, (s.kind NOT IN ('n', 'b', 'd')){down}, s.value{down}, known.run DESC"

    def _is_known(self, place: Place) -> bool:
        return (place.part == "field" and place.name in HERE) or self._name(place) is not None


def partial_mask(tree: Tree, sort: str | None) -> int:
    """Return the bits of the parts of a record that a question asks about."""
    names = [leaf.name for leaf in leaves(tree)] + ([sort.lstrip("-").strip()] if sort else [])
    mask = 0
    for place in (place for name in names for place in places(name)):
        part = "metric" if place.part in SUMMARIES else place.part if place.part in PARTS else "series"
        mask |= 0 if part == "series" and place.part == "package" else PARTS[part]
    return mask


_PARTS = {"field", *TREES, *SUMMARIES}


def derived(tree: Tree, sort: str | None) -> list[Place]:
    """Return the places that a question asks about and that no record holds: of series, and packages."""
    names = [leaf.name for leaf in leaves(tree)] + ([sort.lstrip("-").strip()] if sort else [])
    found = (place for name in dict.fromkeys(names) for place in places(name) if place.part not in _PARTS)
    return [*dict.fromkeys(found)]


def _joined(parts: Sequence[str], word: str, none: str) -> str:
    """Return conditions as one, no deeper than it has to be: SQLite does not go deeper than 1,000."""
    if len(parts) <= 1:
        return parts[0] if parts else none
    half = len(parts) // 2
    return f"({_joined(parts[:half], word, none)} {word} {_joined(parts[half:], word, none)})"


def _is_none(leaf: Leaf) -> bool:
    return isinstance(leaf, Compare) and leaf.operator == "==" and is_same(None, leaf.literal.like(None))


def _text(literal: Literal) -> str | None:
    """Return a value as texts are compared with it; None for what SQLite takes for no text."""
    try:
        literal.text.encode()
    except UnicodeEncodeError:
        return None
    return literal.text


def _bound(number: float | int) -> float | int:
    """Return a number as SQLite takes it, which compares with all that it holds as the number does."""
    if isinstance(number, (bool, float)):
        return number if isinstance(number, float) else int(number)
    if -(2**63) <= number < 2**63:
        return number
    if abs(number) < 10**300 and float(number) == number:
        return float(number)
    raise sqlite3.NotSupportedError("a whole number that SQLite cannot hold")


def _as_text(kind: str, value: Any) -> Any:
    return moment_of(value) if kind == "d" else bool(value) if kind == "b" else value
