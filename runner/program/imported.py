"""A program with other values; its own processes too, by spawn or forkserver, which import it as `__mp_main__`."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from anew.runner.lazy.modules import later
from anew.runner.program.rewritten import code_of

if TYPE_CHECKING:
    from anew.runner.program.configured import copied as copying
else:
    copying = later("anew.runner.program.configured.copied")

_VARIABLE = "ANEW_PROGRAM"
_STAND_IN = "anew.runner.program.stand_in"


@contextmanager
def as_changed(
    file: Path, package: str | None, changed: Mapping[str, Any], copied: copying.Copied | None = None
) -> Iterator[None]:
    """
    Have processes that import the program find what was changed in it, and all of them its file's copy, while it runs.

    Args:
        file: The program's.
        package: What it is a part of, for imports relative to that.
        changed: Names of its top level, and what they are instead.
        copied: Its configuration file, and what is read in place of that.
    """
    if not changed and copied is None:
        yield
        return
    os.environ[_VARIABLE] = repr((str(file), package, dict(changed), copied and copied.as_words()))
    original = _replace_main()
    try:
        with nullcontext() if copied is None else copying.opened_in_place(copied):
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
    file, package, changed, copied = ast.literal_eval(os.environ[_VARIABLE])
    _replace_main()
    if copied is not None:
        copying.open_in_place(copying.Copied(*copied))
    sys.argv[0] = file
    return file, package, code_of(Path(file), changed)
