"""What may become of the files of a store: bytes, structure, and what kind of file they are."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anew.runner.format import serial

DEEP: Any = "x"
for _ in range(300):
    DEEP = [DEEP]
VALUES: list[Any] = [
    "x", "", None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, -1e308, 0.5, "NaN", [], {}, [1, "x", None], {"": {}},
    "\x1b[31mred\n", "\ud800", "../../../etc/passwd", "a" * 70_000, DEEP, {"~d": [[[], 1]]}, {"~datetime": 3},
    {"~fraction": "1e999999999"}, {"~timedelta": [1e300, 0, 0]}, {"~complex": [[], {}]}, {"~s": [{"a": 1}]},
    "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00Z", "2020-01-01T00:00:00",
]  # fmt: skip
HOSTILE_TEXTS = [
    b"", b"\n", b"{}", b"null\n",
    b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe\x00", b"1" * 10_000, b'{"c":"00000000"}\n',
]  # fmt: skip


def files_of(store: Path) -> list[Path]:
    """Every file and folder of a store, in order, the store itself left out."""
    return sorted(path for path in store.rglob("*") if not path.name.startswith(".clock"))


def flip(path: Path, chance: random.Random) -> None:
    """Turn one bit."""
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def flip_last(path: Path, chance: random.Random) -> None:
    """Turn one bit of the last byte, which is a newline in most files."""
    data = bytearray(path.read_bytes())
    if data:
        data[-1] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Cut the file short."""
    size = path.stat().st_size
    os.truncate(path, chance.randrange(size) if size else 0)


def zero(path: Path, chance: random.Random) -> None:
    """Make a stretch of it zeros, as a power cut does."""
    data = bytearray(path.read_bytes())
    begin = chance.randrange(len(data) + 1)
    end = min(len(data), begin + chance.choice((1, 100, 10**6)))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)


def grow(path: Path, chance: random.Random) -> None:
    """Append rubbish, or a hole of a terabyte."""
    if chance.random() < 0.5:
        os.truncate(path, 2**40)
    else:
        with path.open("ab") as file:
            file.write(chance.choice(HOSTILE_TEXTS))


def rewrite(path: Path, chance: random.Random) -> None:
    """Have it hold something else."""
    path.write_bytes(chance.choice(HOSTILE_TEXTS))


def shuffle(path: Path, chance: random.Random) -> None:
    """Lose, double and swap lines."""
    lines = path.read_bytes().splitlines(keepends=True)
    if lines:
        chance.choice((lines.pop, lambda at: lines.insert(at, lines[at])))(chance.randrange(len(lines)))
        chance.shuffle(lines)
    path.write_bytes(b"".join(lines))


def scatter(path: Path, chance: random.Random) -> None:
    """Give the lines numbers that are far apart and in no order."""
    numbers = chance.sample(range(1, 10**9), 3000)
    path.write_bytes(b"".join(serial.seal({"q": q, "k": "m", "t": 1.0, "s": q, "m": {"loss": 1.0}}) for q in numbers))


def graft(path: Path, chance: random.Random) -> None:
    """Put a value where another one was, somewhere inside, and seal it anew: no checksum tells."""
    lines = path.read_bytes().splitlines()
    if not lines:
        return
    at = chance.randrange(len(lines))
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return
    places = list(_places(value))
    if not places:
        return
    holder, key = chance.choice(places)
    if isinstance(holder, dict) and chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = chance.choice(VALUES)
    if isinstance(value, dict):
        was_sealed = value.pop("c", None) is not None
        lines[at] = (serial.seal(value) if was_sealed else serial.dumps(value).encode()).rstrip(b"\n")
    path.write_bytes(b"\n".join(lines) + b"\n")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (object or list, key or index) in a tree of JSON."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, item in items:
        yield value, key
        yield from _places(item)


def remove(path: Path, chance: random.Random) -> None:
    """Take it away."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def become_folder(path: Path, chance: random.Random) -> None:
    """Have a folder in its place."""
    remove(path, chance)
    path.mkdir()
    (path / "x").write_text("x")


def become_file(path: Path, chance: random.Random) -> None:
    """Have a file in its place."""
    remove(path, chance)
    path.write_bytes(chance.choice(HOSTILE_TEXTS))


def become_fifo(path: Path, chance: random.Random) -> None:
    """Have a pipe in its place that nobody writes to."""
    remove(path, chance)
    os.mkfifo(path)


def become_link(path: Path, chance: random.Random) -> None:
    """Have a link in its place: to itself, to nothing, to what has no end, out of the store."""
    remove(path, chance)
    path.symlink_to(chance.choice((path.name, "nothing", "/dev/zero", "/dev/stdin", "/etc/passwd", "/", "..")))


def closed(path: Path, chance: random.Random) -> None:
    """Let nobody read it; root may all the same."""
    path.chmod(0)


OF_FILES: list[Callable[[Path, random.Random], None]] = [
    flip, flip, flip_last, cut, zero, grow, rewrite, shuffle, scatter, graft, graft, graft, graft,
]  # fmt: skip
OF_ANY: list[Callable[[Path, random.Random], None]] = [
    remove, become_folder, become_file, become_fifo, become_link, closed,
]  # fmt: skip


def mutate(path: Path, chance: random.Random) -> str:
    """Do something to a file or folder; return what, and to which."""
    regular = path.is_file() and not path.is_symlink()
    if regular:
        path.chmod(0o644)
    kind = chance.choice(OF_FILES) if regular and chance.random() < 0.7 else chance.choice(OF_ANY)
    kind(path, chance)
    return f"{kind.__name__} {path}"
