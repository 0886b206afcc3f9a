"""
A MongoDB server to test against, over a real wire, and a wire that fails on command.

A test module gets the fixtures by `pytest_plugins = ("tests.wire",)` (PYTEST_DONT_REWRITE: it also imports from here).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import pytest

from tests.needs import needs

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

HOST = "127.0.0.1"
STARTING_S = 60.0
# What `secantusd-py` calls. It ends when the other end of its standard input does, however the tests came to an end.
DAEMON = """\
import os, sys, threading
def end_with_the_tests():
    while os.read(0, 1):
        pass
    os._exit(1)
threading.Thread(target=end_with_the_tests, daemon=True).start()
from secantus.cli import main
sys.exit(main())
"""


def free_port() -> int:
    """
    Return a port that nothing listens on.

    It is below those that systems give to outgoing connections: else one of these could take it while it is meant to
    be refused, or before a server comes back to it.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return port


def with_database(url: str, name: str, **options: str) -> str:
    """Return a URL that names a database, with more options."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(options)) if part)
    return urlunsplit(parts._replace(path=f"/{name}", query=query))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine, signed by itself; return it and its key. Needs the command `openssl`."""
    certificate, key = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


class MongoServer:
    """
    A SecantusDB server on a port and a data folder of its own, which it keeps when it is started again.

    By default it says that it is a replica set of one member, as servers with transactions and retryable writes do.
    Like any MongoDB it can lose the writes of the last 100 ms when it is killed, unless they asked for the journal
    (`j=True`) or the server has the option `--sync-on-commit`.

    Attributes:
        port: The same for the whole life of this object.
        log: What the server writes.
        user: Who may connect, with `password`; empty without authentication.
        certificate: What clients have to trust; None without TLS.
    """

    def __init__(
        self,
        folder: Path,
        *,
        auth: bool = False,
        tls: bool = False,
        standalone: bool = False,
        test_commands: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        needs("secantus", "SecantusDB")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        self.user = "somebody" if auth else ""
        self.password = f"p@ss/{secrets.token_hex(8)}:%" if auth else ""
        self.certificate: Path | None = None
        self._key: Path | None = None
        self._standalone = standalone
        self._options = [*options, *(["--enable-test-commands"] if test_commands else [])]
        self._has_user = not auth
        self._process: subprocess.Popen[bytes] | None = None
        if tls:
            self.certificate, self._key = make_certificate(folder)

    @property
    def url(self) -> str:
        """How clients get to the server, user and password included."""
        return self.url_at(self.port)

    def url_at(self, port: int, **options: str) -> str:
        """Return the URL of the server as if it were on *port*."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        tls = {"tls": "true", "tlsCAFile": str(self.certificate)} if self.certificate else {}
        query = urlencode({**({"authSource": "admin"} if self.user else {}), **tls, **options})
        return f"mongodb://{user}{HOST}:{port}/" + (f"?{query}" if query else "")

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """Return a client, to be closed, or used in a `with` statement."""
        return client_of(self.url, **options)

    def start(self) -> MongoServer:
        """Start, on what was stored before, and wait until the server answers."""
        if not self._has_user:
            self._launch(url=f"mongodb://{HOST}:{self.port}/", with_auth=False, with_tls=False)
            with client_of(f"mongodb://{HOST}:{self.port}/") as client:
                client.admin.command("createUser", self.user, pwd=self.password, roles=["root"])
            self._has_user = True
            self.stop()
        self._launch(url=self.url, with_auth=bool(self.user), with_tls=self.certificate is not None)
        return self

    def stop(self) -> None:
        """Ask the server to end (SIGTERM), and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server where it stands (SIGKILL)."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> MongoServer:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.kill()

    def _launch(self, *, url: str, with_auth: bool, with_tls: bool) -> None:
        if self.is_running:
            raise RuntimeError(f"the server on port {self.port} is running")
        command = [sys.executable, "-c", DAEMON, "--host", HOST, "--port", str(self.port)]
        command += ["--storage-path", str(self.folder / "data"), *self._options]
        command += ["--standalone"] if self._standalone else []
        command += ["--auth"] if with_auth else []
        if with_tls:
            command += ["--tls-cert-file", str(self.certificate), "--tls-key-file", str(self._key)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        atexit.register(self.kill)
        self._await(url)

    def _await(self, url: str) -> None:
        deadline = time.monotonic() + STARTING_S
        while self.is_running and time.monotonic() < deadline:
            with socket.socket() as trial:
                if trial.connect_ex((HOST, self.port)) == 0:
                    break
            time.sleep(0.02)
        if self.is_running:
            with client_of(url, serverSelectionTimeoutMS=STARTING_S * 1000) as client:
                client.admin.command("ping")
            return
        self.kill()
        raise RuntimeError(f"the server did not start; the end of {self.log}:\n{self.log.read_text()[-2000:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
        atexit.unregister(self.kill)


def client_of(url: str, **options: Any) -> MongoClient[dict[str, Any]]:
    """Return a client that gives up after seconds, not half a minute; options are those of `MongoClient`."""
    import pymongo

    return pymongo.MongoClient(url, **{"serverSelectionTimeoutMS": 5000, "tz_aware": True, **options})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of MongoDB's wire protocol, header included."""

    raw: bytes

    @property
    def request_id(self) -> int:
        """What its sender calls it."""
        return int(struct.unpack_from("<i", self.raw, 4)[0])

    @property
    def response_to(self) -> int:
        """The `request_id` that it answers; 0 if none."""
        return int(struct.unpack_from("<i", self.raw, 8)[0])

    @property
    def op_code(self) -> int:
        """Which kind: 2013 is OP_MSG, 2004 OP_QUERY, 1 OP_REPLY."""
        return int(struct.unpack_from("<i", self.raw, 12)[0])

    @property
    def body(self) -> dict[str, Any]:
        """The document that says what to do; empty where there is none to be read."""
        import bson

        at = self._body_at()
        if at is None:
            return {}
        size = struct.unpack_from("<i", self.raw, at)[0]
        return bson.BSON(self.raw[at : at + size]).decode()

    @property
    def command(self) -> str:
        """The name of the command: "insert", "update", "hello" ...; empty where there is none."""
        at = self._body_at()
        return "" if at is None else self.raw[at + 5 : self.raw.index(b"\0", at + 5)].decode()

    def _body_at(self) -> int | None:
        if self.op_code == 2004:
            return self.raw.index(b"\0", 20) + 9
        if self.op_code != 2013:
            return None
        at = 20
        while self.raw[at] != 0:  # other sections are lists of documents that belong to the command
            at += 1 + int(struct.unpack_from("<i", self.raw, at + 1)[0])
        return at + 1


HOUSEKEEPING = {"", "hello", "ismaster", "isMaster", "ping", "saslStart", "saslContinue", "endSessions", "buildInfo"}


def is_work(request: Message) -> bool:
    """Tell what a program asked for from what its driver asks for by itself."""
    return request.command not in HOUSEKEEPING


class Fault(Enum):
    """What can happen to a request; the connection is closed with each of them."""

    DROP_REQUEST = "drop_request"  # the server does not get it
    CUT_REQUEST = "cut_request"  # the server gets the first part
    LOSE_REPLY = "lose_reply"  # the server does it, the client does not know
    CUT_REPLY = "cut_reply"  # the server does it, the client gets the first part of the reply


@dataclass(slots=True)
class Plan:
    """A fault for the next *count* requests that fit."""

    fault: Fault
    when: Callable[[Message], bool]
    count: int
    after_bytes: int = 0


class FaultyProxy:
    """
    A loopback connection to a server that fails when it is told to, also while something is under way.

    It knows the bounds of messages, so a fault hits a request or a reply that can be named. Its methods are called from
    any thread; each has taken effect when it returns. A URL of it holds the client to it, because a replica set would
    otherwise tell the client where the server really is. TLS cannot be followed.

    Attributes:
        faults: What was done to requests, in order, as "lose_reply update".
        requests: How many of each command have come.
    """

    def __init__(self, server: MongoServer, *, seed: int = 0) -> None:
        self.port = free_port()
        self.faults: list[str] = []
        self.requests: Counter[str] = Counter()
        self._server = server
        self._chance = random.Random(seed)
        self._rate = 0.0
        self._kinds: Sequence[Fault] = tuple(Fault)
        self._plans: list[Plan] = []
        self._delay_s = 0.0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._passing: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy", daemon=True)
        self._thread.start()
        self._do(self._begin)

    @property
    def url(self) -> str:
        """The way through this proxy."""
        return self._server.url_at(self.port, directConnection="true")

    def client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """Return a client that comes through here, to be closed."""
        return client_of(self.url, **options)

    def cut(self) -> int:
        """Reset every connection now; return how many there were."""
        count: int = self._do(self._cut)
        return count

    def refuse(self, on: bool = True) -> None:
        """Listen no more, so that whoever connects is refused; connections that are there stay."""
        self._do(self._unlisten if on else self._listen)

    def delay(self, seconds: float) -> None:
        """Hold back each reply that comes from now on."""
        self._do(lambda: setattr(self, "_delay_s", seconds))

    def stall(self, on: bool = True) -> None:
        """Accept and pass nothing on, in either direction; afterwards what was held back goes on."""
        self._do(lambda: self._passing.clear() if on else self._passing.set())

    def drop_requests(self, count: int = 1, *, when: Callable[[Message], bool] = is_work) -> None:
        """Close the connections on which the next *count* requests come: the server never sees them."""
        self._plan(Plan(Fault.DROP_REQUEST, when, count))

    def lose_replies(self, count: int = 1, *, when: Callable[[Message], bool] = is_work) -> None:
        """Pass on the next *count* requests, wait for the whole reply, and close the connection in its place."""
        self._plan(Plan(Fault.LOSE_REPLY, when, count))

    def cut_mid_message(
        self, after_bytes: int, *, request: bool = False, count: int = 1, when: Callable[[Message], bool] = is_work
    ) -> None:
        """Close the connection after the first bytes of a reply, or of the request; the last byte never passes."""
        self._plan(Plan(Fault.CUT_REQUEST if request else Fault.CUT_REPLY, when, count, after_bytes))

    def fail_at_random(self, rate: float, kinds: Sequence[Fault] = tuple(Fault)) -> None:
        """Hit each request of a program with this probability; the seed decides which, and how. 0 ends it."""

        def start() -> None:
            self._rate, self._kinds = rate, tuple(kinds)

        self._do(start)

    def heal(self) -> None:
        """Pass everything on from now."""
        self.refuse(False)
        self.delay(0)
        self.stall(False)
        self.fail_at_random(0)
        self._do(self._plans.clear)

    def close(self) -> None:
        """Cut what is there, and end."""
        if self._loop.is_closed():
            return
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _do(self, action: Callable[[], Any]) -> Any:
        async def act() -> Any:
            result = action()
            return await result if isinstance(result, Awaitable) else result

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(30)

    def _plan(self, plan: Plan) -> None:
        self._do(lambda: self._plans.append(plan))

    async def _begin(self) -> None:
        self._passing = asyncio.Event()
        self._passing.set()
        await self._listen()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    async def _end(self) -> None:
        self._unlisten()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(5):  # transports close their sockets in a later turn of the loop
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._server.port)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
            return
        link = _Link(reader, writer, server_reader, server_writer, {})
        self._links.add(link)
        pumps = [asyncio.ensure_future(self._pass_requests(link)), asyncio.ensure_future(self._pass_replies(link))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            link.reset()
        finally:
            self._links.discard(link)
            link.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass_requests(self, link: _Link) -> None:
        while (request := await _read_message(link.client_reader)) is not None:
            await self._passing.wait()
            self.requests[request.command] += 1
            plan = self._plan_for(request)
            if plan is not None and plan.fault in (Fault.DROP_REQUEST, Fault.CUT_REQUEST):
                link.server.write(request.raw[:-1][: plan.after_bytes])
                await link.server.drain()
                return
            link.asked[request.request_id] = plan
            link.server.write(request.raw)
            await link.server.drain()

    async def _pass_replies(self, link: _Link) -> None:
        while (reply := await _read_message(link.server_reader)) is not None:
            await asyncio.sleep(self._delay_s)
            await self._passing.wait()
            plan = link.asked.pop(reply.response_to, None)
            if plan is not None:
                link.client.write(reply.raw[:-1][: plan.after_bytes])
                await link.client.drain()
                return
            link.client.write(reply.raw)
            await link.client.drain()

    def _plan_for(self, request: Message) -> Plan | None:
        plan = next((plan for plan in self._plans if plan.count and plan.when(request)), None)
        if plan is None and is_work(request) and self._chance.random() < self._rate:
            fault = self._chance.choice(self._kinds)
            cut = fault in (Fault.CUT_REQUEST, Fault.CUT_REPLY)
            plan = Plan(fault, is_work, 1, self._chance.randrange(1, len(request.raw)) if cut else 0)
        if plan is not None:
            plan.count -= 1
            self.faults.append(f"{plan.fault.value} {request.command}")
        return plan


@dataclass(eq=False, slots=True)
class _Link:
    """A client's connection, the server's that belongs to it, and what happens to requests without a reply as yet."""

    client_reader: asyncio.StreamReader
    client: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server: asyncio.StreamWriter
    asked: dict[int, Plan | None]

    def reset(self) -> None:
        _reset(self.client)
        _reset(self.server)

    def close(self) -> None:
        self.client.close()
        self.server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, so that the other side is told of a reset and not of an end."""
    with_socket = writer.get_extra_info("socket")
    if with_socket is not None and with_socket.fileno() >= 0:
        with_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read_message(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message, whole; None at the end of the connection, be it in the middle of one."""
    try:
        start = await reader.readexactly(4)
        return Message(start + await reader.readexactly(int.from_bytes(start, "little") - 4))
    except (OSError, asyncio.IncompleteReadError):
        return None


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One server for all tests of this process: whoever stops it takes a `fresh_mongo` instead."""
    with MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
def fresh_mongo(tmp_path: Path) -> Iterator[MongoServer]:
    """A server for one test, which may stop, kill and start it; it knows `configureFailPoint`."""
    with MongoServer(tmp_path / "mongo", test_commands=True) as server:
        yield server


@pytest.fixture
def database_name(request: pytest.FixtureRequest) -> str:
    """A database's name that no other test has."""
    return re.sub(r"\W+", "_", request.node.name)[:40] + "_" + secrets.token_hex(4)


@pytest.fixture
def database(mongo_server: MongoServer, database_name: str) -> Iterator[Database[dict[str, Any]]]:
    """A database of the shared server, dropped afterwards."""
    with mongo_server.client() as client:
        yield client[database_name]
        client.drop_database(database_name)


@pytest.fixture
def faulty_wire(mongo_server: MongoServer) -> Iterator[FaultyProxy]:
    """A way to the shared server that fails when told to."""
    with FaultyProxy(mongo_server) as proxy:
        yield proxy


def artifacts_folder(tmp_path: Path) -> Path:
    """Return where files go that people look at after the tests: ANEW_TEST_ARTIFACTS, or the test's own folder."""
    folder = Path(ARTIFACTS) if ARTIFACTS else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


ARTIFACTS = os.environ.get("ANEW_TEST_ARTIFACTS")  # read at once: the tests' environment has no ANEW_ variables
HAS_OPENSSL = shutil.which("openssl") is not None
