"""Values of users, turned into JSON and back.

Two forms. `encode` is lossless and is what the store keeps: what JSON lacks becomes an object with one member whose
name begins with "~". `plain` is what people and programs are shown: strict JSON in which NaN and the infinities are
the strings "NaN", "Infinity" and "-Infinity", a path, an enum member or a whole number of more than 600 digits is its
text, a tuple a list. Decoding builds
plain Python values only and never imports or calls anything that the data names.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from anew.runner.errors import ValueRefusedError
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp

if TYPE_CHECKING:
    import base64
    import decimal
    import fractions
    import uuid
else:
    base64 = later("base64")
    decimal = later("decimal")
    fractions = later("fractions")
    uuid = later("uuid")

MAX_ARRAY = 100_000
_MAX_DEPTH = 100
# of a whole number that every Python reads as JSON, however low its limit on digits is set (640 at least)
_MAX_BITS = 2000
# more digits than this take seconds to be printed
MAX_DIGITS = 100_000
_MOST_BITS = 332_000
_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_WRITTEN = {text: float(text) for text in _NON_FINITE.values()}


def number_to_json(value: float | int) -> float | int | str:
    """Return a number as strict JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return _NON_FINITE[str(value)]
    return value


def number_from_json(value: Any) -> float | int:
    """Return the number that `number_to_json` was given. Raises TypeError, ValueError for what never came from it."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]  # a number
    if kind is str:
        return _WRITTEN[value]
    raise TypeError(f"a number was expected, not {kind.__name__}")


def as_float(value: float | int) -> float:
    """Return a number as a float; what is beyond any float as an infinity, as it is in arithmetic of floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def flaw_of_tags(names: Iterable[str]) -> str:
    """Return what keeps one of these names from being a tag; empty when nothing does."""
    given = [*names]
    # first, since some of them are blanks as well
    if odd := [name for name in given if any(map(_is_control, name))]:
        return f"a tag is a name in a line, and {odd[0]!r} has a control character in it."
    return "a tag is a name, and one of these is empty." if any(not name.strip() for name in given) else ""


def _is_control(letter: str) -> bool:
    # those of Unicode's category Cc, and no others
    return letter < " " or "\x7f" <= letter <= "\x9f"


def iso(moment: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC, to the microsecond, ending in Z."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_iso(text: str) -> datetime:
    """Return the aware time that `iso` wrote. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def encode(value: Any, where: str = "value") -> Any:
    """
    Return *value* as JSON values from which `decode` gives it back.

    Kept exactly: None, bool, int of any size, float (NaN and infinities too), str (surrogates too), bytes, list, tuple,
    set, dict with any keys that can be kept, Path, date, datetime, time, timedelta, Decimal, Fraction, complex, UUID.
    Scalars, 0-d arrays and small arrays of numpy, torch and the like become Python numbers and lists; dataclasses
    become dicts; an enum member comes back as its name.

    Raises:
        ValueRefusedError: Something inside cannot be kept; the message says what and where.
    """
    return _Encoder(where, _TAGGED).value(value)


def plain(value: Any, where: str = "value") -> Any:
    """Return *value* as strict JSON for showing; see the module. Raises ValueRefusedError as `encode` does."""
    return _Encoder(where, _SHOWN).value(value)


def shown(value: Any, where: str = "value") -> Any:
    """Return *value* as `plain` does, but with its floats, NaN and the infinities among them, as floats."""
    return _Encoder(where, {**_SHOWN, "float": float}).value(value)


def exact_form(value: Any) -> str:
    """
    Return a text that values share which are the same bit for bit, and no others.

    1, 1.0, True and "1" are four values; 0.0 is not -0.0, NaN not "NaN", a list no tuple, a key 1 no key "1". The order
    of a dict or a set is nothing of it. Raises ValueRefusedError as `encode` does.
    """
    return json.dumps(_in_order(encode(value)), sort_keys=True)


def _in_order(encoded: Any) -> Any:
    """Return what was encoded with the members of sets and the pairs of dicts in an order of their own."""
    if isinstance(encoded, list):
        return [_in_order(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ordered = {key: _in_order(item) for key, item in encoded.items()}
    [first, *rest] = ordered or [""]
    if first in ("~s", "~d") and not rest:
        ordered[first].sort(key=lambda item: json.dumps(item, sort_keys=True))
    return ordered


def decode(value: Any) -> Any:
    """
    Return what `encode` was given. Unknown tags are kept as they are, so that newer records can be read.

    Raises:
        ValueError: It is nothing that `encode` gives: nested deeper, or a tag with something else behind it.
    """
    return _decoded(value, 1)


def _decoded(value: Any, depth: int) -> Any:
    """Return what was encoded; *depth* counts as `_Encoder` does, so that what is read can be written again."""
    if isinstance(value, (list, dict)) and depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, list):
        return [_decoded(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(tag, body)] = value.items()
        if reader := _READERS.get(tag):
            try:
                return reader(body, depth + 1)
            except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
                raise ValueError(f"no value of kind {tag}: {error}") from error
    return {key: _decoded(item, depth + 1) for key, item in value.items()}


def _number(value: float) -> Any:
    return value if math.isfinite(value) else {"~f": str(value)}


def _sorted(values: Set[Any]) -> list[Any]:
    return sorted(values, key=lambda item: (type(item).__name__, repr(_word(item))))


def _word(value: Any) -> Any:
    """Return what can be printed in place of a number that Python refuses to print."""
    return hex(value) if isinstance(value, int) and value.bit_length() > _MAX_BITS else value


def _whole(value: int) -> Any:
    number = int(value)
    return number if number.bit_length() <= _MAX_BITS else {"~i": hex(number)}


def _shown_whole(value: int) -> Any:
    number = int(value)
    # its digits, which `str` refuses to print
    return number if number.bit_length() <= _MAX_BITS else str(decimal.Decimal(number))


class _Encoder:
    """One walk through a value; remembers the way, so that a refusal can name the place."""

    def __init__(self, where: str, forms: Mapping[str, Callable[[Any], Any]]) -> None:
        self._path = [where]
        self._forms = forms

    def value(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            if value.bit_length() <= _MAX_BITS:
                return value
            if value.bit_length() > _MOST_BITS:
                raise self._refusal(value, f"it has more than {MAX_DIGITS:,} digits")
            return self._forms["int"](value)
        if kind is float:
            return value if math.isfinite(value) else self._forms["float"](value)
        if len(self._path) > _MAX_DEPTH:
            raise self._refusal(value, f"it is nested more than {_MAX_DEPTH} levels deep, or contains itself")
        return self._other(value)

    def _other(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return self._forms["enum"](value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if is_dataclass(value) and not isinstance(value, type):
            return self._mapping({item.name: getattr(value, item.name) for item in fields(value)})
        for kinds, form in _LEAVES:
            if isinstance(value, kinds):
                return self._forms[form](value)
        for module, name, form in _RARE:
            if module in sys.modules and isinstance(value, getattr(sys.modules[module], name)):
                return self._forms[form](value)
        if isinstance(value, tuple):
            return self._forms["tuple"](self._items(value))
        if isinstance(value, Set):
            return self._forms["set"](self._items(_sorted(value)))
        if isinstance(value, Sequence):
            return self._items(value)
        return self._array(value)

    def _items(self, values: Sequence[Any]) -> list[Any]:
        result = []
        for index, item in enumerate(values):
            self._path.append(f"[{index}]")
            result.append(self.value(item))
            self._path.pop()
        return result

    def _mapping(self, values: Mapping[Any, Any]) -> Any:
        pairs = []
        for key, item in values.items():
            self._path.append(f".{_word(key)}")
            pairs.append((key, self.value(item)))
            self._path.pop()
        if all(type(key) is str and not key.startswith("~") for key, _ in pairs):
            return dict(pairs)
        return self._forms["dict"]([(self.value(key), item) for key, item in pairs])

    def _array(self, value: Any) -> Any:
        if not hasattr(value, "dtype") or not hasattr(value, "shape"):
            raise self._refusal(value, "it is no plain value")
        try:
            size = math.prod(value.shape)
            if size > MAX_ARRAY:
                raise self._refusal(value, f"it has {size} elements (at most {MAX_ARRAY})")
            if hasattr(value, "detach"):
                value = value.detach()
            return self.value(value.tolist() if len(value.shape) else value.item())
        except (TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, ValueRefusedError):
                raise
            raise self._refusal(value, str(error)) from error

    def _refusal(self, value: Any, why: str) -> ValueRefusedError:
        where = "".join(self._path)
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        return ValueRefusedError(
            f"{where} cannot be kept: a value of type {kind}, and {why}. "
            "Plain values, numbers, lists, dicts, paths and dates can; anything else belongs into a file: "
            "run.log_artifact(path)",
            where=where,
        )


_LEAVES: tuple[tuple[Any, str], ...] = (
    ((bytes, bytearray, memoryview), "bytes"),
    (PurePath, "path"),
    (datetime, "datetime"),
    (date, "date"),
    (time, "time"),
    (timedelta, "timedelta"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "str"),
    (complex, "complex"),
)

# whoever has a value of these has imported its module
_RARE = (("decimal", "Decimal", "decimal"), ("fractions", "Fraction", "fraction"), ("uuid", "UUID", "uuid"))

_SAME: dict[str, Callable[[Any], Any]] = {"bool": bool, "str": str}

_TAGGED: dict[str, Callable[[Any], Any]] = {
    **_SAME,
    "int": _whole,
    "float": lambda v: _number(float(v)),
    "enum": lambda v: {"~enum": [f"{type(v).__module__}.{type(v).__qualname__}", v.name]},
    "bytes": lambda v: {"~b": base64.b64encode(bytes(v)).decode()},
    "path": lambda v: {"~path": str(v)},
    "datetime": lambda v: {"~datetime": v.isoformat()},
    "date": lambda v: {"~date": v.isoformat()},
    "time": lambda v: {"~time": v.isoformat()},
    "timedelta": lambda v: {"~timedelta": [v.days, v.seconds, v.microseconds]},
    "decimal": lambda v: {"~decimal": str(v)},
    "fraction": lambda v: {"~fraction": str(v)},
    "uuid": lambda v: {"~uuid": str(v)},
    "complex": lambda v: {"~complex": [_number(v.real), _number(v.imag)]},
    "tuple": lambda v: {"~t": v},
    "set": lambda v: {"~s": v},
    "dict": lambda pairs: {"~d": [list(pair) for pair in pairs]},
}

_SHOWN: dict[str, Callable[[Any], Any]] = {
    **_SAME,
    "int": _shown_whole,
    "float": lambda v: number_to_json(float(v)),
    "enum": lambda v: v.name,
    "bytes": lambda v: base64.b64encode(bytes(v)).decode(),
    "path": str,
    "datetime": lambda v: iso(v) if v.tzinfo else v.isoformat(),
    "date": lambda v: v.isoformat(),
    "time": lambda v: v.isoformat(),
    "timedelta": lambda v: v.total_seconds(),
    "decimal": str,
    "fraction": str,
    "uuid": str,
    "complex": str,
    "tuple": lambda v: v,
    "set": lambda v: v,
    "dict": lambda pairs: dict(zip(_key_texts([key for key, _ in pairs]), [item for _, item in pairs], strict=True)),
}


def _key_texts(keys: Sequence[Any]) -> list[str]:
    """Return keys as texts; one that is no text and looks like another key has its kind beside it."""
    texts = [str(key) for key in keys]
    counts = Counter(texts)
    return [
        text if isinstance(key, str) or counts[text] == 1 else f"{text} ({type(key).__name__})"
        for key, text in zip(keys, texts, strict=True)
    ]


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")
    return value


def _fraction(text: str) -> fractions.Fraction:
    # as `str` writes one; "1e999999999" would be calculated, for hours
    if not _FRACTION.fullmatch(text):
        raise ValueError("no fraction")
    return fractions.Fraction(text)


_FRACTION = regexp(r"-?[0-9]+(/[0-9]+)?")

# tag -> what reads the value behind it, given how deep that lies
_READERS: dict[str, Callable[[Any, int], Any]] = {
    "~f": lambda v, _: float(_text(v)),
    "~i": lambda v, _: int(_text(v), 16),
    "~enum": lambda v, _: _text(v[1]),
    "~b": lambda v, _: base64.b64decode(_text(v)),
    "~path": lambda v, _: Path(_text(v)),
    "~datetime": lambda v, _: datetime.fromisoformat(v),
    "~date": lambda v, _: date.fromisoformat(v),
    "~time": lambda v, _: time.fromisoformat(v),
    "~timedelta": lambda v, _: timedelta(days=v[0], seconds=v[1], microseconds=v[2]),
    "~decimal": lambda v, _: decimal.Decimal(_text(v)),
    "~fraction": lambda v, _: _fraction(_text(v)),
    "~uuid": lambda v, _: uuid.UUID(v),
    "~complex": lambda v, depth: complex(_decoded(v[0], depth), _decoded(v[1], depth)),
    "~t": lambda v, depth: tuple(_decoded(item, depth) for item in v),
    "~s": lambda v, depth: {_hashable(_decoded(item, depth)) for item in v},
    "~d": lambda v, depth: {_hashable(_decoded(key, depth)): _decoded(item, depth) for key, item in v},
}
