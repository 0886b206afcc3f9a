"""
Trials on other machines, by an engine that sweeps have, too.

Each has a folder below that of its search: the order that says what is to be run, the claim of the process that runs
it, and what came of it. The store's folder is shared with those machines.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from anew.runner.config.compose.node import compose_launcher
from anew.runner.config.hooks import Ticket
from anew.runner.errors import ConfigError, StoreError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord
from anew.runner.store.files import cannot, create_whole, make_folders, read_regular
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import TrialLayout
from anew.runner.store.typed import as_typed
from anew.runner.sweep.engine import EngineSetup, JobEnd
from anew.runner.sweep.engines import make_engine
from anew.runner.sweep.remote import LIFELINE
from anew.runner.why import remote
from anew.runner.why.order import Order

_LOOK_S = 1.0
_MOST_BYTES = 1 << 20


Chosen = tuple[str, str, Mapping[str, Any]]


def chosen(launcher: Sequence[str]) -> Chosen:
    """
    Return the engine that overrides choose, the launcher's name, and what that is told.

    Raises:
        ConfigError: There is no such launcher, or it is for this machine.
    """
    name, option, options = compose_launcher(launcher)
    if name == "local":
        raise ConfigError(
            f"hydra/launcher={option} is for jobs on this machine, where trials run anyway. How many at a time: "
            "--workers N",
            key="hydra/launcher",
        )
    return name, option, options


class _TrialJobs:
    """The trials of a search, as engines see them; satisfies `engine.Batch`."""

    def __init__(self, store: FolderStore, search: int) -> None:
        self._store, self._search = store, search
        self.name = f"anew-why-{search}"
        self.resumption = as_typed(f"anew why --resume {search}", store.url)

    def words(self, ticket: Ticket, settings: Sequence[str]) -> list[str]:
        """Return what follows the interpreter where a trial is run; a launcher's `settings` are those of sweeps."""
        root = str(self._store.layout.root.absolute())
        return ["-m", remote.__name__, LIFELINE, root, str(self._search), str(ticket.index), ticket.digest]

    def has_begun(self, ticket: Ticket) -> bool:
        """Whether a trial was taken."""
        return self._layout(ticket).begun.exists()

    def has_ended(self, ticket: Ticket) -> bool:
        """Whether it is known what came of a trial."""
        return self._layout(ticket).end.exists()

    def _layout(self, ticket: Ticket) -> TrialLayout:
        return self._store.layout.why(self._search).trial(ticket.index)


class Elsewhere:
    """
    Runs trials by an engine. Safe between threads, but for `stop` and `close`.

    Args:
        store: Where they are recorded; other machines see its folder under the same path.
        search: The search's number.
        engine: Which it is.
        most: How many run at a time.

    Raises:
        ConfigError: It cannot be reached.
        MissingExtraError: What it needs is not installed.
    """

    def __init__(self, store: FolderStore, search: int, engine: Chosen, most: int) -> None:
        name, option, options = engine
        self._store, self._search = store, search
        self._layout = store.layout.why(search)
        batch, folder = _TrialJobs(store, search), self._layout.engine(name)
        setup = EngineSetup(launcher=option, options=options, most=most, batch=batch, folder=folder)
        self._engine = make_engine(name, setup)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def done(self, order: Order) -> RunRecord | str:
        """
        Have a trial run; return the new run's record, or why there is none.

        Raises:
            StoreError: It cannot be handed out.
            SweepStoppedError: Nobody is there any more who could run it.
        """
        data = serial.seal(serial.to_json(order))
        layout = self._placed(data)
        ticket = Ticket(
            index=int(layout.folder.name),
            attempt=1,
            overrides=(),
            packed=b"",
            shared=b"",
            digest=hashlib.sha256(data).hexdigest(),
        )
        with self._lock:  # an engine is to be used by one thread at a time
            future = self._engine.submit(ticket)
        found = self._answer(layout, self._waited_for(future))
        shutil.rmtree(layout.folder, ignore_errors=True)
        return found

    def stop(self) -> None:
        """Have the running trials interrupted, as by a Ctrl-C. Returns at once."""
        self._engine.interrupt()

    def close(self, *, kill: bool) -> None:
        """Let go of the engine; with *kill*, whatever its jobs are doing."""
        self._engine.close(kill=kill)

    def _placed(self, data: bytes) -> TrialLayout:
        """Put an order where a process elsewhere finds it; numbers of an attempt that was killed are not used again."""
        while True:
            layout = self._layout.trial(next(self._numbers))
            try:
                make_folders(layout.folder.parent)
                layout.folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise cannot("write", layout.folder, error) from error
            create_whole(layout.order, data)
            return layout

    def _waited_for(self, future: Future[JobEnd]) -> JobEnd:
        while not wait([future], timeout=_LOOK_S).done:
            with self._lock:
                _ = self._engine.slots  # raises when there is nobody left who could run it
        return future.result()

    def _answer(self, layout: TrialLayout, end: JobEnd) -> RunRecord | str:
        try:
            said = serial.unseal(read_regular(layout.end, _MOST_BYTES))
        except FileNotFoundError:
            return end.why or "its process did not come to its end"
        except DamagedError as error:
            raise StoreError(f"{str(layout.end)!r} is damaged: {error}.") from error
        except OSError as error:
            raise cannot("read", layout.end, error) from error
        return self._store.get(str(said["run"])) if "run" in said else str(said["why_not"])
