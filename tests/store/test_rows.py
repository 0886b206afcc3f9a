"""Lines of metrics read as columns: the same as they are read one by one."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from anew.runner.format.sealed_lines import Rows, unseal_rows
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.journal import JournalWriter

PLAIN: list[dict[str, Any]] = [{"a": 1 / 7}, {"a": 3}, {"a": -1e-300}, {"a": 2**70}, {"a": -0.0}]


def made(path: Path, points: list[dict[str, Any]]) -> Path:
    """Log points, a step further each."""
    journal = JournalWriter(path, clock=time.monotonic, origin=time.monotonic())
    for step, point in enumerate(points):
        assert journal.log(point, step - 2) is None
    journal.close()
    return path


def line(text: str) -> bytes:
    """Seal what stands in a line before its checksum."""
    return f'{text},"c":"{crc32(text.encode()):08x}"}}\n'.encode()


@pytest.mark.parametrize(
    ("points", "are_rows"),
    [
        (PLAIN, True),
        ([{"a": 0.5, 'b" {},\\d+': step, "ü/\n": 1e22} for step in range(500)], True),
        ([{"a": 0.5}, {"b": 0.5}], False),
        ([{"a": 0.5}, {"a": 0.5, "b": 1}], False),
        ([{"a": 0.5}, {"a": math.nan}], False),
        ([{str(number): 0.5 for number in range(40)}], False),
    ],
)
def test_rows_hold_what_entries_do(tmp_path: Path, points: list[dict[str, Any]], are_rows: bool) -> None:
    path = made(tmp_path / "a.jsonl", points)
    one, other = Following(path, Place()), Following(path, Place())
    entries = [entry for batch in one.batches() for entry in batch]
    found = list(other.rows())
    assert one.place == other.place
    assert [isinstance(each, Rows) for each in found] == [are_rows] * len(found)
    for each in found:
        if isinstance(each, Rows):
            got = zip(each.numbers, each.times, each.steps, zip(*each.values.values(), strict=True), strict=True)
            shown = [(q, t, s, dict(zip(each.values, v, strict=True))) for q, t, s, v in got]
            assert repr(shown) == repr(
                [(entry["q"], entry["t"], entry["s"], entry["m"]) for entry in entries[: len(shown)]]
            )
            del entries[: len(shown)]


@pytest.mark.parametrize("at", range(90))
def test_a_changed_byte_is_never_read_as_rows(tmp_path: Path, at: int) -> None:
    data = bytearray(made(tmp_path / "a.jsonl", PLAIN).read_bytes())
    data[at * len(data) // 90] ^= 1
    assert unseal_rows(bytes(data)) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"q":1,"k":"m","t":1e999,"s":1,"m":{"a":1.0}',
        '{"q":1,"k":"m","t":1e11,"s":1,"m":{"a":1.0}',
        '{"q":2,"k":"m","t":1.0,"s":1,"m":{"a":1.0}',
        '{"q":1.0,"k":"m","t":1.0,"s":1,"m":{"a":1.0}',
        '{"q":1,"k":"m","t":1.0,"s":1,"m":{"a":1-1}',
        '{"q":1,"k":"m","t":1.0,"s":1,"m":{"a":+}',
    ],
)
def test_what_no_writer_leaves_is_odd_as_rows_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(text))
    for read in (Following(path, Place()).rows, Following(path, Place()).batches):
        with pytest.raises(OddError):
            list(read())


@pytest.mark.parametrize(
    "text",
    [
        '{"q":1,"s":1,"k":"m","t":1.0,"m":{"a":1.0}',
        '{"q":1,"k":"m","t":1.0,"s":1,"m":{"a":1.0},"h":1',
        '{"q":1,"k":"n","t":1.0,"s":1,"m":{"a":1.0}',
        '{"q":1,"k":"m","t":1.0,"s":1,"m":{}',
    ],
)
def test_what_is_written_otherwise_is_read_one_by_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(text))
    [entries] = Following(path, Place()).rows()
    assert not isinstance(entries, Rows)
    assert [entry["q"] for entry in entries] == [1]
