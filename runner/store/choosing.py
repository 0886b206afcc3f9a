"""Which runs are meant by the words that a command is given: references, ranges, tags, sweeps and filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, FilterError, RefSyntaxError, RunNotFoundError
from anew.runner.format import ids
from anew.runner.lazy.patterns import regexp
from anew.runner.query.columns import strangers
from anew.runner.query.filters import parse_filter
from anew.runner.records import RunRecord
from anew.runner.store.sweep_refs import is_of_sweep, one_sweep

Test = Callable[[RunRecord], bool]

_NUMBER = r"[1-9][0-9]{0,14}"
_RANGE = regexp(rf"({_NUMBER})-({_NUMBER})")
_SWEEP = regexp(r"sweep:([0-9A-Za-z]+)")
_TAG = regexp(r"tag:(.+)", re.DOTALL)
# no filter is without one of these
_OF_FILTERS = regexp(r"[<>=~\s]")
_COMPARING = regexp(r"==|!=|[<>~]|\sin\s|^@|^has\(")
_HAS = regexp(r"has\(")


class Choosable(Protocol):
    """What runs are chosen from: a store, or its trash."""

    url: str

    def get(self, ref: str | int) -> RunRecord:
        """Return one run."""
        ...

    def find(self, where: str = "") -> list[RunRecord]:
        """Return runs, newest first."""
        ...


@runtime_checkable
class _Telling(Protocol):
    """A store that knows what no filter finds; a trash does not, nor need a store of somebody else's."""

    def left_out(self) -> Iterable[str]: ...

    def tell_left_out(self, reasons: Iterable[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    The runs that some words name.

    Attributes:
        runs: Their numbers, each once, with the word that named it; those of a range, tag, sweep or filter ascending.
        refused: The words that name none, and why.
        counted: The words that may stand for several runs.
    """

    runs: dict[int, str]
    refused: tuple[tuple[str, AnewError], ...] = ()
    counted: tuple[str, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """The runs' numbers."""
        return list(self.runs)

    @property
    def is_one(self) -> bool:
        """Whether one run was asked for, by a word that stands for no more."""
        return len(self.runs) + len(self.refused) == 1 and not self.counted


def choose(store: Choosable, words: Iterable[str], *, among: Test | None = None) -> Chosen:
    """
    Return the runs that *words* name, and the words that name none; what they look past is said. Raises StoreError.

    Args:
        store: Where they are.
        words: `42`, `last~2`, `sweep:7/3`, a uid; and for several `3-7`, `tag:paper`, `sweep:7`, `status == FAILED`.
        among: Which runs a tag, a sweep or a filter may stand for.
    """
    runs: dict[int, str] = {}
    refused: list[tuple[str, AnewError]] = []
    counted: list[str] = []
    is_searched = False
    for word in words:
        try:
            test = _test(store, word)
            is_searched = is_searched or test is not None
            found = [_one(store, word)] if test is None else _several(store, word, test, among)
        except (FilterError, LookupError, RefSyntaxError) as error:
            if not isinstance(error, AnewError):
                raise
            test, found = None, _called(store, word)
            if not found:
                refused.append((word, error))
                continue
        if test is not None:
            counted.append(word)
        for number in found:
            runs.setdefault(number, word)
    if is_searched:
        tell_left_out(store)
    return Chosen(runs, tuple(refused), tuple(counted))


def tell_left_out(store: Choosable | RunStore) -> None:
    """Say on stderr, each once, what of a store no filter finds, since it cannot be read. Raises StoreError."""
    if isinstance(store, _Telling):
        store.tell_left_out(store.left_out())


def leading(words: Sequence[str], is_name: Callable[[str], bool] = lambda word: False) -> tuple[list[str], list[str]]:
    """
    Return the references that words begin with, and the names that follow: `1 3-7 model.pt`. The first is a reference.

    Args:
        words: As typed.
        is_name: Whether a word that looks like a reference is a name after all.
    """
    count = 1
    while count < len(words) and looks_like_one(words[count]) and not is_name(words[count]):
        count += 1
    return list(words[:count]), list(words[count:])


def looks_like_one(word: str) -> bool:
    """Whether a word would be taken for a reference where names may follow; a uid begins with 0."""
    text = word.strip()
    ref = _reference(text)
    if ref is not None:
        return not isinstance(ref, ids.ByUid) or ref.prefix.startswith("0")
    return (
        any(each.fullmatch(text) for each in (_RANGE, _TAG))
        or _sweep(text) is not None
        or _COMPARING.search(text) is not None
    )


def _reference(word: str) -> ids.Ref | None:
    try:
        return ids.parse_ref(word)
    except RefSyntaxError:
        return None


def _test(store: Choosable, given: str) -> Test | None:
    """Return which runs a word stands for; None for a reference to one. Raises FilterError, RefSyntaxError."""
    word = given.strip()
    if found := _RANGE.fullmatch(word):
        first, last = int(found[1]), int(found[2])
        if first > last:
            raise RefSyntaxError(f"{word!r} goes backwards; a range goes up: {last}-{first}", ref=word)
        return lambda record: first <= (record.id or 0) <= last
    if found := _TAG.fullmatch(word):
        tag = found[1]
        return lambda record: tag in record.tags
    if (sweep := _sweep(word)) is not None:
        called = _newest_sweep(store) if sweep == "last" else sweep
        return lambda record: called is not None and is_of_sweep(record, called)
    if _reference(given) is not None or not _is_filter(word):
        return None
    return parse_filter(word, _saved(store)).matches


def _is_filter(word: str) -> bool:
    return _OF_FILTERS.search(word) is not None or word.startswith("@") or _HAS.match(word) is not None


def _saved(store: Choosable) -> Callable[[str], str] | None:
    """Return what gives the filter that was saved under a name, where some are."""
    found: Callable[[str], str] | None = getattr(store, "saved_filter", None)
    return found


def _sweep(word: str) -> int | str | None:
    """Return what a word for a sweep calls it: its number, the beginning of its uid, or "last"; None for another."""
    found = _SWEEP.fullmatch(word)
    if found is None:
        return None
    name = found[1].lower()
    if ids.is_number(name):
        return int(name)
    return name if name == "last" or ids.is_uid(name) else None


def _newest_sweep(store: Choosable) -> int | None:
    return max((record.sweep.id or 0 for record in store.find() if record.sweep), default=None)


def _one(store: Choosable, word: str) -> int:
    resolve: Callable[[str], int] | None = getattr(store, "resolve", None)
    if resolve is not None:
        return resolve(word)
    number = store.get(word).id
    assert number is not None, "every store numbers its runs"
    return number


def _called(store: Choosable, word: str) -> list[int]:
    """Return the one run that another program, which recorded it, calls so; there may be anything in its name."""
    named: Callable[[str], list[int]] | None = getattr(store, "of_foreign_id", None)
    found = named(word) if named is not None else []
    return found if len(found) == 1 else []


def _several(store: Choosable, word: str, test: Test, among: Test | None) -> list[int]:
    """Return the runs that pass, ascending. Raises RunNotFoundError; FilterError for names that no run has."""
    is_filter = _is_filter(word.strip()) and not _TAG.fullmatch(word.strip())
    records = store.find(word) if is_filter else store.find()
    if is_filter:
        _refuse_strangers(store, word, records)
        test = _any
    if _RANGE.fullmatch(word.strip()):
        among = None  # each of its numbers is meant
    meant = [record for record in records if test(record) and (among is None or among(record))]
    if (sweep := _sweep(word.strip())) is not None:
        one_sweep(sweep, meant)
    found = sorted(record.id or 0 for record in meant)
    if not found:
        raise RunNotFoundError(_none(store.url, word.strip()), ref=word, store=store.url)
    return found


def _any(record: RunRecord) -> bool:
    return True


def _refuse_strangers(store: Choosable, word: str, found: Sequence[RunRecord]) -> None:
    """Raise FilterError for names that no run has: `statu != FAILED` would be true of every run."""
    names = parse_filter(word, _saved(store)).names
    if found and not strangers(found, names):
        return
    records = store.find()
    for name, near in strangers(records, names).items() if records else ():
        hint = f" Did you mean {near!r}?" if near else ""
        raise FilterError(f"No run in {store.url} has {name!r}, which {word!r} asks for.{hint}", name=name)


def _none(url: str, word: str) -> str:
    if found := _TAG.fullmatch(word):
        said = f"No run in {url} has the tag {found[1]!r}."
    elif _sweep(word) is not None:
        said = f"No run in {url} is of {word}."
    elif _RANGE.fullmatch(word):
        said = f"No run in {url} has a number from {word.replace('-', ' to ')}."
    else:
        said = f"No run in {url} matches {word!r}."
    return said if "trash" in url.split() else f"{said} To see them all: anew list"
