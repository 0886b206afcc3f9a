"""Any command as a run: found, named, and run in a process of its own."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_USAGE, ConfigError
from anew.runner.lazy.modules import later
from anew.runner.program.interpreter import interpreter_noted
from anew.runner.program.offered import offered
from anew.runner.program.process import run_process
from anew.runner.program.template import CONFIG, Template, as_text, template_of, variable_of
from anew.runner.run.current import current_run
from anew.runner.run.handle import Run

if TYPE_CHECKING:
    from anew.runner.program.configured import copied as copying
    from anew.runner.program.configured import placed as placing
    from anew.runner.program.configured.file import ConfigFile
else:
    copying = later("anew.runner.program.configured.copied")
    placing = later("anew.runner.program.configured.placed")

_CANNOT, _NOT_FOUND = 126, 127  # what a shell says of a command that cannot be started


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command that is run as a run's main.

    Attributes:
        template: Its words and parameters.
        file: The program that it starts; its first word, where that is a parameter.
        config_file: The file that it is configured by, whose keys are among the parameters.
    """

    template: Template
    file: str
    config_file: ConfigFile | None = None

    @property
    def name(self) -> str:
        """What its runs are filed under: the first file of the working directory that it names, or the command."""
        named = (word for word in self.template.words if not os.path.isabs(word) and os.path.isfile(word))
        return Path(next(named, self.template.words[0])).stem or "command"

    def run(self, config: Any) -> None:
        """
        Run it with a configuration, to its end.

        Raises:
            SystemExit: It ended with another code than 0; of a signal 128 and its number.
        """
        values = {name: _value_of(config, name) for name in self.template.names}
        run = current_run()
        words, given = self._words(config, values, run)
        try:
            with offered(run), interpreter_noted(run, self.file):
                variables = {name: text for name, text in os.environ.items() if not name.startswith(variable_of(""))}
                variables.update({variable_of(name): as_text(value) for name, value in values.items()})
                code = run_process(words, {**variables, **given})
        except (OSError, ValueError) as error:
            is_missing = isinstance(error, FileNotFoundError)
            sys.stderr.write(f"anew: {_refused(words[0], error)}\n")
            raise SystemExit(_NOT_FOUND if is_missing else _CANNOT) from None
        if code:
            raise SystemExit(code)

    def _words(self, config: Any, values: Mapping[str, Any], run: Run) -> tuple[list[str], dict[str, str]]:
        """Return what is started, and variables for it; raises SystemExit where it cannot have its configuration."""
        if self.config_file is None:
            return self.template.filled(values), {}
        wanted = {each.name: _value_of(config, each.name) for each in self.config_file.parameters}
        try:
            copied = copying.copy_of(self.config_file, wanted, run)
            words = self.template.filled({**values, CONFIG: copied.copy})
            is_changed = self.config_file.changed(wanted) != self.config_file.text
            words, how = placing.placed(words, self.template.words, copied, is_changed=is_changed)
        except ConfigError as error:
            sys.stderr.write(f"anew: {error}\n")
            raise SystemExit(EXIT_USAGE) from None
        run.info({"config_file_by": how})
        return words, {
            **{variable_of(name): as_text(value) for name, value in wanted.items()},
            placing.VARIABLE: copied.copy,
        }


def command_of(before: Sequence[str], words: Sequence[str], config_file: ConfigFile | None = None) -> Command:
    """
    Return what `BEFORE -- WORDS` means, with the keys of a configuration file as parameters. Nothing is run.

    Raises:
        ConfigError: The command is not found or cannot be started, or its parameters and values do not fit.
    """
    template = template_of(before, words, None if config_file is None else config_file.parameters)
    first = template.words[0]
    if template.filled(dict.fromkeys((*template.names, CONFIG), ""))[0] != first:
        return Command(template, first, config_file)  # which one it is, only a value tells
    found = shutil.which(first)
    if found is None:
        raise ConfigError(_not_found(first))
    return Command(template, os.path.abspath(found), config_file)


def _value_of(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def _not_found(first: str) -> str:
    if os.path.isdir(first):
        return f"{first!r} is a folder, and no command."
    if os.path.isfile(first) and first.endswith((".py", ".ipynb")):
        return f"{first!r} is no command. To run it as a program: anew run {shlex.quote(first)}"
    if os.path.isfile(first) and os.sep in first:
        return f"{first!r} may not be executed. To change that: chmod +x {first}, or name what runs it: sh {first}"
    if os.path.isfile(first):
        return f"There is no command {first!r} on PATH. For the file of this folder: anew run -- ./{first}"
    where = "There is no file" if os.sep in first else "There is no command"
    return f"{where} {first!r}{'' if os.sep in first else ' on PATH'}."


def _refused(first: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{first!r} was not found, or what its first line names."
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return f"{first!r} is no program, and has no first line such as #!/bin/sh. To run it: sh {first}"
    return f"{first!r} could not be started: {getattr(error, 'strerror', None) or error}"
