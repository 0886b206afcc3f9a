"""`check --deep` reads every byte: what is not as it was written is said, wherever it lies."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from anew.runner.errors import StoreFormatError
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store

pytestmark = pytest.mark.long

# how many bits of each file are turned; `make torture` sets more
FLIPS = int(os.environ.get("ANEW_FLIPS", "3"))
# What nobody has the digest of: the output of the user's own logging; locks, which hold nothing; and what a process
# that was killed kept for itself while it lived, of which nothing is ever shown.
UNKNOWN = re.compile(r".*/files/train\.log|.*\.lock|.*/\.outcome\.reserve|.*/events/\.roll").fullmatch


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "runs", symlinks=True))


def said(store: Path) -> set[str]:
    """What a deep check says, each finding as a line; times and ages left out."""
    try:
        return {f"{each.where}: {each.what}" for each in check_store(FolderStore.open(store), deep=True)}
    except StoreFormatError as error:
        return {str(error)}


def files_in(store: Path) -> list[Path]:
    """Return those that hold anything: what is empty, as SQLite's journal between two changes, may come and go."""
    return sorted(path for path in store.rglob("*") if path.is_file() and path.stat().st_size)


def put(path: Path, data: bytes, status: os.stat_result) -> None:
    """Write over a file, whose times and rights stay as they were: nothing but its bytes tells."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def is_silent(store: Path, path: Path, data: bytes, before: set[str]) -> bool:
    """Whether a file can hold *data* without a word; it is put back."""
    status, whole = path.stat(), path.read_bytes()
    put(path, data, status)
    try:
        return said(store) <= before
    finally:
        put(path, whole, status)


def means_the_same(path: Path, data: bytes) -> bool:
    """Whether what was changed says nothing: the end of a file, or what is in no row of the index."""
    whole, status = path.read_bytes(), path.stat()
    if path.name != "index.sqlite":
        return data.rstrip(b"\n") == whole.rstrip(b"\n") or (data[:-1] == whole[:-1] and whole.endswith(b"\n"))
    before = rows(path)
    put(path, data, status)
    after = rows(path)
    put(path, whole, status)
    return before == after


def rows(path: Path) -> object:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return [database.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "facts", "state")]
    except (sqlite3.Error, MemoryError, ValueError, OverflowError) as error:
        return str(error)


def is_open(path: Path) -> bool:
    """Whether this may be cut short without a trace: a journal of a run that nobody ended."""
    return (
        path.name.endswith((".jsonl", ".sums"))
        and not any((folder / "outcome.json").exists() for folder in path.parents if (folder / "run.json").exists())
        and "sweeps" not in path.parts
    )


def flips(whole: bytes, chance: random.Random) -> Iterator[bytes]:
    places = [0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(FLIPS))]
    for place in dict.fromkeys(places[:FLIPS]):
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        yield bytes(data)


def test_a_whole_store_is_said_to_be_whole(store: Path) -> None:
    assert all("LOST" in each for each in said(store)), said(store)


def cuts(whole: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut short, at a line's end too, and zeroed in places."""
    lines = whole.splitlines(keepends=True)
    yield whole[: chance.randrange(len(whole))]
    if len(lines) > 1:
        yield b"".join(lines[: chance.randrange(1, len(lines))])
    yield b""
    for _ in range(max(1, FLIPS // 3)):
        begin = chance.randrange(len(whole))
        end = min(len(whole), begin + chance.choice((1, 60, 4096)))
        yield whole[:begin] + bytes(end - begin) + whole[end:]


@pytest.mark.parametrize("harm", [flips, cuts])
def test_what_becomes_of_any_file_is_said(store: Path, harm: Callable[[bytes, random.Random], Iterator[bytes]]) -> None:
    before, chance, silent = said(store), random.Random(1), []
    for path in files_in(store):
        name = path.relative_to(store).as_posix()
        whole = path.read_bytes()
        for data in harm(whole, chance) if whole and not UNKNOWN(name) else ():
            if whole.startswith(data) and is_open(path):
                continue
            if is_silent(store, path, data, before) and not means_the_same(path, data):
                at = next((at for at, pair in enumerate(zip(whole, data, strict=False)) if len({*pair}) > 1), len(data))
                silent.append(f"{name} from byte {at} on: {whole[at:][:40]!r} became {data[at:][:40]!r}")

    assert not silent, "\n".join(silent)
