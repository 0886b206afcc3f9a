"""
One protection taken away, for a test to notice: a plugin of pytest that has a module loaded with a line changed.

`ANEW_MUTANT` holds, as JSON, the module, what its source says, and what it is to say. Processes that the test starts
have the module as it is.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module whose source says something else."""

    old = new = ""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname) or ""
        assert source.count(self.old) == 1, f"{fullname} has {self.old!r} {source.count(self.old)} times"
        return compile(source.replace(self.old, self.new), self.path, "exec")


class _Finder(MetaPathFinder):
    """Finds one module."""

    def __init__(self, module: str, old: str, new: str) -> None:
        self._module, self._old, self._new = module, old, new

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target) if finder is not self else None
            if spec is not None and spec.origin is not None:
                loader = _Changed(fullname, spec.origin)
                loader.old, loader.new = self._old, self._new
                spec.loader = loader
                return spec
        return None


if "ANEW_MUTANT" in os.environ:
    sys.meta_path.insert(0, _Finder(**json.loads(os.environ["ANEW_MUTANT"])))
