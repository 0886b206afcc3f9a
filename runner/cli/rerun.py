"""`anew rerun` and `anew verify`."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.chosen import one_of
from anew.runner.cli.context import Number, Workbench, command, json_option, print_json
from anew.runner.cli.render import VERDICT_STYLES, remark, remark_lines, say, styled, table
from anew.runner.errors import AnewError
from anew.runner.rerun.conduct import run_again
from anew.runner.rerun.options import RerunOptions
from anew.runner.rerun.report import RerunResult, verdict_lines, verdict_words
from anew.runner.store.choosing import choose
from anew.runner.store.run_folders import RunFolders
from anew.runner.wording import show, some

_STDERR = 2
_CELL = 60


_STRICT_ALL = "--strict-all"


class _Rerunning(click.Command):
    """A command whose `--strict` may be given a value, and needs none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn `--strict=all` into a flag of its own: an option with a value would take the run for it."""
        try:
            return super().parse_args(ctx, [_STRICT_ALL if word == "--strict=all" else word for word in args])
        except click.NoSuchOption as error:
            possible = [name for name in error.possibilities or () if name != _STRICT_ALL]
            raise click.NoSuchOption(error.option_name, possibilities=possible, ctx=ctx) from None


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that decide how runs are run again and judged."""
    choice = click.Choice(["recorded", "current"])
    for option in (
        json_option,
        click.option(
            "--trust", "trust_source", is_flag=True, help="Trust the source of a record that came from elsewhere."
        ),
        click.option(
            "--ignore",
            multiple=True,
            metavar="PATTERN",
            help="Metrics that need not come out the same; output: what a program prints.",
        ),
        click.option("--rtol", type=Number(min=0), metavar="X", help="Relative tolerance: 'close' will do."),
        click.option(
            _STRICT_ALL, "strict", flag_value="all", hidden=True, help="What --strict=all is turned into; see there."
        ),
        click.option(
            "--strict",
            flag_value="imported",
            help="Refuse (exit 4) when anything differs that is not put right; of packages those that were imported, "
            "every one with --strict=all.",
        ),
        click.option("--twice", is_flag=True, help="Once more when different: what differs each time?"),
        click.option("--env", type=choice, default="current", show_default=True, help="Packages; recorded: by uv."),
        click.option("--code", type=choice, default="recorded", show_default=True, help="Which source."),
    ):
        function = option(function)
    return function


@command("rerun", _Rerunning)
@click.argument("ref", shell_complete=offers.runs)
@click.argument("overrides", nargs=-1)
@_options
@click.option("--keep", is_flag=True, help="Leave the laid-out files where they are.")
def rerun_command(
    workbench: Workbench,
    ref: str,
    overrides: tuple[str, ...],
    as_json: bool,
    **chosen: Any,
) -> int:
    r"""
    Run REF again from its recorded source, configuration, seeds and inputs, and say whether it came out the same.

    \b
    identical   result, every metric series and every artifact, bit for bit
    close       within --rtol
    different   exit code 3; says where the two part, and what may explain it
    stopped     it did not come to its end: exit code 130 after a Ctrl-C, 143 after SIGTERM, 1 when it was killed

    OVERRIDES change the configuration on purpose; the verdict is then a comparison.
    """
    _refuse_flags(overrides)
    store = workbench.folders
    result = run_again(
        one_of(store, ref, f"To run them all again: anew verify {shlex.quote(ref)}"),
        overrides,
        RerunOptions(**chosen),
        store=store,
        stdout=_STDERR if as_json else None,
        tell=lambda text: remark(f"anew: {text}"),
        show=show,
    )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    return result.exit_code


def _refuse_flags(overrides: tuple[str, ...]) -> None:
    wrong = next((each for each in overrides if "=" not in each and not each.startswith("~")), None)
    if wrong is not None:
        raise click.UsageError(f"{wrong!r} is no override; one looks like key=value, +key=value or ~key.")


def _print(result: RerunResult) -> None:
    of = result.rerun_of.id or result.rerun_of.uid
    head, *rest = verdict_lines(result.run, of, result.judged)
    words = verdict_words(result.judged)
    say(head.removesuffix(words) + styled(words, VERDICT_STYLES[result.verdict]))
    for line in rest:
        say(line)


@command("verify", _Rerunning)
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@_options
def verify_command(
    workbench: Workbench,
    refs: tuple[str, ...],
    as_json: bool,
    **chosen: Any,
) -> int:
    """Run several runs again and print a table; exits as the worst of them would."""
    store = workbench.folders
    options = RerunOptions(**chosen)

    def again(number: int, stderr: int) -> RerunResult:
        return run_again(number, (), options, store=store, stdout=subprocess.DEVNULL, stderr=stderr, show=show)

    # all at first: the re-runs are runs of this store, too, and one of them the last
    rows, codes = _verified(list(_named(store, refs)), again)
    if as_json:
        print_json(rows)
    else:
        _print_table(rows)
    return max(codes, key=_severity, default=errors.EXIT_OK)


def _verified(
    left: list[tuple[str, int | AnewError]], again: Callable[[int, int], RerunResult]
) -> tuple[list[dict[str, Any]], list[int]]:
    """Run one after the other again; return a row and an exit code for each, also for those that were not begun."""
    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    while left:
        ref, number = left.pop(0)
        if isinstance(number, AnewError):
            rows.append(_not_run(ref, str(number)))
            codes.append(number.exit_code)
            continue
        remark(f"anew: running {number} again ...")
        with tempfile.TemporaryFile() as said:
            try:
                result = again(number, said.fileno())
            except AnewError as error:
                rows.append(_not_run(number, f"{error}{_last_words(said)}"))
                codes.append(error.exit_code)
                continue
            except (KeyboardInterrupt, SystemExit) as stop:
                # before main was called; what was found so far is said all the same
                rows.append(_not_run(number, "stopped before its main was called"))
                code = getattr(stop, "code", None)
                codes.append(code if isinstance(code, int) else errors.EXIT_SIGINT)
                break
        rows.append({"ref": number, **result.to_json(), "error": None})
        codes.append(result.exit_code)
        if result.told_to_stop:
            break
    return [*rows, *(_not_run(ref, "not begun any more") for ref, _ in left)], codes


def _last_words(said: IO[bytes]) -> str:
    """Return what a process said last, to be put behind what is said of it."""
    said.seek(0)
    lines = said.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f" It said: {last}" if last else ""


def _not_run(ref: str | int, why: str) -> dict[str, Any]:
    return {"ref": ref, "run": None, "verdict": None, "error": why}


def _severity(code: int) -> int:
    order = [errors.EXIT_OK, errors.EXIT_USAGE, errors.EXIT_REFUSED, errors.EXIT_DIFFERENT]
    return order.index(code) if code in order else len(order)


def _named(store: RunFolders, refs: tuple[str, ...]) -> Iterator[tuple[str, int | AnewError]]:
    """Yield the runs that are named, or why there is none; of a tag, a sweep or a filter those that are no re-runs."""
    chosen = choose(store, refs, among=lambda record: record.rerun_of is None)
    if chosen.counted and (left := sorted(set(choose(store, refs).numbers) - set(chosen.numbers))):
        remark(f"anew: left out, since they are re-runs themselves: {some(list(map(str, left)))}")
    yield from ((str(number), number) for number in chosen.numbers)
    yield from chosen.refused


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [[str(row["ref"]), str(row["run"] or "-"), _verdict(row), _detail(row)] for row in rows]
    styles = [[None, None, VERDICT_STYLES.get(row["verdict"] or "", "red"), "dim"] for row in rows]
    table(["run", "re-run", "verdict", ""], cells, keep=3, widest=100, styles=styles)
    for row in rows:
        if row["error"] and len(row["error"]) > _CELL:
            remark_lines(f"{row['ref']}: {row['error']}")


def _verdict(row: dict[str, Any]) -> str:
    """Return how a run came out, and with how many points where it had broken off."""
    if row["verdict"] is None:
        return "not run"
    is_whole = row["points"] is None or row["verdict"] in ("different", "stopped")
    return str(row["verdict"]) if is_whole else f"{row['verdict']} ({row['points']} points)"


def _detail(row: dict[str, Any]) -> str:
    if row["error"]:
        first, _, more = str(row["error"]).partition("\n")
        return first.removesuffix(":") if more else first
    part = row["first_difference"]
    if part is None:
        return ""
    step = f" at step {part['step']}" if part["step"] is not None else ""
    return f"{part['what']} {part['name']}".strip() + step
