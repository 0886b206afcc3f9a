"""Every file of a store, told apart: what anew writes there, what a killed writer left, and what is none of ours."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from anew.runner.format.serial import DamagedError, unseal
from anew.runner.guard.store_format import KNOWN
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import cannot, names_in, read_regular
from anew.runner.store.marker import path_of
from anew.runner.store.paths import StoreLayout

_LEFT_S = 3600.0
_MOST_BYTES = 1 << 16
_RUN = r"(?:trash/)?[1-9][0-9]*"
_SWEEP = r"sweeps/[1-9][0-9]*"
_WHY = r"whys/[1-9][0-9]*"
# all that is written, by its path in the store; the readers of each say what is wrong with it
_KNOWN = regexp(
    "|".join(
        (
            r"FORMAT|\.gitignore|changed|index\.sqlite(?:-journal|-wal|-shm)?",
            rf"{_RUN}/(?:run|outcome|curated)\.json|{_RUN}/output\.(?:log|sums)",
            rf"{_RUN}/(?:config|overrides|hydra)\.yaml",
            rf"{_RUN}/events/[^/]+\.jsonl(?:\.gz)?",
            rf"{_RUN}/observers/[^/]+\.(?:json|cursor|aside\.jsonl|lock|log)",
            rf"{_SWEEP}/(?:sweep\.json|jobs\.jsonl|stop|multirun\.yaml|optimization_results\.yaml)",
            rf"{_SWEEP}/taken/[0-9]+\.[0-9]+\.(?:json|death|deleted|stop)",
            rf"{_SWEEP}/conductors/[0-9]+(?:\.ended)?\.json",
            rf"{_WHY}/(?:why|answer)\.json|{_WHY}/trials/[0-9]+/(?:order\.json|begun|end\.json)",
            r"objects/sha256/[0-9a-f]{2}/[0-9a-f]{62}|objects/tmp/[^/]+",
            r"packs/[^/.][^/]*\.sqlar|packs/[^/]+\.out/[1-9][0-9]*",
            r"trash/retired-[0-9]+|views/[A-Za-z][A-Za-z0-9_-]*\.json",
        )
    ),
    re.DOTALL,
).fullmatch
# folders of others: what main writes, what jobs and workers of a sweep print, what is being removed
_THEIRS = regexp(
    rf"{_RUN}/files|{_SWEEP}/(?:search|workers|slurm|dask|logs|[0-9]+)|{_WHY}/(?:slurm|dask)|trash/\.purging-[^/]*"
).fullmatch
_FOLDERS = regexp(
    rf"{_RUN}(?:/events|/observers)?|whys|{_WHY}(?:/trials(?:/[0-9]+)?)?|sweeps|{_SWEEP}(?:/taken|/conductors)?|objects|objects/tmp"
    r"|views|trash|packs|packs/[^/]+\.out"
    r"|objects/sha256(?:/[0-9a-f]{2})?"
).fullmatch


def strangers(layout: StoreLayout) -> Iterator[tuple[Path, str]]:
    """
    Yield what in a store is none of ours, and why, in a few words; no link is followed, and nothing is opened.

    Raises:
        StoreError: A folder cannot be read.
    """
    yield from _below(layout.root, "")


def _below(folder: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot("read", folder, error) from error
    for entry in found:
        name, path = f"{prefix}{entry.name}", Path(entry.path)
        try:
            why = _stranger(entry, name)
        except FileNotFoundError:
            continue
        if why:
            yield path, why
        elif entry.is_dir(follow_symlinks=False) and _FOLDERS(name):
            yield from _below(path, f"{name}/")


def _stranger(entry: os.DirEntry[str], name: str) -> str:
    """Return what is strange about one name; nothing for what is ours. Raises FileNotFoundError."""
    mode = entry.stat(follow_symlinks=False).st_mode
    is_known = _FOLDERS(name) or _THEIRS(name) if stat.S_ISDIR(mode) else _KNOWN(name)
    if is_known and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return ""
    if is_known or _FOLDERS(name) or _THEIRS(name):
        return f"is {_kind(mode)} where anew has a {'folder' if _FOLDERS(name) or _THEIRS(name) else 'file'}"
    if entry.name.startswith("."):
        age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
        return "was left by a process that was killed" if age_s > _LEFT_S else ""
    return f"is not anew's: {_kind(mode)} that nothing here is read from"


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a pipe or a device"


def changed_marks(layout: StoreLayout) -> Iterator[tuple[Path, str]]:
    """Yield which of FORMAT, .gitignore, `changed` and saved questions were changed, and what they hold."""
    for path in (path_of(layout.root), *(layout.views / name for name in names_in(layout.views))):
        with suppress(OSError):
            data = read_regular(path, _MOST_BYTES)
            try:
                unseal(data)
            except DamagedError:
                yield path, f"was changed: it holds {data[:20]!r}"
    written = {layout.format: [b"%d\n" % number for number in KNOWN], layout.gitignore: [b"*\n"]}
    for path, texts in written.items():
        with suppress(OSError):
            data = read_regular(path, _MOST_BYTES)
            if data not in texts:
                yield path, f"was changed: it holds {data[:20]!r}"
