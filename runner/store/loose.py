"""Files of a sweep that have no seal of their own, or look whole when they are cut: their CRC-32 when it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from anew.runner.store.files import open_regular
from anew.runner.store.paths import SweepLayout

_LOOSE = ("jobs.jsonl", "*.yaml", "search/*", "workers/*.log")
_BLOCK = 1 << 20


def loose_files(layout: SweepLayout) -> Iterator[Path]:
    """Yield these files, those that there are."""
    for pattern in _LOOSE:
        yield from sorted(path for path in layout.folder.glob(pattern) if not path.name.startswith("."))


def loose_sums(layout: SweepLayout) -> dict[str, str]:
    """Return "length:CRC-32" of each such file that there is, by its path in the sweep's folder. Never raises."""
    sums = {}
    for path in loose_files(layout):
        with suppress(OSError):
            size = path.lstat().st_size
            sums[path.relative_to(layout.folder).as_posix()] = f"{size}:{_crc(path, size):08x}"
    return sums


def loose_damage(layout: SweepLayout, sums: Mapping[str, str], *, plan: bool) -> Iterator[str]:
    """
    Yield which of them are not what they were, in sentences; what came to them since is no damage. Never raises.

    Args:
        layout: The sweep.
        sums: What `loose_sums` gave.
        plan: Whether the plan alone is looked at, or all but the plan.
    """
    for name, told in sums.items():
        if (name == layout.jobs.name) is not plan:
            continue
        path, (size, _, crc) = layout.folder / name, told.partition(":")
        if not any(Path(name).match(pattern) for pattern in _LOOSE) or ".." in Path(name).parts or not size.isdecimal():
            continue
        try:
            found = _crc(path, int(size))
        except FileNotFoundError:
            yield f"{name} is missing"
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
        else:
            if f"{found:08x}" != crc:
                yield f"{name} was changed or damaged since the sweep ended"


def _crc(path: Path, size: int) -> int:
    """Return the CRC-32 of the first bytes of a regular file, of all of it where there are fewer. Raises OSError."""
    crc, rest = 0, size
    with open_regular(path) as file:
        while rest and (block := file.read(min(rest, _BLOCK))):
            crc, rest = crc32(block, crc), rest - len(block)
    return crc
