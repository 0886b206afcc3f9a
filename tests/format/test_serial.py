"""Records and events become sealed lines and come back equal; damage shows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner import events as ev
from anew.runner.errors import RefSyntaxError, StoreFormatError
from anew.runner.format import ids, serial
from anew.runner.format.replay import fold, replay
from anew.runner.records import (
    CommandFacts,
    ContentRef,
    EnvironmentFacts,
    ErrorFacts,
    GitFacts,
    GpuFacts,
    HardwareFacts,
    MetricSummary,
    ProcessFacts,
    Provenance,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
    SweepMembership,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=timezone.utc)
FILE = ContentRef(path="train.py", sha256="ab" * 32, size=3, mode=0o644)


def a_record(**changes: object) -> RunRecord:
    record = RunRecord(
        uid=ids.new_uid(),
        experiment="digits",
        started_at=NOW,
        command=CommandFacts(argv=("train.py", "lr=0.1"), cwd="/x"),
        config={"lr": 0.1, "bad": math.inf, "layers": (1, 2)},
        overrides=("lr=0.1",),
        choices={"model": "mlp"},
        provenance=Provenance(config_name="config", unresolved="lr: 0.1"),
        seed=7,
        seeds=SeedFacts(root=7, seeded={"random": 1}),
        source=SourceFacts(root="/x", git=GitFacts(commit="c", branch=None, dirty=True, diff="d"), files=(FILE,)),
        environment=EnvironmentFacts(python="3.11", packages={"numpy": "2"}, threads={"OMP_NUM_THREADS": None}),
        hardware=HardwareFacts(hostname="h", os="Linux", gpus=(GpuFacts(name="g", memory_bytes=1),)),
        process=ProcessFacts(pid=1, started_ticks=2.0, boot_id="b", hostname="h", monotonic_s=3.5),
        sweep=SweepMembership(id=7, index=3),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def at(cls: type[ev.Event], t: float = 1.0, **values: object) -> ev.Event:
    return cls(uid="u", writer="main", q=1, t=t, **values)


def test_a_record_comes_back_from_run_json_as_it_was() -> None:
    record = a_record()
    line = serial.seal(serial.start_to_json(record))
    assert line.count(b"\n") == 1
    assert serial.record_from_start(serial.unseal(line)) == record


def test_members_of_a_newer_version_are_passed_over_and_missing_ones_get_their_default() -> None:
    data = serial.start_to_json(a_record())
    data["quantum"] = 1
    del data["choices"]
    assert serial.record_from_start(data).choices == {}


def test_a_newer_format_says_what_to_do() -> None:
    data = {**serial.start_to_json(a_record()), "format": 99}
    with pytest.raises(StoreFormatError, match=r"format 99.*pip install --upgrade anew"):
        serial.record_from_start(data)


def test_what_is_shown_has_the_agreed_shape() -> None:
    shown = serial.record_to_json(a_record())
    json.dumps(shown, allow_nan=False)
    assert shown["hardware"]["cpu"]["cores"] == 1
    assert shown["config"] == {"lr": 0.1, "bad": "Infinity", "layers": [1, 2]}
    assert shown["started_at"] == "2026-03-04T05:06:07.000089Z"
    assert shown["status"] == "RUNNING"
    assert shown["sweep"] == {"id": 7, "index": 3, "uid": None}
    assert shown["source"]["files"][0]["path"] == "train.py"


def test_a_light_record_leaves_the_bulk_out_and_can_be_read() -> None:
    record = a_record()
    light = serial.from_json(RunRecord, serial.light_to_json(record))
    assert light.source.files == ()
    assert light.environment is not None
    assert light.environment.packages == {}
    assert light.config == record.config


@given(st.dictionaries(st.text(st.characters(codec=None)), st.integers()), st.data())
def test_any_changed_byte_of_a_sealed_line_is_noticed(value: dict[str, int], data: st.DataObject) -> None:
    line = serial.seal({"q": 1, **value})
    assert serial.unseal(line) == {"q": 1, **value}
    at = data.draw(st.integers(0, len(line) - 2))
    changed = bytearray(line)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(serial.DamagedError):
        serial.unseal(bytes(changed))


EVENTS = [
    at(ev.MetricsLogged, step=3, values={"loss": math.inf, "n": 2**70}),
    at(ev.ArtifactAdded, artifact=FILE),
    at(ev.InputUsed, input=replace(FILE, kept=False)),
    at(ev.InfoSet, values={"a": (1, math.nan)}),
    at(ev.TagsChanged, added=("x",), removed=("y",)),
    at(ev.NoteSet, text="so"),
    at(ev.SourceAdded, files=(FILE,)),
    at(ev.SeedsSet, seeded={"numpy": 5}),
    at(ev.ViewsMade, sums={"config.yaml": "0badcafe"}),
    at(ev.Warned, text="hm"),
    at(ev.Heartbeat),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_from_a_journal_entry(event: ev.Event) -> None:
    kind, body = serial.event_to_body(event)
    entry = json.loads(json.dumps({"q": event.q, "k": kind, "t": event.t, **body}, allow_nan=False))
    assert repr(serial.event_from_entry("u", "main", entry)) == repr(event)


def test_an_entry_of_an_unknown_kind_is_passed_over_and_a_wrong_one_is_damage() -> None:
    assert serial.event_from_entry("u", "w", {"q": 1, "t": 1.0, "k": "zz"}) is None
    with pytest.raises(serial.DamagedError):
        serial.event_from_entry("u", "w", {"q": 1, "t": 1.0, "k": "a", "f": 3})


def test_an_outcome_comes_back() -> None:
    ended = ev.RunEnded(
        uid="u",
        writer="outcome",
        q=0,
        t=2.5,
        status=Status.FAILED,
        ended_at=NOW,
        duration_s=2.5,
        result={"acc": math.nan},
        error=ErrorFacts(type="ValueError", message="m", traceback="t"),
        exit_code=1,
    )
    assert repr(serial.outcome_from_json("u", serial.outcome_to_json(ended))) == repr(ended)


def test_replaying_events_gives_the_record() -> None:
    record = replay(a_record(tags=("y",)), EVENTS)
    assert record.tags == ("x",)
    assert record.note == "so"
    assert record.artifacts == (FILE,)
    assert record.metrics["n"] == MetricSummary(last=2**70, min=2**70, max=2**70, count=1, step=3)
    assert record.seeds is not None
    assert record.seeds.seeded == {"random": 1, "numpy": 5}
    assert record.warnings == ("hm",)
    assert record.heartbeat_at == NOW.replace(second=8)


def test_nan_takes_no_part_in_least_and_greatest() -> None:
    points = [math.nan, 2.0, -1.0, math.nan]
    record = replay(a_record(), [at(ev.MetricsLogged, step=i, values={"x": v}) for i, v in enumerate(points)])
    summary = record.metrics["x"]
    assert (summary.min, summary.max, summary.count) == (-1.0, 2.0, 4)
    assert math.isnan(summary.last)


def test_facts_are_merged_key_by_key() -> None:
    record = fold(fold(a_record(), at(ev.InfoSet, values={"a": {"b": 1}})), at(ev.InfoSet, values={"a": {"c": 2}}))
    assert record.info == {"a": {"b": 1, "c": 2}}


def test_the_same_artifact_again_replaces_it() -> None:
    again = replace(FILE, sha256="cd" * 32)
    record = replay(a_record(), [at(ev.ArtifactAdded, artifact=FILE), at(ev.ArtifactAdded, artifact=again)])
    assert record.artifacts == (again,)


def test_uids_sort_by_time_and_never_look_like_numbers() -> None:
    uids = [ids.new_uid() for _ in range(2000)]
    assert uids == sorted(uids)
    assert len(set(uids)) == 2000
    assert all(uid.startswith("0") and len(uid) == 26 for uid in uids)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("42", ids.ByNumber(42)),
        (42, ids.ByNumber(42)),
        ("01ka", ids.ByUid("01ka")),
        ("01KA", ids.ByUid("01ka")),
        ("1234", ids.ByNumber(1234)),
        ("0" * 26, ids.ByUid("0" * 26)),
        ("last", ids.ByAge(0)),
        ("last~2", ids.ByAge(2)),
        ("sweep:7/3", ids.BySweep(7, 3)),
    ],
)
def test_references_are_read(text: str | int, ref: ids.Ref) -> None:
    assert ids.parse_ref(text) == ref


NO_REFERENCES = ["", "lost", "last~", "-1", "sweep:7", "42.0", "sweep:0/1", "../x", "0", "01k", "0123"]


@pytest.mark.parametrize("text", NO_REFERENCES)
def test_what_is_no_reference_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(RefSyntaxError, match=r"last~2, sweep:7/3, or _id:NAME.*anew list"):
        ids.parse_ref(text)
