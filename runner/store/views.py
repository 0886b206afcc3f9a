"""The files of a run that are for people: nothing reads them, and their CRC-32 tells whether one was changed since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from anew.runner.records import Damage, Part, RunRecord, Severity
from anew.runner.store.files import digest_of, read_regular
from anew.runner.store.paths import RunLayout

VIEWS = ("config.yaml", "overrides.yaml", "hydra.yaml")
_MOST_BYTES = 64 * 2**20
_MEND = "nothing, if it was meant to change; what was logged is in objects/"


def view_bytes(text: str) -> bytes:
    """Return what is written for a text."""
    return text.encode("utf-8", "surrogateescape")


def view_sums(layout: RunLayout, views: Mapping[str, str]) -> dict[str, str]:
    """
    Return the checksums of views, by their paths in the run's folder.

    Args:
        layout: The run, with what Hydra has written into it already.
        views: File name -> text of those that are yet to be written.
    """
    sums = {name: _sum(view_bytes(text)) for name, text in views.items()}
    for name in VIEWS if os.path.isdir(layout.hydra) else ():
        path = layout.hydra / name
        with suppress(OSError):
            sums[path.relative_to(layout.folder).as_posix()] = _sum(read_regular(path, _MOST_BYTES))
    return sums


def view_damage(layout: RunLayout, record: RunRecord) -> Iterator[Damage]:
    """Yield which views are not as they were written; one that is not there any more is no damage. Never raises."""
    for name, expected in record.provenance.views.items() if record.provenance else ():
        if not _is_inside(name):
            continue
        try:
            found = _sum(read_regular(layout.folder / name, _MOST_BYTES))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield _damaged(name, f"cannot be read: {error.strerror}")
        else:
            if found != expected:
                yield _damaged(name, "was changed since it was written; run.json has what counts")


def changed_files(layout: RunLayout, record: RunRecord) -> Iterator[Damage]:
    """Yield which files in `run.dir` are not what was logged of them: changed since, or damaged. Never raises."""
    for artifact in record.artifacts:
        path = layout.files / artifact.path
        if ".." in Path(artifact.path).parts or Path(artifact.path).is_absolute():
            continue
        with suppress(OSError, ValueError):  # a name may be anybody's, and have anything in it
            is_here = path.resolve().parent.is_relative_to(layout.files.resolve()) and not path.is_symlink()
            if is_here and digest_of(path)[0] != artifact.sha256:
                name = f"{layout.files.name}/{artifact.path}"
                what = f"{name} is not what was logged as an artifact: changed since, or damaged"
                yield Damage(part=Part.VIEW, what=what, where=name, severity=Severity.NOTE, mend=_MEND)


def _is_inside(name: str) -> bool:
    """Whether this is the path of a view: a record may be anybody's, and another path would lead anywhere."""
    path = Path(name)
    return path.name in VIEWS and path.parent in (Path(), Path("files/.hydra"))


def _sum(data: bytes) -> str:
    return f"{crc32(data):08x}"


def _damaged(name: str, what: str) -> Damage:
    return Damage(
        part=Part.VIEW, what=f"{name} {what}", where=name, severity=Severity.WARNING, mend="remove it, or leave it be"
    )
