"""The mark by which a user's own runs are told from somebody else's.

A random key lies in the user's state folder, readable by them alone. A run's mark is the HMAC-SHA256 under that key of
all that `run.json` holds: who does not have the key can neither make a record that passes for one of this user's, nor
change what such a record says is to be run.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from anew.runner.format.serial import dumps
from anew.runner.places import state_folder
from anew.runner.store.files import create_whole

_KEY_BYTES = 32


def mark(start: Mapping[str, Any]) -> str:
    """
    Return the mark of a run recorded by this user; empty when no key can be kept. Never raises.

    Args:
        start: What `run.json` holds; its member `origin_mark` is passed over.
    """
    return mark_text(dumps({name: value for name, value in start.items() if name != "origin_mark"}))


def mark_text(told: str) -> str:
    """Return the same, given the JSON of all other members in one text. Never raises."""
    key = _key(state_folder())
    return hmac.new(key, told.encode("ascii"), hashlib.sha256).hexdigest() if key else ""


def is_own(start: Mapping[str, Any]) -> bool:
    """Whether a record's mark is what this user's key gives; where no key can be kept, none is. Never raises."""
    found = start.get("origin_mark")
    expected = mark(start)
    return bool(expected) and isinstance(found, str) and hmac.compare_digest(expected.encode(), found.encode())


_ENTRY_MARK = "om"
_OF_FILE = ("path", "sha256", "size", "mode", "kept", "link")


def entry_mark(uid: str, kind: str, body: Mapping[str, Any]) -> str:
    """Return the mark of a journal's entry that adds to what a re-run uses; empty without a key. Never raises."""
    return mark(_entry(uid, kind, body))


def is_own_entry(uid: str, kind: str, body: Mapping[str, Any]) -> bool:
    """Whether such an entry's mark is what this user's key gives. Never raises."""
    return is_own({**_entry(uid, kind, body), "origin_mark": body.get(_ENTRY_MARK)})


def _entry(uid: str, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the mark is of; of which run, since an entry of another is none of this one's."""
    found = body.get("f")
    files = found if isinstance(found, list) else [found]
    # named one by one: a member that a later version adds is no reason to take an entry for another
    told = [[each.get(name) for name in _OF_FILE] for each in files if isinstance(each, Mapping)]
    return {"of": f"entry {kind} of {uid}", "files": told}


def digest(secret: str) -> str:
    """Return by what two occurrences of a secret are told to be the same, by this user alone; "" without a key."""
    key = _key(state_folder())
    told = b"secret\0" + secret.encode("utf-8", "backslashreplace")
    return hmac.new(key, told, hashlib.sha256).hexdigest()[:16] if key else ""


@cache
def _key(folder: Path) -> bytes:
    """Return the key, made when there is none; safe in a crowd, since it appears by a link."""
    path = folder / "key"
    with suppress(OSError):
        return path.read_bytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        create_whole(path, os.urandom(_KEY_BYTES), mode=0o600)
        return path.read_bytes()
    except OSError:
        return b""
