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

from anew.runner.config.private.running import made_parser
from anew.runner.errors import AnewError, ConfigError
from anew.runner.experiment import Experiment, Main
from anew.runner.format.typed_values import overrides_of
from anew.runner.lazy.modules import later
from anew.runner.program.as_typed import refuse_twice, unsaid, values_in
from anew.runner.program.command import Command, command_of
from anew.runner.program.modules import lead_to
from anew.runner.program.notebook import Notebook, kernel_of
from anew.runner.program.parameters import Flag, command_line
from anew.runner.program.program import Program
from anew.runner.program.reading import read_target
from anew.runner.program.schema import WORDS, schema_of
from anew.runner.program.words import TRACED, Asked, asked
from anew.runner.relaunch.plan import Rerun, assignment

if TYPE_CHECKING:
    from anew.runner.capture import strace
    from anew.runner.program.configured import file as configured
else:
    strace = later("anew.runner.capture.strace")
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
    started_by = f"anew run {_typed_target(program)}"
    entry = "notebook" if isinstance(program, Notebook) else "program"
    return _made(run, schema, name or program.name, entry, lies_in=file, file=file, started_by=started_by)


def main_of_command(command: Command, name: str | None) -> Main:
    """Return a command as an experiment's main, whose configuration is what its parameters are."""

    def run(config: Any) -> None:
        command.run(config)

    schema = schema_of(command.template.parameters, [])
    # whatever it is that is started, the project is where it is started
    place = os.path.join(os.getcwd(), "command")
    return _made(
        run, schema, name or command.name, "command", lies_in=place, file=command.file, started_by="anew run -- COMMAND"
    )


def _typed_target(program: Program) -> str:
    if program.module is not None:
        return f"-m {program.module}"
    return shlex.quote(os.path.relpath(program.file))


def _made(
    run: Callable[[Any], None], schema: type, name: str, entry: str, *, lies_in: str, file: str, started_by: str
) -> Main:
    names = {"__name__": __name__, "__file__": file, "__spec__": None, "__builtins__": __builtins__}
    code = run.__code__.replace(co_filename=lies_in, co_firstlineno=1)
    function = FunctionType(code, names, "main", None, run.__closure__)
    function.__module__, function.__qualname__ = "__main__", "main"
    function.__annotations__ = {"config": schema}
    # what messages say is to be typed
    vars(function)["started_by"] = started_by
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
        command = command_of(wanted.overrides, wanted.command, file)
        _refuse_blind_search(command.template.overrides)
        sys.argv = [command.file, *command.template.overrides]
        return main_of_command(command, wanted.name)
    lead_to(os.getcwd() if wanted.is_module else str(Path(wanted.target).absolute().parent))
    program = read_target(wanted.target, is_module=wanted.is_module, config=wanted.config)
    if isinstance(program, Notebook):
        _refuse_unfit_for_notebook(wanted, program)
    if program.found.main == "hydra":
        wanted = _to_hydra(wanted)
    _refuse_options(wanted, program)
    if program.found.main is None:
        _refuse_blind_search(wanted.overrides)
    _refuse_unread(wanted, program)
    _refuse_unnamed(wanted, program)
    wanted = _with_options(wanted, program)
    sys.argv = [str(program.file), *wanted.overrides]
    return main_of(program, wanted.name, wanted.words, wanted.overrides)


def _refuse_unfit_for_notebook(wanted: Asked, notebook: Notebook) -> None:
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
    kernel_of(notebook)


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


def _refuse_unnamed(wanted: Asked, program: Program) -> None:
    """Raise ConfigError for a parameter whose name no configuration can hold."""
    unnamed = {each.name: each for each in program.found.unnamed}
    for word in wanted.overrides if assignment.errand is None else ():
        key, mark, value = word.partition("=")
        if mark and key in unnamed:
            each = unnamed[key]
            how = "in the file itself"
            if each.is_typed:
                how = f"anew run {_typed_target(program)} -- {shlex.join(command_line([each], {key: value}))}"
            raise ConfigError(f"{key} is a name that Python, Hydra or anew keeps for itself. To give it: {how}")


def _refuse_options(wanted: Asked, program: Program) -> None:
    """Raise ConfigError for an option of the program's own that stands before a `--`."""
    if assignment.errand is not None or program.found.main is not None:
        return
    options = {each.way.option: (each, each.way) for each in program.found.parameters if isinstance(each.way, Flag)}
    words = list(wanted.overrides)
    for at, word in enumerate(words):
        option, mark, value = word.partition("=")
        is_theirs = option in options and option.startswith("--")
        if not option.startswith("-") or (_is_flag(option) and not is_theirs):
            continue
        known = options.get(option)
        rest = words[at + 1 :]
        if not mark:
            value = rest[0] if rest and not rest[0].startswith("-") and "=" not in rest[0] else ""
        target = _typed_target(program)
        given = shlex.join([*(word for word in words[:at] if not word.startswith("-")), "--", *words[at:]])
        as_it_is = f"anew run {target} {given}"
        if known is None:
            raise ConfigError(f"{option} is no option of anew's. To give it to the program as it is: {as_it_is}")
        parameter, way = known
        if not mark and way.switch != "word":
            value = "false" if way.switch == "absent" else "true"
        raise ConfigError(
            f"{option} is typed as a parameter: anew run {target} {parameter.name}={shlex.quote(value or 'VALUE')}. "
            f"To give words as they are: {as_it_is}"
        )


def _is_flag(option: str) -> bool:
    """Whether an option is one that any main has."""
    known = {each for action in made_parser()._actions for each in action.option_strings}
    return option in known or option == "--store" or _is_option(option)


def _to_hydra(wanted: Asked) -> Asked:
    """Return what is asked for of a program whose words are Hydra's, but for settings and options of Anew's."""
    ours = [each for each in wanted.overrides if each.lstrip("+~").startswith("anew.") or _is_option(each)]
    theirs = [each for each in wanted.overrides if each not in ours]
    return replace(wanted, overrides=tuple(ours), words=(*theirs, *wanted.words))


def _is_option(word: str) -> bool:
    return word in ("-q", "--quiet", "--unrecorded") or word.startswith("--store=")


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
