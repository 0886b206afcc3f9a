"""What of a question is most likely a mistake: names that no run has, values that none can have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from anew.runner.lazy.patterns import regexp
from anew.runner.query.columns import strangers
from anew.runner.query.literals import Comparison
from anew.runner.query.names import value_of
from anew.runner.records import RunRecord
from anew.runner.wording import closest, in_a_line, some

_OF_SERIES = regexp(r"(?<=.)\.(?:first|mean|best|at\([^)]*\))$")
_ORDERED = ("<", "<=", ">", ">=")
_MOST_VALUES = 5
_LONGEST = 40


def doubtful_names(records: Sequence[RunRecord], names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each name that means nothing to any of these runs."""
    # of what is read out of a series the metric itself tells whether it is there
    metrics = {_OF_SERIES.sub("", name): name for name in names}
    for metric, near in strangers(records, metrics).items():
        name = metrics[metric]
        yield f"None of these runs has {name!r}.{_meant(near and near + name.removeprefix(metric))}"


def doubtful_values(records: Sequence[RunRecord], comparisons: Iterable[Comparison]) -> Iterator[str]:
    """Yield a sentence for each value of a filter that is of another kind than its name's, or that no run has."""
    for each in dict.fromkeys(comparisons):
        values = [item for record in records for item in _items(value_of(record, each.name))]
        if not values or each.operator not in (*_ORDERED, "=="):
            continue
        if all(isinstance(value, (int, float)) for value in values):
            if isinstance(each.literal.like(0.0), str):
                kind = "true or false" if all(isinstance(value, bool) for value in values) else "a number"
                yield f"{each.name!r} is {kind} in these runs, and {each.literal.text!r} is not."
        elif each.operator == "==" and all(isinstance(value, str) for value in values):
            yield from _unknown_text(each, {value.lower(): value for value in values})


def _unknown_text(made: Comparison, texts: dict[str, str]) -> Iterator[str]:
    given = made.literal.text
    if given.lower() not in texts:
        near = closest(given.lower(), texts)
        there = some([in_a_line(text, _LONGEST) for text in texts.values()], _MOST_VALUES)
        yield f"No run has {made.name} == {given!r}; there {'is' if len(texts) == 1 else 'are'}: {there}." + _meant(
            near and texts[near]
        )


def _items(value: Any) -> Iterable[Any]:
    """Return what a value is compared by: a list by each of its items."""
    return () if value is None else value if isinstance(value, (list, tuple)) else (value,)


def _meant(near: str | None) -> str:
    return f" Did you mean {near!r}?" if near else ""
