"""`anew ui`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from anew.runner.cli.context import WholeNumber, Workbench, command
from anew.runner.cli.render import remark, say
from anew.runner.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


@command("ui")
@click.option("--port", type=WholeNumber(min=1, max=65_535), metavar="N", help="Where it listens; else 4949, or any.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="H", help="The address it listens at; see --allow-remote."
)
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--read-only", is_flag=True, help="Change nothing: no tags, no notes, nothing deleted.")
@click.option("--allow-rerun", is_flag=True, help="Let the page run your runs again, and new ones.")
@click.option("--allow-remote", is_flag=True, help="With --host: let other machines in, unencrypted, by the token.")
def ui_command(
    workbench: Workbench,
    port: int | None,
    host: str,
    no_browser: bool,
    read_only: bool,
    allow_rerun: bool,
    allow_remote: bool,
) -> int:
    """
    Look at runs in a browser, live. It prints one address, which nobody else knows; a Ctrl-C ends it.

    On a machine without a screen add --no-browser; over ssh it says what to type where you sit.
    """
    store = workbench.store
    serve = server()
    if host not in serve.OWN_HOSTS and not allow_remote:
        usual = port or serve.PORT
        raise click.UsageError(
            f"--host {host} lets other machines in: whoever has the address with its token sees every run, and can "
            "change them; what is sent is not encrypted. If that is meant, add --allow-remote; else look from "
            f"there by ssh: ssh -N -L {usual}:127.0.0.1:{usual} HOST"
        )
    if allow_rerun and read_only:
        raise click.UsageError("--allow-rerun starts runs, and --read-only changes nothing: give one of them.")
    if (no_browser or not serve.has_desktop()) and _tells_nobody():
        raise click.UsageError(
            "What is printed leads nowhere, and no browser is opened: nobody would have the address, which has a token "
            "in it. Keep it in a file: anew ui > FILE"
        )
    options = serve.Options(port=port, host=host, read_only=read_only, allow_rerun=allow_rerun)

    warnings: list[str] = []
    if host not in serve.OWN_HOSTS:
        warnings = [
            f"anew: other machines can reach this at {host}; it is not encrypted, and the token is all it asks for"
        ]

    def told(line: str) -> None:
        # once it listens: before, the address may turn out to be none of this machine
        while warnings:
            remark(warnings.pop())
        _told(line)

    code: Any = serve.serve(store, options, browser=not no_browser, tell=told)
    return int(code)


def _told(line: str) -> None:
    say(line)
    sys.stdout.flush()


def _tells_nobody() -> bool:
    """Whether stdout is the null device, which stands in for one that is closed, too."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.stat(os.devnull))
    except OSError:  # it is no file
        return False


def server() -> ModuleType:
    """Return what serves the page. Raises MissingExtraError where its libraries are not installed."""
    try:
        from anew.runner.server import serve
    except ImportError as error:
        if error.name is None or error.name.startswith("anew"):
            raise
        raise MissingExtraError(
            f"The page needs {error.name}, which is not installed. To install it: pip install 'anew[ui]'", extra="ui"
        ) from error
    return serve
