"""`anew get`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.chosen import say_refused
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import as_printed, on_terminal, remark_damage, remark_error, say
from anew.runner.contracts import RunStore
from anew.runner.errors import AnewError
from anew.runner.records import RunRecord
from anew.runner.store.choosing import choose, leading
from anew.runner.store.getting import Kinds, Piece, pieces, refuse_overwriting, write
from anew.runner.wording import printable

_STDOUT = "-"
_BLOCK = 1 << 20


def _config(record: RunRecord) -> str:
    # Hydra comes with it, which the other commands do without
    from anew.runner.config.compose.yamltext import dump

    return dump(dict(record.config))


@command("get")
@click.argument("words", metavar="REF... [NAME]...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("--to", metavar="DIR", default=".", help="Where; the working directory unless said, - for stdout.")
@click.option("--source", is_flag=True, help="Its source files, into DIR/source.")
@click.option("--inputs", is_flag=True, help="Its inputs, into DIR/inputs.")
@click.option("--output", is_flag=True, help="What it printed, as DIR/output.log.")
@click.option("--config", is_flag=True, help="Its configuration, as DIR/config.yaml.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
def get_command(
    workbench: Workbench,
    words: tuple[str, ...],
    to: str,
    source: bool,
    inputs: bool,
    output: bool,
    config: bool,
    force: bool,
    as_json: bool,
) -> int:
    r"""
    Get files of recorded runs back: artifacts, unless an option says otherwise.

    \b
      anew get 42                       all artifacts, into the working directory
      anew get 42 model.pt 'plots/*'    some; a folder stands for what is in it
      anew get 42 model.pt --to -       to stdout; "-" in place of --to - does as well
      anew get tag:paper --to papers    of several runs, each into papers/NUMBER
      anew get 42 --source --config --to was42

    Each file is compared with its checksum. What is missing or damaged is said, and the exit code is 5; the rest is
    written. Nothing that is there is replaced without --force.
    """
    if _STDOUT in words[1:]:
        words, to = tuple(word for word in words if word != _STDOUT), _STDOUT
    store = workbench.store
    refs, names = _split(store, words)
    chosen = choose(store, refs)
    code = say_refused(chosen)
    if not chosen.runs:
        return code
    only_others = (output or config) and not names
    kinds = Kinds(not (source or inputs or only_others), source, inputs, output, _config if config else None)
    wanted: list[tuple[Path, Piece]] = []
    for number in chosen.numbers:
        record = store.get(number)
        remark_damage([record], store.url)
        folder = Path(to) if chosen.is_one else Path(to, str(number))
        try:
            wanted += [(folder, piece) for piece in pieces(store, record, names, kinds)]
        except AnewError as error:
            remark_error(error)
            code = max(code, error.exit_code)
    if code and not wanted:
        return code
    if to == _STDOUT:
        return code or _print([piece for _, piece in wanted])
    if not force:
        refuse_overwriting(wanted)
    return max(code, _write_all(wanted, force, as_json))


def _split(store: RunStore, words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return references and names; what looks like a reference, and is an artifact of the first run, is a name."""
    known: list[str] = []
    if any(words[1:]):
        first = choose(store, words[:1]).numbers
        known = [artifact.path for number in first[:1] for artifact in store.get(number).artifacts]
    return leading(words, known.__contains__)


def _print(wanted: list[Piece]) -> int:
    """Print one file."""
    if len(wanted) != 1:
        those = f": {', '.join(printable(piece.name) for piece in wanted[:10])}" if wanted else ""
        raise click.UsageError(f"{len(wanted)} files were asked for{those}; stdout takes one. For more: --to DIR")
    put: Callable[[bytes], Any] = sys.stdout.buffer.write
    with wanted[0].open() as content:
        while block := content.read(_BLOCK):
            # what is in a file is not for it to do to a terminal
            put(as_printed(block.decode("utf-8", "backslashreplace")).encode() if on_terminal() else block)
    sys.stdout.buffer.flush()
    return errors.EXIT_OK


def _write_all(wanted: list[tuple[Path, Piece]], force: bool, as_json: bool) -> int:
    """Write what is wanted, and say of each what became of it; return the exit code of the worst."""
    code = errors.EXIT_OK
    rows: list[dict[str, Any]] = []
    for folder, piece in wanted:
        row: dict[str, Any] = {"run": piece.run, "name": piece.name, "path": None, "error": None}
        try:
            row["path"] = str(write(folder, piece, force=force))
        except AnewError as error:
            row["error"] = str(error)
            code = max(code, error.exit_code)
            remark_error(error)
        else:
            if not as_json:
                say(f"run {piece.run}: {printable(str(row['path']))}")
        rows.append(row)
    if as_json:
        print_json(rows)
    elif not rows:
        say("There is nothing to get: no files of that kind were kept.")
    return code
