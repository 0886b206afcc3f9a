"""Event files: TensorBoard's own readers, its server and its page find in them what was logged, once."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.util.tensor_util import make_ndarray

import anew.configs
from anew.observers.tensorboard import TensorBoardObserver
from anew.runner import events as ev
from anew.runner.attached.media import Histogram
from anew.runner.config.build import build_observer
from anew.runner.contracts import Batching, Beginning, Observer
from anew.runner.errors import MissingExtraError
from anew.runner.records import CommandFacts, ContentRef, RunRecord, Status
from anew.runner.testing.sample import PICTURE
from tests.helpers.browser import Browser, find_browser
from tests.helpers.places import ROOT
from tests.helpers.stores import add_run, make_store

ARTIFACTS = os.environ.get("ANEW_TEST_ARTIFACTS")  # read at once: the tests' environment has no ANEW_ variables
# What a page shows, without blanks: TensorBoard cuts names into pieces, and keeps much in shadow trees.
PAGE_TEXT = """(function text(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data.replace(/\\s+/g, '');
  if (['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.nodeName)) return '';
  return [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes].map(text).join('');
})(document.body)"""
# Whether a page has as many charts, and each has something drawn in it; that is done by a worker, after all else.
DRAWN = """(() => {
  const drawn = chart => {
    const copy = new OffscreenCanvas(chart.width, chart.height).getContext('2d');
    copy.drawImage(chart, 0, 0);
    return copy.getImageData(0, 0, chart.width, chart.height).data.some(byte => byte > 0);
  };
  const charts = [...document.querySelectorAll('line-chart canvas')];
  return charts.length === %d && charts.every(drawn);
})()"""
PATIENCE_S = 60.0
STARTED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)
RECORD = RunRecord(
    uid="01kjmz5n7a8y3v0c2xq9r4tw6b",
    id=7,
    experiment="digits",
    started_at=STARTED,
    command=CommandFacts(argv=("train.py",), cwd="/project"),
)
Points = dict[str, list[tuple[int, float, float]]]


def start(**changes: Any) -> ev.RunStarted:
    record = replace(RECORD, **changes)
    return ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=record)


def point(q: int, values: Mapping[str, float | int], step: int, writer: str = "main") -> ev.MetricsLogged:
    return ev.MetricsLogged(uid=RECORD.uid, writer=writer, q=q, t=q / 8, step=step, values=values)


def end(status: Status = Status.COMPLETED) -> ev.RunEnded:
    return ev.RunEnded(
        uid=RECORD.uid,
        writer="outcome",
        q=0,
        t=90.0,
        status=status,
        ended_at=STARTED + timedelta(seconds=90),
        duration_s=90.0,
    )


def note(q: int, text: str, t: float) -> ev.NoteSet:
    return ev.NoteSet(uid=RECORD.uid, writer="later", q=q, t=t, text=text)


def deliver(folder: Path, events: Sequence[ev.Event], *, batch: int = 1, **options: Any) -> Path:
    """Hand over events as a follower does that begins anew, and return the run's folder."""
    observer = TensorBoardObserver(str(folder), **options)
    observer.handle(start())
    for begin in range(0, len(events), batch):
        observer.handle_many(events[begin : begin + batch])
    observer.close()
    return Path(observer.sink)


def reader(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={SCALARS: 0, TENSORS: 0})


def points_in(source: Path | EventAccumulator) -> Points:
    """Every point that TensorBoard's reader finds: step, time and value."""
    found = (reader(source) if isinstance(source, Path) else source).Reload()
    return {
        tag: [(each.step, each.wall_time, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }


def points_of(events: Sequence[ev.Event]) -> Points:
    """What the reader has to find: the same, with values as floats of 32 bits."""
    points: Points = {}
    for event in events:
        if isinstance(event, ev.MetricsLogged):
            for name, value in event.values.items():
                number = struct.unpack("f", struct.pack("f", value))[0]
                points.setdefault(name, []).append((event.step, STARTED.timestamp() + event.t, number))
    return points


def event_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("events*")}


# --- points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_point_comes_back_from_tensorboards_own_reader(tmp_path: Path, batch: int) -> None:
    """Steps that repeat, go back or are negative are what was logged, and so they stay."""
    steps = [0, 1, 1, 5, 2, 2, -4, 2**63 - 1, -(2**63)]
    events = [point(q, {"train/loss": 0.1 * q, "größe/µ": q}, step) for q, step in enumerate(steps, 1)]

    folder = deliver(tmp_path, events, batch=batch)

    assert points_in(folder) == points_of(events)
    assert [step for step, _, _ in points_in(folder)["train/loss"]] == steps


def test_numbers_that_are_no_ordinary_floats_are_shown_as_the_nearest_there_is(tmp_path: Path) -> None:
    values: list[float | int] = [math.nan, math.inf, -math.inf, 2**70, 10**400, -(10**400), 1e300, True]

    folder = deliver(tmp_path, [point(q, {"x": value}, q) for q, value in enumerate(values, 1)])

    found = [value for _, _, value in points_in(folder)["x"]]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, float(2**70), math.inf, -math.inf, math.inf, 1.0]


def test_names_stay_as_they_are_where_they_are_text(tmp_path: Path) -> None:
    names = ["a b", "../x", "", "tab\tin it", "_hparams", "loss:val", "x" * 500]

    folder = deliver(tmp_path, [point(1, {**dict.fromkeys(names, 1.5), "no\udc80text": 2.5}, 1)])

    assert set(points_in(folder)) == {*names, "no\\udc80text"}


def test_what_is_logged_can_be_read_at_once(tmp_path: Path) -> None:
    observer = TensorBoardObserver(str(tmp_path), flush_s=3600)
    observer.handle(start())
    open_reader = reader(Path(observer.sink))

    for q in range(1, 20):
        observer.handle(point(q, {"loss": q}, q))
        assert points_in(open_reader)["loss"][-1][0] == q

    observer.close()


# --- repeats and restarts ---------------------------------------------------------------------------------------


def test_events_that_come_again_change_nothing(tmp_path: Path) -> None:
    events = [point(1, {"loss": 1}, 1), point(2, {"loss": 1}, 1), note(1, "good", 95.0), end()]
    folder = deliver(tmp_path, events)
    before = event_files(folder)

    deliver(tmp_path, events)
    deliver(tmp_path, events, batch=3)
    deliver(tmp_path, events[2:])

    assert event_files(folder) == before
    assert len(before) == 1


def test_a_batch_that_comes_again_to_the_same_instance_is_written_once(tmp_path: Path) -> None:
    events = [point(q, {"loss": q}, q) for q in range(1, 6)]
    observer = TensorBoardObserver(str(tmp_path))
    observer.handle(start())

    for batch in (events[:3], events[:3], events[1:5], events):
        observer.handle_many(batch)
    observer.handle(start())
    observer.close()

    assert points_in(Path(observer.sink)) == points_of(events)


@pytest.mark.parametrize("overlap", [0, 1, 5])
def test_whoever_takes_up_a_run_goes_on_where_each_writer_stands(tmp_path: Path, overlap: int) -> None:
    """Child processes have journals of their own, whose numbers have nothing to do with one another."""
    events = [
        point(q, {f"{writer}/x": q}, q, writer) for q in range(1, 21) for writer in ("main", "main.1:2", "worker-7")
    ]
    folder = tmp_path
    for begin in range(0, len(events), 13):
        folder = deliver(tmp_path, events[max(0, begin - overlap) : begin + 13], batch=4)

    assert points_in(folder) == points_of(events)


def test_two_points_that_are_alike_in_all_but_their_number_both_stay(tmp_path: Path) -> None:
    twins = [replace(point(q, {"loss": 1.0}, 3), t=2.0) for q in (1, 2)]

    folder = deliver(tmp_path, twins[:1])
    deliver(tmp_path, twins)

    assert points_in(folder) == points_of(twins)


def test_a_file_that_is_cut_off_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    """What a killed writer leaves: its last record may be torn, and nothing may be written behind that."""
    events = [point(q, {"loss": q, "acc": -q}, q) for q in range(1, 9)]
    folder = deliver(tmp_path / "whole", events[:4], hparams=False, text=False)
    [(name, data)] = event_files(folder).items()

    for length in range(len(data) + 1):
        torn = tmp_path / str(length) / folder.name
        torn.mkdir(parents=True)
        for mark in folder.glob(".anew*"):
            (torn / mark.name).touch()
        (torn / name).write_bytes(data[:length])
        assert deliver(torn.parent, events, batch=3, hparams=False, text=False) == torn
        assert event_files(torn)[name] == data[:length]
        assert points_in(torn) == points_of(events), length


@pytest.mark.parametrize("garbage", [bytes(4096), b"\xff" * 40])
def test_a_file_that_a_power_cut_filled_up_is_gone_on_with(tmp_path: Path, garbage: bytes) -> None:
    events = [point(q, {"loss": q}, q) for q in range(1, 9)]
    folder = deliver(tmp_path, events[:4])
    [path] = folder.glob("events*")
    path.write_bytes(path.read_bytes() + garbage)

    deliver(tmp_path, events)

    assert points_in(folder) == points_of(events)


def test_a_last_record_with_a_wrong_checksum_is_written_again(tmp_path: Path) -> None:
    """No reader shows it, so it counts as not there."""
    events = [point(q, {"loss": q}, q) for q in range(1, 9)]
    folder = deliver(tmp_path, events[:4])
    [path] = folder.glob("events*")
    data = path.read_bytes()
    value = -len("....main:4") - 6  # behind it are the field with the number, and the checksum
    path.write_bytes(data[:value] + bytes([data[value] ^ 1]) + data[value + 1 :])

    deliver(tmp_path, events[3:])

    assert points_in(folder) == points_of(events)


def test_what_lies_behind_a_damaged_record_counts_as_not_there(tmp_path: Path) -> None:
    """Readers stop at the damage, and go on with the next file."""
    events = [point(q, {"loss": q}, q) for q in range(1, 9)]
    folder = deliver(tmp_path, events[:6], hparams=False, text=False)
    [path] = folder.glob("events*")
    data = path.read_bytes()
    middle = data.index(b"main:4")
    path.write_bytes(data[: middle - 8] + b"\xff" * 14 + data[middle + 6 :])

    deliver(tmp_path, events, hparams=False, text=False)

    assert points_in(folder) == points_of(events)


def test_a_reader_that_is_open_meanwhile_goes_on_over_a_restart(tmp_path: Path) -> None:
    events = [point(q, {"loss": q}, q) for q in range(1, 31)]
    folder = deliver(tmp_path, events[:10])
    open_reader = reader(folder)
    [path] = folder.glob("events*")
    path.write_bytes(path.read_bytes()[:-9])
    assert points_in(open_reader) == points_of(events[:9])

    for until in (11, 12, 30):
        deliver(tmp_path, events[:until])
        assert points_in(open_reader) == points_of(events[:until])


def deliver_until_killed(folder: str, begin: int) -> None:
    """Run in a process that the test kills."""
    observer = TensorBoardObserver(folder)
    observer.handle(start())
    for q in range(begin, 10**9, 7):
        observer.handle_many([point(n, {"loss": n, "acc": n}, n) for n in range(q, q + 7)])


def test_a_process_killed_while_it_writes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.observers.test_tensorboard import *\n"
    seen = 0
    folder = tmp_path / "7-digits"
    for _ in range(5):
        size = sum(map(len, event_files(folder).values()))
        call = f"deliver_until_killed({str(tmp_path)!r}, {max(1, seen - 20)})"
        process = subprocess.Popen([sys.executable, "-c", code + call])
        deadline = time.monotonic() + PATIENCE_S
        while sum(map(len, event_files(folder).values())) < size + 30_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = len(points_in(folder)["loss"])

    events = [point(q, {"loss": q, "acc": q}, q) for q in range(1, seen + 50)]
    deliver(tmp_path, events[max(0, seen - 20) :], batch=7)

    assert points_in(folder) == points_of(events)


def test_a_full_disk_delays_points_and_neither_loses_nor_doubles_one(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: like it, it cuts a record in the middle."""
    events = [point(q, {"loss": q}, q) for q in range(1, 200)]
    observer = TensorBoardObserver(str(tmp_path))
    observer.handle(start())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_001, limits[1]))
    try:
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
                observer.handle_many(events)
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            observer.handle(events[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(points_in(Path(observer.sink))["loss"]) < 100

    observer.handle_many(events)
    observer.close()

    assert points_in(Path(observer.sink)) == points_of(events)


def test_an_instance_that_gave_up_on_a_full_disk_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    events = [point(q, {"loss": q}, q) for q in range(1, 200)]
    observer = TensorBoardObserver(str(tmp_path))
    observer.handle(start())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_001, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            observer.handle_many(events)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    observer.close()

    folder = deliver(tmp_path, events, batch=50)

    assert points_in(folder) == points_of(events)


def test_a_folder_that_cannot_be_made_counts_as_out_of_reach_until_it_can(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    observer = TensorBoardObserver(str(blocked / "logs"))
    with pytest.raises(OSError, match="blocked"):
        observer.handle(start())

    blocked.unlink()
    observer.handle(start())
    observer.handle(point(1, {"loss": 1}, 1))
    observer.close()

    assert points_in(blocked / "logs" / "7-digits") == points_of([point(1, {"loss": 1}, 1)])


# --- places -----------------------------------------------------------------------------------------------------


def test_a_run_has_a_folder_of_its_own_in_the_store_by_default(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store, metrics={"loss": [3.0, 2.0, 1.0]}, experiment="a/b  c: ..é\n")
    observer = TensorBoardObserver()
    observer.begin(store)

    observer.handle_many(list(store.events(number)))
    observer.close()

    folder = tmp_path / "runs" / "tensorboard" / f"{number}-a_b_c_..é_"
    assert observer.sink == str(folder)
    assert [value for _, _, value in points_in(folder)["loss"]] == [3.0, 2.0, 1.0]
    assert [record.id for record in store.records()] == [number]


def test_without_a_store_the_folder_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    observer = TensorBoardObserver()

    observer.handle(start())
    observer.close()

    assert observer.sink == str(tmp_path / "tensorboard" / "7-digits")


def test_a_run_without_a_number_is_called_by_its_uid(tmp_path: Path) -> None:
    observer = TensorBoardObserver(str(tmp_path))

    observer.handle(start(id=None))
    observer.close()

    assert observer.sink == str(tmp_path / "01kjmz5n7a-digits")


def test_another_run_of_the_same_number_and_name_gets_a_folder_apart(tmp_path: Path) -> None:
    """Two stores count from 1, and may share a folder of event files."""
    other = "01kjmz5n7b0000000000000000"
    mine = [point(1, {"loss": 1}, 1)]
    folder = deliver(tmp_path, mine)
    for _ in range(2):
        observer = TensorBoardObserver(str(tmp_path))
        observer.handle(start(uid=other))
        observer.handle(replace(point(1, {"loss": 5}, 5), uid=other))
        observer.close()
        assert observer.sink == str(tmp_path / f"7-digits-{other}")
    deliver(tmp_path, mine)

    assert points_in(folder) == points_of(mine)
    assert len(points_in(Path(observer.sink))["loss"]) == 1


# --- what else is written ---------------------------------------------------------------------------------------


def test_with_everything_turned_off_there_are_scalars_alone(tmp_path: Path) -> None:
    events = [point(1, {"loss": 1}, 1), note(1, "good", 3.0), end()]

    folder = deliver(tmp_path, events, hparams=False, text=False)

    assert reader(folder).Reload().Tags()["tensors"] == []
    assert points_in(folder) == points_of(events)


def test_no_record_is_marked_in_a_way_that_readers_complain_of(tmp_path: Path) -> None:
    """The writer's number is in a field that is read by nobody, and only there."""
    folder = deliver(tmp_path, [point(3, {"loss": 1, "acc": 2}, 1)], hparams=False, text=False)
    [data] = event_files(folder).values()

    records = []
    while data:
        length = struct.unpack("<Q", data[:8])[0]
        records.append(event_pb2.Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]

    assert [record.file_version for record in records] == ["brain.Event:2", ""]
    assert [record.HasField("source_metadata") for record in records] == [True, False]
    assert [value.node_name for value in records[1].summary.value] == ["main:3", ""]


def test_the_observer_is_what_its_configuration_says() -> None:
    folder = Path(anew.configs.__file__).parent
    text = (folder / "anew" / "observers" / "tensorboard.yaml").read_text()

    observer = build_observer("tensorboard", yaml.safe_load(text))

    assert isinstance(observer, TensorBoardObserver)
    assert isinstance(observer, Observer)
    assert isinstance(observer, Beginning)
    assert isinstance(observer, Batching)


def test_without_tensorboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[tensorboard\]'"):
        TensorBoardObserver()


# --- TensorBoard itself -----------------------------------------------------------------------------------------


class Server:
    """A real TensorBoard; it has loaded something when it is there."""

    def __init__(self, folder: Path, log: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*command, "--port", "0", "--reload_interval", "1", *options], stdout=file, stderr=file
            )
        self._log = log
        self.url = self.wait_for(self._address)
        self.wait_for(lambda: self.get("runs"))

    def _address(self) -> str | None:
        found = re.search(r"http://[\w.]+:\d+/", self._log.read_text())
        return found[0] if found else None

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s; {self._log.read_text()}"
            time.sleep(0.1)
        return value

    def get(self, path: str, body: Any = None, **query: str) -> Any:
        """Ask as the page does."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}data/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def scalars(self, run: str, tag: str) -> list[tuple[int, float]]:
        if tag not in self.get("plugin/scalars/tags").get(run, {}):
            return []
        points = self.get("plugin/scalars/scalars", run=run, tag=tag)
        return [(step, float(value)) for _, step, value in points]

    def hparams(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the plugin for hyperparameters makes of the folder: the experiment, and a group per run."""
        statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
        query = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": statuses, "colParams": []}
        groups = self.get("plugin/hparams/session_groups", query)["sessionGroups"]
        return self.get("plugin/hparams/experiment", {}), groups

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start TensorBoard on a folder."""
    servers: list[Server] = []

    def start_server(folder: Path, *options: str) -> Server:
        servers.append(Server(folder, tmp_path / f"server{len(servers)}.log", *options))
        return servers[-1]

    yield start_server
    for server in servers:
        server.close()


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_a_server_shows_points_while_the_run_goes_on_and_over_a_restart(
    tmp_path: Path, serve: Callable[..., Server], fast: str
) -> None:
    """Both of its readers do: the usual one, and the one in Python."""
    events = [point(q, {"train/loss": 1 / q, "odd": math.nan}, q) for q in range(1, 31)]
    wanted = [(step, value) for step, _, value in points_of(events)["train/loss"]]
    folder = deliver(tmp_path / "logs", events[:10])
    [path] = folder.glob("events*")
    path.write_bytes(path.read_bytes()[:-5])
    server = serve(folder.parent, "--load_fast", fast)
    server.wait_for(lambda: server.scalars("7-digits", "train/loss") == wanted[:9])

    observer = TensorBoardObserver(str(folder.parent))
    observer.handle(start())
    for until in (12, 30):
        observer.handle_many(events[:until])
        server.wait_for(lambda until=until: server.scalars("7-digits", "train/loss") == wanted[:until])  # type: ignore[misc]

    assert all(math.isnan(value) for _, value in server.scalars("7-digits", "odd"))
    observer.close()


@pytest.mark.slow
def test_steps_that_go_back_are_shown_as_the_docstring_says(tmp_path: Path, serve: Callable[..., Server]) -> None:
    steps = [1, 2, 3, 2, 2, 7]
    folder = deliver(tmp_path / "logs", [point(q, {"loss": q}, step) for q, step in enumerate(steps, 1)])

    shown = [
        [step for step, _ in serve(folder.parent, "--load_fast", fast).scalars("7-digits", "loss")]
        for fast in ("true", "false")
    ]

    assert shown == [[1, 2, 7], steps]


CONFIG = {
    "lr": 0.1,
    "epochs": 30,
    "big": 2**60 + 1,
    "amp": True,
    "optimizer": {"name": "sgd", "betas": [0.9, 0.999], "extra": {}, "decay": None},
    "odd": math.nan,
    "text": "ä ``` <b>",
}


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_the_plugins_for_hyperparameters_and_text_read_the_configuration(
    tmp_path: Path, serve: Callable[..., Server], fast: str
) -> None:
    logs = tmp_path / "logs"
    changes = {"config": CONFIG, "overrides": ("lr=0.1", "+x=1"), "note": "a **first** try"}
    for number, status in ((1, Status.COMPLETED), (2, Status.FAILED), (3, Status.INTERRUPTED), (4, None)):
        for _ in range(2):
            observer = TensorBoardObserver(str(logs))
            observer.handle(start(id=number, uid=f"01kjmz5n7a000000000000000{number}", **changes))
            observer.handle(point(1, {"loss": 0.5 * number, "acc": 1}, 4))
            if status is not None:
                observer.handle_many([end(status), note(1, "a *second* look", 100.0)])
            observer.close()

    server = serve(logs, "--load_fast", fast)
    server.wait_for(lambda: len(server.hparams()[1]) == 4)
    experiment, groups = server.hparams()

    types = {info["name"]: info["type"].removeprefix("DATA_TYPE_") for info in experiment["hparamInfos"]}
    assert types == {
        "lr": "FLOAT64",
        "epochs": "FLOAT64",
        "big": "STRING",
        "amp": "BOOL",
        "optimizer.name": "STRING",
        "optimizer.betas": "STRING",
        "optimizer.extra": "STRING",
        "optimizer.decay": "STRING",
        "odd": "STRING",
        "text": "STRING",
    }
    assert [metric["name"]["tag"] for metric in experiment["metricInfos"]] == ["acc", "loss"]
    assert [group["name"] for group in groups] == [f"{number}-digits" for number in (1, 2, 3, 4)]
    for number, group in enumerate(groups, 1):
        assert group["hparams"] == {
            "lr": 0.1,
            "epochs": 30.0,
            "big": str(2**60 + 1),
            "amp": True,
            "optimizer.name": "sgd",
            "optimizer.betas": "[0.9, 0.999]",
            "optimizer.extra": "{}",
            "optimizer.decay": "null",
            "odd": "NaN",
            "text": "ä ``` <b>",
        }
        values = {each["name"]["tag"]: each["value"] for each in group["metricValues"]}
        assert values == {"loss": 0.5 * number, "acc": 1.0}
    sessions = [group["sessions"][0] for group in groups]
    assert [session["startTimeSecs"] for session in sessions] == [STARTED.timestamp()] * 4
    assert [session["endTimeSecs"] for session in sessions] == [STARTED.timestamp() + 90] * 3 + [0.0]
    assert [session["status"] for session in sessions] == [
        "STATUS_SUCCESS",
        "STATUS_FAILURE",
        "STATUS_FAILURE",
        "STATUS_UNKNOWN",
    ]

    assert sorted(server.get("plugin/text/tags")["1-digits"]) == ["anew/config", "anew/note", "anew/overrides"]
    [config] = server.get("plugin/text/text", run="1-digits", tag="anew/config")
    assert config["text"].startswith("<pre><code>lr: 0.1\nepochs: 30\n")
    assert "betas:\n  - 0.9\n" in config["text"]
    assert "ä ``` &lt;b&gt;" in config["text"]
    [overrides] = server.get("plugin/text/text", run="1-digits", tag="anew/overrides")
    assert overrides["text"] == "<pre><code>lr=0.1\n+x=1\n</code></pre>"
    notes = server.get("plugin/text/text", run="1-digits", tag="anew/note")
    assert [(each["step"], each["text"]) for each in notes] == [
        (0, "<p>a <strong>first</strong> try</p>"),
        (100, "<p>a <em>second</em> look</p>"),
    ]


@pytest.mark.slow
def test_metrics_that_are_named_are_the_ones_that_are_listed(tmp_path: Path, serve: Callable[..., Server]) -> None:
    for number in (1, 2):
        observer = TensorBoardObserver(str(tmp_path / "logs"), metrics=["loss"])
        observer.handle(start(id=number, uid=f"01kjmz5n7a000000000000000{number}", config={"lr": 0.1, "amp": True}))
        observer.handle_many([point(1, {"loss": 0.5, "system/cpu": 3}, 1), end()])
        observer.close()

    experiment, groups = serve(tmp_path / "logs").hparams()

    assert [metric["name"]["tag"] for metric in experiment["metricInfos"]] == ["loss"]
    assert [(info["name"], info["type"]) for info in experiment["hparamInfos"]] == [
        ("amp", "DATA_TYPE_BOOL"),
        ("lr", "DATA_TYPE_FLOAT64"),
    ]
    assert [[each["name"]["tag"] for each in group["metricValues"]] for group in groups] == [["loss"], ["loss"]]


def test_a_session_begins_and_ends_once_however_often_that_is_told(tmp_path: Path) -> None:
    for _ in range(3):
        folder = deliver(tmp_path, [end()])
    found = reader(folder).Reload()

    for tag in (hparams_metadata.SESSION_START_INFO_TAG, hparams_metadata.SESSION_END_INFO_TAG):
        assert len(found.Tensors(tag)) == 1


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: the command chromium is not here")
    browser = Browser(executable, tmp_path / "browser")
    yield browser
    browser.close()


@pytest.mark.slow
def test_the_page_shows_curves_and_hyperparameters(
    tmp_path: Path, serve: Callable[..., Server], browser: Browser
) -> None:
    """Look at tensorboard-*.png in ANEW_TEST_ARTIFACTS."""
    for number, lr in ((1, 0.1), (2, 0.03), (3, 0.01)):
        events = [
            point(
                q, {"train/loss": math.exp(-lr * q / 4) + 0.02 * math.sin(q), "train/accuracy": 1 - 1 / (1 + lr * q)}, q
            )
            for q in range(1, 201)
        ]
        observer = TensorBoardObserver(str(tmp_path / "logs"))
        observer.handle(
            start(id=number, uid=f"01kjmz5n7a000000000000000{number}", config={"lr": lr, "model": {"name": "mlp"}})
        )
        observer.handle_many([*events, end(Status.FAILED if number == 3 else Status.COMPLETED)])
        observer.close()
    server = serve(tmp_path / "logs")
    server.wait_for(lambda: len(server.hparams()[1]) == 3)
    pictures = Path(ARTIFACTS) if ARTIFACTS else tmp_path
    pictures.mkdir(parents=True, exist_ok=True)

    for place, texts in {
        "timeseries": ["1-digits", "2-digits", "3-digits", "train/loss", "train/accuracy"],
        "hparams": ["1-digits", "lr", "model.name", "mlp", "train/loss", "0.66667"],
        "text": ["1-digits", "anew/config", "lr:0.03model:name:mlp"],
    }.items():
        page = browser.open(f"{server.url}#{place}")
        page.wait_for(f"{json.dumps(texts)}.every(text => {PAGE_TEXT}.includes(text))", f"{texts} on {place}")
        page.wait_for(DRAWN % (2 if place == "timeseries" else 0), "charts")
        page.settle()
        page.screenshot(pictures / f"tensorboard-{place}.png")
        page.close()


def test_histograms_pictures_and_texts_are_shown_with_their_steps(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    kept = {name: store.objects.put_bytes(data) for name, data in (("p", PICTURE), ("t", b"so far"))}
    histogram = Histogram(low=-1.0, high=2.0, counts=(1, 0, 2))

    def artifact(q: int, path: str, form: str, sha256: str) -> ev.ArtifactAdded:
        file = ContentRef(path=path, sha256=sha256, size=10)
        return ev.ArtifactAdded(
            uid=RECORD.uid, writer="main", q=q, t=1.0, artifact=file, form=form, series=path.partition("/")[0], step=5
        )

    observer = TensorBoardObserver(dir=str(tmp_path / "tb"))
    observer.begin(store)
    observer.handle_many(
        [
            start(),
            ev.HistogramsLogged(uid=RECORD.uid, writer="main", q=1, t=1.0, step=3, values={"w": histogram}),
            artifact(2, "samples/5.png", "image", kept["p"]),
            artifact(3, "notes/5.txt", "text", kept["t"]),
            artifact(4, "model.pt", "", "f" * 64),
            end(),
        ]
    )
    observer.close()
    read = reader(next((tmp_path / "tb").iterdir()))
    read.Reload()
    (bins,) = read.Tensors("w")
    assert bins.step == 3
    assert make_ndarray(bins.tensor_proto).tolist() == [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 2.0, 2.0]]
    (shown,) = read.Tensors("samples")
    assert (shown.step, [*shown.tensor_proto.string_val]) == (5, [b"1", b"1", PICTURE])
    (text,) = read.Tensors("notes")
    assert [*text.tensor_proto.string_val] == [b"so far"]
    plugins = {tag: read.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("w", "samples", "notes")}
    assert plugins == {"w": "histograms", "samples": "images", "notes": "text"}
    assert "model.pt" not in read.Tags()["tensors"]
