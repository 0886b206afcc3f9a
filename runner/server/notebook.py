"""`anew.ui()`: the page in a notebook, served by a thread of its process."""

from __future__ import annotations

import atexit
import os
import threading
from html import escape
from typing import TYPE_CHECKING

from anew.runner.contracts import CuratedStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, MissingExtraError
from anew.runner.lazy.modules import later
from anew.runner.store.locate import open_store

if TYPE_CHECKING:
    from anew.runner.server import serve
else:
    serve = later("anew.runner.server.serve")

# where notebooks are shown: of this machine, whatever their port
_FRAMES = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*")
_STARTED_S = 30.0
_served: dict[tuple[str, bool], Shown] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Shown:
    """
    A page that is served; a notebook shows it in a frame.

    Attributes:
        url: Its address, with the token that opens it.
        height: Of the frame, in pixels.
    """

    url: str
    height: int

    def _repr_html_(self) -> str:
        """Return the frame; by the name that the notebook itself is asked by, since a browser keeps others apart."""
        url = escape(self.url, quote=True)
        port = self.url.rpartition(":")[2]
        move = (
            "const f = document.currentScript.previousElementSibling, h = location.hostname; "
            f"if (h === 'localhost') f.src = 'http://localhost:{escape(port)}';"
        )
        return (
            f'<a href="{url}" target="_blank" rel="noopener">Open the page in a tab of its own</a>'
            f'<iframe src="{url}" width="100%" height="{self.height}" style="border:0"></iframe><script>{move}</script>'
        )


def ui(
    store: str | os.PathLike[str] | CuratedStore | None = None, *, height: int = 800, read_only: bool = False
) -> Shown:
    """
    Serve the page of a store to this machine, until this process ends; a notebook shows it in a frame.

    Asked again for the same store it returns the page that is served already. Safe between threads.

    Args:
        store: The store, its folder or its URL; None for the default.
        height: Of the frame, in pixels.
        read_only: Whether nothing can be changed from it.

    Raises:
        StoreError: There is no store, or it cannot be read.
        MissingExtraError: What serves it is not installed: `pip install 'anew[ui]'`.
        AnewError: No port can be had, or the page's files are not there.
    """
    opened = open_store(store) if store is None or isinstance(store, (str, os.PathLike)) else store
    with _lock:
        key = (opened.url, read_only)
        if key not in _served:
            _served[key] = Shown(_begun(opened, read_only), height)
        return Shown(_served[key].url, height)


def _begun(store: CuratedStore, read_only: bool) -> str:
    try:
        page = serve.Served(store, serve.Options(read_only=read_only, frames=_FRAMES))
    except ImportError as error:
        if isinstance(error, AnewError) or (error.name or "anew").startswith("anew"):
            raise
        raise MissingExtraError(
            f"The page needs {error.name}, which is not installed. To install it: pip install 'anew[ui]'", extra="ui"
        ) from error
    answers = threading.Event()
    thread = threading.Thread(target=page.run, args=[answers.set], name="anew-ui", daemon=True)
    thread.start()
    if not answers.wait(_STARTED_S):
        page.stop()
        raise AnewError("The page did not come up. To see why, in a terminal: anew ui")
    atexit.register(page.stop)
    return page.url
