"""`anew why`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import one_of
from anew.runner.cli.context import Number, WholeNumber, Workbench, command, form_option, json_option, print_json
from anew.runner.cli.render import heading, remark, say, styled, table
from anew.runner.errors import EXIT_OK
from anew.runner.why import kept
from anew.runner.why.asked import resume, why
from anew.runner.why.deltas import KINDS
from anew.runner.why.explanation import FOUND, PLANNED, Explanation, hunk_lines, markdown, side_text
from anew.runner.wording import printable

_CELL = 40
_ONE = "Name the run itself: anew list {ref}"


@command("why")
@click.argument("refs", metavar="[GOOD] BAD [hydra/launcher=NAME]", nargs=-1, shell_complete=offers.runs)
@click.option("--metric", metavar="NAME", help="By which metric they are told apart; or config, result, info.KEY ...")
@click.option("--result", is_flag=True, help="By what main returned.")
@click.option("--only", metavar="KINDS", help=f"Which differences are in question: {','.join(KINDS)}.")
@click.option("--max-runs", type=WholeNumber(min=1), metavar="N", help="How many runs may be started.")
@click.option("--workers", type=WholeNumber(min=1), default=1, metavar="N", help="How many trials at a time.")
@click.option("--repeat", type=WholeNumber(min=1), default=1, metavar="N", help="With N seeds each, at least 4.")
@click.option("--tolerance", type=Number(min=0), metavar="X", help="How near the bad run's number is near enough.")
@click.option("--timeout", type=Number(min=0), metavar="SECONDS", help="After which a trial is cut off.")
@click.option("--dry-run", is_flag=True, help="Only list the differences, and what finding out would cost.")
@click.option("--show", type=WholeNumber(min=1), metavar="N", help="What search N came to.")
@click.option("--resume", "going_on", type=WholeNumber(min=1), metavar="N", help="Go on with search N.")
@form_option("markdown", "As Markdown, to be pasted into a review.")
@click.option("--trust", "trust_source", is_flag=True, help="Trust the source of a record that came from elsewhere.")
@json_option
def why_command(
    workbench: Workbench,
    refs: tuple[str, ...],
    only: str | None,
    show: int | None,
    going_on: int | None,
    as_markdown: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    r"""
    Find which difference between two runs made the difference, by running mixtures of them.

    \b
      anew why 42 57                     a config key, a hunk, a file, a package, the seed ...
      anew why 57                        beside the earlier run that is most like it
      anew why 42 57 --metric test/acc --only config,source
      anew why 42 57 hydra/launcher=anew_slurm --workers 4
      anew why --show 3 --markdown       what search 3 came to

    Each trial is a run (anew list 'why == 3'). Exits with 1 when no cause is found.
    """
    store = workbench.folders
    if show is not None:
        _refuse_with(refs, "--show")
        answer: Mapping[str, Any] = kept.answer(store, show)
        code = EXIT_OK if answer["status"] == FOUND else 1
    else:
        found = _asked(workbench, refs, only, going_on, chosen)
        answer, code = found.to_json(), found.exit_code
    if as_json:
        print_json({"deltas": answer["deltas"]} if answer["status"] == PLANNED else answer)
    elif as_markdown:
        for line in markdown(answer).splitlines():
            say(printable(line))
    else:
        _print(answer)
    return code


def _asked(
    workbench: Workbench, refs: tuple[str, ...], only: str | None, going_on: int | None, chosen: dict[str, Any]
) -> Explanation:
    store = workbench.folders
    shared: dict[str, Any] = {"store": store, "tell": lambda text: remark(f"anew: {text}")}
    launcher = tuple(each for each in refs if "=" in each)
    refs = tuple(each for each in refs if "=" not in each)
    if going_on is not None:
        _refuse_with(refs, "--resume")
        wanted = {name: chosen[name] for name in ("max_runs", "workers", "trust_source")}
        wanted["launcher"] = launcher or None
        return resume(going_on, **wanted, **shared)
    if not 1 <= len(refs) <= 2:
        raise click.UsageError(f"anew why GOOD BAD, or BAD alone; {len(refs)} runs were given.")
    numbers = [one_of(store, ref, _ONE.format(ref=ref)) for ref in refs]
    kinds = tuple(filter(None, (each.strip() for each in (only or "").split(","))))
    return why(
        numbers[0] if len(numbers) == 2 else None, numbers[-1], only=kinds, launcher=launcher, **chosen, **shared
    )


def _refuse_with(refs: tuple[str, ...], option: str) -> None:
    if refs:
        raise click.UsageError(f"{option} N says which runs it is of; leave out {' '.join(refs)}.")


def _print(answer: Mapping[str, Any]) -> None:
    planned = answer["status"] == PLANNED
    say(styled(printable(answer["sentence"]), "bold"))
    deltas = {delta["n"]: delta for delta in answer["deltas"]}
    shown = deltas.values() if planned else [deltas[number] for number in answer["causes"]]
    if shown:
        heading("Differences" if planned else "Causes")
        _print_deltas(answer, list(shown))
    for delta in shown:
        if delta["kind"] == "hunk" and not planned:
            say()
            say(styled(printable(delta["what"]), "dim"))
            for line in hunk_lines(delta):
                say(styled(printable(line.expandtabs(4)), "green" if line[0] == "+" else "red"))
    for text in (*answer["left_out"], *answer["notes"]):
        say(f"note: {printable(text)}")
    if answer["id"] is not None:
        say(styled(f"{len(answer['trials'])} trials: anew list 'why == {answer['id']}'", "dim"))


def _print_deltas(answer: Mapping[str, Any], deltas: list[dict[str, Any]]) -> None:
    rows = []
    for delta in deltas:
        share = answer["shares"].get(str(delta["n"]))
        sides = ["", ""] if delta["kind"] == "hunk" else [_side(delta, side) for side in ("was", "now")]
        part = "" if share is None else f"{share:.0%}"
        rows.append([str(delta["n"]), delta["kind"], printable(delta["what"]), *sides, part])
    parts = "of it" if answer["shares"] else ""
    header = ["", "kind", "what", f"run {answer['good']}", f"run {answer['bad']}", parts]
    table(header, rows, keep=3, widest=_CELL, styles=[["dim", "dim", None, "red", "green", None]] * len(rows))


def _side(delta: Mapping[str, Any], side: str) -> str:
    return printable(side_text(delta["kind"], delta[side])) if delta[side] is not None else "-"
