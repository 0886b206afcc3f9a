"""What one process writes about a run: its journal, and nothing else.

Every process has a journal of its own. A forked child notices that it is another process and begins one; a spawned
child attaches to the run's folder. No two processes ever write the same file.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from anew.runner import events as ev
from anew.runner.errors import StoreError
from anew.runner.format import ids, serial
from anew.runner.format.redact import Redactor
from anew.runner.records import ContentRef
from anew.runner.run.folder import RunFolder
from anew.runner.store import marks
from anew.runner.store.durability import forget_others, keep_others_synced
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import changed
from anew.runner.store.logged import Told
from anew.runner.store.paths import RunLayout
from anew.runner.store.roll import Roll
from anew.runner.wording import printable, say, sentence, some

SECRETS_VARIABLE = "ANEW_SECRETS"
# what adds to that which a re-run uses, and so is marked
_ADDING = (ev.SourceAdded, ev.InputUsed)
_MOST_STRAYS = 5


class Recorder:
    """
    Appends events of one run to this process's journal. Safe in threads and in forked children.

    A journal that cannot be written (a full disk) does not stop the run: the point is given up, said once, and counted;
    writing goes on as soon as there is space again. What a child gives up, the process that the run belongs to learns
    from the `Roll`.

    Args:
        layout: The run's folder.
        uid: The run.
        began_s: What `time.monotonic` said when the run began.
        durability_ms: As for `JournalWriter`.
        redactor: Knows the secrets.
        writer: What the journal is called; nobody else writes under this name.
        make_folder: As for `RunFolder`.

    Attributes:
        folder: The run's folders.
        told: What this process's journal holds, once it is closed; None where that is not known for certain.
    """

    def __init__(
        self,
        layout: RunLayout,
        uid: str,
        *,
        began_s: float,
        durability_ms: int,
        redactor: Redactor,
        writer: str = ev.MAIN_WRITER,
        make_folder: Callable[[], None] | None = None,
    ) -> None:
        self.layout = layout
        self.folder = RunFolder(layout, make_folder)
        self.uid = uid
        self.redactor = redactor
        self._clean = redactor.clean
        self._began_s = began_s
        self._durability_ms = durability_ms
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._lost = 0
        self._reason = ""
        self._losses: dict[str, str] = {}
        self._contents: dict[str, str] = {}
        self._roll = Roll(layout.events)
        self.writer = writer
        self._pid = os.getpid()
        # no None before `start`, which every call of `log` would have to ask for
        self._journal: JournalWriter
        self.is_open = False
        self.told: Told | None = None
        _recorders.add(self)

    def start(self) -> None:
        """Begin the journal. Raises StoreError."""
        path = self.layout.journal(self.writer)
        if self._is_owner:
            self._roll.open(self._durability_ms)
            keep_others_synced(self.layout.events)
        try:
            self._journal = JournalWriter(
                path, clock=time.monotonic, origin=self._began_s, durability_ms=self._durability_ms
            )
        except StoreError:
            self._roll.lose()
            raise
        if not self._is_owner:
            self._roll.enter(self.writer)
        self.is_open = True

    @property
    def _is_owner(self) -> bool:
        """Whether this is the process that the run belongs to, and no child of it."""
        return self.writer == ev.MAIN_WRITER and os.getpid() == self._pid

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self._began_s

    def _current(self) -> JournalWriter:
        """Return this process's journal, begun anew in a forked child."""
        journal = self._journal
        if journal.forked:
            with self._lock:
                if self._journal.forked:
                    name = child_writer()
                    successor = self._journal.successor(self.layout.journal(name))
                    successor.tell(self._roll.enter(name))
                    self._journal = successor
                journal = self._journal
        return journal

    @property
    def written(self) -> dict[str, int]:
        """The journal of this process, those of forked children once it is closed -> the number of the last line."""
        journal: JournalWriter | None = getattr(self, "_journal", None)
        return {} if journal is None else {journal.path.stem: journal.number, **self._roll.told}

    def log(self, values: Mapping[str, Any], step: int | None) -> None:
        """Write one line of metrics; what is no number is refused by name, and the rest is kept."""
        if not self._clean.issuperset(values):
            values = self.redactor.named(self._without_nameless(values))
        try:
            journal = self._journal
            if journal.forked:
                journal = self._current()
            refused = journal.log(values, step)
        except StoreError as error:
            self._give_up(error)
            return
        if refused:
            for name, why in refused.items():
                self.warn_once(f"metric:{name}", f"the metric {name!r} was not kept: {why}")
        if journal.strays:
            self.name_strays(*journal.strays.popleft())

    def name_strays(self, step: int, strays: Mapping[str, str]) -> None:
        """Say, the first time for each of them, which series have values that are not finite, and at which step."""
        news = [name for name in strays if f"stray:{name}" not in self._warned]
        self._warned.update(f"stray:{name}" for name in news)
        if not news:
            return
        told = some([f"{printable(name)} is {strays[name]}" for name in news], _MOST_STRAYS)
        which = "its first value that is" if len(news) == 1 else "the first of their values that are"
        self.warn_once(f"strays:{news[0]}", f"at step {step} {told}: {which} not finite.")

    def _without_nameless(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Leave out what has an empty name: it could be asked for by none, and stands in no column."""
        nameless = [name for name in values if isinstance(name, str) and not name.strip()]
        if not nameless:
            return values
        self.warn_once("metric:", "a metric was not kept: a metric's name is a text, and this one is empty")
        return {name: value for name, value in values.items() if name not in nameless}

    def add(self, kind: type[ev.Event], **values: Any) -> bool:
        """
        Write one event, without secrets; return whether it was kept.

        Here and not before, since only now it is plain values: whatever objects it was made of.

        Raises:
            ValueRefusedError: Before anything is written.
        """
        name, body = serial.body(kind, **values)
        body = _without_secrets(kind, body, self.redactor)
        if kind in _ADDING:
            body["om"] = marks.entry_mark(self.uid, name, body)
        self._note_contents(values)
        try:
            self._current().append(name, body)
        except StoreError as error:
            self._give_up(error)
            return False
        return True

    def warn_once(self, key: str, text: str) -> None:
        """Say something on stderr and put it on record, the first time that *key* is given."""
        if key in self._warned:
            return
        self._warned.add(key)
        text = self.redactor.text(text)
        say(text)
        self.add(ev.Warned, text=text)

    def _note_contents(self, values: Mapping[str, Any]) -> None:
        """Remember which content an event refers to."""
        for value in values.values():
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, ContentRef) and each.kept:
                    self._contents[each.sha256] = each.path

    @property
    def contents(self) -> dict[str, str]:
        """The digests of the content that this process's events refer to -> what it is called there."""
        return dict(self._contents)

    def lose(self, what: str, *, key: str = "") -> None:
        """Take note of something that could not be recorded, in words; with a *key*, `regain` may take that back."""
        if self._is_owner:
            self._losses[key or what] = self.redactor.text(what)
        else:
            self._roll.lose()

    def sync(self) -> None:
        """Make what this process has written survive a power cut. Raises StoreError."""
        self._current().sync()

    def regain(self, key: str) -> None:
        """Take note that what was lost is on record after all."""
        self._losses.pop(key, None)

    def _give_up(self, error: StoreError) -> None:
        self._lost += 1
        if not self._is_owner:
            self._roll.lose()
        elif not self._reason:
            self._reason = str(error)
        if "write" not in self._warned:
            self._warned.add("write")
            rest = "The run goes on; what cannot be written is counted and reported at the end."
            say(f"{sentence(str(error))} {'What is logged now is lost.' if not self.is_open else rest}")

    def stop(self) -> None:
        """
        Sync and close the journal.

        Raises:
            StoreError: Something was not recorded, here or in a child; it says what.
        """
        if not self.is_open:
            return
        self.is_open = False
        forget_others(self.layout.events)
        if self._lost:
            records = "1 record" if self._lost == 1 else f"{self._lost} records"
            self.lose(f"{records} could not be written, and are missing: {self._reason}")
        try:
            self._journal.close()
            self.told = self._journal.told()
        except StoreError as error:
            self.lose(str(error))
        for what in (self._journal.gap() or changed(self._journal.path), *self._roll.close()):
            if what:
                self.lose(what)
        if self._losses:
            raise StoreError("; ".join(self._losses.values()))


def _without_secrets(kind: type[ev.Event], body: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return what a line is to hold; files of the project are called what they are, or they could not be laid out."""
    if kind in _ADDING:
        return body
    hidden: dict[str, Any] = redactor.value(body) if kind is ev.InfoSet else redactor.texts(body)
    return hidden


_recorders: WeakSet[Recorder] = WeakSet()


def _after_fork() -> None:
    """Give a child locks of its own: those it inherits may be held by threads that it does not have."""
    for recorder in _recorders:
        recorder._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def child_writer() -> str:
    """Return a journal name that no other process uses, on any host."""
    return f"p{os.getpid()}-{ids.new_uid()}"


def hand_down(secrets: Sequence[str]) -> str:
    """Return secrets as children find them in their environment: nowhere else may they be written."""
    return base64.b64encode(json.dumps(list(secrets)).encode()).decode() if secrets else ""


def handed_down() -> Redactor:
    """Return a redactor that knows the secrets in this process's environment, and those that its parent was told."""
    told = os.environ.get(SECRETS_VARIABLE, "")
    redactor = Redactor.of_environment()
    with suppress(ValueError):
        redactor.learn(str(each) for each in json.loads(base64.b64decode(told)))
    redactor.learn([told])
    return redactor


def attach(folder: Path) -> Recorder:
    """
    Return a recorder for a run that another process on this machine started.

    Raises:
        StoreError: There is no run in that folder.
    """
    layout = RunLayout(folder)
    try:
        record = serial.record_from_start(serial.unseal(layout.record.read_bytes()))
    except (OSError, serial.DamagedError) as error:
        raise StoreError(f"There is no run to attach to in {str(folder)!r}: {error}") from error
    origin = record.process.monotonic_s if record.process else time.monotonic()
    recorder = Recorder(
        layout,
        record.uid,
        began_s=origin,
        durability_ms=Roll(layout.events).durability_ms,
        redactor=handed_down(),
        writer=child_writer(),
    )
    recorder.start()
    return recorder
