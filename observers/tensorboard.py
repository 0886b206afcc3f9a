"""Live event files for TensorBoard, written with its own classes; TensorFlow and torch are not needed."""

from __future__ import annotations

import json
import os
import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from anew.observers.folders import claim_folder, folder_of_runs
from anew.observers.tensorboard_media import MediaMessages
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.errors import MissingExtraError
from anew.runner.format.values import as_float, plain
from anew.runner.records import RunRecord, Status

_FILE_VERSION = "brain.Event:2"
_EXACT_UP_TO = 2**53
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_READ_BYTES = 1 << 20


class TensorBoardObserver:
    """
    Writes what TensorBoard reads, while the run goes on: `tensorboard --logdir DIR`.

    There is a folder per run, `DIR/NUMBER-EXPERIMENT`, which is also what TensorBoard calls the run. Metrics are
    scalars under their own names, with their steps and the time at which they were logged. The configuration is a row
    on the page on hyperparameters, nested keys joined by dots; what is no truth value, number or text (lists, null,
    ints beyond 2**53) is shown there as JSON text. Configuration, overrides and notes are also there as text, under
    `anew/`. Histograms, pictures (those of `run.log_figure` and `run.log_image` up to 16 MB), logged texts and tables
    are there with their steps. The end sets the session's status: success for a completed run, else failure.

    TensorBoard keeps scalars as 32-bit floats, and so do these files (its usual reader ignores doubles): values are
    rounded to some seven digits, and beyond 3.4e38 they are infinite; `anew metrics` and exports have the exact ones.
    All points are in the files, steps that repeat or go back included. But TensorBoard's usual reader takes a step
    that goes back for a restarted program and hides the points from that step on; with `--load_fast=false` it shows
    them. Of a curve it draws 1,000 points chosen by chance, or as many as `--samples_per_plugin=scalars=100000` says.

    How a point is written once. Event files are only ever appended to, by one instance each: whoever takes up a run
    begins a new one, whose name sorts behind the others, which is what TensorBoard expects of a program that was
    restarted, and leaves those before as they are, even if the last record is torn. One event becomes one record,
    which has a checksum and so is there whole or not at all, and which names its origin, `WRITER:Q`, in a field that
    no reader looks at (`node_name` of its first value). Since a writer's events come in order, the greatest number of
    each writer in the run's files tells what is there: those records are read when a run is taken up, and an event
    whose number is not greater is a repeat. Whatever is written is with the operating system when `handle` returns.

    Args:
        dir: A folder, relative to the run's working directory; null: `tensorboard` in the store's folder, or in the
            working directory when the store has none.
        flush_s: At most so many seconds after they were written, and at the end, points are safe from a power cut (as
            long as more events come); 0 has every delivery wait for that. Readers see them at once, whatever this is.
        hparams: Whether to write the configuration as hyperparameters, and the session's beginning and end.
        metrics: Names of those that the page on hyperparameters lists; null leaves it to TensorBoard, which lists
            all. TensorBoard takes such a list, and the hyperparameters, from any one of the runs that it shows.
        text: Whether to write configuration, overrides and notes as text.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(
        self,
        dir: str | None = None,
        flush_s: float = 5.0,
        hparams: bool = True,
        metrics: Sequence[str] | None = None,
        text: bool = True,
    ) -> None:
        try:
            self._messages = _Messages(hparams=hparams, metrics=metrics, text=text)
        except ImportError as error:
            raise MissingExtraError(
                "Event files for TensorBoard need its library. To install it: pip install 'anew[tensorboard]'"
            ) from error
        self._dir = dir
        self._flush_s = flush_s
        self._store: RunStore | None = None
        self._files: _EventFiles | None = None
        self._started = 0.0

    @property
    def sink(self) -> str:
        """The run's folder; empty before the first event."""
        return str(self._files.folder) if self._files else ""

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in; its folder is where `dir: null` writes to."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """Take one event. Raises OSError when files cannot be read or written."""
        self.handle_many((event,))

    def handle_many(self, events: Sequence[ev.Event], /) -> None:
        """Take events as one. Raises as `handle`; what could not be written is kept for the next call."""
        for event in events:
            if isinstance(event, ev.RunStarted) and self._files is None:
                self._take_up(event.record)
            assert self._files is not None, "the first event is RunStarted"
            if event.q > self._files.latest.get(event.writer, -1):
                self._take(event, self._files)
        if self._files is not None:
            self._files.write()
            if any(isinstance(event, ev.RunEnded) for event in events):
                self._files.sync()

    def close(self) -> None:
        """Let go of the event file. Raises OSError when it cannot be synced; it is closed then, too."""
        if self._files is not None:
            self._files.close()

    def _take_up(self, record: RunRecord) -> None:
        folder = claim_folder(folder_of_runs(self._dir, self._store, "tensorboard"), record)
        self._started = record.started_at.timestamp()
        self._messages.name = folder.name
        self._files = _EventFiles(folder, self._started, self._flush_s)

    def _take(self, event: ev.Event, files: _EventFiles) -> None:
        values, step = self._messages.values(event, self._store)
        if values:
            files.add(event.writer, event.q, values, step=step, wall_time=self._started + event.t)


# --- from events to TensorBoard's messages ----------------------------------------------------------------------


class _Messages:
    """Makes TensorBoard's messages. Raises ImportError when made without TensorBoard."""

    def __init__(self, *, hparams: bool, metrics: Sequence[str] | None, text: bool) -> None:
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
        from tensorboard.plugins.hparams import metadata as hparams_metadata
        from tensorboard.plugins.text import metadata as text_metadata

        self.name = ""
        self._hparams = hparams
        self._metrics = [metrics] if isinstance(metrics, str) else metrics
        self._text = text
        self._value = summary_pb2.Summary.Value
        self._tensor = tensor_pb2.TensorProto
        self._scalar_shape = tensor_shape_pb2.TensorShapeProto
        self._string = types_pb2.DT_STRING
        self._api = api_pb2
        self._plugin_data = plugin_data_pb2
        self._hparams_metadata = hparams_metadata
        self._text_metadata = text_metadata
        self._media = MediaMessages(self._markdown)

    def values(self, event: ev.Event, store: RunStore | None) -> tuple[list[Any], int]:
        """Return what an event puts into a summary, none for most kinds, and at which step."""
        if isinstance(event, ev.MetricsLogged):
            return [self._scalar(name, value) for name, value in event.values.items()], event.step
        if isinstance(event, ev.HistogramsLogged):
            return [self._media.histogram(_unicode(name), each) for name, each in event.values.items()], event.step
        if isinstance(event, ev.ArtifactAdded) and store is not None:
            return self._media.artifact(_unicode(event.series), event, store.open_object), event.step or 0
        if isinstance(event, ev.RunStarted):
            return [*self._session_start(event.record), *self._texts(event.record)], 0
        if isinstance(event, ev.RunEnded) and self._hparams:
            return [self._session_end(event)], 0
        if isinstance(event, ev.NoteSet) and self._text:
            # a whole number that is the same each time, and greater for the later note
            return [self._markdown("anew/note", event.text or "(no note)")], max(0, int(event.t))
        return [], 0

    def _scalar(self, name: str, value: float | int) -> Any:
        return self._value(tag=_unicode(name), simple_value=as_float(value))

    def _texts(self, record: RunRecord) -> Iterator[Any]:
        if not self._text:
            return
        if record.config:
            yield self._markdown("anew/config", _code(_yaml(record.config)))
        if record.overrides:
            yield self._markdown("anew/overrides", _code("\n".join(record.overrides)))
        if record.note:
            yield self._markdown("anew/note", record.note)

    def _markdown(self, tag: str, text: str) -> Any:
        data = text.encode("utf-8", "backslashreplace")
        return self._value(
            tag=tag,
            metadata=self._text_metadata.create_summary_metadata("", ""),
            tensor=self._tensor(dtype=self._string, tensor_shape=self._scalar_shape(), string_val=[data]),
        )

    def _session_start(self, record: RunRecord) -> Iterator[Any]:
        if not self._hparams:
            return
        flat = dict(_flat(plain(record.config)))
        started = record.started_at.timestamp()
        if self._metrics is not None:
            yield self._experiment(flat, self._metrics, started)
        # a group of its own for each run: else TensorBoard shows the mean of runs that have the same configuration
        info = self._plugin_data.SessionStartInfo(group_name=self.name, start_time_secs=started)
        for name, value in flat.items():
            setattr(info.hparams[_unicode(name)], f"{_kind(value)}_value", value)
        yield self._hparams_value("SESSION_START_INFO_TAG", session_start_info=info)

    def _session_end(self, event: ev.RunEnded) -> Any:
        status = self._api.STATUS_SUCCESS if event.status is Status.COMPLETED else self._api.STATUS_FAILURE
        info = self._plugin_data.SessionEndInfo(status=status, end_time_secs=event.ended_at.timestamp())
        return self._hparams_value("SESSION_END_INFO_TAG", session_end_info=info)

    def _experiment(self, flat: Mapping[str, bool | float | str], metrics: Sequence[str], created: float) -> Any:
        api = self._api
        types = {"bool": api.DATA_TYPE_BOOL, "number": api.DATA_TYPE_FLOAT64, "string": api.DATA_TYPE_STRING}
        experiment = api.Experiment(
            time_created_secs=created,
            hparam_infos=[api.HParamInfo(name=_unicode(name), type=types[_kind(flat[name])]) for name in flat],
            metric_infos=[api.MetricInfo(name=api.MetricName(tag=_unicode(name))) for name in metrics],
        )
        return self._hparams_value("EXPERIMENT_TAG", experiment=experiment)

    def _hparams_value(self, tag: str, **content: Any) -> Any:
        metadata = self._hparams_metadata
        data = self._plugin_data.HParamsPluginData(**content)
        return self._value(
            tag=getattr(metadata, tag), metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
        )


def _unicode(text: str) -> str:
    """Return a text without what is no Unicode; TensorBoard's messages take nothing else."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | float | str]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _hparam(value)


def _hparam(value: Any) -> bool | float | str:
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) <= _EXACT_UP_TO:
        return float(value)
    return _unicode(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kind(value: bool | float | str) -> str:
    return "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


def _yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)


def _code(text: str) -> str:
    """Return a text as a block of code in Markdown; indentation alone has no end mark that could occur in it."""
    return "".join(f"    {line}\n" for line in text.split("\n"))


# --- event files ------------------------------------------------------------------------------------------------


class _EventFiles:
    """
    The event files of one run, as its docstring says. For one thread.

    Attributes:
        folder: Where they are.
        latest: Writer -> the greatest number of an event that is in the files, or is about to be.
    """

    def __init__(self, folder: Path, started: float, sync_s: float) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder = folder
        self.latest: dict[str, int] = {}
        self._event = event_pb2.Event
        self._source = event_pb2.SourceMetadata
        self._record_writer = RecordWriter
        self._started = started
        self._sync_s = sync_s
        self._synced = time.monotonic()
        self._dirty = False
        self._descriptor: int | None = None
        self._pending = bytearray()
        self._records = RecordWriter(SimpleNamespace(write=self._pending.extend))
        self._read()

    def add(self, writer: str, q: int, values: Sequence[Any], *, step: int, wall_time: float) -> None:
        """Take one event's values for the next `write`."""
        event = self._event(wall_time=wall_time, step=step)
        event.summary.value.extend(values)
        event.summary.value[0].node_name = f"{writer}:{q}"
        self._records.write(event.SerializeToString())
        self.latest[writer] = q

    def write(self) -> None:
        """Hand over to the operating system what was added. After an OSError the next call goes on where it stopped."""
        while self._pending:
            if self._descriptor is None:
                self._descriptor = self._begin()
            written = os.write(self._descriptor, self._pending[:_READ_BYTES])
            del self._pending[:written]
            self._dirty = True
        if self._dirty and time.monotonic() - self._synced >= self._sync_s:
            self.sync()

    def sync(self) -> None:
        """Make what was written survive a power cut. Raises OSError."""
        if self._dirty and self._descriptor is not None:
            os.fsync(self._descriptor)
            self._dirty = False
            self._synced = time.monotonic()

    def close(self) -> None:
        """Let go of the file; what was never written is dropped, since it was never taken."""
        try:
            self.sync()
        finally:
            descriptor, self._descriptor = self._descriptor, None
            self._pending.clear()
            if descriptor is not None:
                os.close(descriptor)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("events.out.tfevents.*"))

    def _read(self) -> None:
        from google.protobuf.message import DecodeError

        for path in self._paths():
            try:
                for record in _records(path):
                    for value in self._event.FromString(record).summary.value[:1]:
                        writer, _, q = value.node_name.rpartition(":")
                        if q.isdigit():
                            self.latest[writer] = max(int(q), self.latest.get(writer, -1))
            except DecodeError:
                # a power cut left something else in the file; no reader gets past it
                continue

    def _begin(self) -> int:
        """Begin a new file, behind those that are there, and return its descriptor."""
        numbers = [int(found[0]) for path in self._paths() if (found := re.findall(r"\d+$", path.name))]
        number = max(numbers, default=0)
        while True:
            number += 1
            name = f"events.out.tfevents.{int(self._started):010d}.anew.{number:06d}"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                descriptor = os.open(self.folder / name, flags, 0o644)
            except FileExistsError:
                continue
            self._pending[:0] = self._head()
            return descriptor

    def _head(self) -> bytes:
        """Return what every event file begins with; without the version, readers drop points whose steps go back."""
        head = bytearray()
        event = self._event(
            wall_time=self._started, file_version=_FILE_VERSION, source_metadata=self._source(writer="anew")
        )
        self._record_writer(SimpleNamespace(write=head.extend)).write(event.SerializeToString())
        return bytes(head)


def _records(path: Path) -> Iterator[bytes]:
    """
    Yield the records of an event file that readers get to see, up to the end or to the first torn one.

    Of all but the last one only the lengths are checked: what tears a file cuts it off, and checksums in plain Python,
    as TensorBoard has them, take a second for 8 MB.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    size = path.stat().st_size
    end = 0
    with path.open("rb", buffering=_READ_BYTES) as file:
        while len(head := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(head)
            end += _HEADER.size + length + _CHECKSUM.size
            if end > size or masked_crc32c(head[:8]) != checksum:
                return
            record, checksum = file.read(length), file.read(_CHECKSUM.size)
            if end == size and _CHECKSUM.pack(masked_crc32c(record)) != checksum:
                return
            yield record
