"""With which versions anew is tested."""

from __future__ import annotations

TESTED = {
    "python": ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15"),
    "hydra-core": ("1.3",),
    "omegaconf": ("2.3",),
}


def is_tested(name: str, version: str) -> bool:
    """Return whether releases of this version, `3.14` of `3.14.8`, are among those tested."""
    return ".".join(version.split(".")[:2]) in TESTED[name]


def tested_with(name: str) -> str:
    """Return the versions in words."""
    first, *more = TESTED[name]
    return f"{first} to {more[-1]}" if more else first
