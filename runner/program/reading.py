"""What `anew run FILE` names: a program, or a notebook."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anew.runner.errors import ConfigError
from anew.runner.lazy.modules import later
from anew.runner.program.program import Program, read_program

if TYPE_CHECKING:
    from anew.runner.program import notebook
    from anew.runner.program.configured import file as configured
else:
    notebook = later("anew.runner.program.notebook")
    configured = later("anew.runner.program.configured.file")


def read_target(target: str, *, is_module: bool = False, config: str | None = None) -> Program:
    """
    Return a program by its file or its module's name, or a notebook by its file. Nothing of it is run.

    Args:
        target: The file or the module.
        is_module: Whether it is a module's name.
        config: The file that the program is configured by, whose keys are parameters.

    Raises:
        ConfigError: There is none, or it is neither Python nor a notebook, or *config* is not what it can be given.
    """
    if target.endswith(".ipynb") and not is_module:
        if config is not None:
            raise ConfigError(
                f"--config {config} is for programs and commands; a notebook's parameters are what the cell tagged "
                "`parameters` assigns."
            )
        return notebook.read_notebook(target)
    program = read_program(target, is_module=is_module)
    return program if config is None else _configured(program, config)


def _configured(program: Program, config: str) -> Program:
    whose = {"anew": "an experiment", "hydra": "Hydra"}.get(str(program.found.main))
    if whose is not None:
        raise ConfigError(
            f"{program.file.name!r} has a main of {whose}, which has its configuration from there; leave out "
            f"--config {config}"
        )
    file = configured.fitting(configured.read_config_file(config), program.found.parameters)
    return replace(program, found=configured.with_file(program.found, file), config_file=file)
