"""
A PostgreSQL server to test against, the real one, that can be stopped, started again and killed.

A test module gets the fixtures by `pytest_plugins = ("tests.postgres",)` (PYTEST_DONT_REWRITE: it also imports from
here). Where PostgreSQL is not installed they skip the test.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from tests.needs import needs

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

HOST = "127.0.0.1"
USER = "somebody"
STARTING_S = 60.0
MISSING = "PostgreSQL is not installed (Debian package: postgresql)"
# Starts the server, and ends it when the other end of its standard input does, however the tests came to an end.
KEEPER = """\
import os, signal, subprocess, sys
owner, *command = sys.argv[1:]
account = {"user": owner, "group": owner, "extra_groups": []} if owner else {}
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, **account)
while os.read(0, 1):
    pass
server.send_signal(signal.SIGINT)
server.wait()
"""


def server_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, of the newest version that is installed; None without any."""
    # Debian has them in a folder per version, which is not on the path
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


class PostgresServer:
    """
    A server with a data folder of its own, which it keeps when it is started again. Passwords are asked for.

    What was committed outlives `kill`, as it does on any server; not a power cut, since nothing is synced to the disk
    unless *sync* is given.

    Attributes:
        port: The same for the whole life of this object.
        password: Of the only user, who may do everything.
        log: What the server writes.
    """

    def __init__(self, *, sync: bool = False) -> None:
        binaries = server_binaries()
        if binaries is None:
            raise RuntimeError(MISSING)
        self._binaries = binaries
        # the server refuses to run as root, and whom it runs as must get to the folder: the folders of tests are closed
        self._owner = "postgres" if os.geteuid() == 0 else ""
        self._folder = Path(tempfile.mkdtemp(prefix="anew-pg-"))
        atexit.register(self.remove)
        if self._owner:
            shutil.chown(self._folder, self._owner, self._owner)
        self._sync = sync
        self._keeper: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.password = f"p@ss/{secrets.token_hex(8)}:%"
        self.log = self._folder / "server.log"
        self._make()

    @property
    def url(self) -> str:
        """How clients get to the database that every server has."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, user: str = USER, password: str | None = None) -> str:
        """Return the URL of a database."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[TupleRow]:
        """Return a connection on which each statement is a transaction; to be closed, or used in a `with` statement."""
        import psycopg

        return psycopg.connect(self.url_of(database), autocommit=True, connect_timeout=10)

    def make_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return name

    def start(self) -> PostgresServer:
        """Start, on what was stored before, and wait until the server answers."""
        options = [] if self._sync else ["-c", "fsync=off"]
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self._folder), "-c", f"listen_addresses={HOST}", *options]
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-c", KEEPER, self._owner, *command],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._await(self._keeper)
        return self

    def stop(self) -> None:
        """Ask the server to end, and wait; clients are thrown out."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait(STARTING_S)

    def kill(self) -> None:
        """End the server and all its processes where they stand (SIGKILL)."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        # each child is in a session of its own, so there is no group to send a signal to; the parent goes first, so
        # that it has no time to say farewell to clients
        processes = psutil.Process(keeper.pid).children(recursive=True)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait(STARTING_S)
        deadline = time.monotonic() + STARTING_S
        while any(map(_is_alive, processes)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def remove(self) -> None:
        """End the server and take its folder away. May be called again."""
        self.kill()
        atexit.unregister(self.remove)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.remove()

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self.password)
        if self._owner:
            shutil.chown(secret, self._owner, self._owner)
        command = [str(self._binaries / "initdb"), "-D", str(self._folder / "data"), "-U", USER, "-E", "UTF8"]
        command += ["--no-locale", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        account: dict[str, Any] = {"user": self._owner, "group": self._owner, "extra_groups": []} if self._owner else {}
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, **account)
        if done.returncode:
            raise RuntimeError(f"no database cluster could be made: {done.stdout}{done.stderr}")

    def _await(self, keeper: subprocess.Popen[bytes]) -> None:
        import psycopg

        deadline = time.monotonic() + STARTING_S
        while keeper.poll() is None and time.monotonic() < deadline:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
            if re.search(r"FATAL:.*(?:lock file|could not)", self.log.read_text()[-2000:]):
                break
        text = self.log.read_text()[-2000:]
        self.kill()
        raise RuntimeError(f"the server did not start; the end of its log:\n{text}")


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process holds anything any more; who has lost its parent may stay a zombie for long."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of this process: whoever stops it takes a `fresh_postgres` instead."""
    _skip_where_missing()
    with PostgresServer() as server:
        yield server


@pytest.fixture
def fresh_postgres() -> Iterator[PostgresServer]:
    """A server for one test, which may stop, kill and start it."""
    _skip_where_missing()
    with PostgresServer() as server:
        yield server


def _skip_where_missing() -> None:
    if server_binaries() is None:
        pytest.skip(MISSING)
    needs("psycopg", "psycopg[binary]")
