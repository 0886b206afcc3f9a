"""The part of a run that puts on record which files main uses as inputs, and which it writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner import events as ev
from anew.runner.capture.beside import is_left_out, unseen_files
from anew.runner.capture.held import paths_of
from anew.runner.capture.noticed import missed_files, noticed_inputs, written_files
from anew.runner.capture.opened import OpenedFiles
from anew.runner.capture.unseen import Unseen
from anew.runner.capture.written import WrittenFiles
from anew.runner.lazy.modules import later
from anew.runner.relaunch.plan import report_seen
from anew.runner.run.beginning import Beginning
from anew.runner.run.handle import Run
from anew.runner.run.recorder import Recorder
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from anew.runner.capture import strace
else:
    strace = later("anew.runner.capture.strace")


class NoticedInputs:
    """
    Files that main opens without having declared them.

    Attributes:
        opened: What notes them.
    """

    def __init__(self, beginning: Beginning, recorder: Recorder, run: Run) -> None:
        self._beginning = beginning
        self._recorder = recorder
        self._run = run
        self._source = paths_of(beginning.record.source)
        settings, places = beginning.claim.settings.inputs, beginning.origin.places
        roots = [Path(root).expanduser() for root in settings.roots]
        mirrored = [places.mirrored(root) for root in roots if root.is_absolute()]
        # what is laid out for a re-run lies in the cache
        cache = () if places.mirror is not None else (beginning.origin.cache,)
        exclude = (beginning.claim.store.root, *cache)
        folders = [places.project, *roots, *mirrored, *([places.mirror] if places.mirror is not None else [])]
        # what is laid out for a re-run is nobody's project
        self._written = WrittenFiles(beginning.origin.cache, places.root) if not places.moved else None
        self._tracer = strace.Tracer() if settings.trace else None
        self.opened = OpenedFiles(
            folders,
            exclude=exclude,
            most=settings.max_files,
            outside=True,
            unseen=Unseen(lambda: unseen_files(places, roots, beginning.record.source, exclude)),
            keep=self._keep,
            writing=self._written.begin if self._written is not None else None,
            tracer=self._tracer,
            is_source=lambda path: places.name(Path(path)) in self._source,
        )

    def _is_no_data(self, path: str) -> bool:
        """Whether a file that was read on the way to main is source, or is to be left out."""
        name = self._beginning.origin.places.name(Path(path))
        return name in self._source or is_left_out(name, self._beginning.claim.settings.source)

    def _keep(self, path: str) -> str | None:
        """Keep what a file is that is about to be changed, unless it is too large."""
        claim = self._beginning.claim
        if os.path.getsize(path) > claim.settings.inputs.keep_bytes:
            return None
        return claim.store.objects.put_file(Path(path), sync=False)[0]

    def start(self) -> None:
        """Begin to notice them; a run without that is better than none."""
        try:
            if self._written is not None:
                self._written.open()
            self.opened.start(self._is_no_data)
        except OSError as error:
            self._recorder.warn_once("notice", f"The files that main opens are not noticed: {in_a_line(error)}.")
        self._say_flaw()

    def _say_flaw(self) -> None:
        if self._tracer is not None and self._tracer.flaw is not None:
            self._recorder.warn_once("trace", self._tracer.flaw)

    def stop(self) -> None:
        """Put them on record. Raises StoreError."""
        # first, since what is done here opens files, too
        self.opened.stop()
        self._say_flaw()
        beginning = self._beginning
        objects, keep = beginning.claim.store.objects, beginning.claim.settings.inputs.keep_bytes
        cache = beginning.origin.cache / "inputs.json"
        try:
            places, declared = beginning.origin.places, self._run.declared
            report_seen(missed_files(self.opened, places), tuple(self.opened.isolated))
            if self._written is not None:
                self._written.end(written_files(self.opened))
            found, notes = noticed_inputs(self.opened, places, objects, keep, cache, declared)
            for reference in found:
                self._recorder.add(ev.InputUsed, input=reference)
            for note in notes:
                self._recorder.warn_once(note, note)
        finally:
            self.opened.close()
            if self._written is not None:
                self._written.close()
