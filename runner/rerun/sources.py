"""The recorded source of a run, as far as main can have reached it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from anew.runner.records import RunRecord
from anew.runner.rerun.sides import Side

_MOST_FILES = 400
_MOST_BYTES = 2**20


def read_sources(side: Side) -> dict[str, str]:
    """Return path -> text of the script and of what it imports of the project, at any depth."""
    record = side.record
    refs = {file.path: file for file in record.source.files if file.path.endswith(".py") and file.link is None}
    start = _first_file(record, refs)
    waiting = list(refs)[:_MOST_FILES] if start is None else [start]
    found: dict[str, str] = {}
    while waiting and len(found) < _MOST_FILES:
        path = waiting.pop(0)
        if path in found or path not in refs or refs[path].size > _MOST_BYTES:
            continue
        content = side.content(refs[path].sha256, _MOST_BYTES)
        found[path] = content.decode("utf-8", "replace") if content is not None else ""
        waiting += _imported(path, found[path], refs)
    return found


def main_function(record: RunRecord) -> str:
    """Return the name of main."""
    return record.command.function.rpartition(":")[2].rpartition(".")[2]


def _first_file(record: RunRecord, refs: Mapping[str, object]) -> str | None:
    """Return the file that main is in, where that can be told."""
    module = record.command.function.partition(":")[0]
    if module not in ("__main__", ""):
        return _file_of(module, refs)
    if record.command.runs_module:
        return _file_of(record.command.target, refs)
    root = record.source.root or ""
    target = record.command.target
    paths = [os.path.relpath(each, root).replace(os.sep, "/") for each in (target, f"{target}/__main__.py") if target]
    return next((path for path in paths if path in refs), None)


def _file_of(module: str, refs: Mapping[str, object]) -> str | None:
    """Return the file of a module: whichever ends like it, the shortest first, since folders may be on the path."""
    tail = module.replace(".", "/")
    ends = (f"{tail}.py", f"{tail}/__init__.py", f"{tail}/__main__.py")
    fitting = [path for path in refs if path in ends or path.endswith(tuple(f"/{end}" for end in ends))]
    return min(fitting, key=len, default=None)


def _imported(path: str, text: str, refs: Mapping[str, object]) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    package = PurePosixPath(path).parent
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.parents[node.level - 2] if 1 < node.level <= len(package.parents) + 1 else package
                base = ".".join([*above.parts, *([base] if base else [])])
            names = [base, *(f"{base}.{each.name}" for each in node.names)]
        for name in names:
            if name and (file := _file_of(name, refs)) is not None:
                yield file
