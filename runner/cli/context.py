"""What all commands share: the store that was named, their options, and JSON."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from anew.runner.contracts import RunStore
    from anew.runner.store.run_folders import RunFolders


class Number(click.FloatRange):
    """A number within bounds; what click calls one is said to nobody: "a valid float range"."""

    name = "number, such as 1e-6"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return it; NaN, which is beyond no bound, is none."""
        found = super().convert(value, param, ctx)
        return found if found == found else self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


class Workbench:
    """
    What commands are given.

    Attributes:
        url: The store that `--store` names, before or after the command; None for the default.
    """

    def __init__(self) -> None:
        self.url: str | None = None

    @property
    def store(self) -> RunStore:
        """The store that was named, or the default, to look at. Raises StoreError."""
        opened: RunStore = _locate().open_store(self.url)
        return opened

    @property
    def folders(self) -> RunFolders:
        """The same, for all that needs whole runs. Raises StoreError, also for a store that does not give those."""
        opened: RunFolders = _locate().open_run_folders(self.url)
        return opened


def _locate() -> ModuleType:
    # not at the top: completion and --help open no store, and are to be quick
    from anew.runner.store import locate

    return locate


def _named_store(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Workbench).url = value


store_option = click.option(
    "--store",
    metavar="URL",
    expose_value=False,
    callback=_named_store,
    help="The store's folder; else ANEW_STORE, else runs/ of this project.",
)


def only_form(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Return the value of an option that says in which form an answer is wanted; refuse a second one."""
    if value:
        form = parameter.opts[0]
        before = context.meta.setdefault(f"{__name__}.form", form)
        if before != form:
            raise click.UsageError(f"{before} and {form} are two forms of one answer; leave out one of them.", context)
    return value


def form_option(form: str, text: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Return the option for a form in which an answer is printed, such as "csv"; two of them at once are refused."""
    return click.option(f"--{form}", f"as_{form}", is_flag=True, callback=only_form, help=text)


json_option = form_option("json", "One JSON value on stdout, and nothing else there.")
_pass_workbench = click.make_pass_decorator(Workbench, ensure=True)


def command(name: str, kind: type[click.Command] = click.Command) -> Callable[[Callable[..., Any]], click.Command]:
    r"""
    Make a function a command that also takes `--store` and is handed the workbench; its docstring is the help.

    A line of `\b` in it keeps the lines that follow as they are, up to the next empty one.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        text = inspect.cleandoc(function.__doc__ or "").replace("\\b\n", "\b\n")
        made: click.Command = click.command(name, cls=kind, help=text)(store_option(_pass_workbench(function)))
        return made

    return decorate


def names_of(text: str | None) -> list[str]:
    """Return the names in a list as it is typed, `loss, config.lr`, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())) if text else []


def how_of(as_json: bool, as_csv: bool, as_markdown: bool) -> str:
    """Return in which form a table is printed; "" for people."""
    return "json" if as_json else "csv" if as_csv else "markdown" if as_markdown else ""


def saved_filter(store: RunStore) -> Callable[[str], str] | None:
    """Return what gives the filter that a name stands for in a store; None where it keeps none."""
    found: Callable[[str], str] | None = getattr(store, "saved_filter", None)
    return found


def print_json(value: Any) -> None:
    """Print one strict JSON value, as a line of ASCII."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
