"""Runs in plain SQL tables, in a SQLite file or in PostgreSQL, for whoever asks questions in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from anew.observers.ending import is_lost
from anew.observers.folders import folder_of_runs
from anew.observers.sql.database import Database, SQLError, parse_url, shown_url
from anew.observers.sql.rows import Changes, RunRows
from anew.observers.sql.values import key_of
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.errors import ConfigError, MissingExtraError, UnavailableError
from anew.runner.format.redact import redact_text
from anew.runner.records import RunRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

FILE = "runs.sqlite"


class SQLObserver:
    r"""
    Keeps runs in plain tables that need no knowledge of anew to be queried: `docs/sql.md` describes them.

    There are `anew_runs` (a row per run), `anew_params` (a row per value of the configuration), `anew_metrics` (a row
    per point), `anew_histograms`, `anew_artifacts`, `anew_inputs`, `anew_sources`, `anew_packages`, `anew_tags`,
    `anew_comments` and `anew_output`, and `anew_schema` with the version of these tables; a view, `anew_status`, says
    how runs stand now: UNKNOWN where that cannot be known, since nothing was heard of them for two minutes. They are
    made when the first run comes, also by many runs at the same moment. All names begin with `anew_`, whichever schema
    they are in: other tools call their tables `runs`, `metrics` and `params` too. A table of that name that somebody
    else made is never touched.

    How a point is written once. A batch is one transaction: there whole or not at all. Each point has a unique key,
    its run, writer, number and name, and one that is there already is left alone; all other facts are set, not added
    to, so that repeats, in the order of delivery, end where they ended before.

    What a column cannot hold is in the text column beside it. Ints beyond 2**53 are in `value` as the nearest double
    and in `value_text` with all digits. NaN is NULL in a SQLite file, which knows no NaN, and NaN in PostgreSQL;
    `value_text` says "NaN" in both, and names the infinities and -0.0, too. What is no text for a database (lone
    surrogates, the character 0) is written as an escape such as \x00. Names and paths beyond 1,000 bytes are cut, and
    end with the beginning of their SHA-256.

    A connection is held while batches come in quick succession, else it is closed after each: so hundreds of quiet
    runs do not use up what a server allows. After a restart of the server the next batch connects again.

    A SQLite file may be written by many processes; each waits for the others (for 10 s, or `?timeout=SECONDS` in the
    URL), and is then tried again. The file's journal mode is left as it is. The default one also holds on a network
    file system, if its locks work between hosts. `PRAGMA journal_mode=WAL`, set once by whoever owns the file, lets
    people read while runs write; it must not be used on a network file system.

    For one thread at a time.

    Args:
        url: As SQLAlchemy writes it: "sqlite:///FILE", relative to the run's working directory, or
            "postgresql://USER:PASSWORD@HOST/DATABASE" with options of libpq behind it ("?sslmode=verify-full"). The
            password is shown nowhere. null: `runs.sqlite` in the store's folder, or in the working directory when the
            store has none.
        schema: For PostgreSQL: the schema that the tables are in, made if need be; null: the user's own default.
        batch: At most so many points are sent in one statement; a batch of events is one transaction all the same.
        output: Whether to keep the captured output, too.

    Raises:
        ConfigError: The URL is none of these, or a schema is given for SQLite.
        MissingExtraError: SQLAlchemy, or psycopg for PostgreSQL, is not installed.
    """

    def __init__(
        self, url: str | None = None, *, schema: str | None = None, batch: int = 10_000, output: bool = True
    ) -> None:
        try:
            import sqlalchemy  # noqa: F401  # whether it is there

            self._url = None if url is None else parse_url(url)
            if self._url is not None and self._url.get_backend_name() == "postgresql":
                import psycopg  # noqa: F401  # whether it is there
        except ImportError as error:
            raise MissingExtraError(
                "Tables in a database need SQLAlchemy, and psycopg for PostgreSQL. "
                "To install them: pip install 'anew[sql]'"
            ) from error
        if schema is not None and (self._url is None or self._url.get_backend_name() == "sqlite"):
            raise ConfigError(f"schema={schema!r} is for PostgreSQL: a SQLite file has no schemas. Leave it out.")
        if batch < 1:
            raise ConfigError(f"batch={batch!r} must be at least 1, the number of points in a statement.")
        self._schema = schema
        self._batch = batch
        self._output = output
        self._store: RunStore | None = None
        self._database: Database | None = None
        self._record: RunRecord | None = None
        self._is_ready = False
        self._has_begun = self._has_ended = False

    def __repr__(self) -> str:
        shown = None if self._url is None else shown_url(self._url)
        return f"{type(self).__name__}({shown!r}, schema={self._schema!r})"

    @property
    def sink(self) -> str:
        """The database's URL without its password; empty before the first event."""
        return self._database.shown if self._database else ""

    def check(self) -> str:
        """
        Look whether the database lets us in, and whether its tables are ours or can be made; return where it is.

        Nothing is left behind: what is made is taken back, and a SQLite file that is not there yet is not made.

        Raises:
            UnavailableError, SQLError: See `handle_many`.
        """
        if self._url is None:
            return f"{FILE} in the store's folder"
        database = self._opened()
        try:
            database.try_out()
        finally:
            database.close()
        return database.shown

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in: its address is kept with the run."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """Take one event; see `handle_many`."""
        self.handle_many((event,))

    def handle_many(self, events: Sequence[ev.Event], /) -> None:
        """
        Take events as one transaction.

        Raises:
            UnavailableError: The database cannot be reached, or cannot do it now (no room, no rights, locked).
            SQLError: Tables of these names are not ours, or of a newer version, or the database refuses a value.
        """
        for event in events:
            if isinstance(event, ev.RunStarted):
                self._record, self._is_ready = event.record, False
        record = self._record
        assert record is not None, "the first event is RunStarted"
        database = self._opened()
        # after a failure all is looked at again: a server may come back without the tables, or without the run
        was_ready, self._is_ready = self._is_ready, False
        with database.transaction() as connection:
            if not was_ready:
                self._prepare(database, connection)
            rows = RunRows(connection, database, key_of(record.uid), record.started_at, self._batch)
            if not was_ready:
                rows.begin(record, self._address())
            rows.write(Changes.of(events, output=self._output))
        self._is_ready = self._has_begun = True
        self._has_ended |= any(isinstance(event, ev.RunEnded) for event in events)

    def close(self) -> None:
        """Say of a run that was lost that it was, and let go of the connection. Never raises."""
        with suppress(Exception):
            self._tell_lost()
        if self._database is not None:
            self._database.close()

    def _tell_lost(self) -> None:
        """Have the run's row say so where the run died without an end: by the row alone nobody can tell."""
        database, record = self._database, self._record
        if database is None or record is None or self._has_ended or not is_lost(self._store, record.uid):
            return
        with database.transaction() as connection:
            RunRows(connection, database, key_of(record.uid), record.started_at, self._batch).lose()

    def _prepare(self, database: Database, connection: Connection) -> None:
        try:
            database.prepare(connection)
        except SQLError as error:
            if self._has_begun:  # it is no event's fault, and none may be set aside for it
                raise UnavailableError(error.message) from error
            raise

    def _opened(self) -> Database:
        if self._database is None:
            url = self._url
            if url is None:
                url = parse_url(f"sqlite:///{folder_of_runs(None, self._store, FILE)}")
            self._database = Database(url, self._schema)
        return self._database

    def _address(self) -> str | None:
        url = getattr(self._store, "url", None)
        return redact_text(url) if isinstance(url, str) else None
