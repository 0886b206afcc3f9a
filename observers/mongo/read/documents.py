"""The documents of the runs in a database, each with the number that its run has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.client import bounded, in_our_words, place
from anew.observers.mongo.read.naming import MADE_UP, OddNames, number_of, text_of_id
from anew.runner.errors import StoreError, UnavailableError
from anew.runner.wording import in_a_line, sentence

if TYPE_CHECKING:
    from pymongo.database import Database

AT_A_TIME = 200
_LEFT_OUT = {"captured_out": 0, "artifacts": 0, "resources": 0, "experiment.dependencies": 0}
_NUMBERED: dict[str, Any] = {"_id": {"$gt": 0, "$lt": MADE_UP}}


@contextmanager
def reading(database: Database[dict[str, Any]]) -> Iterator[None]:
    """Raise whatever a server does as a StoreError; it may be anybody's, and answer anything."""
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        with in_our_words(database):
            yield
    except UnavailableError as error:
        raise StoreError(f"{sentence(str(error))} Once it answers, type the same command again.") from None
    except (PyMongoError, BSONError, RecursionError, OverflowError) as error:
        raise StoreError(f"MongoDB at {place(database)} answers what cannot be read: {in_a_line(error, 200)}") from None


class Documents:
    """
    The documents of runs. Safe in threads; all methods raise StoreError.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self._odd = OddNames(database)

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        with reading(self._database):
            cursor = self._database["runs"].find(_NUMBERED, {"_id": 1}).sort("_id", -1)
            found = [number_of(document.get("_id")) for document in bounded(self._database, cursor)]
            return [*self._odd.read(), *(number for number in found if number is not None)]

    def number(self, identity: Any) -> int | None:
        """Return the number of the run of an `_id`."""
        with reading(self._database):
            return self._odd.number(identity)

    def one(self, number: int) -> dict[str, Any] | None:
        """Return a run's document, whole; None when there is none of this number."""
        with reading(self._database):
            try:
                identity = self._odd.identity(number)
            except LookupError:
                return None
            return self._database["runs"].find_one({"_id": {"$eq": identity}})

    def all(self, query: Mapping[str, Any] | None = None) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """
        Yield each run's number and document, newest first; where that cannot be decoded, a sentence that says so.

        Args:
            query: What those match whose `_id` is a number.
        """
        with reading(self._database):
            names = iter(self._odd.read().items())
            while some := dict(islice(names, AT_A_TIME)):
                asked = {"_id": {"$in": list(some.values())}}
                found = {_same(each["_id"]): each for each in self._decoded(asked) if isinstance(each, dict)}
                for odd, identity in some.items():
                    yield odd, found.get(_same(identity)) or f"{text_of_id(identity)!r}: its document cannot be decoded"
        yield from self.of(query or {})

    def of(self, query: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Yield what `all` does, of runs whose `_id` is a number, and that match a query."""
        with reading(self._database):
            for document in self._decoded({"$and": [query, _NUMBERED]} if query else _NUMBERED):
                number = 0 if isinstance(document, str) else number_of(document["_id"])
                if number is not None:
                    yield number, document

    def _decoded(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any] | str]:
        """Yield documents, highest `_id` first, in place of a broken one a sentence: others are none the worse."""
        import bson
        from bson.codec_options import CodecOptions
        from bson.errors import BSONError
        from bson.raw_bson import RawBSONDocument

        raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        plain: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
        cursor = self._database.with_options(codec_options=raw)["runs"].find(asked, _LEFT_OUT).sort("_id", -1)
        for packed in bounded(self._database, cursor):
            try:
                yield bson.decode(packed.raw, codec_options=plain)
            except BSONError as error:
                yield f"a document cannot be decoded ({in_a_line(error, 200)})"


def _same(identity: Any) -> tuple[type, str]:
    """Return what an `_id` is known again by; not all that it may be can be hashed."""
    return type(identity), str(identity)
