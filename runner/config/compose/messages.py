"""What stopped an app before its job started, in one message; and main's own failure, as Hydra prints it."""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anew.runner.config.private.running import report
from anew.runner.config.signature.parameters import RESERVED
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import declared
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, refusal
from anew.runner.format.redact import redact_text
from anew.runner.lazy.patterns import regexp
from anew.runner.search.settings import unknown_option
from anew.runner.settings import places_of
from anew.runner.wording import nearest

if TYPE_CHECKING:
    from anew.runner.config.compose.loader import Loader

_SWEEPERS = "hydra.sweeper."
_FULL_KEY = regexp(r"full_key: (\S+)")
_NO_KEY = regexp(r"Could not override '([^']+)'\.\n(To append to your config use .*)", re.DOTALL)
_NO_GROUP = regexp(r"Could not override '([^'@]+)[^']*'\.\s*No match in the defaults list")
_NO_OPTION = regexp(r"Could not find '([^']+)'")
_NO_OBSERVER = regexp(r"Could not load 'anew/observers/([^']+)'")
# what Hydra reads nowhere but in quotes
_ODD = regexp(r"[^A-Za-z0-9_/\-\\+.$%*@?|:,=\[\]{}() \t]")
_NO_VALUE = regexp(r"Error merging override (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was asked for when an app stopped; *loader* is None before there was one."""

    spec: TaskSpec
    loader: Loader | None
    config_name: str | None
    overrides: tuple[str, ...]


def explained(error: Exception, seen: Circumstances) -> ConfigError:
    """Return the error to show for whatever Hydra, OmegaConf or PyYAML raised before a job started."""
    told = ConfigError(redact_text(_explanation(error, seen)))
    told.__cause__ = error
    return told


def explained_node(error: Exception, loader: Loader) -> ConfigError:
    """Return the error to show for settings that were composed without an app."""
    text = _text(error)
    found = _NO_OBSERVER.search(text)
    return ConfigError(_unknown_observer(found[1], loader) if found else text)


def is_our_fault(error: Exception) -> bool:
    """Whether an exception is a mistake in a program, not the refusal of what it was given."""
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if _closed_node(error, trace):
        return False
    if isinstance(error, (AssertionError, AttributeError, NameError)):
        return True
    return trace is not None and _is_ours(trace)


def full_traceback_wanted() -> bool:
    """Whether Hydra's HYDRA_FULL_ERROR=1 is set, or a debugger runs."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1" or sys.gettrace() is not None


def _is_debugged() -> bool:
    """Whether a debugger has started this program: it shows the place of a failure that comes as far as it."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") not in ("bdb", "pydevd"):
        frame = frame.f_back
    return frame is not None


def report_failure(error: BaseException) -> NoReturn:
    """
    Print what main raised as Hydra does, from main's own frame on, or why it was not called; leave with 1.

    To a debugger it is raised.
    """
    if _is_debugged():
        raise error
    if full_traceback_wanted():
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.exit(1)
    trace = _from_main(error.__traceback__)
    if trace is None and isinstance(error, Exception):
        # main was not called: no line of a program is at fault
        sys.stderr.write(f"anew: {redact_text(_text(error))}\n")
        sys.exit(1)
    report(error, trace)


def _closed_node(error: Exception, trace: TracebackType | None) -> str:
    """Return the key of a dictionary that is null, into which OmegaConf fails to merge; "" where that is not it."""
    if trace is None or not str(trace.tb_frame.f_globals.get("__name__", "")).startswith("omegaconf."):
        return ""
    if isinstance(error, AttributeError) and "NoneType" in str(error) and (found := _FULL_KEY.search(str(error))):
        return found[1]
    return _null_above(error.__traceback__) if isinstance(error, AssertionError) else ""


def _null_above(trace: TracebackType | None) -> str:
    """Return the same of `OmegaConf.update`, which says nothing of the key that it was given."""
    while trace is not None and trace.tb_frame.f_code is not OmegaConf.update.__code__:
        trace = trace.tb_next
    if trace is None:
        return ""
    config, names = trace.tb_frame.f_locals["cfg"], str(trace.tb_frame.f_locals["key"]).split(".")
    keys = (".".join(names[:count]) for count in range(1, len(names)))
    return next((key for key in keys if OmegaConf.is_missing(config, key) or OmegaConf.select(config, key) is None), "")


# --- what main raised ---------------------------------------------------------------------------------------------


def _is_ours(trace: TracebackType) -> bool:
    return str(trace.tb_frame.f_globals.get("__name__", "")).startswith("anew.runner.")


def _from_main(trace: TracebackType | None) -> TracebackType | None:
    """Return what of a traceback begins with main's own frame; None when main was not called."""
    while trace is not None and trace.tb_frame.f_code is not TaskSpec.call.__code__:
        trace = trace.tb_next
    # Called with the wrong arguments, main has no frame: ours stays.
    trace = None if trace is None else trace.tb_next or trace
    # a program that is run as it is has a main of ours around it
    while trace is not None and trace.tb_next is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


# --- what stopped the composition ---------------------------------------------------------------------------------


def _explanation(error: Exception, seen: Circumstances) -> str:
    text = _text(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if key := _closed_node(error, trace):
        instead = " What is swept over can be typed as it is: lr=1,2" if key.startswith(_SWEEPERS) else ""
        return f"{key} is null where it was declared, and takes its keys from a configuration file alone.{instead}"
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, text)
    if isinstance(error, yaml.MarkedYAMLError):
        return _yaml_error(error)
    if isinstance(error, MissingConfigException):
        if found := _NO_OBSERVER.search(text):
            return _unknown_observer(found[1], seen.loader)
        return f"{_without_our_paths(text)}{_options(error, text, seen)}"
    if found := _NO_KEY.match(str(error)):
        return _unknown_key(found[1], found[2], error, seen)
    if found := _NO_GROUP.match(str(error)):
        return f"{text}{nearest(found[1], _groups(seen))}"
    if (found := _NO_VALUE.match(str(error))) and isinstance(error.__cause__, OmegaConfBaseException):
        return f"{text}{_wanted(found[1], seen)}"
    return text


def _text(error: Exception) -> str:
    """Return an exception's message and the reason under it, without OmegaConf's notes about its own types."""
    parts = [_lines(error)]
    if isinstance(error, HydraException) and isinstance(error.__cause__, OmegaConfBaseException):
        parts.append(_lines(error.__cause__))
    text = "\n".join(part for part in parts if part)
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return text
    return refusal(error) or f"{type(error).__name__}: {text}"


def _lines(error: BaseException) -> str:
    lines = str(error).strip().split("\n")
    return "\n".join(line for line in lines if not line.strip().startswith(("object_type=", "reference_type=")))


def _unreadable(override: str, text: str) -> str:
    """Say what cannot be read, and how to type it where the value is to be a text: most often it lacks quotes."""
    given = override.removeprefix("++") if override.startswith("++anew.") else override
    key, equals, value = given.partition("=")
    told = f"The override {given!r} cannot be read: "
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    line = f'{key}="{quoted}"'
    if not equals:
        return f"{told}it has no value. One is KEY=VALUE, such as {key.lstrip('+~')}=1"
    try:
        OverridesParser.create().parse_override(line)
    except HydraException:
        odd = _odd(key)
        return f"{told}{odd} cannot be in a key, as Hydra has it" if odd else f"{told}{text}"
    why = f"{_odd(value)} is read in quotes only" if _odd(value) else text.partition("\n")[0]
    return f"{told}{why}. For a text type: {shlex.quote(line)}"


def _odd(text: str) -> str:
    return " ".join(dict.fromkeys(_ODD.findall(text)))


def _yaml_error(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}:{mark.line + 1}: " if mark else ""
    context = f"{error.context}: " if error.context else ""
    return f"{where}this is no YAML: {context}{error.problem}"


def _without_our_paths(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if "provider=anew," not in line)


def _options(error: MissingConfigException, text: str, seen: Circumstances) -> str:
    if error.options and (found := _NO_OPTION.search(text)):
        group, _, option = found[1].rpartition("/")
        return nearest(option, error.options, f"{group}=", line=True)
    if seen.loader is None or error.missing_cfg_file is None:
        return ""
    offered = seen.loader.get_group_options("", ObjectType.CONFIG)
    names = [name for name in offered if not name.startswith("_") and name != error.missing_cfg_file]
    listed = f"\nThere {'is' if len(names) == 1 else 'are'}: {', '.join(names)}." if names else ""
    return f"{listed}{nearest(str(error.missing_cfg_file), names, line=True)}"


def _unknown_observer(name: str, loader: Loader | None) -> str:
    names = loader.get_group_options("anew/observers") if loader is not None else []
    return (
        f"There is no observer {name!r}.{nearest(name, names)} There are: {', '.join(names)}. One of yours is a file "
        f"anew/observers/{name}.yaml in your configuration folder, or: "
        f"anew.observers.{name}._target_=mymodule.MyObserver"
    )


def _unknown_key(key: str, advice: str, error: Exception, seen: Circumstances) -> str:
    names = [each.name for each in seen.spec.roles.fields]
    if names and "." not in key and key not in names:
        return (
            f"{seen.spec.function.__qualname__} ({seen.spec.place}) has no parameter {key!r}."
            f"{nearest(key, names)} It has: {', '.join(names)}.{_settings_of(key)}"
        )
    if key.startswith(_SWEEPERS) and _searches_with_ours(key, seen):
        return unknown_option(key.removeprefix(_SWEEPERS)).message
    level, wrong, names = _level(key, seen)
    prefix = f"{level}." if level else ""
    groups = [] if level else _groups(seen)
    reason = _lines(error.__cause__).split("\n")[0] if error.__cause__ else ""
    listed = f" {level or 'The configuration'} has: {', '.join(names)}." if names else ""
    # an instance of a class has no place for another key, whatever stands before it
    further = f"\n{advice.strip()}" if seen.spec.schema_kind is None else ""
    return (
        f"Could not override {key!r}. {f'{reason}.' if reason else ''}"
        f"{nearest(wrong, [*names, *groups], prefix)}{listed}{_settings_of(key)}{further}"
    )


def _searches_with_ours(key: str, seen: Circumstances) -> bool:
    """Whether what was typed, less a key, chooses the sweeper of anew's."""
    if seen.loader is None:
        return False
    rest = [each for each in seen.overrides if each.lstrip("+~").partition("=")[0] != key]
    chosen = [each for each in rest if each.startswith("hydra/sweeper=")]
    # a configuration that was a class is known to the loader no more; what was typed chooses alone then
    for name, words in ((seen.config_name, rest), (None, chosen)):
        with suppress(Exception):
            cfg = seen.loader.load_configuration(name, words, RunMode.MULTIRUN, validate_sweep_overrides=False)
            return str(cfg.hydra.sweeper.get("_target_")).endswith(".optuna_sweeper.OptunaSweeper")
    return False


def _settings_of(key: str) -> str:
    """Return a sentence on the settings of the recording that are called so."""
    found = places_of(key)
    return (
        f" A setting of the recording is given in full: {' or '.join(f'{each}=...' for each in found)}" if found else ""
    )


def _level(key: str, seen: Circumstances) -> tuple[str, str, list[str]]:
    """Return the innermost node that a dotted key reaches, the name it lacks, and the names it has."""
    cfg = _composed_without(key, seen)
    path: list[str] = []
    parts = re.split(r"[.\[]", key.replace("]", ""))
    node: Any = cfg
    for part in parts:
        below = OmegaConf.select(node, part, throw_on_missing=False) if isinstance(node, DictConfig) else None
        if not isinstance(below, DictConfig):
            names = [str(name) for name in node if name not in RESERVED] if isinstance(node, DictConfig) else []
            return ".".join(path), part, names
        path.append(part)
        node = below
    return ".".join(path[:-1]), parts[-1], []


def _composed_without(key: str, seen: Circumstances) -> DictConfig | None:
    """Compose again without the override that stopped it; None if something else stops it too."""
    rest = [each for each in seen.overrides if each.lstrip("+~").partition("=")[0] != key]
    try:
        assert seen.loader is not None
        return seen.loader.load_configuration(seen.config_name, rest, RunMode.RUN, validate_sweep_overrides=False)
    except Exception:
        # of a class that was no file of anybody's the loader knows nothing any more
        return declared(seen.spec.schema) if seen.spec.schema is not None else None


def _groups(seen: Circumstances) -> list[str]:
    if seen.loader is None:
        return []
    return [group for group in seen.loader.list_groups("") if group != "hydra"]


def _wanted(override: str, seen: Circumstances) -> str:
    name = override.lstrip("+~").partition("=")[0]
    for each in seen.spec.roles.fields:
        if each.name == re.split(r"[.\[]", name)[0]:
            return f"\n{seen.spec.function.__qualname__} ({seen.spec.place}) takes: {each.text}"
    return ""
