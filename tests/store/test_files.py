"""Files that are there whole or not at all, and files that are nothing but files."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from anew.runner.errors import StoreError
from anew.runner.store.files import (
    create_whole,
    digest_of,
    open_regular,
    read_most,
    read_regular,
    replace_whole,
    write_all,
)


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_whole(path, b"one")
    replace_whole(path, b"two", sync=True)

    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    replace_whole(path, b"one")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match=r"Cannot write .*No space left.*--store FOLDER"):
        replace_whole(path, b"two")
    monkeypatch.undo()

    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a"]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = [letter * 100_000 for letter in (b"a", b"b")]
    replace_whole(path, texts[0])
    ended = threading.Event()

    def write(text: bytes) -> None:
        while not ended.is_set():
            replace_whole(path, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    try:
        assert {path.read_bytes() for _ in range(300)} <= set(texts)
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_who_may_read_a_new_file_is_said_when_it_is_made(tmp_path: Path) -> None:
    assert create_whole(tmp_path / "key", b"x", mode=0o600)
    assert not create_whole(tmp_path / "key", b"y", mode=0o644)

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key").read_bytes() == b"x"


def test_reading_takes_no_more_memory_than_there_is_to_read(tmp_path: Path) -> None:
    """What a file may have at the most is a limit, and nothing to be set aside."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000)
    tracemalloc.start()
    try:
        whole = read_regular(path, 1 << 30)
        with path.open("rb") as file:
            part = read_most(file, 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()

    assert whole == part == b"x" * 1_000
    with path.open("rb") as file:
        assert (read_most(file, 10), read_most(file, 0), len(read_most(file, 5_000))) == (b"x" * 10, b"", 990)


def test_short_writes_are_gone_on_with_and_one_of_nothing_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    counts = iter([2, 1, 3, 0])

    def short(descriptor: int, data: memoryview) -> int:
        count = next(counts)
        taken.append(bytes(data[:count]))
        return count

    monkeypatch.setattr(os, "write", short)
    write_all(1, b"abcdef")
    with pytest.raises(OSError, match="No space left"):
        write_all(1, b"g")

    assert b"".join(taken) == b"abcdef"


def test_only_a_regular_file_is_opened_and_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")

    for name in ("fifo", "link", "loop", "."):
        with pytest.raises(OSError, match=r"no regular file|symbolic link"):
            open_regular(tmp_path / name)
    for path in (tmp_path / "fifo", tmp_path / "loop", Path("/dev/zero")):
        with pytest.raises(OSError, match=r"no regular file|symbolic link"):
            open_regular(path, follow=True)
    with open_regular(tmp_path / "link", follow=True) as file:
        assert file.read() == b"text"
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"text"


def test_a_digest_is_of_all_of_a_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(data)
    os.mkfifo(tmp_path / "fifo")

    assert digest_of(tmp_path / "file") == (hashlib.sha256(data).hexdigest(), len(data))
    with pytest.raises(OSError, match="no regular file"):
        digest_of(tmp_path / "fifo")
