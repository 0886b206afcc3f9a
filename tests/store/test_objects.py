"""Content by digest: kept once, whole or not at all, never changed by what is laid out from it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from anew.runner.errors import ArtifactError, ObjectNotFoundError, StoreError
from anew.runner.store import objects as module
from anew.runner.store import presence
from anew.runner.store.curate import GRACE_S
from anew.runner.store.objects import ObjectStore

LARGE = 3 * 2**20 + 17


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def leftovers(store: ObjectStore) -> list[Path]:
    return list((store.root / "tmp").glob("*"))


def damage(store: ObjectStore, sha256: str, data: bytes) -> None:
    path = store.path(sha256)
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, LARGE])
def test_a_file_comes_back_byte_for_byte_and_read_only(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    source = tmp_path / "source"
    source.write_bytes(data)

    assert store.put_file(source) == (digest(data), size)
    with store.open(digest(data)) as file:
        assert file.read() == data
    assert store.size(digest(data)) == size
    assert stat.S_IMODE(store.path(digest(data)).stat().st_mode) == 0o444
    assert store.verify(digest(data))
    assert leftovers(store) == []


def test_the_same_content_is_kept_once(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for data in (b"small", random.Random(0).randbytes(LARGE)):
        source.write_bytes(data)
        sha256, _ = store.put_file(source)
        first = store.path(sha256).stat().st_ino
        store.put_file(source)
        assert store.path(sha256).stat().st_ino == first
        assert store.put_bytes(data) == sha256
        assert store.path(sha256).stat().st_ino == first
    assert len(list(store.all())) == 2


def test_a_link_is_followed(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    (tmp_path / "latest").symlink_to("model")
    assert store.put_file(tmp_path / "latest")[0] == digest(b"weights")


def test_what_is_no_regular_file_is_refused_without_waiting(store: ObjectStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("missing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        for name in ("fifo", "folder", "loop", "nowhere", "missing", "socket"):
            with pytest.raises(ArtifactError, match=name):
                store.put_file(tmp_path / name)
    with pytest.raises(ArtifactError, match="no regular file"):
        store.put_file(Path("/dev/zero"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(ArtifactError, match="Permission denied"):
        store.put_file(tmp_path / "secret")


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_that_keeps_changing_is_refused(
    store: ObjectStore, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "growing"
    source.write_bytes(b"x" * size)
    read = module._read

    def read_and_grow(*arguments: object) -> bytes:
        with source.open("ab") as file:
            file.write(b"more")
        return read(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(module, "_read", read_and_grow)
    with pytest.raises(ArtifactError, match="keeps changing"):
        store.put_file(source)
    assert leftovers(store) == []


def test_a_file_that_changes_once_is_read_again(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "growing"
    source.write_bytes(b"old")
    read, changes = module._read, iter([b"new and longer"])

    def read_and_change_once(*arguments: object) -> bytes:
        data = read(*arguments)  # type: ignore[arg-type]  # handed on as they came
        for change in changes:
            source.write_bytes(change)
            break
        return data

    monkeypatch.setattr(module, "_read", read_and_change_once)
    assert store.put_file(source)[0] == digest(b"new and longer")


def test_an_object_of_the_wrong_length_gives_way_to_the_right_content(store: ObjectStore) -> None:
    sha256 = store.put_bytes(b"content")
    damage(store, sha256, b"cont")
    assert not store.verify(sha256)
    store.put_bytes(b"content")
    assert store.verify(sha256)


def test_a_flipped_bit_is_noticed_when_content_is_verified_or_laid_out(store: ObjectStore, tmp_path: Path) -> None:
    sha256 = store.put_bytes(b"content")
    damage(store, sha256, b"cOntent")
    assert not store.verify(sha256)
    for number, writable in enumerate((True, False)):
        target = tmp_path / str(number)
        with pytest.raises(StoreError, match="damaged"):
            store.lay_out(sha256, target, mode=None if writable else 0o444, writable=writable)
        assert not target.exists()


def test_content_that_is_not_here_is_said_to_be_missing(store: ObjectStore, tmp_path: Path) -> None:
    missing = digest(b"nothing")
    assert not store.has(missing)
    assert not store.verify(missing)
    assert not store.touch(missing)
    assert store.remove(missing) == 0
    for ask in (store.size, store.open, lambda sha256: store.lay_out(sha256, tmp_path / "x")):
        with pytest.raises(ObjectNotFoundError, match=missing[:12]):
            ask(missing)
    with pytest.raises(ObjectNotFoundError):
        store.lay_out(missing, tmp_path / "x", mode=0o444, writable=False)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("text", ["", "../../../etc/passwd", "ab", "A" * 64, "0" * 63 + "/"])
def test_what_is_no_digest_never_leads_out_of_the_store(store: ObjectStore, text: str) -> None:
    assert not store.has(text)
    assert not store.verify(text)
    with pytest.raises(ObjectNotFoundError):
        store.open(text)


def test_what_is_laid_out_writable_does_not_reach_the_object(store: ObjectStore, tmp_path: Path) -> None:
    sha256 = store.put_bytes(b"content")
    target = tmp_path / "new" / "folder" / "file"
    store.lay_out(sha256, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    target.write_bytes(b"changed")
    assert store.verify(sha256)


def test_what_is_laid_out_keeps_its_mode_and_loses_write_leave_when_nobody_writes(
    store: ObjectStore, tmp_path: Path
) -> None:
    sha256 = store.put_bytes(b"#!/bin/sh")
    store.lay_out(sha256, tmp_path / "script", mode=0o755)
    store.lay_out(sha256, tmp_path / "fixed", mode=0o755, writable=False)
    store.lay_out(sha256, tmp_path / "plain", writable=False)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("script", "fixed", "plain")]
    assert modes == [0o755, 0o555, 0o444]
    assert stat.S_IMODE(store.path(sha256).stat().st_mode) == 0o444
    assert (tmp_path / "plain").stat().st_ino == store.path(sha256).stat().st_ino


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_is_laid_out_over_a_file_that_exists(store: ObjectStore, tmp_path: Path, writable: bool) -> None:
    sha256 = store.put_bytes(b"content")
    (tmp_path / "mine").write_bytes(b"precious")
    with pytest.raises(StoreError, match="mine"):
        store.lay_out(sha256, tmp_path / "mine", writable=writable)
    assert (tmp_path / "mine").read_bytes() == b"precious"


def test_content_put_again_while_it_is_purged_stays(store: ObjectStore) -> None:
    sha256 = store.put_bytes(b"content")
    os.utime(store.path(sha256), (1000, 1000))
    limit = time.time() - 3600
    store.put_bytes(b"content")
    assert store.remove(sha256, unless_used_since=limit) == 0
    assert store.verify(sha256)
    os.utime(store.path(sha256), (1000, 1000))
    assert store.touch(sha256)
    assert store.remove(sha256, unless_used_since=limit) == 0
    os.utime(store.path(sha256), (1000, 1000))
    assert store.remove(sha256, unless_used_since=limit) == len(b"content")
    assert not store.has(sha256)
    assert leftovers(store) == []


def test_threads_and_processes_putting_the_same_content_do_not_disturb_each_other(store: ObjectStore) -> None:
    contents = [bytes([number]) * 50_000 for number in range(20)]

    def put_all(seed: int) -> None:
        for data in random.Random(seed).sample(contents, len(contents)):
            assert store.put_bytes(data, sync=False) == digest(data)

    threads = [threading.Thread(target=put_all, args=(seed,)) for seed in range(4)]
    processes = [subprocess.Popen([sys.executable, "-c", _PUT_ALL, str(store.root), str(seed)]) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert sorted(store.all()) == sorted(map(digest, contents))
    assert all(map(store.verify, store.all()))
    assert leftovers(store) == []


_PUT_ALL = """
import random, sys
from pathlib import Path
from anew.runner.store.objects import ObjectStore
contents = [bytes([number]) * 50_000 for number in range(20)]
for data in random.Random(sys.argv[2]).sample(contents, len(contents)):
    ObjectStore(Path(sys.argv[1])).put_bytes(data, sync=False)
"""


def _put_until_killed(root: Path, source: Path) -> None:
    number = 0
    while True:
        ObjectStore(root).put_bytes(b"%d" % number * 5000, sync=False)
        ObjectStore(root).put_file(source, sync=False)
        ObjectStore(root).remove(digest(source.read_bytes()))
        number += 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_writer_leaves_whole_objects_and_at_most_a_temporary(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(random.Random(0).randbytes(LARGE))
    dice = random.Random(0)
    context = multiprocessing.get_context("fork")
    for kills in range(1, 26):
        process = context.Process(target=_put_until_killed, args=(store.root, source))
        process.start()
        time.sleep(0.005 + dice.random() * 0.03)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert len(leftovers(store)) <= kills
    assert list(store.all())
    assert all(map(store.verify, store.all()))
    assert set(store.temporaries(-10)) == set(leftovers(store))
    assert store.temporaries(3600) == []


def test_a_store_that_cannot_be_written_says_so_and_keeps_nothing_half(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the full disk here; test_journal_faults.py fills a real one."""
    script = """
import resource, signal, sys
from pathlib import Path
from anew.runner.errors import StoreError
from anew.runner.store.objects import ObjectStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
store = ObjectStore(folder / "objects")
source = folder / "source"
source.write_bytes(b"x" * (3 << 20))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, resource.RLIM_INFINITY))
for put in (lambda: store.put_file(source), lambda: store.put_bytes(b"y" * (1 << 20))):
    try:
        put()
    except StoreError as error:
        assert "objects" in str(error), error
    else:
        raise AssertionError("it was put")
assert not list(store.all())
assert not list((store.root / "tmp").glob("*"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.verify(store.put_file(source)[0])
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)


def test_contents_that_are_used_again_and_again_are_marked_before_a_purge_would_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0, 50_000_000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0], time=lambda: clock[1]))
    store = ObjectStore(tmp_path / "objects")
    digests = tuple(store.put_bytes(data) for data in (b"a", b"b"))

    def is_marked() -> bool:
        for each in digests:
            os.utime(store.path(each), (1, 1))
        assert store.touch_all(digests)
        return all(store.used_since(each) > 1 for each in digests)

    assert is_marked()
    clock[:] = [clock[0] + 300, clock[1] + 300]
    assert not is_marked()
    clock[:] = [clock[0] + 301, clock[1] + 301]
    assert is_marked()
    assert module._MARKED_S < GRACE_S / 2
    clock[1] += 7200  # somebody has set the clock
    assert is_marked()
    clock[1] -= 7200
    assert is_marked()
    assert ObjectStore(tmp_path / "objects").touch_all(digests)
    store.path(digests[0]).unlink()
    assert not store.touch_all(digests)
    assert not store.touch_all((*digests, "0" * 64))


def test_content_that_has_gone_is_missed_however_often_it_was_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "YOUNG_NS", 50_000_000)
    store = ObjectStore(tmp_path / "objects")
    digests = [store.put_bytes(bytes([each])) for each in range(200)]
    time.sleep(0.12)
    asked: list[str] = []

    def exists(path: str) -> bool:
        asked.append(path)
        return os.path.lexists(path)

    with monkeypatch.context() as patch:
        patch.setattr(presence, "exists", exists)
        assert store.missing(digests) == []
        assert len(asked) == len(digests)
        assert store.missing(digests) == store.missing(digests[:50]) == []
        assert len(asked) == len(digests)
    store.path(digests[7]).unlink()
    assert store.missing(digests) == [digests[7]]
    store.put_bytes(bytes([7]))
    shutil.rmtree(store.path(digests[9]).parent)
    assert digests[9] in store.missing(digests)
    assert digests[7] not in store.missing(digests)
