"""Journals as gzip: any tool reads them, one place is read without the rest, and damage stays where it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import subprocess
from pathlib import Path

import pytest

from anew.runner.guard.gzipped import BLOCK, Gzipped, compress

DATA = Path(__file__).resolve().parent.parent / "data"
DICE = random.Random(20)
TEXT = b"".join(b'{"q":%d,"v":%r}\n' % (number, DICE.random()) for number in range(12_000))


def compressed(text: bytes = TEXT) -> bytearray:
    target = io.BytesIO()
    compress(io.BytesIO(text), target)
    return bytearray(target.getvalue())


def opened(folder: Path, data: bytes | bytearray) -> Gzipped:
    path = folder / "main.jsonl.gz"
    path.write_bytes(data)
    return Gzipped(path.open("rb", buffering=0))


@pytest.mark.parametrize(
    "text",
    [b"x", TEXT, TEXT[:BLOCK], TEXT[: 2 * BLOCK], TEXT[: BLOCK + 1], bytes(5 * BLOCK)],
    ids=["a byte", "all", "a block", "two", "and one byte", "zeros"],  # a test's name is in the environment of gzip
)
def test_what_was_compressed_is_read_by_us_and_by_whoever_reads_gzip(tmp_path: Path, text: bytes) -> None:
    with opened(tmp_path, compressed(text)) as file:
        assert (file.length, file.read(), file.read(1), file.flaws) == (len(text), text, b"", {})
    assert gzip.decompress(compressed(text)) == text
    done = subprocess.run(["gzip", "-dc", tmp_path / "main.jsonl.gz"], capture_output=True, check=True)
    assert done.stdout == text


def test_what_the_first_version_wrote_is_read() -> None:
    """`tests/data/journals/4.jsonl.gz` was written by the first version that compressed journals; it never changes."""
    with Gzipped((DATA / "journals" / "4.jsonl.gz").open("rb", buffering=0)) as file:
        found = file.read()
        assert not file.flaws
    assert hashlib.sha256(found).hexdigest() == "93534816dcb3057d15dc2b957e9c0519cd092a2efe0fdf43283239ee5e64cb6a"
    assert len(found) > 2 * BLOCK


def test_one_goes_on_at_any_place(tmp_path: Path) -> None:
    with opened(tmp_path, compressed()) as file:
        for _ in range(200):
            at = DICE.randrange(len(TEXT) + 100)
            assert (file.seek(at), file.read(1000)) == (at, TEXT[at : at + 1000])
        assert (file.seek(-10, 2), file.read()) == (len(TEXT) - 10, TEXT[-10:])
        assert file.seek(3) == file.tell() == 3


def test_each_flipped_bit_is_noticed_and_costs_nothing_outside_of_its_block(tmp_path: Path) -> None:
    whole = compressed()
    blocks = [TEXT[begin : begin + BLOCK] for begin in range(0, len(TEXT), BLOCK)]
    for place in [*range(40), *DICE.sample(range(len(whole)), 300), *range(len(whole) - 12, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 1 << DICE.randrange(8)
        with opened(tmp_path, data) as file:
            found = file.read()
        assert file.flaws, place
        same = [found[at * BLOCK : (at + 1) * BLOCK] == block for at, block in enumerate(blocks)]
        assert sum(same) >= len(blocks) - 1, place


def test_what_stands_before_damage_in_a_block_is_read(tmp_path: Path) -> None:
    data = compressed()
    data[data.index(b"\x1f\x8b", 40) - 4000] ^= 1
    with opened(tmp_path, data) as file:
        found = file.read(BLOCK)
    assert found != TEXT[:BLOCK]
    assert found[: BLOCK // 2] == TEXT[: BLOCK // 2]


def test_what_is_cut_off_put_between_or_taken_out_is_noticed(tmp_path: Path) -> None:
    whole = compressed()
    second, third = (whole.index(b"\x1f\x8b\x08\x04", at) for at in (40, whole.index(b"\x1f\x8b\x08\x04", 40) + 1))
    with opened(tmp_path, whole[: third - 20]) as file:
        assert file.read()[:BLOCK] == TEXT[:BLOCK]
        assert [*file.flaws] == [BLOCK]
    with opened(tmp_path, whole[:second] + b"some text" * 50 + whole[second:]) as file:
        assert file.read() == TEXT
        assert file.flaws
    with opened(tmp_path, whole[:second] + whole[third:]) as file:
        assert file.read() == TEXT[:BLOCK] + bytes(BLOCK) + TEXT[2 * BLOCK :]
        assert [*file.flaws] == [BLOCK]
    with opened(tmp_path, whole[:third] + whole[second:]) as file:
        assert file.read() == TEXT
        assert file.flaws


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", bytes(1000), TEXT[:5000], gzip.compress(TEXT, mtime=0)])
def test_what_is_no_compressed_journal_of_ours_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(OSError, match="gunzip"):
        opened(tmp_path, data)


def test_nobody_is_made_to_read_more_zeros_than_a_file_could_stand_for(tmp_path: Path) -> None:
    data = compressed(TEXT[:BLOCK]) + compressed(TEXT[:BLOCK])
    at = data.index(b"\x1f\x8b", 40)
    data[at + 16 : at + 20] = (2**31).to_bytes(4, "little")
    with opened(tmp_path, data) as file:
        assert file.read() == TEXT[:BLOCK]
        assert file.flaws


@pytest.fixture
def few_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was read by each call; fails the test where that comes to more than anybody has written."""
    found: list[int] = []
    before = os.pread

    def pread(descriptor: int, length: int, at: int) -> bytes:
        data = before(descriptor, length, at)
        found.append(len(data))
        assert sum(found) < 100 << 20
        return data

    monkeypatch.setattr(os, "pread", pread)
    return found


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="where holes are is not told here")
def test_a_hole_of_any_length_is_not_read_and_stands_for_nothing(tmp_path: Path, few_reads: list[int]) -> None:
    """A store may be anybody's, and a file be made as long as one likes in an instant."""
    path, one = tmp_path / "main.jsonl.gz", compressed(TEXT[:BLOCK])
    for number in (1, 2**30):
        far = bytearray(one)
        far[16:20] = number.to_bytes(4, "little")
        with path.open("wb") as file:
            file.write(one)
            file.seek(1 << 40)
            file.write(far)
            file.truncate(1 << 41)
        with Gzipped(path.open("rb", buffering=0)) as found:
            assert found.read(3 * BLOCK) == TEXT[:BLOCK] + (TEXT[:BLOCK] if number == 1 else b"")
            assert found.flaws
    assert max(few_reads) < 2 * BLOCK


def test_many_headers_without_members_are_looked_through_once(tmp_path: Path, few_reads: list[int]) -> None:
    whole = compressed(TEXT[:BLOCK])
    with opened(tmp_path, whole + whole[:16] * 5_000) as file:
        assert file.read() == TEXT[:BLOCK]
        assert file.flaws


def test_what_is_cut_off_while_it_is_read_comes_to_an_end(tmp_path: Path) -> None:
    """As when a copy is laid over it, in its place."""
    with opened(tmp_path, compressed()) as file:
        file.seek(file.length - 10)
        (tmp_path / "main.jsonl.gz").write_bytes(b"")
        assert file.readinto(bytearray(100)) == 0
        assert file.flaws
