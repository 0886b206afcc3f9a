"""`anew completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from anew.runner.cli.context import Workbench, command
from anew.runner.cli.render import drawn


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(workbench: Workbench, shell: str) -> None:
    r"""
    Print a script that completes `anew` in SHELL.

    \b
    bash: anew completion bash >> ~/.bashrc
    zsh:  anew completion zsh >> ~/.zshrc
    fish: anew completion fish > ~/.config/fish/completions/anew.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(click.get_current_context().find_root().command, {}, "anew", "_ANEW_COMPLETE").source()
    # after NAME= its value follows, and no space
    taken = "COMPREPLY+=($value)"
    drawn(script.replace(taken, f"{taken}; [[ $value == *= ]] && compopt -o nospace 2>/dev/null", 1))
