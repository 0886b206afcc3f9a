"""The group of commands, each loaded when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

import anew
from anew.runner.cli.context import Workbench, store_option
from anew.runner.wording import closest

_SECTIONS = {
    "Run": {
        "run": ("run", "Run a program that knows nothing of Anew, or a command, as a run"),
        "log": ("log", "Log metrics from a shell script inside of a run"),
    },
    "Look": {
        "list": ("list", "Runs, newest first, with the keys that vary"),
        "show": ("show", "Everything known of a run"),
        "best": ("best", "The runs with the best value of a metric"),
        "compare": ("compare", "Several runs side by side"),
        "diff": ("diff", "What differs between two runs"),
        "why": ("why", "Which difference made the difference"),
        "get": ("get", "Files of runs: artifacts, source, inputs, output, configuration"),
        "logs": ("logs", "What a run printed, live with -f"),
        "metrics": ("metrics", "Series of numbers, as a table or CSV"),
        "lineage": ("lineage", "What a run or a file came from, and what came of it"),
        "plot": ("plot", "Curves in the terminal, or as a picture"),
        "report": ("report", "One HTML file of Markdown with tables and curves of runs"),
        "ui": ("ui", "Look at runs in a browser, live"),
    },
    "Repeat": {
        "rerun": ("rerun", "Run a recorded run again; did it come out the same?"),
        "verify": ("rerun", "Run several again, for CI"),
        "repeat": ("repeat", "Run a recorded run again with further seeds"),
        "sweep": ("sweep", "Sweeps: list, show, resume, add, stop"),
    },
    "Curate": {
        "tag": ("curate", "Add tags to a run, or take them away"),
        "note": ("curate", "Set a run's note"),
        "comment": ("curate", "Add a comment to a run"),
        "delete": ("curate", "Move runs into the trash"),
        "restore": ("curate", "Bring deleted runs back"),
        "purge": ("curate", "Remove deleted runs for good"),
    },
    "Keep in order": {
        "sync": ("sync", "Deliver what observers lack; copy runs between stores"),
        "pack": ("pack", "Put many runs that have ended into one file"),
        "unpack": ("pack", "Give packed runs their folders back"),
        "usage": ("usage", "What runs take on the disk, or cost: hours of wall, CPU and GPU"),
        "check": ("check", "Is all well? What is not, and how to mend it"),
        "completion": ("completion", "Completion for bash, zsh or fish"),
    },
}
# what other programs call it -> what it is here
_ELSEWHERE = {
    "ls": "list",
    "ps": "list",
    "runs": "list",
    "status": "list",
    "search": "list",
    "query": "list",
    "find": "list",
    "rm": "delete",
    "remove": "delete",
    "del": "delete",
    "gc": "purge",
    "prune": "purge",
    "clean": "purge",
    "undelete": "restore",
    "cmp": "compare",
    "info": "show",
    "describe": "show",
    "inspect": "show",
    "view": "show",
    "output": "logs",
    "tail": "logs",
    "metric": "metrics",
    "graph": "plot",
    "chart": "plot",
    "dashboard": "ui",
    "server": "ui",
    "serve": "ui",
    "web": "ui",
    "browser": "ui",
    "reproduce": "rerun",
    "replay": "rerun",
    "sweeps": "sweep",
    "resume": "sweep resume",
    "stop": "sweep stop",
    "kill": "sweep stop",
    "provenance": "lineage",
    "cost": "usage --compute",
    "costs": "usage --compute",
    "tags": "tag",
    "untag": "tag --remove",
    "doctor": "check",
    "fsck": "check",
    "cat": "get",
    "download": "get",
    "fetch": "get",
    "export": "get",
    "artifacts": "get",
    "exec": "run",
    "start": "run",
    "push": "sync",
    "pull": "sync",
    "copy": "sync",
    "cp": "sync",
    "archive": "pack",
    "zip": "pack",
    "du": "usage",
    "size": "usage",
    "help": "--help",
    "version": "--version",
}
_COMMANDS = {name: entry for section in _SECTIONS.values() for name, entry in section.items()}


def _named(words: Sequence[str]) -> str | None:
    return next((word for word in words if word in _COMMANDS), None)


class _Lazy(click.Group):
    """Knows its commands by name, and imports one's module when it is asked for."""

    def load(self, words: Sequence[str]) -> None:
        """Import the module of the command that some words name."""
        if name := _named(words):
            import_module(f"anew.runner.cli.{_COMMANDS[name][0]}")

    def only_looks(self, words: Sequence[str]) -> bool:
        """Whether the command that some words name shows something, and is of no use once nobody reads it."""
        return _named(words) in (None, *_SECTIONS["Look"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, text = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"anew.runner.cli.{module}"), f"{cmd_name}_command")
        command.short_help = text
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typed = args[0] if args and not ctx.resilient_parsing else "-"
        if typed not in _COMMANDS and not typed.startswith("-"):
            near = _ELSEWHERE.get(typed) or closest(typed, _COMMANDS)
            hint = f" Did you mean: anew {near}?" if near else ""
            rest = "" if near == "--help" else " To see them: anew --help"
            raise click.UsageError(f"There is no command {typed!r}.{hint}{rest}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, _COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                # every section is filled to the same width, so that all texts begin in one column
                formatter.write_dl([(name.ljust(widest), text) for name, (_, text) in commands.items()])


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="REF is a run's number, its uid or the beginning of it, last, last~2, or sweep:7/3; for several runs 3-7, "
    "tag:NAME, sweep:7, or a filter in quotes.",
)
@store_option
@click.version_option(anew.__version__, prog_name="anew", message="%(prog)s %(version)s")
@click.pass_context
def workbench(context: click.Context) -> None:
    """Look at recorded runs, compare, repeat and curate them."""
    if context.invoked_subcommand is None:
        from anew.runner.cli.welcome import welcome

        welcome(context.ensure_object(Workbench))
