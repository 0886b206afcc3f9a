"""Files that main opens are its inputs, declared or not; its own outputs, modules and libraries are not."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from anew.runner.capture.noticed import noticed_inputs
from anew.runner.capture.opened import OpenedFiles
from anew.runner.capture.unseen import Unseen
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.store.objects import ObjectStore
from tests.helpers.places import ROOT


class Watch:
    """A watch over the project, and what it gives."""

    def __init__(self, root: Path, most: int = 10_000) -> None:
        self.root = root
        self.objects = ObjectStore(root.parent / "objects")
        self.opened = OpenedFiles([root], exclude=[root / "runs"], most=most)
        self.opened.start()

    def inputs(self, keep_bytes: int = 1000, known: tuple[str, ...] = ()) -> tuple[dict[str, ContentRef], list[str]]:
        self.opened.stop()
        cache = self.root.parent / "cache.json"
        found, notes = noticed_inputs(self.opened, Places(self.root), self.objects, keep_bytes, cache, known)
        self.opened.close()
        return {ref.path: ref for ref in found}, list(notes)


@pytest.fixture
def data(project: Path) -> Path:
    for name in ("a.txt", "b.txt", "sub/c.txt", "runs/r.txt"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(name)
    return project


@pytest.fixture
def watch(data: Path) -> Iterator[Watch]:
    watch = Watch(data)
    yield watch
    watch.opened.close()


def test_what_is_read_is_an_input_however_it_is_opened(watch: Watch, data: Path) -> None:
    (data / "z.gz").write_bytes(gzip.compress(b"z"))
    np.save(data / "n.npy", np.arange(3))
    watch.opened.close()
    watch = Watch(data)
    open("a.txt").close()
    os.close(os.open(os.fsencode(data / "b.txt"), os.O_RDONLY))
    (data / "sub" / "c.txt").read_bytes()
    with gzip.open("z.gz") as file:
        file.read()
    np.load(data / "n.npy")
    open("runs/r.txt").close()
    found, notes = watch.inputs()
    assert list(found) == ["a.txt", "b.txt", "n.npy", "sub/c.txt", "z.gz"]
    assert notes == []
    with watch.objects.open(found["a.txt"].sha256) as kept:
        assert kept.read() == b"a.txt"


def test_its_own_outputs_are_none_and_what_it_changed_after_reading_is_named(watch: Watch, data: Path) -> None:
    (data / "new.txt").write_text("x")
    (data / "new.txt").read_text()
    (data / "b.txt").write_text("over")
    (data / "b.txt").read_text()
    (data / "a.txt").read_text()
    (data / "a.txt").write_text("changed, longer")
    found, notes = watch.inputs()
    assert list(found) == []
    assert len(notes) == 1
    assert "'a.txt' changed after" in notes[0]


def test_a_relative_path_after_a_chdir_is_another_file(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "sub" / "a.txt").write_text("other")
    watch = Watch(data)
    open("a.txt").close()
    monkeypatch.chdir(data / "sub")
    open("a.txt").close()
    assert list(watch.inputs()[0]) == ["a.txt", "sub/a.txt"]


def test_modules_libraries_and_environments_are_none(watch: Watch, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "a_module_of_theirs.py").write_text("x = 1")
    (data / "lib" / "site-packages").mkdir(parents=True)
    (data / "lib" / "site-packages" / "x.txt").write_text("x")
    monkeypatch.syspath_prepend(str(data))
    __import__("a_module_of_theirs")
    open("lib/site-packages/x.txt").close()
    open("a_module_of_theirs.py").close()
    os.listdir(data)
    found, _ = watch.inputs()
    del sys.modules["a_module_of_theirs"]
    assert list(found) == []


def test_large_ones_are_hashed_and_declared_ones_left_out(watch: Watch) -> None:
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        open(name).close()
    found, _ = watch.inputs(keep_bytes=5, known=("b.txt",))
    assert {path: ref.kept for path, ref in found.items()} == {"a.txt": True, "sub/c.txt": False}
    assert not watch.objects.has(found["sub/c.txt"].sha256)


def test_forked_children_are_noticed(data: Path) -> None:
    """In a process of its own: this one has threads, and Python warns of forking with them."""
    code = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.capture.test_opened import Watch
watch = Watch(Path.cwd())
for name in ("a.txt", "b.txt"):
    pid = os.fork()
    if pid == 0:
        open(name).close()
        os._exit(0)
    os.waitpid(pid, 0)
open("sub/c.txt").close()
print(*watch.inputs()[0])
"""
    root = str(ROOT)
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "a.txt b.txt sub/c.txt\n", done.stderr


def test_there_is_a_limit_and_it_is_said(data: Path) -> None:
    for number in range(30):
        (data / f"{number}.dat").touch()
    watch = Watch(data, most=10)
    for number in range(30):
        open(f"{number}.dat").close()
    found, notes = watch.inputs()
    assert len(found) <= 11
    assert "anew.inputs.max_files" in notes[0]


def test_two_watches_after_each_other_do_not_meet(watch: Watch, data: Path) -> None:
    open("a.txt").close()
    watch.opened.close()
    open("b.txt").close()
    second = Watch(data)
    open("sub/c.txt").close()
    assert list(second.inputs()[0]) == ["sub/c.txt"]


def test_nothing_that_is_opened_oddly_stops_the_program(watch: Watch, data: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Path("not there").read_text()
    with pytest.raises(IsADirectoryError):
        Path("sub").read_text()
    with pytest.raises((TypeError, ValueError)):
        Path("a\0b").read_text()
    os.close(os.open("/dev/null", os.O_RDONLY))
    with open("a.txt") as file, open(file.fileno(), closefd=False) as again:
        assert again.read() == "a.txt"
    assert list(watch.inputs()[0]) == ["a.txt"]


def test_where_a_program_closed_one_of_the_files_the_others_are_closed_all_the_same(data: Path) -> None:
    unseen = mock.Mock(spec=Unseen)
    unseen.close.side_effect = OSError(errno.EBADF, "Bad file descriptor")
    opened = OpenedFiles([data], unseen=unseen)
    opened.start()
    spool = opened.spool
    assert spool is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        opened.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(spool)
