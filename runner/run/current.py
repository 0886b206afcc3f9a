"""Which run is the current one: of this process, and how a child process comes to that of its parent."""

from __future__ import annotations

import copyreg
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.errors import AnewError, RunStateError, StoreError
from anew.runner.lazy.modules import later
from anew.runner.run.handle import Run

if TYPE_CHECKING:
    from anew.runner import places, settings
    from anew.runner.format import serial
    from anew.runner.run import recorder as recording
    from anew.runner.store import objects as contents
else:
    # with a run that is attached to; `from anew import current_run` is light
    places, settings = later("anew.runner.places"), later("anew.runner.settings")
    serial, recording = later("anew.runner.format.serial"), later("anew.runner.run.recorder")
    contents = later("anew.runner.store.objects")

RUN_VARIABLE = "ANEW_RUN"


class CurrentRun:
    """
    Which run this process is in.

    Attributes:
        run: The one whose main it runs, the innermost; None for none.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self._begun: Counter[str] = Counter()
        self._attached: tuple[str, Run] | None = None

    def set(self, run: Run | None) -> None:
        """Make *run* the current one of this process, for its children too."""
        if self.run is not None:
            self.run.is_current = False
        self.run = run
        if run is None:
            os.environ.pop(RUN_VARIABLE, None)
        else:
            run.is_current = True
            os.environ[RUN_VARIABLE] = str(run.folder.of_run)

    def begin(self, run: Run) -> int:
        """Count what main of a run starts in this process, from 1."""
        self._begun[run.uid] += 1
        return self._begun[run.uid]

    def attached(self, folder: str) -> Run:
        """Return the run in *folder*, attached to once per process."""
        if self.run is not None and str(self.run.folder.of_run) == folder:
            return self.run
        if self._attached is None or self._attached[0] != folder:
            self._attached = (folder, _attach(folder))
        return self._attached[1]


here = CurrentRun()


def current_run() -> Run:
    """
    Return the run that this code runs in, at any depth, thread or child process.

    Raises:
        RunStateError: No run is going on, or this is a sub-interpreter.
    """
    if here.run is not None:
        return here.run
    folder = os.environ.get(RUN_VARIABLE)
    if folder:
        return here.attached(folder)
    raise RunStateError(
        "No run is going on here: anew.current_run() works below a function decorated with @experiment.main. "
        "Start the script's main(), or main.run() from Python."
    )


def _sent(run: Run) -> tuple[Callable[[str], Run], tuple[str]]:
    with suppress(StoreError):
        run.folder.made()  # with what its children could not write there
    return _received, (str(run.folder.of_run),)


def _received(folder: str) -> Run:
    return here.attached(folder)


# a handle knows nothing of where others are found, so that its module is not asked how it is pickled
copyreg.pickle(Run, _sent)


def _attach(folder: str) -> Run:
    _refuse_sub_interpreter()
    recorder = recording.attach(Path(folder))
    record = serial.record_from_start(serial.unseal(recorder.layout.record.read_bytes()))
    try:
        objects = contents.ObjectStore(recorder.layout.folder.parent / "objects")
    except OSError as error:
        raise AnewError(f"The store of {folder!r} cannot be opened: {error}") from error
    return Run(
        recorder,
        number=int(recorder.layout.folder.name),
        seed=record.seed,
        objects=objects,
        places=places.Places(Path(record.source.root or record.command.cwd)),
        inputs=settings.InputSettings(),
    )


def _refuse_sub_interpreter() -> None:
    """Raise RunStateError in a sub-interpreter: it may have no thread, which makes lines survive a power cut."""
    if sys.version_info >= (3, 14):
        from concurrent import interpreters

        if interpreters.get_current() != interpreters.get_main():
            raise RunStateError(
                "A run cannot be logged to from a sub-interpreter, which has no threads of its own. Return the numbers "
                "from it, and log them where they arrive; or use processes: ProcessPoolExecutor."
            )
