"""A program that knows nothing of Anew, as an experiment's main."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

from anew.runner.errors import AnewError
from anew.runner.experiment import Experiment, Main
from anew.runner.program.modules import lead_to
from anew.runner.program.program import Program, read_program
from anew.runner.program.schema import schema_of
from anew.runner.program.words import Asked, asked
from anew.runner.relaunch.plan import assignment


def main_of(program: Program, name: str | None, words: Sequence[str]) -> Main:
    """Return a program as an experiment's main, whose configuration is what its parameters are."""
    schema = schema_of(program.found.parameters, list(words))

    def run(config: Any) -> None:
        program.run(config)

    # recorded, and found again, as what is in the program's own file
    names = {"__name__": __name__, "__file__": str(program.file), "__spec__": None, "__builtins__": __builtins__}
    code = run.__code__.replace(co_filename=str(program.file), co_firstlineno=1)
    function = FunctionType(code, names, "main", None, run.__closure__)
    function.__module__, function.__qualname__ = "__main__", "main"
    function.__annotations__ = {"config": schema}
    made = Experiment(name or program.name).main(config=schema)(function)
    made.entry = "program"
    return made


def _as_on_record(wanted: Asked) -> Asked:
    """Return what is asked for again by an errand: the recorded file, wherever it lies now, under its name."""
    errand = assignment.errand
    if errand is None:
        return wanted
    target = wanted.target if wanted.is_module else str(errand.places.here(Path(errand.command.target)))
    return replace(wanted, target=target, name=errand.experiment)


def main(words: Sequence[str]) -> None:
    """Run a program as a run, or as a sweep's, by a command line. Leaves as a command does."""
    try:
        wanted = _as_on_record(asked(words))
        lead_to(os.getcwd() if wanted.is_module else str(Path(wanted.target).absolute().parent))
        program = read_program(wanted.target, is_module=wanted.is_module)
        sys.argv = [str(program.file), *wanted.overrides]
        made = main_of(program, wanted.name, wanted.words)
    except AnewError as error:
        sys.stderr.write(f"anew: {error}\n")
        sys.exit(error.exit_code)
    made()
