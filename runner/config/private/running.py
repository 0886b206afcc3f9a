"""What is private in Hydra about running an app: the command line, one job, and how a failure is told."""

from __future__ import annotations

import importlib
import inspect
import io
import logging
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from importlib import resources
from pathlib import Path
from types import FrameType, FunctionType, SimpleNamespace, TracebackType
from typing import Any, NoReturn

import hydra.core.utils as job_module
import yaml
from hydra import version
from hydra._internal import hydra as hydra_module
from hydra._internal import utils as app_module
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import (
    compute_search_path_dir,
    detect_calling_file_or_module_from_task_function,
    detect_task_name,
    get_args_parser,
    is_notebook,
    run_and_report,
)
from hydra.core.utils import JobReturn, _flush_loggers, env_override, validate_config_path
from hydra.types import RunMode
from omegaconf import DictConfig

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.wording import trim_causes, users_frames

__all__ = [
    "Again",
    "Callbacks",
    "Hydra",
    "app_module",
    "calling_place",
    "chdir_by_default",
    "configured_path",
    "flush_loggers",
    "hydras_help_template",
    "is_notebook",
    "made_parser",
    "name_of_app",
    "parsed_arguments",
    "parser_lent",
    "print_debug_info",
    "records_mode_of_runs",
    "report",
    "rerun_of",
    "returned",
    "shows_hydra_to_sweepers",
    "validate_config_path",
    "variables_set",
]

# `Hydra`: what GlobalHydra holds, and what answers --help, --hydra-help, --cfg, --info and --shell-completion.
# Instead: none; `initialize` makes one around a loader of its own.
# `Callbacks`: the user's `hydra.callbacks`, told of runs, sweeps and jobs; part of the documented HydraContext.
# Instead: a way to make a HydraContext.
# `validate_config_path`: refuses a file as config_path, in Hydra's words. Instead: none.
# `is_notebook`: the name of an app that is in no file. Instead: none.

if not hasattr(Hydra, "_print_debug_info"):
    raise ImportError("cannot import name '_print_debug_info' of 'Hydra' from 'hydra._internal.hydra'")


class _Parser(ArgumentParser):
    """Keeps an option's help from argparse, which looks into it since Python 3.14: one of Hydra's is no text."""

    def add_argument(self, *names: Any, help: Any = None, **options: Any) -> Action:
        action = super().add_argument(*names, **options)
        action.help = help
        return action


# `get_args_parser`: the flags of every Hydra app, by a parser that takes its help on Python 3.14. Instead: none.
def made_parser() -> ArgumentParser:
    """Return Hydra's parser; the function that makes it is called with a parser of ours for argparse's."""
    names = {**get_args_parser.__globals__, "argparse": SimpleNamespace(ArgumentParser=_Parser)}
    parser: ArgumentParser = FunctionType(get_args_parser.__code__, names)()
    return parser


@contextmanager
def parser_lent() -> Iterator[None]:
    """Have Hydra take the same parser where it makes one by itself: to complete a line."""
    app_module.get_args_parser = made_parser
    try:
        yield
    finally:
        app_module.get_args_parser = get_args_parser


# Hydra 1.4 lets flags and overrides be mixed; 1.3 refuses `lr=0.1 -m seed=1,2`, with its usage, as if -m were unknown.
def parsed_arguments(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """Return a command line, in which flags and overrides may stand in any order."""
    return parser.parse_intermixed_args(list(argv))


# `detect_calling_file_or_module_from_task_function`, `detect_task_name`, `compute_search_path_dir`: where an app lies
# and what it is called; they know the variables, zip files and modules that Hydra knows. Instead: none.
def calling_place(function: Callable[..., Any]) -> tuple[str | None, str | None]:
    """Return file and module of an app, one of which is None."""
    file, module = detect_calling_file_or_module_from_task_function(function)
    return file, module


def name_of_app(file: str | None, module: str | None) -> str:
    """Return what an app is called that lies in a file, or in a module."""
    return detect_task_name(file, module)


def configured_path(file: str | None, module: str | None, config_path: str) -> str | None:
    """Return the entry of the search path for the config path of an app."""
    return compute_search_path_dir(file, module, config_path)


# `Hydra._print_debug_info`, and the logger that it prints to: `hydra.verbose=true`. Instead: none.
def print_debug_info(app: Hydra, config_name: str | None, overrides: Sequence[str], mode: RunMode) -> None:
    """Print what Hydra prints before a run when it is asked to be verbose; logging is configured."""
    hydra_module.log = logging.getLogger(hydra_module.__name__)
    app._print_debug_info(config_name, list(overrides), mode)


# `hydra.version.base_at_least`: up to 1.1 the working directory was changed. Instead: none; 1.4 never changes it.
_is_base_at_least: Callable[[str], bool] | None = getattr(version, "base_at_least", None)

# Up to 1.3 a run's overrides have `hydra.mode=RUN` in them, which nobody has typed.
records_mode_of_runs = _is_base_at_least is not None

# Hydra 1.4 has `${hydra:...}` resolve in sweepers, launchers and callbacks of a sweep too.
shows_hydra_to_sweepers = _is_base_at_least is None


def chdir_by_default() -> bool:
    """Whether a job changes into its output folder when `hydra.job.chdir` does not say."""
    return _is_base_at_least is not None and not _is_base_at_least("1.2")


# `env_override`: `hydra.job.env_set`. Instead: none.
def variables_set(variables: Mapping[str, str]) -> AbstractContextManager[None]:
    """Have environment variables set for a while."""
    found: AbstractContextManager[None] = env_override(dict(variables))
    return found


# `_flush_loggers`: what was logged is in the job's file when callbacks hear of its end. Instead: `logging.shutdown`,
# which closes the handlers too.
def flush_loggers() -> None:
    """Write out what was logged."""
    _flush_loggers()


# `JobReturn._return_value`: what a failed job raised. Instead: `JobReturn.return_value`, which raises it, and writes to
# stderr before it does.
def returned(done: JobReturn) -> Any:
    """Return what a job returned, or what it raised."""
    return done._return_value


# `hydra/conf/hydra/help/default.yaml`: to see whether an app has help of its own. Instead: none.
def hydras_help_template() -> str:
    """Return the template of what --help shows where nobody has set another, as it is written."""
    text = (resources.files("hydra.conf") / "hydra" / "help" / "default.yaml").read_text("utf-8")
    return str(yaml.safe_load(text)["template"])


# --- --experimental-rerun ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Again:
    """
    A job of before, to be run once more.

    Attributes:
        cfg: What main is called with, where nothing is composed again (up to Hydra 1.3).
        config_name, overrides: What it is composed from again (Hydra 1.4).
    """

    cfg: DictConfig | None = None
    config_name: str | None = None
    overrides: tuple[str, ...] = ()


# `_get_rerun_conf`: a pickled configuration, shown as Hydra's; since 1.4 `_get_rerun_overrides`: a job's folder, from
# which it is composed again. Instead: none.
_PICKLED = getattr(importlib.import_module("hydra.main"), "_get_rerun_conf", None)  # `hydra.main` is a function
_COMPOSED = getattr(app_module, "_get_rerun_overrides", None)
if _PICKLED is None and _COMPOSED is None:
    raise ImportError("cannot import name '_get_rerun_overrides' from 'hydra._internal.utils'")


def rerun_of(place: str, overrides: Sequence[str]) -> Again:
    """
    Return the job that `--experimental-rerun` names.

    Args:
        place: A file, or since Hydra 1.4 a folder.
        overrides: What was typed beside it; up to Hydra 1.3 warned about and ignored.

    Raises:
        ConfigError, ValueError: It is not there.
    """
    if _PICKLED is not None:
        return Again(cfg=_PICKLED(place, list(overrides)))
    assert _COMPOSED is not None
    if not Path(place, ".hydra").is_dir():
        raise ConfigError(f"{place} does not exist, or is no output folder of a job: it has no folder .hydra")
    name, saved = _COMPOSED(place)
    return Again(config_name=name, overrides=(*saved, *overrides))


# --- a failure in main ------------------------------------------------------------------------------------------------

# `_log_job_error_to_file`: Hydra 1.4 writes what main raised into the job's log file, with whatever secret is in it. A
# failure of a main of ours is on record, and in the captured output, without its secrets. Instead: a filter that Hydra
# lets be added to the handlers which it is about to make.
_log_failure: Callable[[], None] | None = getattr(job_module, "_log_job_error_to_file", None)


def _log_unless_recorded() -> None:
    trace = sys.exc_info()[2]
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("anew.runner.config."):
            return
        trace = trace.tb_next
    if _log_failure is not None:
        _log_failure()


if _log_failure is not None:
    setattr(job_module, "_log_job_error_to_file", _log_unless_recorded)  # noqa: B010  # older ones have no such name

# `_create_synthetic_frame`: Hydra 1.4 knows where main begins by a frame of its own job runner, or by one that was made
# to look like it. Instead: as below.
_made_frame = getattr(job_module, "_create_synthetic_frame", None)


_MORE = "\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"


# `run_and_report`: a failure in main, printed without Hydra's frames and in its words; leaves with 1.
# Instead: none; `traceback.print_exception` would not say what `hydra.main` says.
def report(error: BaseException, main: TracebackType | None) -> NoReturn:
    """
    Print what main raised as `hydra.main` does, without its hint at HYDRA_FULL_ERROR, and leave the process with 1.

    Args:
        error: What main raised.
        main: Its traceback from main's own frame on; None for the whole of it.
    """
    trim_causes(error)
    below = users_frames(main)
    trace = error.__traceback__ if below is None else _below_job_runner(below)

    def fail() -> None:
        raise error.with_traceback(trace)

    told = io.StringIO()
    try:
        with redirect_stderr(told):
            run_and_report(fail)
    finally:
        # what the traceback begins with is main's own frame: of a failure in main there is no more to see
        sys.stderr.write(told.getvalue().removesuffix(_MORE))
    raise AssertionError("run_and_report leaves the process")


def _below_job_runner(main: TracebackType) -> TracebackType:
    """Return a traceback that goes on below a frame of Hydra's job runner, by which it finds where main begins."""
    if _made_frame is not None:
        return TracebackType(main, _made_frame(job_module.__file__, "run_job", 1), -1, 1)
    frame = run_job()
    return TracebackType(main, frame, frame.f_lasti, frame.f_lineno)


def run_job() -> FrameType:
    """Return a frame of the name that Hydra up to 1.3 looks for: this one."""
    frame = inspect.currentframe()
    assert frame is not None
    return frame
