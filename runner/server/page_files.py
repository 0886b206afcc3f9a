"""The files of the page: a table made once, so that no path that is asked for ever reaches the file system."""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from anew.runner.errors import AnewError

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
INDEX = "index.html"
_FOLDERS = ("src", "views", "vendor")
_NEEDED = (INDEX, "vendor/made-of.json")
# what is shown first, and all that it imports: a browser that is told at once need not find out module by module
_FIRST = ("/page/src/app.js", "/page/src/runs.js")
_IMPORTED = re.compile(rb'(?:^|;)(?:import|export)\b[^;"]*?"(\.{1,2}/[^"]+\.js)";', re.MULTILINE)
_PACKED = (".css", ".html", ".js", ".svg", ".txt")
_MOST_PACKINGS = 500
_PLACE = b'<script type="module"'


@dataclass(frozen=True)
class PageFiles:
    """
    The files of the page.

    Attributes:
        files: What is asked for -> the file.
    """

    files: dict[str, Path]

    @classmethod
    def found(cls) -> PageFiles:
        """Return the files of this installation, or of this clone. Raises AnewError where they were never made."""
        here = Path(__file__).resolve()
        candidates = (here.parent / "page", here.parents[2] / "page")
        folder = next((each for each in candidates if all((each / name).is_file() for name in _NEEDED)), None)
        if folder is None:
            is_clone = (here.parents[2] / "page" / "package.json").is_file()
            how = (
                f"in {here.parents[2]}: make page"
                if is_clone
                else "install a wheel that has them (pip install --force-reinstall --no-deps anew), or, where this was "
                "installed from a clone, type there: make page && pip install --force-reinstall --no-deps ."
            )
            raise AnewError(f"The files of the page are not there. To have them, {how}")
        return cls.of(folder)

    @classmethod
    def of(cls, folder: Path) -> PageFiles:
        """Return the files of a folder: those in it, and in the folders that a page has."""
        places = [*folder.iterdir(), *(path for name in _FOLDERS for path in (folder / name).rglob("*"))]
        files = {
            f"/page/{path.relative_to(folder).as_posix()}": path
            for path in sorted(places)
            if path.suffix in TYPES and path.is_file()
        }
        return cls({**files, "/": folder / INDEX})

    def index(self) -> bytes:
        """Return the first page, which names the modules that it needs."""
        links = b"".join(b'<link rel="modulepreload" href="%s">\n' % name.encode() for name in self._first_modules())
        return self.files["/"].read_bytes().replace(_PLACE, links + _PLACE, 1)

    def _first_modules(self) -> list[str]:
        found = [name for name in _FIRST if name in self.files]
        for name in found:  # it grows
            for each in _IMPORTED.findall(self.files[name].read_bytes()):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(name), each.decode()))
                if path in self.files and path not in found:
                    found.append(path)
        return found

    async def answer(self, request: Request) -> Response:
        """Answer a request for a file."""
        path = self.files.get(request.url.path)
        if path is None:
            return Response("There is nothing here.\n", 404, media_type="text/plain")
        data = self.index() if request.url.path == "/" else path.read_bytes()
        tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
        # asked again each time, and sent only where it is another: an update of anew is seen at once
        headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", "") and path.suffix in _PACKED:
            headers["content-encoding"] = "gzip"
            data = _packed(tag, data)
        return Response(data, headers=headers, media_type=TYPES[path.suffix])


_packings: dict[str, bytes] = {}


def _packed(tag: str, data: bytes) -> bytes:
    """Return a file packed, which is done once as long as it stays the same."""
    found = _packings.get(tag)
    if found is None:
        if len(_packings) >= _MOST_PACKINGS:
            _packings.clear()
        found = _packings[tag] = gzip.compress(data, 6, mtime=0)
    return found
