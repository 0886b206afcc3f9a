"""
What a file system may have lost after a power cut, as a model: a program is recorded, and its files are built as they
may be after a cut at any place.

Two strengths. "ordered": as ext4 has it, changes of names and folders survive in their order, up to some place behind
the last sync; content that was not synced may be short or zeros. "synced": nothing survives but what was synced, a name
by a sync of its folder, content by one of its file; now and then something more.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STRENGTHS = ("ordered", "synced")
_SOURCE = Path(__file__).with_suffix(".c")


def compiler() -> str | None:
    """Return the C compiler of this machine, None for none."""
    return shutil.which("cc") or shutil.which("gcc")


def recorded(command: Sequence[str], root: Path, work: Path, env: Mapping[str, str]) -> list[Call]:
    """
    Run a program to its end; return what it and its children did to the files below *root*.

    Args:
        command: The program.
        root: A folder that exists.
        work: A folder for the recording, elsewhere; the program runs in `root`.
        env: Further variables.
    """
    library, log = work / "power.so", work / "calls"
    found = compiler()
    assert found is not None
    subprocess.run([found, "-shared", "-fPIC", "-w", "-o", library, _SOURCE], check=True)
    variables = {**os.environ, **env, "LD_PRELOAD": str(library), "POWER_ROOT": str(root), "POWER_LOG": str(log)}
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [Call.read(line) for line in log.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what was done, when (s), to which inode and paths, with what."""

    what: str
    time: float
    inode: int
    path: str
    other: str
    offset: int
    data: bytes

    @classmethod
    def read(cls, line: str) -> Call:
        """Return a call as it was written down."""
        what, time, inode, path, other, offset, data = line.split("\t")
        return cls(what, float(time), int(inode), path, other, int(offset), bytes.fromhex(data))


@dataclass(slots=True, eq=False)
class _File:
    """A file: what was written, (call, offset, data) or (call, size, None); and how much of that was synced."""

    writes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    synced: int = 0


@dataclass(slots=True, eq=False)
class _Folder:
    """A folder: what became of its names, (call, {name: what it names, None for gone}); how much of that was synced."""

    changes: list[tuple[int, dict[str, _Node | None]]] = field(default_factory=list)
    synced: int = 0
    now: dict[str, _Node] = field(default_factory=dict)

    def change(self, call: int, names: dict[str, _Node | None]) -> None:
        """Note one change, which is there whole or not at all."""
        self.changes.append((call, names))
        self.now = _applied(self.now, names)


_Node = _File | _Folder


def _applied(names: Mapping[str, _Node], change: Mapping[str, _Node | None]) -> dict[str, _Node]:
    return {name: node for name, node in {**names, **change}.items() if node is not None}


class Disk:
    """
    The files below a folder as they were done to, up to some call.

    Args:
        root: The folder, whose own name is safe.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = _Folder()
        self._count = 0
        self._committed = 0

    def do(self, call: Call) -> None:
        """Take the next call."""
        self._count += 1
        if call.what in ("sync", "datasync"):
            self._sync(call)
        elif call.what in ("write", "truncate"):
            self._write(call)
        else:
            self._name(call)

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._top
        for name in path[len(self._root) :].strip("/").split("/"):
            if name:
                node = node.now.get(name) if isinstance(node, _Folder) else None
        return node

    def _sync(self, call: Call) -> None:
        node = self._find(call.path)
        if isinstance(node, _Folder):
            node.synced = len(node.changes)
        elif node is not None:
            node.synced = len(node.writes)
        if call.what == "sync":
            self._committed = self._count

    def _write(self, call: Call) -> None:
        node = self._find(call.path)
        if isinstance(node, _File):
            node.writes.append((self._count, call.offset, call.data if call.what == "write" else None))

    def _name(self, call: Call) -> None:
        source, name = self._place(call.path)
        if call.what in ("create", "mkdir"):
            source.change(self._count, {name: _File() if call.what == "create" else _Folder()})
        elif call.what == "unlink":
            source.change(self._count, {name: None})
        else:
            target, other = self._place(call.other)
            node = source.now.get(name)
            if call.what == "rename" and source is target:
                source.change(self._count, {name: None, other: node})
            else:
                target.change(self._count, {other: node})
                if call.what == "rename":
                    source.change(self._count, {name: None})

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder, _, name = path.rpartition("/")
        node = self._find(folder)
        assert isinstance(node, _Folder), path
        return node, name

    # --- after the cut --------------------------------------------------------------------------------------------

    def build(self, target: Path, strength: str, dice: random.Random) -> None:
        """Write the files into *target*, a new folder, as they may be after a power cut now."""
        until = dice.randint(self._committed, self._count)
        more = dice.choice([0.0, 0.0, 0.3])
        self._build(self._top, target, strength, dice, until, more)

    def _build(self, node: _Node, target: Path, strength: str, dice: random.Random, until: int, more: float) -> None:
        if isinstance(node, _File):
            target.write_bytes(_content(node, strength, dice, more))
            return
        target.mkdir()
        names: dict[str, _Node] = {}
        for index, (call, change) in enumerate(node.changes):
            is_there = call <= until if strength == "ordered" else dice.random() < more
            if index < node.synced or is_there:
                names = _applied(names, change)
        for name, each in names.items():
            self._build(each, target / name, strength, dice, until, more)


def _content(file: _File, strength: str, dice: random.Random, more: float) -> bytes:
    """Return what a file holds: what was synced, perhaps something of the rest, perhaps zeros for more of it."""
    rest = len(file.writes) - file.synced
    extra = dice.randint(0, rest) if strength == "ordered" or dice.random() < more else 0
    content = bytearray()
    for _, offset, data in file.writes[: file.synced + extra]:
        if data is None:
            content[offset:] = b""
        content += bytes(max(0, offset - len(content)))
        content[offset : offset + len(data or b"")] = data or b""
    if strength == "ordered" and extra < rest:
        _, offset, data = file.writes[file.synced + extra]
        if data is not None and dice.random() < 0.5:
            content += bytes(max(0, offset + dice.randint(0, len(data)) - len(content)))
    return bytes(content)
