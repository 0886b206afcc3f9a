"""What a test needs and a machine or a Python may not have, as libraries that have no wheel for it yet."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest


def needs(module: str, distribution: str = "") -> ModuleType:
    """Return a library; where it is not installed, the test (or the whole module of them) is skipped, by its name."""
    found: ModuleType = pytest.importorskip(module, reason=missing(module, distribution))
    return found


def marked(module: str, distribution: str = "") -> pytest.MarkDecorator:
    """Return the mark of tests whose child processes need a library."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=missing(module, distribution))


def missing(module: str, distribution: str = "") -> str:
    """Return the reason for leaving a test out: what is missing, for whom, how to have it."""
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return f"{distribution or module} is not installed for {python}: pip install '{distribution or module}'"
