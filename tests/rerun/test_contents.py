"""Where the bytes of two artifacts part, and what that is."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from datetime import datetime, timedelta, timezone

import pytest

from anew.runner.records import CommandFacts, RunRecord
from anew.runner.rerun.clues import Clue, Looks
from anew.runner.rerun.contents import Place, first_parting

WAS = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
NOW = WAS + timedelta(days=3)


def record(started: datetime) -> RunRecord:
    return RunRecord(
        uid="u", experiment="e", started_at=started, duration_s=10.0, command=CommandFacts(argv=(), cwd="/")
    )


LOOKS = Looks(record(WAS), record(NOW), ("/home/ada/runs/1", "/home/ada/runs/2"))


def parting(was: bytes | str, now: bytes | str) -> Place:
    sides = [side.encode() if isinstance(side, str) else side for side in (was, now)]
    found = first_parting(sides[0], sides[1], LOOKS)
    assert found is not None
    return found


def kind(clue: Clue | None) -> str | None:
    return None if clue is None else clue.kind


@pytest.mark.parametrize(
    ("was", "now", "where", "expected"),
    [
        ("a\nmade 2026-03-01 12:00:01\n", "a\nmade 2026-03-04 12:00:03\n", "line 2", "time"),
        ("took 1.52 s, loss 3", "took 1.61 s, loss 3", "line 1", "time"),
        ("took 1.52 s, loss 3", "took 1.61 s, loss 4", "line 1", None),
        ('{"elapsed": 1.5, "n": 2}', '{"elapsed": 1.7, "n": 2}', "line 1", "time"),
        ('{"weight": 1.5, "n": 2}', '{"weight": 1.7, "n": 2}', "line 1", None),
        ("in /tmp/tmpab12cd34/x", "in /tmp/tmpzz12cd3_/x", "line 1", "temporary"),
        ("at /home/ada/runs/1/w", "at /home/ada/runs/2/w", "line 1", "place"),
        ("<A object at 0x7f0011aa22>", "<A object at 0x7f0011bb22>", "line 1", "place"),
        ("x 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "x 3f2504e0-4f89-11d3-9a0c-0305e82c33ff", "line 1", "unseeded"),
        ("b\na\n", "a\nb\n", "line 1", "order"),
        ("1 2 3", "1 2 4", "line 1", None),
    ],
)
def test_of_texts(was: str, now: str, where: str, expected: str | None) -> None:
    found = parting(was, now)
    assert (found.where, kind(found.clue)) == (where, expected)


def zipped(content: str, when: tuple[int, int, int, int, int, int]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a/b.txt", date_time=when), content)
    return data.getvalue()


def tarred(content: bytes, when: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size, member.mtime = len(content), when
        archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_of_archives_the_member_is_named() -> None:
    first, second = (2026, 3, 1, 12, 0, 0), (2026, 3, 4, 12, 0, 0)
    assert parting(zipped("x", first), zipped("x", second)) == Place(
        "member a/b.txt", Clue("time", "the time of a member in the archive (to pin it: ZipInfo(name, date_time=...))")
    )
    found = parting(zipped("loss 1", first), zipped("loss 2", second))
    assert (found.where, found.clue) == ("member a/b.txt, line 1", None)
    assert kind(parting(tarred(b"x", 1), tarred(b"x", 2)).clue) == "time"
    assert parting(tarred(b"x", 1), tarred(b"y", 2)).where == "member a.txt, line 1"
    assert kind(parting(gzip.compress(b"x", mtime=1), gzip.compress(b"x", mtime=2)).clue) == "time"
    found = parting(gzip.compress(b"x 1", mtime=1), gzip.compress(b"x 2", mtime=2))
    assert (found.where, found.clue) == ("unpacked, line 1", None)
    assert (
        parting(gzip.compress(tarred(b"x", 1)), gzip.compress(tarred(b"y", 1))).where
        == "unpacked, member a.txt, line 1"
    )


def test_of_pictures_the_chunk_is_named() -> None:
    image, other = (b"IDAT", b"123"), (b"IDAT", b"124")
    old, new = (b"tEXt", b"Date\x002026-03-01T12:00:00"), (b"tEXt", b"Date\x002026-03-04T12:00:00")
    found = parting(png(old, image), png(new, image))
    assert (found.where, kind(found.clue)) == ("chunk tEXt", "time")
    assert parting(png(image), png(other)) == Place("chunk IDAT")


def test_of_pictures_made_ids_are_told_from_what_is_drawn() -> None:
    svg = '<svg><defs><path id="m{a}"/></defs><use href="#m{a}" x="{x}"/></svg>'
    first, second = svg.format(a="0123456789", x=1), svg.format(a="abcdef0123", x=1)
    assert kind(parting(first, second).clue) == "made"
    assert parting(first, svg.format(a="abcdef0123", x=2)).clue is None


def test_nothing_is_unpickled_and_what_it_holds_is_named() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return pytest.fail, ("it was unpickled",)

    old, new = pickle.dumps([Trap(), {"created": WAS}]), pickle.dumps([Trap(), {"created": NOW}])
    found = parting(old, new)
    assert kind(found.clue) == "time"
    found = parting(pickle.dumps({"weight": 1.5}), pickle.dumps({"weight": 2.5}))
    assert (found.clue, found.recorded, found.now) == (None, "1.5", "2.5")
    assert "weight" in found.where


def test_of_other_bytes_the_offset_is_named_and_a_time_is_one() -> None:
    old, new = (struct.pack("<4sId", b"\x00\x01\x02\x03", int(when.timestamp()), 1.0) for when in (WAS, NOW))
    found = parting(old, new)
    assert found.where.startswith("byte ")
    assert kind(found.clue) == "time"
    assert parting(b"\x00\xff\x01", b"\x00\xff\x02") == Place("byte 2")


@pytest.mark.parametrize("mark", [b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\x80\x04", b"%PDF"])
def test_what_only_looks_like_a_format_is_bytes(mark: bytes) -> None:
    assert parting(mark + b"\xff\x00\x01", mark + b"\xff\x00\x02").where == f"byte {len(mark) + 2}"


def test_what_is_the_same_parts_nowhere() -> None:
    assert first_parting(b"x", b"x", LOOKS) is None
