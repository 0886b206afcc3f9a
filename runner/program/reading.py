"""What `anew run FILE` names: a program, or a notebook."""

from __future__ import annotations

from anew.runner.program.notebook import read_notebook
from anew.runner.program.program import Program, read_program


def read_target(target: str, *, is_module: bool = False) -> Program:
    """
    Return a program by its file or its module's name, or a notebook by its file. Nothing of it is run.

    Raises:
        ConfigError: There is none, or it is neither Python nor a notebook.
    """
    if target.endswith(".ipynb") and not is_module:
        return read_notebook(target)
    return read_program(target, is_module=is_module)
