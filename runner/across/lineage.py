"""
Where a file came from, and what came of it: runs and files, by the digests of what runs read and what they made.

Content is what joins two runs: it is known by its SHA-256, whatever it was called at either end. Empty files join none.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import RunNotFoundError
from anew.runner.format import ids
from anew.runner.format.ids import is_number
from anew.runner.records import ContentRef, RunRecord
from anew.runner.store.files import digest_of
from anew.runner.store.folder import FolderStore
from anew.runner.store.typed import as_typed

RUN, FILE = "run", "file"
Content = Callable[[str], "tuple[str, int]"]
"""Gives the digest and the bytes of the file at a path. Raises OSError, ValueError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """
    A run or a file.

    Attributes:
        id: What edges call it: "run:UID", or "file:SHA256".
        kind: `RUN` or `FILE`.
        ref: The number of a run; None of a file.
        path: Where a file was read, or what it was kept as; None of a run.
        sha256: Of a file; None of a run.
        state: Of a file that was read somewhere: "same" where that still has this content, "changed", or "gone"; None
            where it is not known.
        record: Of a run.
    """

    id: str
    kind: str
    ref: int | None = None
    path: str | None = None
    sha256: str | None = None
    state: str | None = None
    record: RunRecord | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = {"id": self.id, "kind": self.kind, "ref": self.ref, "path": self.path, "sha256": self.sha256}
        return {**values, "state": self.state}


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """
    Runs and files, each of which made or was read by another.

    Attributes:
        root: The node that was asked about.
        nodes: All of them, by their ids.
        edges: Pairs of ids: a file and the run that read it, a run and the file that it made.
    """

    root: str
    nodes: Mapping[str, Node]
    edges: Sequence[tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        edges = [{"from": start, "to": end} for start, end in self.edges]
        return {"root": self.root, "nodes": [node.to_json() for node in self.nodes.values()], "edges": edges}


@dataclass(slots=True)
class _Ends:
    """Who made content, and who read it."""

    made: dict[str, list[RunRecord]] = field(default_factory=dict)
    read: dict[str, list[RunRecord]] = field(default_factory=dict)


def lineage(store: RunStore, word: str, *, up: bool = True, down: bool = True) -> Lineage:
    """
    Return what a run or a file came from, and what came of it, over any number of runs.

    Args:
        store: Where the runs are.
        word: A reference to a run, or else the path of a file, which may be gone, a name that one was kept as, or the
            beginning of its digest.
        up: Whether what it came from is in it.
        down: Whether what came of it is.

    Raises:
        RunNotFoundError: It names no run, and no file that one made or read.
        AmbiguousRefError: It may be several runs.
    """
    records = store.find()
    ends = _ends(records)
    now = _contents(store)
    root, start = _root(store, word, records, ends, now)
    walk = _Walk(ends, now)
    for way in [each for each, wanted in (("up", up), ("down", down)) if wanted]:
        walk.go(start, way)
    return Lineage(root=root, nodes=walk.nodes, edges=[*walk.edges])


def _contents(store: RunStore) -> Content:
    """Return what gives digest and bytes of a file as it is now; one that a run of the store wrote may be in a pack."""
    above = os.path.realpath(store.root) if isinstance(store, FolderStore) else ""

    def content(path: str) -> tuple[str, int]:
        try:
            return digest_of(Path(path))
        except (FileNotFoundError, NotADirectoryError):
            number, _, name = os.path.relpath(os.path.realpath(path), above or os.sep).partition(os.sep)
            packed = isinstance(store, FolderStore) and is_number(number) and store.packs.digest(int(number), name)
            if not packed:
                raise
            return packed

    return content


def _ends(records: Iterable[RunRecord]) -> _Ends:
    found = _Ends()
    for record in records:
        for refs, by_digest in ((record.artifacts, found.made), (record.inputs, found.read)):
            for sha256 in {ref.sha256 for ref in refs}:
                by_digest.setdefault(sha256, []).append(record)
    return found


def _root(
    store: RunStore, word: str, records: Sequence[RunRecord], ends: _Ends, now: Content
) -> tuple[str, RunRecord | ContentRef]:
    """Return the node that a word means, and what it is. Raises as `lineage`."""
    path = Path(word)
    known = None
    if os.sep in word or not _is_ref(word):
        with suppress(OSError, ValueError):  # it may be what no file can be called
            known = now(os.path.abspath(word))
    if known is None:
        try:
            record = store.get(word)
        except (RunNotFoundError, ValueError) as error:
            named = [ref for each in records for ref in (*each.inputs, *each.artifacts) if _is_called(each, ref, word)]
            if not named:
                raise _not_found(store, word, error) from error
            return _file_id(named[0].sha256), named[0]
        return _run_id(record), record
    sha256, size = known
    if sha256 not in ends.made and sha256 not in ends.read:
        named = [ref for each in records for ref in each.inputs if _place(each, ref) == str(path.absolute())]
        if not named:
            raise _not_found(store, word, None)
        # what the file is now nobody has read; what it was, somebody has
        return _file_id(named[0].sha256), named[0]
    return _file_id(sha256), ContentRef(path=str(path.absolute()), sha256=sha256, size=size)


def _not_found(store: RunStore, word: str, error: Exception | None) -> RunNotFoundError:
    what = "no file that a run in it made or read" if error is None else "no run, and no file that a run made or read"
    return RunNotFoundError(
        f"{word!r} is {what}: {store.url}. Files are known by their content. To see runs: "
        f"{as_typed('anew list', store.url)}",
        ref=word,
        store=store.url,
    )


def _is_ref(word: str) -> bool:
    try:
        ids.parse_ref(word)
    except ValueError:
        return False
    return True


def _is_called(record: RunRecord, ref: ContentRef, word: str) -> bool:
    is_digest = len(word) >= 8 and ref.sha256.startswith(word.lower())
    return ref.size > 0 and (is_digest or word == ref.path or os.path.abspath(word) == _place(record, ref))


def _place(record: RunRecord, ref: ContentRef) -> str:
    """Return where an input was read."""
    return os.path.normpath(os.path.join(record.source.root or os.sep, ref.path))


def _run_id(record: RunRecord) -> str:
    return f"run:{record.uid}"


def _file_id(sha256: str) -> str:
    return f"file:{sha256}"


class _Walk:
    """Goes from runs to files and on, each once. A file was made before it was read."""

    def __init__(self, ends: _Ends, now: Content) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self._ends = ends
        self._now = now

    def go(self, start: RunRecord | ContentRef, way: str) -> None:
        """Go "up" to what something came from, or "down" to what came of it, and on."""
        due: deque[RunRecord] = deque()
        gone: set[str] = set()
        if isinstance(start, RunRecord):
            self._add_run(start)
            due.append(start)
        else:
            self._add_file(start)
            due += self._beyond(start, None, way)
        while due:
            record = due.popleft()
            if record.uid in gone:
                continue
            gone.add(record.uid)
            refs = record.inputs if way == "up" else record.artifacts
            for ref in {ref.sha256: ref for ref in refs}.values():
                self._add_file(ref)
                self._add_edge(_run_id(record), _file_id(ref.sha256), way)
                due += self._beyond(ref, record, way)

    def _beyond(self, ref: ContentRef, run: RunRecord | None, way: str) -> Iterator[RunRecord]:
        """Yield the runs at the other end of a file: those that made it before, or read it after, *run* began."""
        ends = self._ends.made if way == "up" else self._ends.read
        for other in ends.get(ref.sha256, ()) if ref.size else ():
            if run is not None:
                earlier, later = (other, run) if way == "up" else (run, other)
                if other.uid == run.uid or earlier.started_at > later.started_at:
                    continue
            self._add_run(other)
            self._add_edge(_file_id(ref.sha256), _run_id(other), way)
            yield other

    def _add_edge(self, near: str, far: str, way: str) -> None:
        self.edges[(far, near) if way == "up" else (near, far)] = None

    def _add_run(self, record: RunRecord) -> None:
        node = Node(id=_run_id(record), kind=RUN, ref=record.id, record=record)
        self.nodes.setdefault(node.id, node)

    def _add_file(self, ref: ContentRef) -> None:
        """Have a file among the nodes, called what it was called where it was read last."""
        key = _file_id(ref.sha256)
        if key not in self.nodes:
            readers = self._ends.read.get(ref.sha256, ())
            places = [_place(each, own) for each in readers for own in each.inputs if own.sha256 == ref.sha256]
            path = places[0] if places else ref.path
            self.nodes[key] = Node(
                id=key, kind=FILE, path=path, sha256=ref.sha256, state=_state(places, ref.sha256, self._now)
            )


def _state(places: Sequence[str], sha256: str, now: Content) -> str | None:
    """Return what a file is now at the place where it was read last."""
    if not places:
        return None
    try:
        return "same" if now(places[0])[0] == sha256 else "changed"
    except (OSError, ValueError):  # a record may name what no file can be called
        return "gone"


def dot(found: Lineage, label: Callable[[Node], str]) -> str:
    """Return it for Graphviz, in the language DOT."""
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for node in found.nodes.values():
        shape = "box" if node.kind == RUN else "note"
        style = ", color=red, fontcolor=red" if node.state in ("changed", "gone") else ""
        lines.append(f"  {_quoted(node.id)} [shape={shape}, label={_quoted(label(node))}{style}];")
    lines += [f"  {_quoted(start)} -> {_quoted(end)};" for start, end in found.edges]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
