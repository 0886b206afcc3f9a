"""The files of the page: a table made once, so that no path that is asked for ever reaches the file system."""

from __future__ import annotations

import hashlib
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
                else "install a wheel that has them: pip install --force-reinstall --no-deps anew"
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
        """Return the first page."""
        return self.files["/"].read_bytes()

    async def answer(self, request: Request) -> Response:
        """Answer a request for a file."""
        path = self.files.get(request.url.path)
        if path is None:
            return Response("There is nothing here.\n", 404, media_type="text/plain")
        data = path.read_bytes()
        tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
        # asked again each time, and sent only where it is another: an update of anew is seen at once
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=TYPES[path.suffix])
