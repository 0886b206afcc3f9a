"""A program that knows nothing of Anew, or a command, as an experiment's main."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from anew.runner.errors import AnewError, ConfigError
from anew.runner.experiment import Experiment, Main
from anew.runner.format.typed_values import overrides_of
from anew.runner.lazy.modules import later
from anew.runner.program.as_typed import refuse_twice, unsaid, values_in
from anew.runner.program.modules import lead_to
from anew.runner.program.onward import become_main
from anew.runner.program.program import Program
from anew.runner.program.reading import read_target
from anew.runner.program.refused import is_option_of_ours, refuse_unfit
from anew.runner.program.schema import WORDS, schema_of
from anew.runner.program.words import TRACED, Asked, asked
from anew.runner.relaunch.plan import Rerun, assignment

if TYPE_CHECKING:
    from anew.runner.capture import strace
    from anew.runner.program import command as commands
    from anew.runner.program import notebook as notebooks
    from anew.runner.program.configured import file as configured
else:
    strace = later("anew.runner.capture.strace")
    commands, notebooks = later("anew.runner.program.command"), later("anew.runner.program.notebook")
    configured = later("anew.runner.program.configured.file")


def main_of(program: Program, name: str | None, words: Sequence[str], typed: Sequence[str] = ()) -> Main:
    """
    Return a program as an experiment's main, whose configuration is what its parameters are.

    Args:
        program: The program.
        name: The experiment's name; None for the program's own.
        words: What it is given as it is. Options that may be among them are no part of the configuration then.
        typed: Overrides, which say which are.
    """

    def run(config: Any) -> None:
        program.run(config)

    # of an older record it may be that it has them all the same
    left_out = unsaid(program.found, typed) - set(_recorded()) if words else frozenset()
    known = [each for each in program.found.parameters if each.name not in left_out]
    schema = schema_of(known, list(words))
    # recorded, and found again, as what is in the program's own file
    file = str(program.file)
    started_by = f"anew run {program.typed}"
    entry = program.entry
    places = {each.name: each.where(file) for each in known}
    return _made(
        run, schema, name or program.name, entry, lies_in=file, file=file, started_by=started_by, places=places
    )


def main_of_command(command: commands.Command, name: str | None) -> Main:
    """Return a command as an experiment's main, whose configuration is what its parameters are."""

    def run(config: Any) -> None:
        command.run(config)

    schema = schema_of(command.template.parameters, [])
    # whatever it is that is started, the project is where it is started
    place = os.path.join(os.getcwd(), "command")
    started_by = "anew run -- COMMAND"
    return _made(run, schema, name or command.name, "command", lies_in=place, file=command.file, started_by=started_by)


def _made(
    run: Callable[[Any], None],
    schema: type,
    name: str,
    entry: str,
    *,
    lies_in: str,
    file: str,
    started_by: str,
    places: Mapping[str, str] | None = None,
) -> Main:
    names = {"__name__": __name__, "__file__": file, "__spec__": None, "__builtins__": __builtins__}
    code = run.__code__.replace(co_filename=lies_in, co_firstlineno=1)
    function = FunctionType(code, names, "main", None, run.__closure__)
    function.__module__, function.__qualname__ = "__main__", "main"
    function.__annotations__ = {"config": schema}
    # what messages say is to be typed
    vars(function).update(started_by=started_by, places=places or {})
    # a kernel, and a command, are processes of their own as it is
    vars(function)["runs_apart"] = entry == "program"
    made = Experiment(name).main(config=schema)(function)
    made.entry = entry
    return made


def _as_on_record(wanted: Asked) -> Asked:
    """Return what is asked for again by an errand: the recorded file, wherever it lies now, under its name."""
    errand = assignment.errand
    if errand is None:
        return wanted
    if wanted.config is not None and os.path.isabs(wanted.config):
        wanted = replace(wanted, config=str(errand.places.here(Path(wanted.config))))
    if wanted.command is not None:
        words = [str(errand.places.here(Path(word))) if os.path.isabs(word) else word for word in wanted.command]
        return replace(wanted, command=tuple(words), name=errand.experiment)
    target = wanted.target if wanted.is_module else str(errand.places.here(Path(errand.command.target)))
    return replace(wanted, target=target, name=errand.experiment)


def _main(wanted: Asked) -> Main:
    """Return what is asked for, and have `sys.argv` and the import path be its own. Raises AnewError."""
    if wanted.command is not None:
        file = None if wanted.config is None else configured.read_config_file(wanted.config)
        command = commands.command_of(wanted.overrides, wanted.command, file)
        _refuse_blind_search(command.template.overrides)
        sys.argv = [command.file, *command.template.overrides]
        return main_of_command(command, wanted.name)
    # of a link, what lies beside the file that it leads to is found, as the interpreter has it
    lead_to(os.getcwd() if wanted.is_module else str(Path(wanted.target).resolve().parent))
    program = read_target(wanted.target, is_module=wanted.is_module, config=wanted.config)
    if program.found.main == "anew" and assignment.errand is None:
        become_main(wanted)
    if program.entry == "notebook":
        assert isinstance(program, notebooks.Notebook)
        _refuse_unfit_for_notebook(wanted, program)
    if program.found.main == "hydra":
        wanted = _to_hydra(wanted)
    if program.found.main is None and assignment.errand is None:
        refuse_unfit(program, wanted.overrides)
        _refuse_blind_search(wanted.overrides)
    wanted = _with_options(wanted, program)
    sys.argv = [str(program.file), *wanted.overrides]
    return main_of(program, wanted.name, wanted.words, wanted.overrides)


def _refuse_unfit_for_notebook(wanted: Asked, notebook: notebooks.Notebook) -> None:
    """Raise ConfigError for what a notebook cannot be given."""
    if assignment.errand is not None:
        return
    if wanted.words:
        raise ConfigError(f"A notebook takes no words: {shlex.join(wanted.words)}. Its parameters are given by name.")
    given = [each for each in wanted.overrides if "=" in each and not each.lstrip("+~-").startswith(("anew", "hydra"))]
    if given and not notebook.found.parameters and not any(each.startswith("-") for each in given):
        raise ConfigError(
            f"{wanted.target!r} has no parameters: a cell in Python that assigns them, as in lr = 0.1, and is tagged "
            f"`parameters` (in Jupyter: View, Right Sidebar, Cell Tags). It was given {given[0]}."
        )
    notebooks.kernel_of(notebook)


def _with_options(wanted: Asked, program: Program) -> Asked:
    """Return what is asked for, with options after the `--` as the parameters that they are, if these are all."""
    if program.found.main is not None or WORDS in _recorded():
        return wanted
    refuse_twice(wanted.words, program.found.parameters, wanted.overrides)
    values = values_in(wanted.words, program.found, wanted.overrides)
    if not values:
        return wanted
    return replace(wanted, overrides=(*wanted.overrides, *overrides_of([], values)), words=())


def _recorded() -> Mapping[str, Any]:
    """Return the configuration that is to be run again; an empty one if none is."""
    errand = assignment.errand
    return errand.config if isinstance(errand, Rerun) else {}


def _to_hydra(wanted: Asked) -> Asked:
    """Return what is asked for of a program whose words are Hydra's, but for settings and options of Anew's."""
    ours = [each for each in wanted.overrides if each.lstrip("+~").startswith("anew.") or is_option_of_ours(each)]
    theirs = [each for each in wanted.overrides if each not in ours]
    return replace(wanted, overrides=tuple(ours), words=(*theirs, *wanted.words))


def _refuse_blind_search(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a search that is told of no number: there is no main that would return one."""
    words = [each.lstrip("+") for each in overrides]
    is_search = "hydra/sweeper=optuna" in words and any(each in ("-m", "--multirun") for each in words)
    if not is_search or assignment.errand is not None:
        return
    if any(each.startswith("hydra.sweeper") and "value" in each for each in words):
        return
    raise ConfigError(
        "A search needs a number, and a program or command returns none. Name a metric: hydra.sweeper.value=loss. "
        "It comes from what is printed (anew run --metric 'loss=loss: (\\S+)' before the program, or --metrics auto), "
        "or is reported while it runs: anew log loss=0.2"
    )


def _refuse_untraced(wanted: Asked) -> None:
    """Raise ConfigError where what is to trace is missing. A run of before goes on, and says so."""
    if TRACED in wanted.overrides and assignment.errand is None and (why := strace.missing_tracer()) is not None:
        raise ConfigError(why)


def main(words: Sequence[str]) -> None:
    """Run a program or a command as a run, or as a sweep's, by a command line. Leaves as a command does."""
    try:
        wanted = asked(words)
        _refuse_untraced(wanted)
        made = _main(_as_on_record(wanted))
    except AnewError as error:
        sys.stderr.write(f"anew: {error}\n")
        sys.exit(error.exit_code)
    made()
