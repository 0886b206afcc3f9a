"""`anew diff`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import two_of
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import heading, remark, remark_damage, say, styled, table
from anew.runner.query.compare import compare
from anew.runner.wording import exact, short, told_apart

_LONGEST_CELL = 40


@command("diff")
@click.argument("refs", metavar="REF REF", nargs=-1, required=True, shell_complete=offers.runs)
@json_option
def diff_command(workbench: Workbench, refs: tuple[str, ...], as_json: bool) -> None:
    """Show what differs between two runs: config, source, packages, hardware, inputs, result, metrics, histograms."""
    store = workbench.store
    first, second = map(store.get, two_of(store, refs))
    remark_damage([first, second], store.url)
    if as_json:
        print_json(compare(first, second, store, remark))
        return
    sections = compare(first, second, store, remark, show=_as_text)
    names = (str(first.id), str(second.id))
    differing = {title: section for title, section in sections.items() if section}
    if not differing:
        say(f"Runs {names[0]} and {names[1]} are the same in everything that is compared.")
        return
    for title, section in differing.items():
        heading(title.capitalize())
        _PRINTERS.get(title, _print_values)(section, names)
    same = [title for title in sections if title not in differing]
    say()
    if same:
        say(styled(f"The same: {', '.join(same)}", "dim"))


def _print_values(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    rows = [[f"  {key}", *(_side(values, side) for side in "ab")] for key, values in section.items()]
    _print_rows(rows, names)


def _side(values: Mapping[str, Any], side: str) -> str:
    if side not in values:
        return "-"
    return values[side] if isinstance(values[side], str) else exact(values[side])


def _as_text(a: Any, b: Any) -> tuple[str, str]:
    """Return two values as they would be typed, told apart."""
    texts = exact(a), exact(b)
    return texts if texts[0] != texts[1] else told_apart(a, b)


def _print_rows(rows: list[list[str]], names: tuple[str, str]) -> None:
    """Print (key, one side, other side); long ones below each other, since what is cut might be what differs."""
    short_ones = [row for row in rows if max(len(row[1]), len(row[2])) <= _LONGEST_CELL]
    if short_ones:
        header = ["  ", f"run {names[0]}", f"run {names[1]}"]
        table(header, short_ones, keep=3, widest=_LONGEST_CELL, styles=[[None, "red", "green"]] * len(short_ones))
    for key, *sides in rows:
        if max(map(len, sides)) > _LONGEST_CELL:
            if key.strip():
                say(key)
            for side, name, style in zip(sides, names, ("red", "green"), strict=True):
                say(f"    run {name}  {styled(side, style)}")


def _print_single(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    _print_rows([["  ", *(_side(section, side) for side in "ab")]], names)


def _print_overrides(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    _print_rows([["  ", *(" ".join(section[side]) or "none" for side in "ab")]], names)


def _print_contents(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    for path, values in section.items():
        if "diff" in values:
            _print_diff(values["diff"])
        else:
            say(f"  {path}  {_digests(values, names)}")


def _digests(values: Mapping[str, Any], names: tuple[str, str]) -> str:
    """Return whose content is what; a file that only one has, with that said."""
    known = [f"run {name}: {values[side][:12]}" for side, name in zip("ab", names, strict=True) if side in values]
    return ", ".join(known) if len(known) == 2 else f"only in {known[0]}"


def _print_diff(text: str) -> None:
    for line in text.removesuffix("\n").split("\n"):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        shown = line.expandtabs(4)
        say(styled(shown, style) if style else shown)


def _print_metrics(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    rows = []
    for name, values in section.items():
        sides = [short(_number(values[side]["last"])) if side in values else "-" for side in "ab"]
        rows.append([f"  {name}", *sides, _parting(values.get("first_difference"))])
    header = ["  last value", f"run {names[0]}", f"run {names[1]}", "they part"]
    table(header, rows, keep=3, styles=[[None, "red", "green", "dim"]] * len(rows))


def _print_histograms(section: Mapping[str, Any], names: tuple[str, str]) -> None:
    rows = []
    for name, values in section.items():
        sides = [str(values[side]["count"]) if side in values else "-" for side in "ab"]
        parting = values.get("first_difference")
        rows.append([f"  {name}", *sides, f"at step {parting['step']}" if parting else "only one has it"])
    header = ["  how many", f"run {names[0]}", f"run {names[1]}", "they part"]
    table(header, rows, keep=3, styles=[[None, "red", "green", "dim"]] * len(rows))


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _parting(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return "only one has it"
    if "count" in point["a"]:
        return f"{point['a']['count']} and {point['b']['count']} points"
    return f"at step {point['a']['step']}"


_PRINTERS = {
    "overrides": _print_overrides,
    "seed": _print_single,
    "status": _print_single,
    "result": _print_single,
    "source": _print_contents,
    "inputs": _print_contents,
    "artifacts": _print_contents,
    "metrics": _print_metrics,
    "histograms": _print_histograms,
}
