"""A program that knows nothing of Anew, or a command, as an experiment's main."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

from anew.runner.errors import AnewError, ConfigError
from anew.runner.experiment import Experiment, Main
from anew.runner.program.command import Command, command_of
from anew.runner.program.modules import lead_to
from anew.runner.program.program import Program, read_program
from anew.runner.program.schema import schema_of
from anew.runner.program.words import Asked, asked
from anew.runner.relaunch.plan import assignment


def main_of(program: Program, name: str | None, words: Sequence[str]) -> Main:
    """Return a program as an experiment's main, whose configuration is what its parameters are."""

    def run(config: Any) -> None:
        program.run(config)

    schema = schema_of(program.found.parameters, list(words))
    # recorded, and found again, as what is in the program's own file
    return _made(run, schema, name or program.name, "program", lies_in=str(program.file), file=str(program.file))


def main_of_command(command: Command, name: str | None) -> Main:
    """Return a command as an experiment's main, whose configuration is what its parameters are."""

    def run(config: Any) -> None:
        command.run(config)

    schema = schema_of(command.template.parameters, [])
    # whatever it is that is started, the project is where it is started
    place = os.path.join(os.getcwd(), "command")
    return _made(run, schema, name or command.name, "command", lies_in=place, file=command.file)


def _made(run: Callable[[Any], None], schema: type, name: str, entry: str, *, lies_in: str, file: str) -> Main:
    names = {"__name__": __name__, "__file__": file, "__spec__": None, "__builtins__": __builtins__}
    code = run.__code__.replace(co_filename=lies_in, co_firstlineno=1)
    function = FunctionType(code, names, "main", None, run.__closure__)
    function.__module__, function.__qualname__ = "__main__", "main"
    function.__annotations__ = {"config": schema}
    made = Experiment(name).main(config=schema)(function)
    made.entry = entry
    return made


def _as_on_record(wanted: Asked) -> Asked:
    """Return what is asked for again by an errand: the recorded file, wherever it lies now, under its name."""
    errand = assignment.errand
    if errand is None:
        return wanted
    if wanted.command is not None:
        words = [str(errand.places.here(Path(word))) if os.path.isabs(word) else word for word in wanted.command]
        return replace(wanted, command=tuple(words), name=errand.experiment)
    target = wanted.target if wanted.is_module else str(errand.places.here(Path(errand.command.target)))
    return replace(wanted, target=target, name=errand.experiment)


def _main(wanted: Asked) -> Main:
    """Return what is asked for, and have `sys.argv` and the import path be its own. Raises AnewError."""
    if wanted.command is not None:
        command = command_of(wanted.overrides, wanted.command)
        sys.argv = [command.file, *command.template.overrides]
        return main_of_command(command, wanted.name)
    lead_to(os.getcwd() if wanted.is_module else str(Path(wanted.target).absolute().parent))
    program = read_program(wanted.target, is_module=wanted.is_module)
    if program.found.main == "hydra":
        wanted = _to_hydra(wanted)
    _refuse_unread(wanted, program)
    sys.argv = [str(program.file), *wanted.overrides]
    return main_of(program, wanted.name, wanted.words)


def _refuse_unread(wanted: Asked, program: Program) -> None:
    """Raise ConfigError for what names nothing, of a program that reads its words by itself."""
    found = program.found
    if not found.reads_argv or found.has_command_line or assignment.errand is not None:
        return
    names = {each.partition(".")[0] for each in found.by_name} | {"anew", "hydra"}
    for word in wanted.overrides:
        key, mark, _ = word.partition("=")
        if mark and not key.startswith(("-", "+", "~")) and key.partition(".")[0] not in names:
            target = f"-m {wanted.target}" if wanted.is_module else wanted.target
            raise ConfigError(
                f"{key} is no parameter of {wanted.target!r} that reading it shows: it looks at sys.argv by itself. "
                f"To give it words as they are: anew run {target} -- {word}"
            )


def _to_hydra(wanted: Asked) -> Asked:
    """Return what is asked for of a program whose words are Hydra's, but for settings and options of Anew's."""
    ours = [each for each in wanted.overrides if each.lstrip("+~").startswith("anew.") or _is_option(each)]
    theirs = [each for each in wanted.overrides if each not in ours]
    return replace(wanted, overrides=tuple(ours), words=(*theirs, *wanted.words))


def _is_option(word: str) -> bool:
    return word in ("-q", "--quiet", "--unrecorded") or word.startswith("--store=")


def main(words: Sequence[str]) -> None:
    """Run a program or a command as a run, or as a sweep's, by a command line. Leaves as a command does."""
    try:
        made = _main(_as_on_record(asked(words)))
    except AnewError as error:
        sys.stderr.write(f"anew: {error}\n")
        sys.exit(error.exit_code)
    made()
