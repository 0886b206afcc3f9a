"""Source, inputs and artifacts of a run: listed, compared, and handed over so that nothing in them runs as ours."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta
from starlette.responses import Response

from anew.runner.query.compare import LONGEST_DIFF_BYTES, source_differences
from anew.runner.records import ContentRef, RunRecord
from anew.runner.relaunch.basis import vouched_run
from anew.runner.server.failures import Refused
from anew.runner.server.parts import ContentResponse
from anew.runner.server.routes import Asked
from anew.runner.server.shown import MOST_FILES, Ref, RunAsked, record_of
from anew.runner.server.site import Site
from anew.runner.store.contents import intact
from anew.runner.store.files import open_regular

_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
_IMAGES |= {".bmp": "image/bmp", ".avif": "image/avif"}
# an image may hold scripts, which do not run where it is shown as one: as a document it is never opened
_SVG = {".svg": "image/svg+xml"}
_SOUNDS = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".flac": "audio/flac", ".m4a": "audio/mp4"}
_VIDEOS = {".mp4": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime"}
_TABLES = {".csv": "text/csv", ".tsv": "text/tab-separated-values"}
_JSON = {".json": "application/json", ".jsonl": "application/json", ".ipynb": "application/json"}
_TEXTS = tuple(
    f".{name}"
    for words in (
        "txt log md rst py pyi yaml yml toml ini cfg conf sh r jl c h cpp js ts css xml tex",
        "diff patch out err sql",
    )
    for name in words.split()
)
_PAGES = {".html": "text/html", ".htm": "text/html"}
_PDF = {".pdf": "application/pdf"}
_PREVIEWS = (
    ("image", {**_IMAGES, **_SVG}),
    ("audio", _SOUNDS),
    ("video", _VIDEOS),
    ("table", _TABLES),
    ("json", _JSON),
    ("html", _PAGES),
    ("pdf", _PDF),
    ("text", dict.fromkeys(_TEXTS, "text/plain")),
)
_AS_TEXT = ("table", "json", "text")
_BYTES = "application/octet-stream"
# nothing in it is ours: no script, no request, no origin
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:"
# a viewer of a browser's own has to be let run
_VIEWED = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"


class FileAsked(Asked):
    """Which file of which run, by the path on record."""

    run: Ref
    path: Annotated[str, Meta(min_length=1, max_length=4096)]


class DiffAsked(Asked, rename={"other": "with"}):
    """Which run, and with what: another run, "commit" or "today"."""

    run: Ref
    other: Annotated[str, Meta(min_length=1, max_length=200)]


class ContentAsked(Asked):
    """Which content of which run: by its digest alone; the name says of which kind it is."""

    run: Ref
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    name: Annotated[str, Meta(max_length=4096)] = ""
    download: bool = False


# --- source ---------------------------------------------------------------------------------------------------------


def source(site: Site, asked: RunAsked) -> dict[str, Any]:
    """The source files of a run, and the commit that they belong to."""
    record, _ = record_of(site, asked.run)
    git = record.source.git
    return {
        "files": [
            {"path": each.path, "size": each.size, "sha256": each.sha256, "text": _is_text(each), "kept": each.kept}
            for each in record.source.files[:MOST_FILES]
        ],
        "total": len(record.source.files),
        "root": record.source.root,
        "commit": git.commit if git else None,
        "branch": git.branch if git else None,
        "dirty": git.dirty if git else None,
    }


def _is_text(file: ContentRef) -> bool:
    suffix = PurePosixPath(file.path).suffix.lower()
    return suffix in (*_TEXTS, *_TABLES, *_JSON, *_PAGES, *_SVG) or not suffix


def source_file(site: Site, asked: FileAsked) -> dict[str, Any]:
    """The text of a source file, as it was."""
    record, _ = record_of(site, asked.run)
    file = next((each for each in record.source.files if each.path == asked.path), None)
    if file is None:
        raise Refused(404, f"Run {record.id} has no source file {asked.path!r}.")
    return {"path": file.path, "text": _text(site, file)}


def _text(site: Site, file: ContentRef) -> str:
    if file.size > LONGEST_DIFF_BYTES:
        raise Refused(413, f"{file.path!r} has {file.size:,} bytes; to have it: anew get")
    with intact(file, site.store.open_object) as content:
        return content.read(file.size + 1).decode("utf-8", "backslashreplace")


def source_diff(site: Site, asked: DiffAsked) -> dict[str, Any]:
    """What differs between a run's source and that of another run, of its commit, or of today."""
    record, _ = record_of(site, asked.run)
    if asked.other == "commit":
        return {"files": _of_commit(record)}
    if asked.other == "today":
        return {"files": list(_of_today(site, record))}
    other = site.store.get(asked.other)
    found = source_differences(other, record, site.store)
    return {
        "files": [
            {"path": path, "status": _status("a" in each, "b" in each), "hunks": each.get("diff")}
            for path, each in found.items()
        ]
    }


def _status(was: bool, there: bool) -> str:
    return "changed" if was and there else "added" if there else "removed"


def _of_commit(record: RunRecord) -> list[dict[str, Any]]:
    """Return what was other than in the commit, as it was recorded: nothing is asked of a repository now."""
    git = record.source.git
    if git is None or not git.diff:
        return []
    parts = re.split(r"(?m)^(?=diff --git )", git.diff)
    found = []
    for part in filter(None, parts):
        names = re.search(r"(?m)^\+\+\+ b/(.*)$", part) or re.search(r"(?m)^--- a/(.*)$", part)
        status = "added" if "\n--- /dev/null" in part else "removed" if "\n+++ /dev/null" in part else "changed"
        found.append({"path": names[1].strip() if names else "", "status": status, "hunks": part})
    return found


def _of_today(site: Site, record: RunRecord) -> Iterator[dict[str, Any]]:
    """Yield what of a run's files is another today. Only of a run of one's own: a record says which files are read."""
    root = record.source.root
    number = record.id
    if root is None or number is None:
        raise Refused(409, "Where its source was is not on record.")
    if vouched_run(site.folders.present(number)) is None:
        raise Refused(409, f"Run {number} was not recorded by you here: files of yours are not read on its account.")
    for file in record.source.files[:MOST_FILES]:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or file.size > LONGEST_DIFF_BYTES or not file.kept:
            continue
        now = _today(Path(root), file.path)
        was = _text(site, file)
        if now != was:
            lines = difflib.unified_diff(
                was.splitlines(True), (now or "").splitlines(True), f"a/{file.path}", f"b/{file.path}"
            )
            yield {"path": file.path, "status": _status(True, now is not None), "hunks": "".join(lines)}


def _today(root: Path, name: str) -> str | None:
    path = root / name
    if not os.path.realpath(path).startswith(os.path.realpath(root) + os.sep):
        return None
    try:
        with open_regular(path) as file:
            return file.read(LONGEST_DIFF_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return None


# --- content --------------------------------------------------------------------------------------------------------


def artifacts(site: Site, asked: RunAsked) -> dict[str, Any]:
    """What a run read, and what it made, each with how it can be shown."""
    record, _ = record_of(site, asked.run)
    return {
        "inputs": [_listed(each) for each in record.inputs[:MOST_FILES]],
        "artifacts": [_listed(each) for each in record.artifacts[:MOST_FILES]],
        "totals": {"inputs": len(record.inputs), "artifacts": len(record.artifacts)},
    }


def _listed(file: ContentRef) -> dict[str, Any]:
    media, preview = kind_of(file.path)
    return {
        "name": PurePosixPath(file.path).name or file.path,
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
        "media": media,
        "preview": preview if file.kept else None,
        "kept": file.kept,
    }


def kind_of(name: str) -> tuple[str, str | None]:
    """Return the media type of a file by its name, and how it can be shown."""
    suffix = PurePosixPath(name).suffix.lower()
    return next(((kinds[suffix], preview) for preview, kinds in _PREVIEWS if suffix in kinds), (_BYTES, None))


def content(site: Site, asked: ContentAsked) -> Response:
    """Content that a run made, read, or consists of; of a kind that is safe to show as it is, else as a download."""
    record, _ = record_of(site, asked.run)
    files = (*record.artifacts, *record.inputs, *record.source.files)
    file = next((each for each in files if each.sha256 == asked.sha256), None)
    if file is None:
        raise Refused(404, f"Run {record.id} has no content {asked.sha256[:12]}.")
    opened = site.contents.open(file)
    media, preview = kind_of(asked.name or file.path)
    name = PurePosixPath(asked.name or file.path).name or "content"
    headers = {"content-security-policy": SANDBOX}
    if asked.download or preview is None:
        media = _BYTES
        headers |= attached(name)
    elif preview in _AS_TEXT:
        # whatever a browser makes of a table or of JSON, as text it makes nothing of it
        media = "text/plain; charset=utf-8"
    elif preview == "html":
        media = "text/html; charset=utf-8"
    elif preview == "pdf":
        headers["content-security-policy"] = _VIEWED
        headers |= attached(name, "inline")  # by which the viewer calls it
    if preview in ("html", "pdf"):
        # in a frame of the page, and nobody else's
        headers["x-frame-options"] = "SAMEORIGIN"
        if preview == "html":
            headers["content-security-policy"] = f"{SANDBOX}; frame-ancestors 'self'"
    return ContentResponse(opened, file.size, headers, media)


def attached(name: str, how: str = "attachment") -> dict[str, str]:
    """Return the header by which a browser keeps an answer as a file, and does not show it; or calls it, "inline"."""
    return {"content-disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}"}
