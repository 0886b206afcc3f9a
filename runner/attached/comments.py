"""What people said of a run."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from functools import cache

from anew.runner.dataclass import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """A comment on a run: what, by which user, and when (aware, UTC)."""

    text: str
    by: str
    at: datetime


def user_name() -> str:
    """Return the login name of this process's user, as `getpass` finds it, or the number of one without a name."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if found := os.environ.get(name):
            return found
    return _name_of(os.getuid())


@cache
def _name_of(uid: int) -> str:
    with suppress(ImportError, KeyError, OSError):
        import pwd

        return pwd.getpwuid(uid).pw_name
    return str(uid)
