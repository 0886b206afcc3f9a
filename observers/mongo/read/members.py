"""The members of a document of Sacred's, each of which may be missing, of any type and of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.client import in_our_words
from anew.observers.mongo.view import clean
from anew.runner.errors import StoreError, UnavailableError
from anew.runner.format.redact import REDACTED, is_secret_name, redact_text
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from bson import ObjectId
    from bson.codec_options import CodecOptions
    from pymongo.database import Database

MOST_NAME = 1000
REDACTED_CHARACTERS = 2000
INT64 = 2**63
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# so far that a few centuries more do not go beyond what a datetime holds
_LATEST = datetime(9000, 1, 1, tzinfo=timezone.utc)
_MOST_VALUES = 2_000_000
_MOST_DEPTH = 60
_MOST_WARNINGS = 200


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return an object, empty for what is none."""
    return value if isinstance(value, Mapping) else {}


def items_of(value: Any) -> Sequence[Any]:
    """Return a list, empty for what is none."""
    return value if isinstance(value, (list, tuple)) else ()


def text_of(value: Any, most: int = 4096) -> str:
    """Return a text, cut; "" for what is none."""
    return clean(value[:most]) if isinstance(value, str) else ""


def whole_of(value: Any) -> int | None:
    """Return a whole number of 64 bits, None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64:
        return int(value)
    return None


def moment_of(value: Any) -> datetime | None:
    """Return a time in UTC that can be reckoned with, None for anything else; Sacred writes times without a zone."""
    if not isinstance(value, datetime):
        return None
    try:
        moment = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    except (OverflowError, ValueError):
        return None
    return moment if EPOCH <= moment < _LATEST else None


def name_in_words(name: Any) -> str:
    """Return a name for a message."""
    return repr(name[:200]) if isinstance(name, str) else f"a {type(name).__name__}"


def step_of(value: Any) -> int | None:
    """Return a whole number, also one that is written as a float; None for anything else."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else whole_of(value)


def reference_of(value: Any) -> int | str | ObjectId | None:
    """Return the identifier of a document, or None for what is none."""
    from bson import ObjectId

    if isinstance(value, ObjectId) or (type(value) is str and 0 < len(value) <= MOST_NAME and "\0" not in value):
        return value
    return whole_of(value)


class PlainValues:
    """
    One walk through a value of a document, which leaves plain values of a size and depth that a record takes.

    What stands under the name of a secret is left out, as from every record.
    """

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self.cut = False

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """Return a value as it goes into a record."""
        self._left -= 1
        if value is None or isinstance(value, bool) or type(value) is float:
            return value
        if isinstance(value, (Mapping, list, tuple)):
            return self._container(value, name, depth)
        if name and is_secret_name(name[:MOST_NAME]) and isinstance(value, (str, int, bytes)) and value:
            return REDACTED
        return self._leaf(value)

    def _container(self, value: Any, name: str, depth: int) -> Any:
        if depth >= _MOST_DEPTH or self._left <= 0:
            self.cut = True
            return "..."
        if isinstance(value, Mapping):
            result: dict[str, Any] = {}
            for key, item in value.items():
                if self._left <= 0:
                    self.cut = True
                    break
                known = key if isinstance(key, str) else str(self._leaf(key))
                result[clean(known)] = self.value(item, known, depth + 1)
            return result
        if self._left < len(value):
            self.cut = True
            value = value[: max(0, self._left)]
        return [self.value(item, name, depth + 1) for item in value]

    def _leaf(self, value: Any) -> Any:
        from bson import Decimal128, ObjectId

        if isinstance(value, str):
            return redact_text(clean(value)) if len(value) <= REDACTED_CHARACTERS else clean(value)
        if isinstance(value, int):
            return int(value) if value.bit_length() <= 1024 else f"a number of {value.bit_length()} bits"
        if isinstance(value, float):
            return float(value)
        if isinstance(value, bytes):
            return bytes(value)
        if isinstance(value, datetime):
            # a zone that was made up may be none that can be written
            return moment_of(value) or f"a time: {value.replace(tzinfo=None).isoformat()}"
        if isinstance(value, (ObjectId, Decimal128)):
            return str(value)
        return f"a {type(value).__name__}"


class Notes:
    """What could not be taken over, in sentences: the first of them, and how many more."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._left = _MOST_WARNINGS
        self._more = 0

    def add(self, text: str) -> None:
        """Note a sentence; the same again counts once as long as it waits."""
        if text in self._waiting:
            return
        if self._left > 0:
            self._left -= 1
            self._waiting[text] = None
        else:
            self._more += 1

    def take(self) -> tuple[str, ...]:
        """Return those that were noted since the last call."""
        texts = tuple(self._waiting)
        if self._more:
            texts += (f"{self._more} more warnings are left out here.",)
        self._waiting.clear()
        self._more = 0
        return texts


# --- asking the database ----------------------------------------------------------------------------------------


class UnreadableError(Exception):
    """Something in the database that cannot be read, in words that end a sentence."""


@contextmanager
def asking(database: Database[dict[str, Any]]) -> Iterator[None]:
    """
    Read from the database.

    Raises:
        StoreError: It cannot be reached.
        UnreadableError: What was asked for cannot be given or understood.
    """
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        with in_our_words(database):
            yield
    except UnavailableError as error:
        raise StoreError(str(error)) from None
    except (PyMongoError, BSONError, RecursionError, OverflowError, ValueError, TypeError, KeyError) as error:
        told = in_a_line(redact_text(str(error)[:REDACTED_CHARACTERS]), 200)
        raise UnreadableError(f"{type(error).__name__}: {told}") from None


def codec_options() -> CodecOptions[dict[str, Any]]:
    """Return how documents are decoded: times out of range and broken text are no reason to fail."""
    from bson.codec_options import CodecOptions, DatetimeConversion

    return CodecOptions(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
