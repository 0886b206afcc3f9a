"""The page's server from start to end: its port, its address, the browser, a Ctrl-C."""

from __future__ import annotations

import errno
import getpass
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from anew.runner.contracts import CuratedStore
from anew.runner.errors import EXIT_OK, EXIT_SIGNAL, EXIT_SIGTERM, AnewError
from anew.runner.places import state_folder
from anew.runner.server.app import application
from anew.runner.server.connections import MOST, Connection
from anew.runner.server.gate import Doors
from anew.runner.server.jobs import Jobs
from anew.runner.server.page_files import PageFiles
from anew.runner.server.rows import Rows
from anew.runner.server.site import Site

PORT = 4949
OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
_MOST_HEADERS = 1 << 18
_GRACE_S = 2
_KEEP_ALIVE_S = 15


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    How a page is served.

    Attributes:
        port: Where it listens; None for the usual one or, where that is taken, any that is free.
        host: The address that it listens at.
        read_only: Whether nothing is written.
        allow_rerun: Whether runs may be started from it.
        frames: Origins that may show it in a frame.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    read_only: bool = False
    allow_rerun: bool = False
    frames: tuple[str, ...] = ()


class Served:
    """
    A page that is served. Made in one thread; `run` may be called in another.

    Args:
        store: What it shows.
        options: How.

    Attributes:
        port: Where it listens.
        url: Its address, with the token.

    Raises:
        AnewError: The port is taken, the address is none of this machine, or the page's files are not there.
    """

    def __init__(self, store: CuratedStore, options: Options) -> None:
        files = PageFiles.found()
        self._socket = _listening(options)
        self.port: int = self._socket.getsockname()[1]
        names = () if options.host in OWN_HOSTS else _names_of_machine(options.host)
        doors = Doors.of(self.port, names=names, frames=options.frames)
        self.site = Site(
            store=store,
            rows=Rows(store),
            jobs=Jobs(),
            read_only=options.read_only,
            allow_rerun=options.allow_rerun and not options.read_only,
        )
        shown = f"[{options.host}]" if ":" in options.host else options.host
        if options.host in ("0.0.0.0", "::"):
            shown = socket.gethostname()
        self.url = f"http://{shown}:{self.port}/?token={doors.token}"
        # an error of a request is answered; that somebody sent what is no HTTP is nothing to say
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._server = _Server(
            uvicorn.Config(
                application(self.site, doors, files),
                http=Connection,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                h11_max_incomplete_event_size=_MOST_HEADERS,
            )
        )
        self._server.stopping = self.site.stopping.set

    def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve until told to stop; *started* is called once requests are answered."""
        self._server.started_up = started
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.site.stopping.set()
            self._socket.close()
        if self._server.failed is not None:
            raise self._server.failed

    def stop(self) -> None:
        """Have it end, from any thread."""
        self.site.stopping.set()
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """A server that says when it answers, and when it is told to end: streams have no end of their own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.started_up: Callable[[], object] = lambda: None
        self.stopping: Callable[[], object] = lambda: None
        self.failed: Exception | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            try:
                self.started_up()
            except Exception as error:  # such as that the address cannot be printed: raised once all has ended
                self.failed = error
                self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stopping()
        super().handle_exit(sig, frame)


def serve(store: CuratedStore, options: Options, *, browser: bool, tell: Callable[[str], object]) -> int:
    """
    Serve a page until a Ctrl-C or SIGTERM; return the exit code.

    Args:
        store: What it shows.
        options: How.
        browser: Whether a browser is opened, where there is a desktop.
        tell: Given each line that is said.

    Raises:
        AnewError: As `Served`.
    """
    served = Served(store, options)
    opened = _Opened(served.port)

    def started() -> None:
        tell(served.url)
        if (line := ssh_line(served.port)) and options.host in OWN_HOSTS:
            tell(f"From the machine that you sit at: {line}")
        elif browser and has_desktop():
            opened.open(served.url)

    def hung_up(number: int, frame: FrameType | None) -> None:
        codes[:] = [EXIT_SIGNAL + number]
        served.stop()

    codes: list[int] = []
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _end)}
    # whoever has it ignored (nohup) goes on
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hung_up)
    try:
        served.run(started)
    except KeyboardInterrupt:
        return EXIT_OK
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        opened.close()
    return codes[0] if codes else EXIT_OK


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_SIGTERM)


def _listening(options: Options) -> socket.socket:
    """Return a socket that listens. Raises AnewError."""
    wanted = [options.port] if options.port is not None else [PORT, 0]
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    for port in wanted:
        listening = socket.socket(family, socket.SOCK_STREAM)
        # a port that was just let go of is free; one that somebody listens at is not
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, port))
            listening.listen(MOST)
            return listening
        except (OSError, OverflowError) as error:
            listening.close()
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE and port != wanted[-1]:
                continue
            raise _cannot_listen(options.host, port, error) from error
    raise AssertionError("the last port is taken, or an error")


def _cannot_listen(host: str, port: int, error: Exception) -> AnewError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return AnewError(
            f"Port {port} is taken: another program listens there, or another anew ui. Give another: anew ui --port "
            f"{port + 1}, or none, and one that is free is taken"
        )
    if number == errno.EACCES:
        return AnewError(f"Port {port} is not yours to take. Give one from 1024 on: anew ui --port {PORT}")
    return AnewError(f"{host!r} is no address of this machine to listen at ({error}). The usual one: 127.0.0.1")


def _names_of_machine(host: str) -> Iterable[str]:
    """Return what a machine that listens to others may be called by them."""
    found = {host, socket.gethostname(), socket.getfqdn()}
    with suppress(ImportError, OSError):
        import psutil

        kinds = (socket.AF_INET, socket.AF_INET6)
        found |= {
            each.address.partition("%")[0]
            for all_ in psutil.net_if_addrs().values()
            for each in all_
            if each.family in kinds
        }
    return [f"[{name}]" if ":" in name else name for name in found]


# --- the browser ----------------------------------------------------------------------------------------------------


def ssh_line(port: int) -> str:
    """Return what to type where one sits, to see a port of this machine there; "" without a connection by ssh."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:
        return ""
    other = "" if parts[3] == "22" else f" -p {parts[3]}"
    return f"ssh -N -L {port}:127.0.0.1:{port}{other} {_user()}{parts[2]}"


def _user() -> str:
    try:
        return f"{getpass.getuser()}@"
    except (OSError, KeyError):
        return ""


def has_desktop() -> bool:
    """Whether there is a screen that a browser could open on."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class _Opened:
    """A file that leads a browser to the page: an address given to a program is read by all users of the machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._path: Path | None = None

    def open(self, url: str) -> None:
        """Open the browser; one that cannot be opened is no harm."""
        with suppress(OSError):
            folder = state_folder()
            folder.mkdir(parents=True, exist_ok=True)
            # readable by its user alone from the start
            number, name = tempfile.mkstemp(prefix=f"ui-{self._port}-", suffix=".html", dir=folder)
            self._path = Path(name)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(
                    f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(url)}"><title>Anew</title>'
                )
            threading.Thread(target=_open, args=[self._path.as_uri()], daemon=True).start()

    def close(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _open(uri: str) -> Any:
    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(uri)
