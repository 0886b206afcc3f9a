"""A database behind a URL, and what can go wrong with it in our own words."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from anew.observers.mongo.prefixed import parted, prefixed
from anew.runner.errors import ConfigError, MissingExtraError, StoreError, UnavailableError
from anew.runner.format.redact import redact_text
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

DEFAULT_DATABASE = "anew"
_KNOCK_S = 1.0
_MOST_DOCUMENTS = 1_000_000
_MOST_S = 120.0
_EXAMPLE = "mongodb://localhost:27017/anew"


def connect(url: str, *, database: str | None = None, timeout_s: float = 5.0) -> Database[dict[str, Any]]:
    """
    Return a database, without a connection having been made yet.

    Args:
        url: As MongoDB's drivers take it; replica sets, authentication and TLS are options in it. One more option,
            `collection_prefix`, is Sacred's: the collections `runs` and `metrics` are PREFIX_runs and PREFIX_metrics.
        database: Its name; None for the one in the URL, or else "anew".
        timeout_s: How long a server is looked for, and how long a reply is waited for, where the URL does not say.

    Raises:
        MissingExtraError: pymongo is not installed.
        ConfigError: The URL or an option in it cannot be understood.
    """
    try:
        from bson.codec_options import CodecOptions
        from pymongo import MongoClient
        from pymongo.errors import ConfigurationError, InvalidURI
    except ImportError as error:
        raise MissingExtraError(
            "MongoDB needs the library pymongo: pip install 'anew[mongo]'", extra="mongo"
        ) from error
    if not isinstance(url, str) or not url.startswith(("mongodb://", "mongodb+srv://")):
        raise ConfigError(f"{redact_text(str(url))!r} is no URL of a MongoDB; give one such as {_EXAMPLE}")
    url, prefix = parted(url)
    milliseconds = max(1, int(timeout_s * 1000))
    waits = {
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": milliseconds,
        "socketTimeoutMS": milliseconds,
    }
    given = {name.partition("=")[0].lower() for name in url.partition("?")[2].split("&")}
    options: dict[str, Any] = {name: value for name, value in waits.items() if name.lower() not in given}
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(url, appname="anew", connect=False, **options)
        named = database or client.get_default_database(DEFAULT_DATABASE).name
        found = client.get_database(named, codec_options=CodecOptions(tz_aware=True))
        return prefixed(client, named, prefix, codec_options=found.codec_options) if prefix else found
    except (ConfigurationError, InvalidURI, ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"The MongoDB URL {redact_text(url)!r} cannot be used: {redact_text(str(error))}. It looks like: {_EXAMPLE}"
        ) from None


def durable(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    """
    Return a database as writers need it, which compare and set.

    What was written survives the death of a server, unless the URL says what is wanted of writes, and what is read is
    what was written last, whatever the URL says of reading.
    """
    from pymongo import ReadPreference, WriteConcern

    given = database.client.write_concern
    concern = WriteConcern(w="majority", j=True) if given.is_server_default else given
    return database.with_options(read_preference=ReadPreference.PRIMARY, write_concern=concern)


def insert_missing(
    collection: Collection[dict[str, Any]], documents: Sequence[dict[str, Any]], *, ordered: bool = False
) -> list[dict[str, Any]]:
    """
    Insert documents that have an `_id`; return those that were not inserted because it, or a unique key, was there.

    With *ordered*, nothing behind the first of these is inserted.
    """
    from pymongo.errors import BulkWriteError

    if not documents:
        return []
    try:
        collection.insert_many(documents, ordered=ordered)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        if error.details.get("writeConcernErrors") or any(problem["code"] != _DUPLICATE for problem in problems):
            raise
        return [documents[problem["index"]] for problem in problems]
    return []


def bounded(database: Database[dict[str, Any]], cursor: Iterable[Any], what: str = "runs") -> Iterator[Any]:
    """Yield documents; a cursor that does not end ends here. Raises StoreError then."""
    until = time.monotonic() + _MOST_S
    for count, document in enumerate(cursor):
        if count >= _MOST_DOCUMENTS or time.monotonic() > until:
            raise StoreError(
                f"MongoDB at {place(database)} goes on sending {what} after {count:,}; it is not read further."
            )
        yield document


def place(database: Database[dict[str, Any]]) -> str:
    """Return where a database is, for messages: "HOST:PORT/NAME?collection_prefix=...", without anything secret."""
    found = database.client._topology_settings.seeds
    # a name of mongodb+srv:// stands for servers that are not known before it is resolved
    seeds = ",".join(sorted(host if port is None else f"{host}:{port}" for host, port in found))
    prefix = prefix_of(database)
    return f"{seeds}/{database.name}" + (f"?collection_prefix={quote(prefix, safe='')}" if prefix else "")


def prefix_of(database: Database[dict[str, Any]]) -> str:
    """Return what the names of Sacred's collections begin with; "" where they have no prefix."""
    found = vars(database).get("prefix")
    return found if isinstance(found, str) else ""


@contextmanager
def in_our_words(database: Database[dict[str, Any]]) -> Iterator[None]:
    """
    Raise errors of pymongo as ours; text of secrets is no part of them. Where nobody listens, that is said at once.

    Raises:
        UnavailableError: The server cannot be reached, is not ready, or does not let us in: to be tried again.
    """
    from pymongo.errors import (
        ConfigurationError,
        ConnectionFailure,
        OperationFailure,
        PyMongoError,
        WaitQueueTimeoutError,
    )

    try:
        _refuse_closed(database)
        yield
    except OperationFailure as error:
        if _passes(error):
            raise UnavailableError(f"MongoDB at {place(database)}: {_reason(error)}") from None
        raise
    # a name that is not resolved, a server that is too old: found out only when the server is first needed
    except (ConnectionFailure, WaitQueueTimeoutError, ConfigurationError) as error:
        raise UnavailableError(f"MongoDB at {place(database)} cannot be reached: {_reason(error)}") from None
    except PyMongoError as error:
        if error.has_error_label("RetryableWriteError") or error.timeout:
            raise UnavailableError(f"MongoDB at {place(database)}: {_reason(error)}") from None
        raise


def _refuse_closed(database: Database[dict[str, Any]]) -> None:
    """
    Raise UnavailableError when every server refuses connections.

    The driver would go on asking for as long as a server is looked for, 5 s, and again with every try; who waits at
    the end of a run would wait for all of that. A server that does not answer at all, or whose name is not found, is
    left to the driver, and one that it knows already is not asked.
    """
    client = database.client
    if any(server.is_server_type_known for server in client.topology_description.server_descriptions().values()):
        return
    refusal: OSError | None = None
    for host, port in client._topology_settings.seeds:
        if host.endswith(".sock"):
            # a socket in the file system
            return
        try:
            socket.create_connection((host, port), timeout=_KNOCK_S).close()
        except ConnectionRefusedError as error:
            refusal = error
        except OSError:
            return
        else:
            return
    if refusal is not None:
        raise UnavailableError(f"MongoDB at {place(database)} cannot be reached: {refusal.strerror}") from None


_DUPLICATE = 11000
# 13, 18: not allowed, not logged in; 50, 262: out of time; 91, 189, 10107, 11600, 11602, 13435, 13436: shutting down or
# no primary; 6, 7, 89, 9001: network between servers; 14031: disk full; 8000: as Atlas calls a refused login
_PASSING = {6, 7, 13, 18, 50, 89, 91, 189, 262, 8000, 9001, 10107, 11600, 11602, 13435, 13436, 14031}


def _passes(error: Any) -> bool:
    """Whether a refusal may be over when it is tried again, or somebody has to mend the server first."""
    details = error.details if isinstance(error.details, dict) else {}
    concern = details.get("writeConcernErrors") or details.get("writeConcernError")
    codes = {error.code, *(each.get("code") for each in details.get("writeErrors") or ())}
    return bool(codes & _PASSING or error.has_error_label("RetryableWriteError") or error.timeout or concern)


def _reason(error: Any) -> str:
    text = in_a_line(error, 10_000)
    # what the driver adds for its developers
    return redact_text(
        text.partition(", Timeout:")[0].partition(" (configured timeouts")[0].partition(", full error:")[0]
    )[:300]
