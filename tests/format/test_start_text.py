"""What `run.json` holds as text, of which parts are written once for many runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from anew.runner.format import serial, start_text
from anew.runner.format.start_text import object_text, start_to_texts
from anew.runner.records import CommandFacts, ContentRef, EnvironmentFacts, HardwareFacts, RunRecord, SourceFacts
from anew.runner.store import marks


def record(**changes: Any) -> RunRecord:
    """Return a record of a start."""
    plain = RunRecord(
        uid="01jx0000000000000000000000",
        experiment='odd "name" \u00e9 \ud800',
        started_at=datetime(2026, 5, 1, tzinfo=timezone.utc),
        command=CommandFacts(argv=("a.py",), cwd="/"),
        config={"x": float("nan"), "y": [1, {"$ref": 2}]},
        source=SourceFacts(root="/p", files=(ContentRef(path="a.py", sha256="0" * 64, size=1, kept=True),)),
        environment=EnvironmentFacts(python="3.11", packages={"numpy": "2.0"}),
        hardware=HardwareFacts(hostname="h", os="Linux"),
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"environment": EnvironmentFacts(python="3.11", packages={"numpy": "2.1"})},
        {"environment": None, "hardware": None},
        {"source": SourceFacts(root="/q")},
        {"tags": ("a",), "note": "b"},
    ],
)
def test_it_is_what_the_record_comes_to_whatever_was_written_before(changes: dict[str, Any]) -> None:
    each = record(**changes)
    told = serial.start_to_json(each)
    for _ in range(2):
        text = object_text(start_to_texts(each))
        assert text == serial.dumps(told)
    assert serial.seal_text(text) == serial.seal(told)
    assert serial.seal_text(object_text({})) == serial.seal({})


def test_the_mark_of_a_text_is_that_of_what_it_says() -> None:
    told = start_to_texts(record(origin_mark="passed over"))
    text = object_text({name: each for name, each in told.items() if name != "origin_mark"})
    assert marks.mark_text(text) == marks.mark(serial.start_to_json(record()))


def test_what_runs_have_alike_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    before = serial.codecs_of(RunRecord)

    class Counting(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            written.append(name)
            return before[name]

    monkeypatch.setattr(start_text, "codecs_of", lambda kind: Counting())
    monkeypatch.setattr(start_text, "_latest", {})
    for number in range(3):
        start_to_texts(record(config={"x": number}))
    assert written.count("config") == 3
    assert [written.count(name) for name in ("source", "environment", "hardware")] == [1, 1, 1]
    start_to_texts(record(hardware=HardwareFacts(hostname="another", os="Linux")))
    assert [written.count(name) for name in ("source", "environment", "hardware")] == [1, 1, 2]
