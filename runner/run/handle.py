"""The handle of a run: what the user's function is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from anew.runner.errors import RunStateError, StoreError, ValueRefusedError
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import pathlib
    from pathlib import Path

    import numpy as np

    from anew.runner import events as ev
    from anew.runner import places, settings
    from anew.runner.capture import inputs, seeds
    from anew.runner.format import values as formats
    from anew.runner.records import ContentRef
    from anew.runner.run import media, stopping
    from anew.runner.run import recorder as recording
    from anew.runner.run.media import Piece
    from anew.runner.store import objects as contents
else:
    # with a run that begins, or is attached to; `from anew import Run`, for an annotation, is light
    pathlib = later("pathlib")
    ev = later("anew.runner.events")
    formats = later("anew.runner.format.values")
    recording, stopping = later("anew.runner.run.recorder"), later("anew.runner.run.stopping")
    contents, media = later("anew.runner.store.objects"), later("anew.runner.run.media")
    inputs, seeds = later("anew.runner.capture.inputs"), later("anew.runner.capture.seeds")

OBJECTIVE = "objective"


class Ending(Protocol):
    """What ends a run that no main's return ends."""

    def hold(self) -> None:
        """Leave its end to a `with` block."""
        ...

    def end(self, failure: BaseException | None) -> None:
        """End it, by what was raised; a second time do nothing."""
        ...


class Run:
    """
    One run, as seen by the code that it runs.

    Every method may be called from any thread, from forked children, and from spawned children (a `Run` can be
    pickled to them, and `anew.current_run()` finds it there). When `log` returns, the point survives the death of the
    process.

    Attributes:
        uid: The run's name everywhere.
        id: Its number in the store.
        seed: Root seed in [0, 2**32).
        folder: The same, not made by being looked at.
        declared: The recorded names of the inputs that this process declared.
        stopping: Whether the run is to stop before its end.
        config: What `anew.start` was given, with what a re-run has put into it; None for a run of a main.
        ending: What ends it, where `anew.start` began it.
        is_current: Whether it is the run that this process is in, the innermost.
    """

    def __init__(
        self,
        recorder: recording.Recorder,
        *,
        number: int | None,
        seed: int,
        objects: contents.ObjectStore,
        places: places.Places,
        inputs: settings.InputSettings,
    ) -> None:
        self.uid = recorder.uid
        self.id = number
        self.seed = seed
        self.folder = recorder.folder
        self.declared: set[str] = set()
        self._recorder = recorder
        self._objects = objects
        self._places = places
        self._inputs = inputs
        self._steps: dict[str, int] = {}
        self.stopping = stopping.Stopping(recorder)
        self.config: Any = None
        self.ending: Ending | None = None
        self.is_current = False

    def __repr__(self) -> str:
        return f"Run(id={self.id}, uid={self.uid!r}, dir={str(self.folder.path)!r})"

    @property
    def dir(self) -> Path:
        """A folder of its own, for whatever main writes; made when it is first asked for. Raises StoreError."""
        return self.folder.made()

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """
        Log numbers under names, at one step.

        Args:
            values: Metric name -> number: int of any size, float (NaN and infinities too), bool, a scalar of numpy or
                torch. Nested mappings become names with "/". What is no number is left out, said once on stderr and
                kept in the record's warnings; the run goes on.
            step: Any integer; steps may repeat and go back. Absent: one more than the greatest last step of these
                metrics, from 0 on.

        Raises:
            ValueRefusedError: These are no names and values.
        """
        if type(values) is not dict and not isinstance(values, Mapping):
            raise ValueRefusedError(
                f"run.log({_shown(values)}) has no names: give a dict of numbers, such as run.log({{'loss': 0.3}})."
            )
        self._recorder.log(values, step)

    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """
        Keep a file, or every file of a folder, in the store; when this returns, it survives a power cut.

        Args:
            path: Absolute, or relative to the working directory, or else to `dir`.
            name: What to call it, "/" allowed; the file's own name when absent. The same name again replaces it.
                Files of a folder are called name/relative/path.

        Raises:
            ArtifactError: The path is missing or no file or folder, a link in the folder leads out of it or in
                circles, or the name is not a relative path without "..".
            StoreError: The content or its record could not be written, and the run has a hole (`anew.on_loss`).
        """
        if doubt := media.two_of(pathlib.Path(path), self.folder.path):
            self.warn(doubt)
        for label, keep in media.files_of(pathlib.Path(path), name, self.folder.path, self._objects):
            self._keep(label, keep)
        self._recorder.sync()

    def _keep(self, label: str, keep: Callable[[], ContentRef], **also: Any) -> None:
        """Have an artifact in the store and on record."""
        with self._losing(f"artifact {label!r}"):
            reference = keep()
        if not self._recorder.add(ev.ArtifactAdded, artifact=reference, **also):
            raise StoreError(f"The artifact {label!r} could not be put on record.", run=self.id)
        self._recorder.regain(f"artifact {label!r}")

    def log_figure(self, figure: Any, name: str, step: int | None = None) -> None:
        """
        Keep a figure as the artifact NAME.png, or NAME/STEP.png; when this returns, it survives a power cut.

        Args:
            figure: Of Matplotlib, or whatever has `savefig`; one of Plotly is kept as an HTML page (4 MB, for it is
                complete).
            name: What to call it, "/" allowed. The same name and step again replace it.
            step: Any integer; None for a figure that is not one of several.

        Raises:
            ValueRefusedError: It is no figure or cannot be written, or these are no name and step.
            ArtifactError: The name is not a relative path without "..".
            StoreError: As for `log_artifact`.
        """
        self._log_piece("figure", figure, name, step)

    def log_image(self, image: Any, name: str, step: int | None = None) -> None:
        """
        Keep a picture as the artifact NAME.png, or NAME/STEP.png. Needs Pillow: `pip install 'anew[image]'`.

        Args:
            image: A picture of Pillow, or an array or tensor of shape (height, width) or (height, width, channels) with
                1 to 4 channels: uint8, float from 0 to 1, or bool.
            name: As for `log_figure`.
            step: As for `log_figure`.

        Raises:
            ValueRefusedError: Another shape or type, or numbers out of range; or these are no name and step.
            MissingExtraError: Pillow is not installed.
            ArtifactError, StoreError: As for `log_figure`.
        """
        self._log_piece("image", image, name, step)

    def log_text(self, text: str, name: str, step: int | None = None) -> None:
        """
        Keep a text as the artifact NAME.txt, or NAME/STEP.txt, without the secrets that are known.

        Args:
            text: Of any length.
            name: As for `log_figure`.
            step: As for `log_figure`.

        Raises:
            ValueRefusedError, ArtifactError, StoreError: As for `log_figure`.
        """
        hidden = self._recorder.redactor.text(text) if isinstance(text, str) else text
        self._log_piece("text", hidden, name, step)

    def log_table(self, table: Any, name: str, step: int | None = None) -> None:
        """
        Keep a table as the artifact NAME.csv, or NAME/STEP.csv.

        Args:
            table: A data frame of pandas (with its index, unless that only counts) or polars, or a list of mappings, a
                row each.
            name: As for `log_figure`.
            step: As for `log_figure`.

        Raises:
            ValueRefusedError, ArtifactError, StoreError: As for `log_figure`.
        """
        self._log_piece("table", table, name, step)

    def log_histogram(self, values: Any, name: str, step: int | None = None, *, bins: int = 64) -> None:
        """
        Log how many of *values* lie where, as counts in bins of one width; as durable as `log`.

        Args:
            values: An array, tensor or list of real numbers, of any shape. NaN and infinities are counted apart, and
                the first time they are named on stderr and in the record's warnings.
            name: What to call it.
            step: Any integer; None for one more than the last step of this name in this process, from 0 on.
            bins: How many bins.

        Raises:
            ValueRefusedError: No values or no numbers, or these are no name and step.
        """
        call = "log_histogram"
        label, at = media.series_name(name, call), media.step_of(step, call)
        found = {label: media.histogram(values, bins)}
        if at is None:
            at = self._steps.get(label, 0)
        self._recorder.add(ev.HistogramsLogged, step=at, values=found)
        self._steps[label] = at + 1
        self._recorder.name_strays(at, media.unfinite(found))

    def _log_piece(self, kind: str, given: Any, name: str, step: int | None) -> None:
        call = f"log_{kind}"
        label, at = media.series_name(name, call), media.step_of(step, call)
        piece: Piece = getattr(media, kind)(given)
        path = media.path_of(label, at, piece.ending)
        also = {} if at is None else {"step": at}
        self._keep(path, lambda: media.kept(piece, path, self._objects), form=kind, series=label, **also)
        self._recorder.sync()

    def input(self, path: str | os.PathLike[str]) -> Path:
        """
        Declare a file or folder that the run reads; its digest goes on record, small content into the store.

        Returns:
            The path, to open. In a re-run it leads to the recorded content, where that was put back.

        Raises:
            ArtifactError: There is no such file or folder, or it cannot be read.
        """
        result = self._places.here(pathlib.Path(path))
        with self._losing(f"input {str(path)!r}"):
            for reference in inputs.declare_inputs(result, self._places, self._objects, self._inputs.keep_bytes):
                self.declared.add(reference.path)
                self._recorder.add(ev.InputUsed, input=reference)
        return result

    @contextmanager
    def _losing(self, what: str) -> Iterator[None]:
        """Have the run know what could not be kept, whatever main makes of the error."""
        try:
            yield
        except StoreError as error:
            self._recorder.lose(f"the {what} was not kept: {error}", key=what)
            raise

    def info(self, values: Mapping[str, Any]) -> None:
        """
        Add facts to the record, merged key by key with those there.

        A value that cannot be kept is left out, said on stderr and kept in the record's warnings; the run goes on.

        Raises:
            ValueRefusedError: These are no names and values.
        """
        if not isinstance(values, Mapping):
            raise ValueRefusedError(
                f"run.info({_shown(values)}) has no names: give a dict, such as run.info({{'n': 3}})."
            )
        for key, value in values.items():
            try:
                formats.encode(value, f"info.{key}")
                self._recorder.add(ev.InfoSet, values={str(key): value})
            except ValueRefusedError as error:
                self._recorder.warn_once(f"info:{key}", str(error))
            except Exception as error:
                # the user's object may raise anything when it is looked at
                self._recorder.warn_once(f"info:{key}", f"info.{key} was not kept: {type(error).__name__}: {error}")

    def tag(self, *names: str) -> None:
        """Add tags. An empty one, or one with a control character, is left out; stderr and the warnings say so."""
        given = tuple(str(name) for name in names)
        kept = tuple(name for name in given if not formats.flaw_of_tags([name]))
        if kept:
            self._recorder.add(ev.TagsChanged, added=kept)
        if flaw := formats.flaw_of_tags(given):
            self._recorder.warn_once("tag:", f"run.tag({', '.join(map(repr, given))}): {flaw}")

    def note(self, text: str) -> None:
        """Set the run's note, in place of the one before."""
        self._recorder.add(ev.NoteSet, text=str(text))

    def warn(self, text: str) -> None:
        """Say on stderr, once, what is not as it should be, and put it on record, beside the run's other warnings."""
        self._recorder.warn_once(text, text)

    def report(self, value: float, step: int) -> None:
        """
        Report an intermediate result: logged as the metric `objective`, and told to the search that the run is part of.

        Args:
            value: In the terms of what main returns.
            step: An integer from 0 on, such as the epoch.

        Raises:
            ValueRefusedError: In a search: the value is no number, or the step is negative.
        """
        self._recorder.log({OBJECTIVE: value}, step)
        self.stopping.report(value, step)

    def should_stop(self) -> bool:
        """
        Whether the search that the run is part of would stop it, going by what was reported; False outside a search.

        Main returns early then, as it would at its end, or raises `optuna.TrialPruned`. Either way the run is
        COMPLETED, with `pruned` on record, and shown as PRUNED. A re-run is answered what the run on record was.
        """
        return self.stopping.should_stop()

    def finish(self) -> None:
        """
        End a run that `anew.start` began, as COMPLETED; of one that has ended already, or in a child process, nothing.

        As a context manager, `with anew.start(...) as run:`, it ends with the block: COMPLETED, FAILED by what is
        raised in it, or INTERRUPTED. To be called in the thread that began it.

        Raises:
            RunStateError: It ends when its main returns.
            UnkeptError: Something of it is not on record.
        """
        self._finish(None)

    def __enter__(self) -> Run:
        if self.ending is not None:
            self.ending.hold()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        if self.ending is not None:
            self.ending.end(error)
        elif self.is_current:
            raise RunStateError("This run ends when its main returns; run.finish() is for one that anew.start began.")

    def rng(self, name: str) -> np.random.Generator:
        """
        Return a numpy Generator of its own for *name*, derived from the root seed and the name alone.

        The same name gives a fresh generator at the same starting point; different names are independent, whatever
        the order of the calls.

        Raises:
            ValueRefusedError: The name is no text.
        """
        if not isinstance(name, str):
            raise ValueRefusedError(
                f"run.rng({_shown(name)}) has no name: a generator is called by a text, such as run.rng('shuffle') or "
                f"run.rng(f'worker{{n}}')."
            )
        return seeds.rng(self.seed, name)


def _shown(value: object) -> str:
    """Return a value as it was given, or its type where that would be long."""
    text = repr(value) if isinstance(value, (str, int, float, list, tuple, type(None))) else ""
    return text if 0 < len(text) <= 40 else f"<{type(value).__name__}>"
