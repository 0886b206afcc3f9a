"""A program's own processes, begun by spawn or forkserver, which import it as `__mp_main__`: with changed names too."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from anew.runner.program.rewritten import code_of

_VARIABLE = "ANEW_PROGRAM"
_STAND_IN = "anew.runner.program.stand_in"


@contextmanager
def as_changed(file: Path, package: str | None, changed: Mapping[str, Any]) -> Iterator[None]:
    """
    Have processes that import the program find what was changed in it, while it runs.

    Args:
        file: The program's.
        package: What it is a part of, for imports relative to that.
        changed: Names of its top level, and what they are instead.
    """
    if not changed:
        yield
        return
    os.environ[_VARIABLE] = repr((str(file), package, dict(changed)))
    original = _replace_main()
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
        vars(sys.modules["multiprocessing.spawn"])["get_preparation_data"] = original


def _replace_main() -> Any:
    """Have multiprocessing's new processes import what stands in for the program; return what prepared them before."""
    from multiprocessing import spawn

    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        # neither is there where the program is none of a file
        is_ours = bool({"init_main_from_path", "init_main_from_name"} & data.keys())
        data.pop("init_main_from_path", None)
        return {**data, "init_main_from_name": _STAND_IN} if is_ours else data

    spawn.get_preparation_data = get_preparation_data
    return original


def begin_again() -> tuple[str, str | None, CodeType]:
    """Return the program's file, its package and its code as changed, in a process that it began."""
    file, package, changed = ast.literal_eval(os.environ[_VARIABLE])
    _replace_main()
    sys.argv[0] = file
    return file, package, code_of(Path(file), changed)
