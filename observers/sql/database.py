"""A database that has the tables which `sql` writes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.sql.tables import KEYS, STATUS_VIEW, TABLES, VERSION_TABLE, dumps, make_tables, status_view
from anew.runner.errors import AnewError, ConfigError, UnavailableError
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Inspector
    from sqlalchemy.exc import DBAPIError

SCHEMA_VERSION = 1
_QUIET_S = 5.0
_SQLITE_WAIT_S = 10.0
_TRIED = "tried out alone"
_ADVISORY_LOCK = int.from_bytes(b"anew", "big")
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
# A server that is gone without a word is noticed within a minute. No prepared statements: poolers in front of a server
# hand each transaction to another session.
_POSTGRES_OPTIONS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
    "application_name": "anew",
    "prepare_threshold": None,
}
# Rights, tables and schemas that are not there (any more): somebody can bring them back, and nothing was wrong with
# what was handed over.
_COMES_BACK = ("42501", "42P01", "3F000", "3D000")


class SQLError(AnewError, RuntimeError):
    """Tables that cannot be written to, or values that a table does not take."""


class _TakenBackError(Exception):
    """Ends a transaction so that nothing of it stays."""


def parse_url(url: str) -> URL:
    """
    Return a URL with the driver that is used, and a SQLite file's path absolute.

    Raises:
        ConfigError: It is none that is known here; the message never shows it, since it has a password.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # from nothing: the reason may quote the password
        raise ConfigError(
            "The URL of the database cannot be read. It looks like sqlite:///runs.sqlite or "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a password, @ and / are written %40 and %2F"
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigError(f"{parsed.drivername!r} is not known here; a URL begins with sqlite:// or postgresql://")
    parsed = parsed.set(drivername=driver)
    if parsed.get_backend_name() == "postgresql":
        return parsed
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("The URL names no file. A SQLite database is given as sqlite:///FILE")
    if parsed.database.startswith("file:"):
        return parsed
    return parsed.set(database=str(Path(parsed.database).expanduser().absolute()))


def shown_url(url: URL) -> str:
    """Return a URL that may be shown: without password and options, which may hold another."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


class Database:
    """
    A database and our tables in it. Holds at most one connection.

    Attributes:
        shown: Its URL, without what is secret.
        tables: By their names without the prefix.
    """

    def __init__(self, url: URL, schema: str | None) -> None:
        self.shown = shown_url(url)
        self.tables = make_tables(schema)
        self._schema = schema
        self._secret = None if url.password is None else str(url.password)
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._file = url.database if self._is_sqlite and not str(url.database).startswith("file:") else None
        self._engine = self._connected(url)
        self._used = -math.inf

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Give a connection for one transaction, committed at the end unless something was raised.

        Raises:
            UnavailableError: See `SQLObserver.handle_many`.
            SQLError: The database refuses a value.
        """
        from sqlalchemy.exc import DBAPIError

        quiet_s, self._used = time.monotonic() - self._used, time.monotonic()
        try:
            if self._file is not None:
                Path(self._file).parent.mkdir(parents=True, exist_ok=True)
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            self.close()
            raise self._told(error) from None  # what the driver says is shown without secrets only
        except BaseException:
            self.close()
            raise
        if quiet_s > _QUIET_S:
            self.close()

    def try_out(self) -> None:
        """
        Make the tables, and take it back; of a SQLite file that is not there, look whether it could be made.

        Raises:
            UnavailableError: See `SQLObserver.handle_many`.
            SQLError: See `prepare`.
        """
        if self._file is not None and not Path(self._file).exists():
            folder = next(each for each in Path(self._file).parents if each.exists())
            if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
                raise UnavailableError(f"{self.shown} cannot be made: no file can be written in {str(folder)!r}")
            return
        with suppress(_TakenBackError), self.transaction() as connection:
            connection.info[_TRIED] = True
            self.prepare(connection)
            raise _TakenBackError

    def prepare(self, connection: Connection) -> None:
        """
        See to it that the tables are there. Safe between processes.

        Raises:
            SQLError: They are not ours, or of a newer version, or there is no right to make them.
        """
        from sqlalchemy import exc, func, insert, inspect, select
        from sqlalchemy.schema import CreateSchema

        try:
            if not self._is_sqlite:  # there the transaction itself keeps others out
                connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            looker = inspect(connection)
            if self._schema is not None and not looker.has_schema(self._schema):
                connection.execute(CreateSchema(self._schema))
            there = {*looker.get_table_names(self._schema), *looker.get_view_names(self._schema)}
            ours = {table.name for table in self.tables.values()}
            if VERSION_TABLE in there:
                self._check(self._version(connection, looker))
            else:
                self._refuse_foreign(there & ours)
            if self.tables["runs"].name in there:
                self._widen(connection, looker)
            if not ours <= there:
                self.tables["schema"].metadata.create_all(connection)
            if VERSION_TABLE not in there:
                connection.execute(insert(self.tables["schema"]).values(version=SCHEMA_VERSION))
            if STATUS_VIEW not in there:
                self._make_view(connection)
        except (exc.OperationalError, exc.InterfaceError):
            raise
        except exc.DBAPIError as error:
            raise SQLError(
                f"The tables in {self.shown} cannot be made, or not be read: {self._reason(error)}. The user of the "
                "database needs the right to make tables, once, and later to select, insert, update and delete. With "
                "anew.observers.sql.schema=NAME they are in a schema of their own."
            ) from None

    def _make_view(self, connection: Connection) -> None:
        """Make the view of how runs stand; who may write to tables that are there may have no right to make one."""
        from sqlalchemy import exc

        with suppress(exc.ProgrammingError), connection.begin_nested():
            connection.exec_driver_sql(status_view(self.tables["runs"], is_sqlite=self._is_sqlite))

    def _widen(self, connection: Connection, looker: Inspector) -> None:
        """Add to a table that an earlier version made the columns that runs have since; that one goes on without."""
        from sqlalchemy import text
        from sqlalchemy.schema import CreateColumn

        table = self.tables["runs"]
        there = {column["name"] for column in looker.get_columns(table.name, self._schema)}
        preparer = connection.dialect.identifier_preparer
        for column in table.columns:
            if column.name not in there:
                told = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {preparer.format_table(table)} ADD COLUMN {told}"))

    def keep(self, connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; those whose key is there already are left alone."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def put(self, connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or put them in the place of those with the same key."""
        if rows:
            keys = KEYS[table]
            statement = self._insert(table)
            changed = {column: statement.excluded[column] for column in TABLES[table] if column not in keys}
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)

    def keep_many(self, connection: Connection, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Do as `keep`, quickly; a row has a value for each column, none of them JSON."""
        names = tuple(TABLES[table])
        if self._is_sqlite:
            self.keep(connection, table, [dict(zip(names, row, strict=True)) for row in rows])
        elif rows:
            # a list per column: one statement, and one round trip, however many rows
            statement = self._insert(table).from_select(names, self._unnested(table)).on_conflict_do_nothing()
            connection.execute(statement, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def _unnested(self, table: str) -> Any:
        import sqlalchemy as sa
        from sqlalchemy.dialects.postgresql import ARRAY

        columns = self.tables[table].c
        lists = (sa.bindparam(column.name, type_=ARRAY(column.type)) for column in columns)
        given = sa.func.unnest(*lists).table_valued(*(sa.column(column.name, column.type) for column in columns))
        return sa.select(*given.alias("given").render_derived().c)

    def _insert(self, table: str) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return (sqlite if self._is_sqlite else postgresql).insert(self.tables[table])

    def _refuse_foreign(self, names: Iterable[str]) -> None:
        if names := sorted(names):
            raise SQLError(
                f"{self.shown} has {', '.join(names)} already, which anew did not make, and which is left alone. "
                "Give another database, or, in PostgreSQL, a schema: anew.observers.sql.schema=NAME",
                names=names,
            )

    def _version(self, connection: Connection, looker: Inspector) -> Any:
        from sqlalchemy import func, select

        if "version" not in (column["name"] for column in looker.get_columns(VERSION_TABLE, self._schema)):
            return None
        return connection.execute(select(func.max(self.tables["schema"].c.version))).scalar()

    def _check(self, version: Any) -> None:
        if not isinstance(version, int):
            self._refuse_foreign({VERSION_TABLE})
        elif version > SCHEMA_VERSION:
            raise SQLError(
                f"The tables in {self.shown} were made by a newer version of anew: they have version {version}, and "
                f"this one writes version {SCHEMA_VERSION}. To write there: pip install --upgrade anew",
                version=version,
            )

    def _connected(self, url: URL) -> Engine:
        import sqlalchemy as sa

        options = {"timeout": _SQLITE_WAIT_S} if self._is_sqlite else _POSTGRES_OPTIONS
        engine = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,  # a connection that a restart of the server has ended is replaced before it is used
            hide_parameters=True,
            connect_args={name: value for name, value in options.items() if name not in url.query},
            json_serializer=dumps,
        )
        if self._is_sqlite:
            sa.event.listen(engine, "connect", _set_up_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            sa.event.listen(engine, "close", _leave_sqlite)
        return engine

    def _told(self, error: DBAPIError) -> AnewError:
        if _is_refusal(error):
            return SQLError(f"{self.shown} does not take what it was given: {self._reason(error)}")
        return UnavailableError(f"{self.shown} cannot be written to now: {self._reason(error)}")

    def _reason(self, error: DBAPIError) -> str:
        text = in_a_line(str(error.orig)) or type(error.orig).__name__
        return text.replace(self._secret, "***") if self._secret else text


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # else Python's module begins transactions by itself, when it is too late: a transaction that has read cannot wait
    # for another that wants to write
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")  # what counts as delivered outlives a power cut
    except BaseException:
        connection.close()  # nobody else has it yet
        raise


def _leave_sqlite(connection: Any, record: Any) -> None:
    if _TRIED in record.info:
        return  # what SQLite notes of the rows would be left behind
    # Knowing nothing of how the rows are spread, SQLite of 2026 (3.53) reads all points of a run to find one metric.
    # What is looked at here has a limit, so that it is as quick in a large file; whoever is writing is not waited for.
    with suppress(Exception):
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA optimize=0x10012")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_refusal(error: DBAPIError) -> bool:
    """Whether a database says that a value, or a statement, is wrong, not that it cannot do it now."""
    from sqlalchemy import exc

    if error.connection_invalidated:
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state.startswith("54"):  # a limit, such as that of an index entry
        return True
    return (
        isinstance(error, (exc.DataError, exc.IntegrityError, exc.NotSupportedError, exc.ProgrammingError))
        and state not in _COMES_BACK
    )
