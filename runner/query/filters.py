"""
The grammar of the filter language: `loss < 0.1 and config.model.name == mlp and not tag in [broken, old]`.

Names: a metric's name (its last value; `loss.min`, `loss.at(100)` and the like), or else a key of the configuration, or
else one of what `names` lists; `config.KEY`, `metric.NAME`, `run.NAME` where one could be taken for the other.
Comparisons: `< <= > >= == != ~ in`, `not in`, `has(NAME)`; `~` searches a regular expression, without regard to case.
Words: `and`, `or`, `not`, parentheses. Values: numbers, `true`, `false`, `none`, quoted or bare words, lists `[a, b]`.
For times: dates such as `2026-11-01`, local unless they say otherwise, `today`, and ages such as `2h` (two hours ago;
s, m, h, d, w). For durations: seconds, or `2h` again.

A value is read as the kind of thing it is compared with; texts are equal without regard to case, and a quoted value is
always a text. A list, such as the tags, equals each of its items, and a list with the same items. What a run lacks, or
cannot be compared, matches nothing but `!=` and `not in`. Nothing is ever evaluated as code. What comes of it is a
`tree`, whose meaning is the same in every store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.query.literals import AGE, Comparison, Literal, moment, plain
from anew.runner.query.names import FIELD_NAMES as FIELD_NAMES
from anew.runner.query.names import FIELDS, PREFIXES, TIMES, of_metric, places
from anew.runner.query.names import value_of as value_of
from anew.runner.query.patterns import MOST_STEPS, steps_of
from anew.runner.query.tree import (
    EVERYTHING,
    All,
    AnyOf,
    Compare,
    Has,
    Not,
    Pattern,
    SameList,
    Search,
    Tree,
    joined,
    passes,
)
from anew.runner.records import PRUNED, RunRecord, Status
from anew.runner.wording import closest, in_a_line

if TYPE_CHECKING:
    import difflib
else:
    difflib = later("difflib")

_TOKEN = regexp(
    r"\s*(?:(?P<op><=|>=|==|!=|<|>|~|=)|(?P<mark>[()\[\],])|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<word>[^\s()\[\],<>=!~\"']+(?:(?<=\.at)\(-?\d+\))?)|(?P<end>$))"
)
OPERATORS = ("<", "<=", ">", ">=", "==", "!=", "~", "in", "not in")
_DEEPEST = 50
_LONGEST = 50_000
_MOST_WITHIN = 8
_MOST_TERMS = 2_000
_MOST_STEPS = 5 * MOST_STEPS
Saved = Callable[[str], str]
# names whose values are among few words; TIMEOUT is Sacred's, and another word of another program is quoted
WORDS = {
    "status": (*Status.__members__, PRUNED, "TIMEOUT"),
    "verdict": ("identical", "close", "different", "stopped", "none"),
}


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, read: as a tree; `comparisons` are all that it makes."""

    text: str
    tree: Tree
    comparisons: tuple[Comparison, ...] = ()

    def matches(self, record: RunRecord) -> bool:
        """Whether a run passes it, as far as the record tells. Raises FilterError as `tree.passes` does."""
        return passes(self.tree, record)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it mentions, in order."""
        return tuple(each.name for each in self.comparisons)


def parse_filter(text: str, saved: Saved | None = None, *, within: tuple[str, ...] = ()) -> Filter:
    """
    Read a filter; the empty one matches every run.

    Args:
        text: As typed.
        saved: Gives the filter that was saved under a name, which `@name` stands for; raises FilterError.
        within: The names that it is part of.

    Raises:
        FilterError: The text is no filter; the message shows where and says what would be right.
    """
    return _parsed(text, saved, within, _Spent())


@dataclass(slots=True)
class _Spent:
    """What a filter has come to so far, together with those that are part of it by name: twelve letters may be many."""

    terms: int = 0
    steps: int = 0


def _parsed(text: str, saved: Saved | None, within: tuple[str, ...], spent: _Spent) -> Filter:
    if not text.strip():
        return Filter(text, EVERYTHING)
    if len(text) > _LONGEST:
        raise FilterError(f"The filter has {len(text):,} letters; {_LONGEST:,} are read. To name many runs, tag them.")
    parser = _Parser(text, saved, within, spent)
    tree = parser.alternatives()
    if parser.kind != "end":
        raise parser.error("expected 'and', 'or' or the end")
    return Filter(text, tree, tuple(parser.comparisons))


def tokens(text: str) -> list[tuple[int, int, str]]:
    """Return where each token of a filter begins and ends, and the token, as far as the text can be read."""
    found: list[tuple[int, int, str]] = []
    at = 0
    while (match := _TOKEN.match(text, at)) is not None and match.lastgroup not in (None, "end"):
        kind = str(match.lastgroup)
        found.append((match.start(kind), match.end(), match[kind]))
        at = match.end()
    # a text whose end is not written yet
    if rest := text[at:].strip():
        found.append((len(text) - len(text[at:].lstrip()), len(text), rest))
    return found


class _Parser:
    """Recursive descent; one token ahead."""

    def __init__(self, text: str, saved: Saved | None, within: tuple[str, ...], spent: _Spent) -> None:
        self._text = text
        self._spent = spent
        self._saved = saved
        self._within = within
        self._at = 0
        self._start = 0
        self._depth = 0
        self._is_joined = False  # without a blank to what stands before it
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
        self._is_joined = 0 < self._at == match.start(self.kind)
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
            end=max(self._at, self._start + 1),
        )

    def _is(self, *words: str) -> bool:
        return self.kind in ("word", "mark", "op") and self.token.lower() in words

    def alternatives(self) -> Tree:
        """Read a whole filter, or one in parentheses."""
        parts = [self._conjunction()]
        while self._is("or"):
            self._advance()
            parts.append(self._conjunction())
        return joined(parts)

    def _conjunction(self) -> Tree:
        parts = [self._negation()]
        while self._is("and"):
            self._advance()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _negation(self) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} parentheses and nots are inside each other")
        tree: Tree
        if self._is("not"):
            self._advance()
            tree = Not(self._negation())
        elif self._is("("):
            self._advance()
            tree = self.alternatives()
            self._expect(")")
        else:
            tree = self._comparison()
        self._depth -= 1
        return tree

    def _comparison(self) -> Tree:
        self._spent.terms += 1
        if self._spent.terms > _MOST_TERMS:
            raise self.error(f"it has more than {_MOST_TERMS:,} comparisons; many values of one name: id in [1, 2]")
        if self.kind == "word" and self.token.startswith("@"):
            return self._named()
        asks_has = self.kind == "word" and self.token.lower() == "has" and self._text[self._at :].lstrip()[:1] == "("
        if asks_has:
            self._advance()
            self._advance()
        name = self._name()
        if asks_has:
            self._expect(")")
            self.comparisons.append(Comparison(name, "has", Literal("", False)))
            return Has(name)
        operator = self._operator(name)
        if operator in ("in", "not in"):
            some = joined([Compare(name, "==", each) for each in self._list(name)] or [AnyOf(())])
            return some if operator == "in" else Not(some)
        if operator in ("==", "!=") and self._is("["):
            same = SameList(name, tuple(self._list(name)))
            return same if operator == "==" else Not(same)
        if operator == "~":
            self._check_pattern()
            return Search(name, Pattern(self._literal(name, operator).text))
        self._check_value(name)
        literal = self._literal(name, operator)
        return Not(Compare(name, "==", literal)) if operator == "!=" else Compare(name, operator, literal)

    def _named(self) -> Tree:
        """Read what stands for a filter that has a name."""
        name = self.token[1:]
        if self._saved is None:
            raise self.error("nothing is saved under a name here; write out what it stands for")
        if name in self._within or len(self._within) >= _MOST_WITHIN:
            raise self.error(f"@{name} is part of itself, or of too many others")
        try:
            found = _parsed(self._saved(name), self._saved, (*self._within, name), self._spent)
        except FilterError as error:
            raise self.error(in_a_line(error, 300)) from None
        self.comparisons += found.comparisons
        self._advance()
        return found.tree

    def _name(self) -> str:
        if self.kind not in ("word", "quoted") or self._is("and", "or", "in"):
            raise self.error("expected a name such as loss, status or config.lr")
        name = _unquoted(self.token) if self.kind == "quoted" else self.token
        try:
            places(name)
        except FilterError as error:
            raise self.error(f"{str(error)[0].lower()}{str(error)[1:]}") from None
        self._check_name(name)
        self._advance()
        return name

    def _operator(self, name: str) -> str:
        operator = self.token.lower()
        if self._is_joined and self.kind in ("word", "quoted"):
            rest = _unquoted(self.token) if self.kind == "quoted" else self.token
            raise self.error(f'quotes go around the whole of a name: "{name}{rest}"')
        if operator == "=":
            raise self.error("use '==' to compare")
        if operator == "not":
            self._advance()
            operator = f"not {self.token.lower()}"
        if operator not in OPERATORS:
            raise self.error(f"expected a comparison after {name!r}: {', '.join(OPERATORS)}")
        self._advance()
        return operator

    def _check_name(self, name: str) -> None:
        if self.kind == "word" and name[-1].isdigit() and isinstance(plain(name), (int, float)):
            raise self.error("expected a name, and the value after it, as in: loss < 0.1")
        if self.kind == "quoted" or of_metric(name):
            return  # just that is meant, or a metric's name is all that it can be
        head, dot, _ = name.partition(".")
        if dot and head not in PREFIXES and name not in FIELD_NAMES and (near := closest(head, PREFIXES[:-2])):
            raise self.error(f"there is no {head!r}; did you mean {near!r}? (for a key of that name: config.{name})")
        if not dot and name not in FIELD_NAMES and (near := closest(name, FIELDS)) and _close(name, near):
            raise self.error(f"there is no {name!r}; did you mean {near!r}? (for a metric of that name: metric.{name})")

    def _value(self) -> str:
        if self.kind not in ("quoted", "word"):
            raise self.error("expected a value")
        return _unquoted(self.token) if self.kind == "quoted" else self.token

    def _check_pattern(self) -> None:
        pattern = self._value()
        try:
            self._spent.steps += steps_of(pattern)
        except ValueError as error:
            raise self.error(str(error)) from None
        if self._spent.steps > _MOST_STEPS:
            raise self.error("all of its regular expressions repeat too much together")
        try:
            Pattern(pattern).compiled()
        except FilterError as error:
            raise self.error(str(error)) from error

    def _check_value(self, name: str) -> None:
        """Refuse what the name can never be."""
        text = self._value()
        if name in TIMES and text.lower() not in ("none", "null") and moment(text) is None:
            raise self.error(
                "expected a time in the years 1 to 9999, such as 2026-11-01, '2026-11-01 18:30', today, or 2h for two "
                "hours ago"
            )
        if self.kind != "quoted" and text.lower() not in map(str.lower, WORDS.get(name, (text,))):
            raise self.error(f"there is no {name} {text!r}; there are: {', '.join(WORDS[name])}")

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
