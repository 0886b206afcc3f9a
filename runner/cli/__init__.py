"""The `anew` command: its entry point, and what each kind of failure says and exits with."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from anew.runner import errors, wording
from anew.runner.errors import AnewError
from anew.runner.format.values import MAX_DIGITS
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp

if TYPE_CHECKING:
    import traceback

    from anew.runner.program import onward, start
else:
    traceback = later("traceback")
    onward, start = later("anew.runner.program.onward"), later("anew.runner.program.start")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMPLETE_VARIABLE = "_ANEW_COMPLETE"
_OF_RUN = ("-h", "--help", "--params", "--json", "--store")  # what `anew run` answers itself
_EXTRA = regexp(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def main(argv: Sequence[str] | None = None, *, ready: Callable[[], None] = lambda: None) -> int:
    """
    Run one command line and return its exit code; see `errors`. Raises nothing; but what this process becomes, by
    `anew run`, leaves as it does.

    Args:
        argv: The words after `anew`; None for those of this process.
        ready: Called when all is imported that comes before the command, from where on a signal raises what it raises.
    """
    if argv is None and (words := _run_as_it_is(sys.argv[1:])) is not None:
        run, be_programs = start.main, onward.be_programs  # imported here
        ready()
        try:
            run(be_programs(words))
        except KeyboardInterrupt:
            return errors.EXIT_SIGINT
        return errors.EXIT_OK

    import click

    _open_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if argv is None:
        sys.set_int_max_str_digits(MAX_DIGITS + 1)  # whole numbers on record are printed
    try:
        code = _run(sys.argv[1:] if argv is None else [*argv], ready)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _leave(_usage(error), errors.EXIT_USAGE)
    except AnewError as error:
        return _leave(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return errors.EXIT_SIGINT
    except BrokenPipeError:
        # whoever read our output has had enough of it
        _silence_stdout()
        return errors.EXIT_OK
    except Exception as error:
        if (interrupted := errors.interruption(error)) is not None:
            return interrupted
        if refused := errors.refusal(error):
            if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
                # of our own files it is said which; what is left is what was printed
                refused = (
                    f"What is printed cannot be written ({error.strerror}). Lead it elsewhere than to a full disk."
                )
            _silence_stdout()
            return _leave(refused, errors.EXIT_USAGE)
        return _report()
    return code


def _run_as_it_is(words: list[str]) -> list[str] | None:
    """
    Return what is to be run, where a command line says that alone: `anew run train.py lr=0.1`.

    Whatever else a workbench needs is not imported for it, and no second interpreter is started.
    """
    rest = words[1:]
    if words[:1] != ["run"] or not rest or _COMPLETE_VARIABLE in os.environ:
        return None
    if None in (sys.stdin, sys.stdout, sys.stderr) or not errors.is_somewhere():
        return None
    ahead = rest[: rest.index("--")] if "--" in rest else rest
    # a notebook's kernel is given a hash seed by the process before it
    asks = any(each in _OF_RUN or each.startswith("--store=") or each.endswith(".ipynb") for each in ahead)
    return None if asks else rest


def _open_closed() -> None:
    """Have streams that lead nowhere in place of those that are closed, as daemons have them; children get them too."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            # the lowest descriptor that is free: that one
            opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if opened == number:
                os.set_inheritable(opened, True)
            setattr(sys, name, os.fdopen(opened, "r" if number == 0 else "w", closefd=False))


def _run(words: list[str], ready: Callable[[], None]) -> int:
    from anew.runner.cli.group import workbench

    workbench.load(words)
    if not workbench.only_looks(words):
        _go_on_unread()
    ready()

    if instruction := os.environ.get(_COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(workbench, {}, "anew", _COMPLETE_VARIABLE, instruction)
    # `workbench.main` would do this too, but exits with 1 when a pipe breaks
    with workbench.make_context("anew", words) as context:
        code = workbench.invoke(context)
    return code if isinstance(code, int) else errors.EXIT_OK


def _usage(error: Exception) -> str:
    import click

    assert isinstance(error, click.ClickException)
    message = error.format_message()
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    if found := _EXTRA.match(message):
        takes = " ".join(error.ctx.command.collect_usage_pieces(error.ctx))
        message = f"{error.ctx.command_path} takes {takes}; what is too much: {found[1]}"
    elif "anew " in message:
        return message
    return f"{wording.sentence(message)} To see how: {error.ctx.command_path} --help"


def _leave(message: str, code: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"anew: {wording.lines(message)}\n")
    return code


def _report() -> int:
    traceback.print_exc()
    sys.stderr.write(errors.fault_report())
    return errors.EXIT_FAULT


def _go_on_unread() -> None:
    """Have a command that does more than to show something do so, and tell by its exit code, whoever stops reading."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        if stream in (sys.stdout, sys.stderr):
            vars(stream).update(write=_enduring(stream, stream.write), flush=_enduring(stream, stream.flush))


def _enduring(stream: TextIO, call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any) -> Any:
        try:
            return call(*args)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return None

    return called


def _silence_stdout() -> None:
    """Let go of what could not be written: Python would try, and complain, once more while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
