"""The mark by which a user's own runs are told from somebody else's.

A random key lies in the user's state folder, readable by them alone. A run's mark is the HMAC-SHA256 of its uid under
that key: who does not have the key cannot make a record that passes for one of this user's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

_KEY_BYTES = 32


def state_folder() -> Path:
    """Return the folder for what is to outlive a cache."""
    from platformdirs import user_state_path

    return user_state_path("anew")


def mark(uid: str) -> str:
    """Return the mark of a run recorded by this user; empty when no key can be kept. Never raises."""
    key = _key(state_folder() / "key")
    return hmac.new(key, uid.encode(), hashlib.sha256).hexdigest() if key else ""


def is_own(uid: str, found: str) -> bool:
    """Whether a run's mark is one that this user's key gives; where no key can be kept, none is. Never raises."""
    return hmac.compare_digest(mark(uid), found)


@cache
def _key(path: Path) -> bytes:
    """Return the key, made when there is none; safe in a crowd, since it appears by a link."""
    with suppress(OSError):
        return path.read_bytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".key.{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(os.urandom(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
        return path.read_bytes()
    except OSError:
        return b""
