"""Reports of the project that the page was started in: listed, opened, shown as HTML, and written."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import Response

from anew.runner.across.report import WORD
from anew.runner.across.reporting import Patience, made
from anew.runner.server.asking import NothingAsked
from anew.runner.server.failures import Refused
from anew.runner.server.files import SANDBOX, attached
from anew.runner.server.routes import Asked, refuse_left
from anew.runner.server.site import Site
from anew.runner.store.files import read_regular, replace_whole

# to read Markdown that somebody has made for that takes seconds, in which others wait
_MOST_BYTES = 1 << 17
_MOST_ENTRIES = 20_000
_MOST_REPORTS = 200
_DEEPEST = 6
# of a name, with room for what a file is called while it is written
_LONGEST_NAME = 200
# each command of one, while somebody waits
_PATIENCE_S = 60.0
_PASSED_OVER = frozenset(
    {"node_modules", "__pycache__", "site-packages", "venv", "build", "dist", "outputs", "multirun"}
)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`]*)$")
_MOST_COMMANDS = 40
_writing = threading.Lock()
ReportPath = Annotated[str, Meta(min_length=1, max_length=500, description="From the project's folder on.")]
Text = Annotated[str, Meta(max_length=_MOST_BYTES)]


class ReportAsked(Asked):
    """Which report."""

    path: ReportPath


class PreviewAsked(Asked):
    """A report as it would be written, and where."""

    path: ReportPath
    text: Text


class ShownAsked(Asked):
    """Which preview, by its key."""

    key: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    name: Annotated[str, Meta(max_length=200)] = ""


class SaveAsked(Asked):
    """What a report is to say, and the digest of what it said when it was opened; none for one that is new."""

    path: ReportPath
    text: Text
    was: Annotated[str, Meta(max_length=64)] | None = None


def reports(site: Site, asked: NothingAsked) -> dict[str, Any]:
    """The reports of the project: Markdown files in it that have a block which asks something."""
    found = []
    for name in _candidates(site):
        text = _read(site, name)
        if text is not None and (number := _number_of_blocks(text)):
            found.append({"path": name, "title": _title(text), "blocks": number})
            if len(found) >= _MOST_REPORTS:
                break
    return {"project": str(site.project), "reports": sorted(found, key=lambda each: str(each["path"]))}


def _candidates(site: Site) -> Iterator[str]:
    """
    Yield Markdown files of the project, by their paths in it.

    Left out are links, what is hidden, the store, and names that are no text, which no address can hold.
    """
    left = _MOST_ENTRIES
    waiting = [(str(site.project), "", 0)]
    store = _real_store(site)
    while waiting:
        folder, name, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        for entry in entries:
            left -= 1
            if left < 0:
                return
            path = f"{name}{entry.name}"
            if entry.name.startswith(".") or entry.is_symlink() or not _is_text(entry.name):
                continue
            if entry.is_dir() and depth < _DEEPEST and entry.name not in _PASSED_OVER and entry.path != store:
                waiting.append((entry.path, f"{path}/", depth + 1))
            elif entry.name.endswith(".md") and entry.is_file():
                yield path


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _real_store(site: Site) -> str | None:
    root = getattr(site.store, "root", None)
    return os.path.realpath(root) if root is not None else None


def _read(site: Site, name: str) -> str | None:
    """Return what a file says; None where it cannot be read, or is too large."""
    try:
        return read_regular(site.project / name, _MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None


def _number_of_blocks(text: str) -> int:
    return _asking(text)[0]


def _asking(text: str) -> tuple[int, int]:
    """Return how many blocks ask something, and how many lines they have; all Markdown of a project is looked at."""
    found, lines, fence, asks = 0, 0, "", False
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark is None:
            lines += asks
        elif not fence:
            fence = mark[1]
            asks = mark[2].split()[:1] == [WORD]
            found += asks
        elif mark[1].startswith(fence) and not mark[2].strip():
            fence, asks = "", False
    return found, lines


def _title(text: str) -> str:
    return next((line.lstrip("# ").strip()[:200] for line in text.splitlines() if line.startswith("#")), "")


def report(site: Site, asked: ReportAsked) -> dict[str, Any]:
    """A report as it is written."""
    file = _file(site, asked.path)
    text = _read(site, asked.path) if os.path.exists(file) else None
    if text is None or not _number_of_blocks(text):
        raise Refused(404, f"There is no report {asked.path!r} in {site.project}.")
    return {"path": asked.path, "text": text, "digest": _digest(text)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file(site: Site, name: str) -> Path:
    """Return the file that a path of the project means. Raises Refused for one that is no report, or is elsewhere."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or any(part.startswith(".") for part in parts) or "/".join(parts) != name:
        raise Refused(400, f"{name!r} is no path in the project, such as notes/week3.md.")
    if not name.endswith(".md"):
        raise Refused(400, f"{name!r} is no Markdown: the name of a report ends in .md.")
    if any(len(part.encode("utf-8", "backslashreplace")) > _LONGEST_NAME for part in parts):
        raise Refused(400, f"{name[:100]!r}... is too long for the name of a file.")
    file = site.project / name
    try:
        real = os.path.realpath(file)
    except ValueError:
        raise Refused(400, f"{name!r} is no name of a file.") from None
    store = _real_store(site)
    if real != str(file) or (store is not None and real.startswith(store + os.sep)):
        raise Refused(400, f"{name!r} is not in the project's own folders: it is behind a link, or in the store.")
    return file


def preview(site: Site, asked: PreviewAsked) -> dict[str, Any]:
    """A report made into HTML, with what its blocks show now; nothing is written, and it is had by its key."""
    file = _file(site, asked.path)
    if _asking(asked.text)[1] > _MOST_COMMANDS:
        raise Refused(400, f"It asks more than {_MOST_COMMANDS} times, which is answered in a terminal: anew report")
    patience = Patience(_PATIENCE_S, refuse_left)
    _, page = made(asked.text, file, name=asked.path, store=site.store.url, patience=patience)
    return {"key": site.previews.hold(page)}


def shown(site: Site, asked: ShownAsked) -> Response:
    """A report that was made; with a name as a file to keep."""
    page = site.previews.get(asked.key)
    if page is None:
        raise Refused(404, "That preview is held no more.", "Load the page again.")
    headers = {"content-security-policy": f"{SANDBOX}; frame-ancestors 'self'", "x-frame-options": "SAMEORIGIN"}
    if asked.name:
        headers |= attached(PurePosixPath(asked.name).name or "report.html")
    return Response(page, headers=headers, media_type="text/html")


def save_report(site: Site, asked: SaveAsked) -> dict[str, Any]:
    """Write a report; one that is there must be a report, and say what it said when it was opened."""
    file = _file(site, asked.path)
    if not _number_of_blocks(asked.text):
        raise Refused(400, "A report has at least one block that asks something, between ```anew and ```.")
    with _writing:
        if os.path.exists(file) or asked.was is not None:
            there = _read(site, asked.path)
            if there is None or not _number_of_blocks(there):
                raise Refused(409, f"{asked.path!r} is no report, and stays as it is.")
            if asked.was != _digest(there):
                raise Refused(
                    409,
                    f"{asked.path!r} was changed since it was opened, or is there already; it stays as it is.",
                    "Copy what you wrote, load the page again, and put it there.",
                )
        elif not os.path.isdir(file.parent):
            raise Refused(409, f"There is no folder {str(file.parent)!r}.")
        # as it was: a private one stays private, one of a group the group's
        mode = stat.S_IMODE(os.stat(file).st_mode) if os.path.exists(file) else None
        replace_whole(file, asked.text.encode(), mode=mode)
    return {"path": asked.path, "digest": _digest(asked.text)}
