"""`anew rerun` and `anew verify`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import VERDICT_STYLES, remark, say, styled, table
from anew.runner.errors import AnewError, RunNotFoundError
from anew.runner.rerun.conduct import rerun
from anew.runner.rerun.report import RerunResult, verdict_lines
from anew.runner.store.run_folders import RunFolders

_TAG = "tag:"
_STDERR = 2


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that decide how runs are run again and judged."""
    choice = click.Choice(["recorded", "current"])
    for option in (
        json_option,
        click.option("--trust", is_flag=True, help="Trust the source of a record that came from elsewhere."),
        click.option("--ignore", multiple=True, metavar="PATTERN", help="Metrics that need not come out the same."),
        click.option("--rtol", type=click.FloatRange(min=0), metavar="X", help="Relative tolerance: 'close' will do."),
        click.option("--strict", is_flag=True, help="Refuse (exit 4) when anything differs that is not put right."),
        click.option("--env", type=choice, default="current", show_default=True, help="Packages; recorded: by uv."),
        click.option("--code", type=choice, default="recorded", show_default=True, help="Which source."),
    ):
        function = option(function)
    return function


@command("rerun")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("overrides", nargs=-1)
@_options
@click.option("--keep", is_flag=True, help="Leave the laid-out files where they are.")
def rerun_command(
    workbench: Workbench,
    ref: str,
    overrides: tuple[str, ...],
    code: str,
    env: str,
    strict: bool,
    rtol: float | None,
    ignore: tuple[str, ...],
    trust: bool,
    keep: bool,
    as_json: bool,
) -> int:
    r"""
    Run REF again from its recorded source, configuration, seeds and inputs, and say whether it came out the same.

    \b
    identical   result, every metric series and every artifact, bit for bit
    close       within --rtol
    different   exit code 3; says where the two part, and what may explain it

    OVERRIDES change the configuration on purpose; the verdict is then a comparison.
    """
    _refuse_flags(overrides)
    result = rerun(
        ref,
        *overrides,
        store=workbench.folders,
        code=code,
        env=env,
        strict=strict,
        rtol=rtol,
        ignore=ignore,
        trust_source=trust,
        keep=keep,
        stdout=_STDERR if as_json else None,
        tell=lambda text: remark(f"anew: {text}"),
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
    say(head.removesuffix(result.verdict) + styled(result.verdict, VERDICT_STYLES[result.verdict]))
    for line in rest:
        say(line)


@command("verify")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@_options
def verify_command(
    workbench: Workbench,
    refs: tuple[str, ...],
    code: str,
    env: str,
    strict: bool,
    rtol: float | None,
    ignore: tuple[str, ...],
    trust: bool,
    as_json: bool,
) -> int:
    """Run several runs again and print a table; exits with 3 when one came out different. REF may be tag:NAME."""
    store = workbench.folders
    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    for number in _numbers(store, refs):
        remark(f"anew: running {number} again ...")
        try:
            result = rerun(
                number,
                store=store,
                code=code,
                env=env,
                strict=strict,
                rtol=rtol,
                ignore=ignore,
                trust_source=trust,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except AnewError as error:
            rows.append({"ref": number, "run": None, "verdict": None, "error": str(error)})
            codes.append(error.exit_code)
            continue
        rows.append({"ref": number, **result.to_json(), "error": None})
        codes.append(result.exit_code)
        if result.exit_code in (errors.EXIT_SIGINT, errors.EXIT_SIGTERM):
            break
    if as_json:
        print_json(rows)
    else:
        _print_table(rows)
    return max(codes, key=_severity, default=errors.EXIT_OK)


def _severity(code: int) -> int:
    order = [errors.EXIT_OK, errors.EXIT_USAGE, errors.EXIT_REFUSED, errors.EXIT_DIFFERENT]
    return order.index(code) if code in order else len(order)


def _numbers(store: RunFolders, refs: tuple[str, ...]) -> list[int]:
    """Return the runs that are named, each once; of a tag those that are no re-runs, oldest first."""
    found: dict[int, None] = {}
    for ref in refs:
        if not ref.startswith(_TAG):
            found[store.resolve(ref)] = None
            continue
        tag = ref.removeprefix(_TAG)
        runs = ((run.number, run.record) for run in store.all_runs())
        tagged = [number for number, record in runs if tag in record.tags and record.rerun_of is None]
        if not tagged:
            raise RunNotFoundError(f"No run in {store.url} has the tag {tag!r}. To see them all: anew list", ref=ref)
        found.update(dict.fromkeys(sorted(tagged)))
    return list(found)


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [[str(row["ref"]), str(row["run"] or "-"), row["verdict"] or "not run", _detail(row)] for row in rows]
    styles = [[None, None, VERDICT_STYLES.get(row["verdict"] or "", "red"), "dim"] for row in rows]
    table(["run", "re-run", "verdict", ""], cells, keep=3, widest=100, styles=styles)


def _detail(row: dict[str, Any]) -> str:
    if row["error"]:
        return str(row["error"]).split("\n")[0]
    part = row["first_difference"]
    if part is None:
        return ""
    step = f" at step {part['step']}" if part["step"] is not None else ""
    return f"{part['what']} {part['name']}".strip() + step
