"""What stands in a journal, byte for byte: stores that were written before must mean the same for ever."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path

import pytest

from anew.runner import events as ev
from anew.runner.attached.comments import Comment
from anew.runner.attached.media import Histogram
from anew.runner.format import serial
from anew.runner.records import ContentRef, ErrorFacts, Status, Verdict
from anew.runner.store.journal import JournalWriter

DIGEST = "ab" * 32
FILE = ContentRef(path="train.py", sha256=DIGEST, size=3, mode=0o644)
INPUT = ContentRef(path="train.py", sha256=DIGEST, size=3, kept=False, link="../x")
VERDICT = Verdict(verdict="close", rtol=1e-6, max_deviation=math.inf, first_difference={"what": "result"})


def at(cls: type[ev.Event], **values: object) -> ev.Event:
    return cls(uid="u", writer="main", q=7, t=1.5, **values)


LINES: list[tuple[ev.Event, bytes]] = [
    (
        at(ev.MetricsLogged, step=-3, values={"loss": math.inf, "n": 2**70, "x": 0.1, "bad": math.nan}),
        b'"k":"m","t":1.5,"s":-3,"m":{"loss":"Infinity","n":1180591620717411303424,"x":0.1,"bad":"NaN"},"c":"fd4d9d1d"',
    ),
    (
        at(ev.InfoSet, values={"a": (1, math.nan), "b": {1: b"x"}}),
        b'"k":"i","t":1.5,"v":{"a":{"~t":[1,{"~f":"nan"}]},"b":{"~d":[[1,{"~b":"eA=="}]]}},"c":"c3364a89"',
    ),
    (
        at(ev.ArtifactAdded, artifact=FILE),
        b'"k":"a","t":1.5,"f":{"path":"train.py","sha256":"' + DIGEST.encode() + b'","size":3,"mode":420,"kept":true,'
        b'"link":null},"c":"cf4a8c9d"',
    ),
    (
        at(ev.InputUsed, input=INPUT),
        b'"k":"u","t":1.5,"f":{"path":"train.py","sha256":"' + DIGEST.encode() + b'","size":3,"mode":null,"kept":false,'
        b'"link":"../x"},"c":"a0497c20"',
    ),
    (
        at(ev.TagsChanged, added=("x",), removed=("y",)),
        b'"k":"g","t":1.5,"add":["x"],"remove":["y"],"c":"c83693bc"',
    ),
    (at(ev.NoteSet, text="so \u00e9\ud800"), b'"k":"n","t":1.5,"x":"so \\u00e9\\ud800","c":"7afdf157"'),
    (
        at(ev.SourceAdded, files=(FILE,)),
        b'"k":"s","t":1.5,"f":[{"path":"train.py","sha256":"' + DIGEST.encode() + b'","size":3,"mode":420,"kept":true,'
        b'"link":null}],"c":"6313e388"',
    ),
    (at(ev.SeedsSet, seeded={"numpy": 5}), b'"k":"d","t":1.5,"v":{"numpy":5},"x":{},"c":"29f6f472"'),
    (
        at(ev.SeedsSet, seeded={}, deterministic={"torch": "algorithms"}),
        b'"k":"d","t":1.5,"v":{},"x":{"torch":"algorithms"},"c":"0353d8be"',
    ),
    (
        at(ev.Judged, verdict=VERDICT),
        b'"k":"v","t":1.5,"v":{"verdict":"close","overrides":[],"rtol":1e-06,"differences":{},'
        b'"first_difference":{"what":"result"},"max_deviation":"Infinity","max_deviation_at":null,"causes":[],"reasons":[],'
        b'"points":null,"remarks":[],"settled":null},"c":"1bae7d51"',
    ),
    (
        at(ev.ModulesImported, names=("numpy",), libraries={"blas": "openblas 0.3"}),
        b'"k":"p","t":1.5,"v":["numpy"],"x":{"blas":"openblas 0.3"},"c":"07a5f467"',
    ),
    (
        at(ev.MetricsLogged, step=4, values={"loss": 0.5}, thread=2),
        b'"k":"m","t":1.5,"s":4,"m":{"loss":0.5},"h":2,"c":"870d24d8"',
    ),
    (
        at(ev.ArtifactAdded, artifact=FILE, form="image", series="samples", step=-5),
        b'"k":"a","t":1.5,"f":{"path":"train.py","sha256":"' + DIGEST.encode() + b'","size":3,"mode":420,"kept":true,'
        b'"link":null},"x":"image","n":"samples","s":-5,"c":"b6537dea"',
    ),
    (
        at(ev.HistogramsLogged, step=5, values={"w": Histogram(low=-1.0, high=2.0, counts=(1, 0, 2), nans=1)}),
        b'"k":"b","t":1.5,"s":5,"v":{"w":{"low":-1.0,"high":2.0,"counts":[1,0,2],"mean":0.0,"std":0.0,"nans":1,'
        b'"infinities":0}},"c":"f00a0036"',
    ),
    (
        at(ev.Commented, comment=Comment(text="so", by="me", at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))),
        b'"k":"o","t":1.5,"v":{"text":"so","by":"me","at":"2026-01-02T03:04:05.000000Z"},"c":"b6eb5ab6"',
    ),
    (at(ev.ToldToStop, asked=3), b'"k":"e","t":1.5,"n":3,"c":"f2441b73"'),
    (at(ev.ToldToStop, asked=3, step=7, thread=1), b'"k":"e","t":1.5,"n":3,"s":7,"h":1,"c":"fbbf5092"'),
    (at(ev.ViewsMade, sums={"a": "b"}), b'"k":"y","t":1.5,"v":{"a":"b"},"c":"d02e3892"'),
    (at(ev.Warned, text="hm"), b'"k":"w","t":1.5,"x":"hm","c":"b9db2b99"'),
    (at(ev.Heartbeat), b'"k":"h","t":1.5,"c":"c42f5ed0"'),
]


@pytest.mark.parametrize(("event", "members"), LINES, ids=lambda each: type(each).__name__)
def test_a_line_of_each_kind_is_the_same_as_ever(event: ev.Event, members: bytes) -> None:
    kind, body = serial.event_to_body(event)
    line = serial.seal({"q": event.q, "k": kind, "t": event.t, **body})

    assert line == b'{"q":7,' + members + b"}\n"
    assert repr(serial.event_from_entry("u", "main", serial.unseal(line))) == repr(event)


def test_no_kind_of_event_is_without_its_line_here() -> None:
    assert {type(event) for event, _ in LINES} == set(ev.KINDS.values())


@pytest.mark.parametrize("kind", ev.KINDS.values(), ids=lambda each: each.__name__)
def test_within_a_kind_no_key_has_two_meanings(kind: type[ev.Event]) -> None:
    keys = [ev.KIND_KEY, *ev.keys(kind).values()]

    assert len(set(keys)) == len(keys)


def test_a_journal_is_written_as_ever(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "main.jsonl", clock=lambda: 1.25)
    journal.log({"loss": 0.5, "n": 2**70, "bad": math.nan}, 4)
    journal.log({"loss": 1})
    journal.append(*serial.body(ev.Heartbeat))
    journal.append(*serial.body(ev.SeedsSet, seeded={"numpy": 5}))
    journal.close()

    assert (tmp_path / "main.jsonl").read_bytes() == (
        b'{"q":1,"k":"m","t":1.250000,"s":4,"m":{"loss":0.5,"n":1180591620717411303424,"bad":"NaN"},"c":"7f627586"}\n'
        b'{"q":2,"k":"m","t":1.250000,"s":5,"m":{"loss":1},"c":"3d97922e"}\n'
        b'{"q":3,"k":"h","t":1.250000,"c":"fd386c62"}\n'
        b'{"q":4,"k":"d","t":1.250000,"v":{"numpy":5},"c":"39e222ad"}\n'
    )


def test_an_outcome_is_written_as_ever() -> None:
    ended = ev.RunEnded(
        uid="u",
        writer="outcome",
        q=0,
        t=2.5,
        status=Status.FAILED,
        ended_at=datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=timezone.utc),
        duration_s=2.5,
        result={"acc": math.nan},
        error=ErrorFacts(type="ValueError", message="m", traceback="t"),
        exit_code=1,
    )

    assert serial.seal(serial.outcome_to_json(ended)) == (
        b'{"format":1,"uid":"u","status":"FAILED","ended_at":"2026-03-04T05:06:07.000089Z","duration_s":2.5,'
        b'"result":{"acc":{"~f":"nan"}},"error":{"type":"ValueError","message":"m","traceback":"t"},"signal":null,'
        b'"exit_code":1,"c":"21a456f0"}\n'
    )


def test_the_short_way_to_points_says_what_the_event_says() -> None:
    event, members = LINES[0]
    assert isinstance(event, ev.MetricsLogged)
    entry = json.loads(b'{"q":7,' + members + b"}")

    assert repr(serial.points_of(entry)) == repr((dict(event.values), event.step, event.t))
    assert serial.point_of(entry, "n") == (event.t, event.step, 2**70)
    assert serial.point_of(entry, "other") is None
    assert serial.points_of({"q": 1, "k": "h", "t": 1.0}) is None
    for wrong in ({**entry, "m": 3}, {"q": 1, "k": "m"}):
        with pytest.raises(serial.DamagedError):
            serial.points_of(wrong)
        with pytest.raises(serial.DamagedError):
            serial.point_of(wrong, "n")


def test_replay_takes_every_kind_of_event() -> None:
    from anew.runner.format.replay import _TAKEN_BY

    assert set(ev.KINDS.values()) - _TAKEN_BY.keys() == {ev.Heartbeat}
