"""`%load_ext anew` in IPython: `%%anew NAME [KEY=VALUE ...]` runs a cell as a run."""

from __future__ import annotations

import ast
import shlex
from types import FunctionType
from typing import Any

from anew.runner.errors import ConfigError
from anew.runner.started.start import begin_at


def load_ipython_extension(shell: Any) -> None:
    """Register the magic; what IPython calls for `%load_ext anew`."""

    def anew(line: str, cell: str) -> None:
        """Run this cell as a run: %%anew digits lr=0.1 -- names after the first are parameters, and set before it."""
        _run(shell, line, cell)

    shell.register_magic_function(anew, magic_kind="cell", magic_name="anew")


def _run(shell: Any, line: str, cell: str) -> None:
    name, *words = shlex.split(line) or [""]
    if not name or "=" in name:
        raise ConfigError(f"%%anew needs the name of an experiment first: %%anew fit {line}".rstrip())
    settings = [word for word in words if word.startswith(("anew.", "anew/"))]
    config = dict(_value(word) for word in words if word not in settings)
    with begin_at(_standing_for(shell), name, config, settings):
        shell.user_ns.update(config)
        _execute(shell, cell)


def _value(word: str) -> tuple[str, Any]:
    key, mark, text = word.partition("=")
    if not mark or not key.isidentifier():
        raise ConfigError(f"{word!r} is no NAME=VALUE, as in: %%anew fit lr=0.1")
    try:
        return key, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return key, text


def _execute(shell: Any, cell: str) -> None:
    """Run a cell as any; what it raises is raised here, and shown once."""
    shell.showtraceback = lambda *args, **named: None
    try:
        result = shell.run_cell(cell)
    finally:
        del shell.showtraceback
    result.raise_error()


def _standing_for(shell: Any) -> FunctionType:
    def start() -> None: ...

    code = start.__code__.replace(co_filename="<cell>", co_firstlineno=1)
    function = FunctionType(code, shell.user_ns, "start")
    function.__module__, function.__qualname__ = "__main__", "start"
    return function
