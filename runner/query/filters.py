"""
The filter language: `loss < 0.1 and config.model.name == mlp and not tag in [broken, old]`.

Names: a metric's name (its last value), or else a key of the configuration; `config.KEY`, `metric.NAME` where that
could be taken for the other or for one of these: `status`, `experiment`, `tag`, `started`, `ended`, `duration`,
`result`, `id`, `uid`, `host`, `note`, `seed`, `sweep`, `sweep.uid`, `parent`, `rerun_of`, `verdict`, `_id` (what
another program, which recorded the run, calls it). A completed run that was told to stop has the status PRUNED.
Comparisons: `< <= > >= == != ~ in`, `not in`; `~` searches a regular expression, without regard to case. Words: `and`,
`or`, `not`, parentheses. Values: numbers, `true`, `false`, `none`, quoted or bare words, lists `[a, b]`. For times:
dates such as `2026-11-01`, local unless they say otherwise, and ages such as `2h` (two hours ago; s, m, h, d, w). For
durations: seconds, or `2h` again. Patterns are those of the library `regex`, which are Python's; one that takes longer
than a second over one value is refused.

A value is read as the kind of thing it is compared with; texts are equal without regard to case, and a quoted value is
always a text. A list, such as the tags, equals each of its items, and a list with the same items. What a run lacks, or
cannot be compared, matches nothing but `!=` and `not in`. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.query.literals import AGE, Comparison, Literal, moment, plain
from anew.runner.records import PRUNED, RunRecord, Status
from anew.runner.wording import closest, key_name

if TYPE_CHECKING:
    import difflib
else:
    difflib = later("difflib")

Test = Callable[[RunRecord], bool]

_MISSING: Any = object()
_TOKEN = regexp(
    r"\s*(?:(?P<op><=|>=|==|!=|<|>|~|=)|(?P<mark>[()\[\],])|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<word>[^\s()\[\],<>=!~\"']+)|(?P<end>$))"
)
_OPERATORS = ("<", "<=", ">", ">=", "==", "!=", "~", "in", "not in")
_DEEPEST = 50
_LONGEST_PATTERN = 1000
# What backtracks takes for ever over 40 letters or is done within milliseconds: there is little between.
_PATTERN_S = 1.0


# --- what names mean --------------------------------------------------------------------------------------------


def _sweep(record: RunRecord) -> Any:
    return record.sweep.id if record.sweep else None


def _sweep_uid(record: RunRecord) -> Any:
    return record.sweep.uid if record.sweep else None


def _duration(record: RunRecord) -> Any:
    return record.duration_s


_FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    "id": lambda record: record.id,
    "uid": lambda record: record.uid,
    "status": lambda record: record.state,
    "experiment": lambda record: record.experiment,
    "tag": lambda record: record.tags,
    "tags": lambda record: record.tags,
    "started": lambda record: record.started_at,
    "ended": lambda record: record.ended_at,
    "duration": _duration,
    "duration_s": _duration,
    "result": lambda record: record.result,
    "host": lambda record: record.hardware.hostname if record.hardware else None,
    "note": lambda record: record.note,
    "seed": lambda record: record.seed,
    "sweep": _sweep,
    "sweep.uid": _sweep_uid,
    "rerun_of": lambda record: record.rerun_of.id if record.rerun_of else None,
    "parent": lambda record: record.parent.id if record.parent else None,
    "verdict": lambda record: record.verdict.verdict if record.verdict else None,
    "_id": lambda record: record.foreign.id if record.foreign else None,
}
# names whose values are among few words; TIMEOUT is Sacred's, and another word of another program is quoted
_WORDS = {
    "status": (*Status.__members__, PRUNED, "TIMEOUT"),
    "verdict": ("identical", "close", "different", "stopped", "none"),
}
FIELD_NAMES = frozenset(_FIELDS)
_TIMES = ("started", "ended")
_TREES: dict[str, Callable[[RunRecord], Any]] = {
    "config": lambda record: record.config,
    "result": lambda record: record.result,
    "info": lambda record: record.info,
    "choices": lambda record: record.choices,
}


def value_of(record: RunRecord, name: str) -> Any:
    """Return what *name* is for a run, or None when it lacks it."""
    value = _lookup(record, name)
    return None if value is _MISSING else value


def _lookup(record: RunRecord, name: str) -> Any:
    if name.startswith("metric."):
        return _metric(record, name.removeprefix("metric."))
    tree, dot, path = name.partition(".")
    if dot and tree in _TREES:
        return _below(_TREES[tree](record), path)
    if name in _FIELDS:
        return _FIELDS[name](record)
    value = _metric(record, name)
    return _below(record.config, name) if value is _MISSING else value


def _metric(record: RunRecord, name: str) -> Any:
    metric = record.metrics.get(name)
    return _MISSING if metric is None else metric.last


def _below(value: Any, path: str) -> Any:
    """Return what stands at a dotted path of key names; a key with a dot in it is found by its letters, too."""
    if not path:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        head, _, rest = path.partition(".")
        # no more digits than an index can have: Python refuses to read thousands
        inside = head.isascii() and head.isdecimal() and len(head) < 10 and int(head) < len(value)
        return _below(value[int(head)], rest) if inside else _MISSING
    if not isinstance(value, Mapping):
        return _MISSING
    for key, item in value.items():
        name = key_name(key)
        if path == name:
            return item
        if path.startswith(f"{name}.") and (found := _below(item, path[len(name) + 1 :])) is not _MISSING:
            return found
    return value.get(path, _MISSING)


# --- comparing --------------------------------------------------------------------------------------------------


def _compare(value: Any, operator: str, literal: Literal) -> bool:
    if isinstance(value, (list, tuple)) and operator in ("==", "!=", "~"):
        found = any(_compare(item, "==" if operator == "!=" else operator, literal) for item in value)
        return found != (operator == "!=")
    if operator == "~":
        return value is not None and _found(literal.text, value)
    other = literal.like(value)
    if operator in ("==", "!="):
        same = value.lower() == other.lower() if isinstance(value, str) and isinstance(other, str) else value == other
        return bool(same and isinstance(value, bool) == isinstance(other, bool)) == (operator == "==")
    try:
        return bool(_ORDER[operator](value, other))
    except TypeError:
        return False


def _found(pattern: str, value: Any) -> bool:
    import regex  # 15 ms, for those who ask for it

    text = str(value)
    try:
        return regex.search(pattern, text, regex.IGNORECASE, timeout=_PATTERN_S) is not None
    except TimeoutError:
        raise FilterError(
            f"The pattern {pattern!r} takes longer than {_PATTERN_S:g} s over the value {text[:60]!r}, since it can be "
            "matched in very many ways. Repeat nothing that is itself a repetition, such as (a+)+",
            pattern=pattern,
        ) from None
    except (regex.error, MemoryError, RecursionError) as error:
        why = str(error) or "it goes on without an end"
        raise FilterError(f"The pattern {pattern!r} cannot be looked for: {why}.", pattern=pattern) from None


_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _comparison(name: str, operator: str, literal: Literal) -> Test:
    def test(record: RunRecord) -> bool:
        value = _lookup(record, name)
        return operator == "!=" if value is _MISSING else _compare(value, operator, literal)

    return test


def _membership(name: str, literals: Sequence[Literal]) -> Test:
    def test(record: RunRecord) -> bool:
        value = _lookup(record, name)
        return value is not _MISSING and any(_compare(value, "==", literal) for literal in literals)

    return test


def _equal_lists(name: str, literals: Sequence[Literal]) -> Test:
    def test(record: RunRecord) -> bool:
        value = _lookup(record, name)
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(literals)
            and all(_compare(item, "==", literal) for item, literal in zip(value, literals, strict=True))
        )

    return test


def _negated(test: Test) -> Test:
    return lambda record: not test(record)


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, read; `matches` tells whether a run passes it, `comparisons` are all that it makes."""

    text: str
    matches: Test
    comparisons: tuple[Comparison, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names it mentions, in order."""
        return tuple(each.name for each in self.comparisons)


def parse_filter(text: str) -> Filter:
    """
    Read a filter; the empty one matches every run.

    Raises:
        FilterError: The text is no filter; the message shows where and says what would be right.
    """
    if not text.strip():
        return Filter(text, lambda record: True, ())
    parser = _Parser(text)
    test = parser.alternatives()
    if parser.kind != "end":
        raise parser.error("expected 'and', 'or' or the end")
    return Filter(text, test, tuple(parser.comparisons))


class _Parser:
    """Recursive descent; one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self._depth = 0
        self.comparisons: list[Comparison] = []
        self.kind = ""
        self.token = ""
        self._advance()

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self._start = len(self._text) - len(self._text[self._at :].lstrip())
            raise self.error("expected a quote to end, or another character")
        self.kind = match.lastgroup
        self.token = match[self.kind]
        self._start = match.start(self.kind)
        self._at = match.end()

    def error(self, what: str) -> FilterError:
        # letter for letter, so that the mark below stands where it should
        shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in self._text)
        return FilterError(
            f"The filter cannot be read, {what}:\n  {shown}\n  {' ' * self._start}^\n"
            "A filter looks like: loss < 0.1 and config.lr == 0.01 and not tag == broken",
            filter=self._text,
            position=self._start,
        )

    def _is(self, *words: str) -> bool:
        return self.kind in ("word", "mark", "op") and self.token.lower() in words

    def alternatives(self) -> Test:
        tests = [self._conjunction()]
        while self._is("or"):
            self._advance()
            tests.append(self._conjunction())
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def _conjunction(self) -> Test:
        tests = [self._negation()]
        while self._is("and"):
            self._advance()
            tests.append(self._negation())
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def _negation(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} parentheses and nots are inside each other")
        if self._is("not"):
            self._advance()
            test = _negated(self._negation())
        elif self._is("("):
            self._advance()
            test = self.alternatives()
            self._expect(")")
        else:
            test = self._comparison()
        self._depth -= 1
        return test

    def _comparison(self) -> Test:
        if self.kind not in ("word", "quoted") or self._is("and", "or", "in"):
            raise self.error("expected a name such as loss, status or config.lr")
        name = _unquoted(self.token) if self.kind == "quoted" else self.token
        self._check_name(name)
        self._advance()
        operator = self._operator(name)
        if operator in ("in", "not in"):
            test = _membership(name, self._list(name))
            return test if operator == "in" else _negated(test)
        if operator in ("==", "!=") and self._is("["):
            test = _equal_lists(name, self._list(name))
            return test if operator == "==" else _negated(test)
        if operator == "~":
            self._check_pattern()
        else:
            self._check_value(name)
        literal = self._literal(name, operator)
        return _comparison(name, operator, literal)

    def _operator(self, name: str) -> str:
        operator = self.token.lower()
        if operator == "=":
            raise self.error("use '==' to compare")
        if operator == "not":
            self._advance()
            operator = f"not {self.token.lower()}"
        if operator not in _OPERATORS:
            raise self.error(f"expected a comparison after {name!r}: {', '.join(_OPERATORS)}")
        self._advance()
        return operator

    def _check_name(self, name: str) -> None:
        if self.kind == "word" and name[-1].isdigit() and isinstance(plain(name), (int, float)):
            raise self.error("expected a name, and the value after it, as in: loss < 0.1")
        head, dot, _ = name.partition(".")
        if dot and head not in (*_TREES, "metric") and (near := closest(head, (*_TREES, "metric"))):
            raise self.error(f"there is no {head!r}; did you mean {near!r}?")
        if not dot and name not in _FIELDS and (near := closest(name, _FIELDS)) and _close(name, near):
            raise self.error(f"there is no {name!r}; did you mean {near!r}? (for a metric of that name: metric.{name})")

    def _value(self) -> str:
        if self.kind not in ("quoted", "word"):
            raise self.error("expected a value")
        return _unquoted(self.token) if self.kind == "quoted" else self.token

    def _check_pattern(self) -> None:
        import regex

        pattern = self._value()
        if len(pattern) > _LONGEST_PATTERN:
            raise self.error(f"the regular expression has {len(pattern):,} letters; {_LONGEST_PATTERN:,} are read")
        try:
            regex.compile(pattern, regex.IGNORECASE)
        except (regex.error, OverflowError, RecursionError, MemoryError, ValueError) as error:
            raise self.error(f"{pattern!r} is no regular expression ({error})") from error

    def _check_value(self, name: str) -> None:
        """Refuse what the name can never be."""
        text = self._value()
        if name in _TIMES and text.lower() not in ("none", "null") and moment(text) is None:
            raise self.error(
                "expected a time in the years 1 to 9999, such as 2026-11-01, '2026-11-01 18:30' or 2h for two hours ago"
            )
        if self.kind != "quoted" and text.lower() not in map(str.lower, _WORDS.get(name, (text,))):
            raise self.error(f"there is no {name} {text!r}; there are: {', '.join(_WORDS[name])}")

    def _literal(self, name: str, operator: str) -> Literal:
        literal = Literal(self._value(), self.kind == "quoted")
        self._advance()
        if self._is("ago") and AGE.fullmatch(literal.text):
            self._advance()
        self.comparisons.append(Comparison(name, operator, literal))
        return literal

    def _list(self, name: str) -> list[Literal]:
        closing = {"[": "]", "(": ")"}.get(self.token)
        if self.kind != "mark" or closing is None:
            raise self.error("expected a list such as [a, b]")
        self._advance()
        items: list[Literal] = []
        while not self._is(closing):
            self._check_value(name)
            items.append(self._literal(name, "=="))
            if not self._is(","):
                break
            self._advance()
        self._expect(closing)
        return items

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            raise self.error(f"expected {mark!r}")
        self._advance()


def _close(name: str, near: str) -> bool:
    return len(name) > 3 and difflib.SequenceMatcher(None, name, near).ratio() > 0.8


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])
