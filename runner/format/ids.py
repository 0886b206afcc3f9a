"""Uids and references: make them, read them.

A uid is a ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds since the epoch, 80 random bits, in
Crockford's base 32, so that text order is order of time. Its first character is 0 until the year 3084 or so, and a
run number never begins with 0: no reference can mean both.
"""

from __future__ import annotations

import os
import re
import threading
import time

from anew.runner.dataclass import dataclass
from anew.runner.errors import RefSyntaxError
from anew.runner.lazy.patterns import regexp

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
UID_LENGTH = 26
_RANDOM_BITS = 80

_lock = threading.Lock()
_newest = 0


def new_uid() -> str:
    """Return a fresh uid, greater than any that this process made before. Safe in threads and forked children."""
    global _newest
    with _lock:
        value = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(10), "big")
        if value <= _newest:
            value = _newest + 1 + int.from_bytes(os.urandom(8), "big")
        _newest = value
    return _in_base_32(value)


def at(milliseconds: int, chance: int) -> str:
    """
    Return the uid of a moment, always the same for the same arguments.

    Args:
        milliseconds: Since the epoch, below 2**48.
        chance: What stands for the random bits, below 2**80.
    """
    return _in_base_32(milliseconds << _RANDOM_BITS | chance)


def _in_base_32(value: int) -> str:
    return "".join(_ALPHABET[value >> 5 * i & 31] for i in reversed(range(UID_LENGTH)))


os.register_at_fork(after_in_child=_lock._at_fork_reinit)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class ByNumber:
    """The run that the store calls by this number."""

    number: int


@dataclass(frozen=True, slots=True)
class ByUid:
    """The run whose uid begins so."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ByAge:
    """The run started `back` runs before the newest."""

    back: int


@dataclass(frozen=True, slots=True)
class BySweep:
    """Job `index` of the sweep of a number, or whose uid begins so."""

    sweep: int | str
    index: int


@dataclass(frozen=True, slots=True)
class ByForeignId:
    """The run that another program, which recorded it, calls so."""

    name: str


Ref = ByNumber | ByUid | ByAge | BySweep | ByForeignId


def _by_uid(match: re.Match[str]) -> ByUid:
    return ByUid(match[1].lower())


# as many digits as fit wherever numbers are kept
_NUMBER = r"[1-9][0-9]{0,14}"
_IS_NUMBER = regexp(_NUMBER)
_UID = r"(?:(?=[0-9]*[a-z])[0-9a-hjkmnp-tv-z]{4,25}|[0-9a-hjkmnp-tv-z]{26})"
_IS_UID = regexp(_UID, re.IGNORECASE)
_PATTERNS = (
    (re.compile(rf"({_NUMBER})"), lambda m: ByNumber(int(m[1]))),
    (re.compile(rf"last(?:~(0|{_NUMBER}))?"), lambda m: ByAge(int(m[1] or 0))),
    (re.compile(rf"sweep:({_NUMBER})/(0|{_NUMBER})"), lambda m: BySweep(int(m[1]), int(m[2]))),
    (re.compile(rf"sweep:({_UID})/(0|{_NUMBER})", re.IGNORECASE), lambda m: BySweep(m[1].lower(), int(m[2]))),
    (re.compile(rf"({_UID})", re.IGNORECASE), _by_uid),
)
_FOREIGN = "_id:"


def is_number(name: str) -> bool:
    """Whether a folder's name is the number of a run or a sweep: ASCII digits, not too many, the first of them no 0."""
    return _IS_NUMBER.fullmatch(name) is not None


def is_uid(text: str) -> bool:
    """Whether a text may be a uid, or the beginning of one: four characters or more, one of them a letter."""
    return _IS_UID.fullmatch(text) is not None


def parse_ref(text: str | int) -> Ref:
    """
    Read a reference: `42`, a uid or a beginning of one, `last`, `last~2`, `sweep:7/3`, `sweep:UID/3`, `_id:NAME`.

    A number is one: a beginning of a uid has a letter, and four characters or more.

    Raises:
        RefSyntaxError: The text has none of these forms.
    """
    if str(text).startswith(_FOREIGN) and str(text) != _FOREIGN:
        # another program may have blanks in its names, and anything else
        return ByForeignId(str(text).removeprefix(_FOREIGN))
    for pattern, build in _PATTERNS:
        if match := pattern.fullmatch(str(text).strip()):
            return build(match)
    raise RefSyntaxError(
        f"{str(text)!r} does not name a run. A run is named by its number (42), its uid or the beginning of it (four "
        "characters or more, one of them a letter), last, last~2, sweep:7/3, or _id:NAME of one that another program "
        "recorded. To see the runs: anew list",
        ref=str(text),
    )


def is_exact(text: str | int) -> bool:
    """Whether a reference names a run in full: not by the beginning of a uid. Raises RefSyntaxError."""
    ref = parse_ref(text)
    prefix = ref.prefix if isinstance(ref, ByUid) else ref.sweep if isinstance(ref, BySweep) else None
    return not isinstance(prefix, str) or len(prefix) == UID_LENGTH
