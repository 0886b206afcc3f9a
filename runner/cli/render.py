"""
Printing for people.

On a terminal: colour, and tables cut to its width. Into a pipe: the same words, plain, aligned and whole.

All that commands print for people goes through here, and nothing that a record holds can drive the terminal: what is
printed is one line with its control characters escaped, but for the styles that `styled` put in. A style stands in the
text as a mark that no record can hold, since it was drawn by chance when the process started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anew.runner.format.values import iso
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.records import PRUNED, RunRecord, Status
from anew.runner.store.typed import as_typed
from anew.runner.wording import exact, printable

if TYPE_CHECKING:
    import csv
    import shutil
    from re import Match
else:
    csv = later("csv")
    shutil = later("shutil")

_STYLES = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_STATUS: dict[str, str] = {
    Status.RUNNING: "blue",
    Status.QUEUED: "dim",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.INTERRUPTED: "yellow",
    Status.LOST: "red",
    Status.UNKNOWN: "yellow",
    PRUNED: "cyan",
}
VERDICT_STYLES = {"identical": "green", "close": "yellow", "different": "red", "stopped": "yellow"}
_GAP = "  "
_MARK = f"\0{os.urandom(8).hex()}:"
# a colour, or else a control character (tab and line break are none here) or a change of the text's direction
_DRIVING = regexp(r"(\x1b\[[\d;:]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STYLE = regexp(rf"{_MARK}(\d+);")
# what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST_DAMAGED = 5
_MARKUP = regexp(r"[\\|`*_<>\[\]]")


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def coloured() -> bool:
    """Whether colour is wanted: on a terminal that has it, unless NO_COLOR is set; FORCE_COLOR overrules."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (on_terminal() and os.environ.get("TERM") != "dumb")


def width() -> int:
    """Return the columns that a line may have; a pipe has no end."""
    return shutil.get_terminal_size().columns if on_terminal() else 10_000


def styled(text: str, style: str) -> str:
    """Return text in a style, where colour is wanted."""
    return f"{_MARK}{_STYLES[style]};{text}{_MARK}0;" if text and coloured() else text


def _safe(text: str) -> str:
    """Return text as a terminal may be given it: on one line, the styles as codes, all else escaped."""
    if text.isprintable():
        return text
    plain, *styles = _STYLE.split(text)
    pieces = [f"\033[{code}m{printable(after)}" for code, after in zip(styles[::2], styles[1::2], strict=True)]
    return printable(plain) + "".join(pieces)


def status_style(status: str) -> str:
    """Return the style of a status, as it is shown; that of an interrupt for another program's own word."""
    return _STATUS.get(status, _STATUS[Status.INTERRUPTED])


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(f"{_safe(text)}\n")


def drawn(text: str) -> None:
    """Print a drawing of many lines as it is: made by us, of texts that were `printable`."""
    sys.stdout.write(f"{text}\n")


def as_printed(text: str) -> str:
    """
    Return what a run printed, for stdout: into a pipe as it is; for a terminal with its colours alone.

    A title, a clipboard, a cursor that goes up: what a program may do to its own user's terminal is not for a record,
    which may be anybody's, to do to its reader's.
    """
    return _DRIVING.sub(lambda found: found[1] or printable(found[0]), text) if on_terminal() else text


def csv_rows(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print CSV for programs; a text that a spreadsheet would take for a formula gets a ' before it, as is usual."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(_FORMULA) else value)


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in Markdown; what would end a cell or begin a tag is escaped."""
    for line in (header, ["---"] * len(header), *rows):
        texts = ("" if value is None else printable(str(value)) for value in line)
        say(f"| {' | '.join(_MARKUP.sub(_escaped, text) for text in texts)} |")


def _escaped(found: Match[str]) -> str:
    return f"\\{found[0]}"


def plain_cell(value: Any) -> Any:
    """Return a value in full, as CSV has it: numbers and texts as they are, a time as ISO 8601, the rest as JSON."""
    if value is None or isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    return iso(value) if isinstance(value, datetime) else exact(value)


def remark(text: str) -> None:
    """Print a line that is no part of the answer: on stderr, so that it gets into no file."""
    sys.stdout.flush()
    sys.stderr.write(f"{_safe(text)}\n")


def remark_error(error: Exception) -> None:
    """Print a message of one of several things that went wrong, on stderr; its lines stay lines."""
    remark_lines(f"anew: {error}")


def remark_lines(text: str) -> None:
    """Do as `remark` for a text of several lines, which stay lines."""
    for line in text.split("\n"):
        remark(line)


def remark_damage(records: Iterable[RunRecord], store: str) -> None:
    """Say which of the runs are damaged, and how: on stderr, so that programs that read the answer are told as well."""
    damaged = [record for record in records if record.damage]
    for record in damaged[:_MOST_DAMAGED]:
        more = f"; and {len(record.damage) - 1} more" if len(record.damage) > 1 else ""
        remark(f"Run {record.id} is damaged: {printable(record.damage[0].what)}{more}.")
    if len(damaged) > _MOST_DAMAGED:
        remark(f"{len(damaged) - _MOST_DAMAGED} more runs are damaged.")
    if damaged:
        remark(f"To see all of it, and how to mend it: {as_typed('anew check', store)}")


def heading(text: str) -> None:
    """Print a section's heading, an empty line before it."""
    say()
    say(styled(text, "bold"))


def cells(text: str) -> int:
    """Return how many columns text takes on a terminal: wide letters two, combining ones none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fitted(text: str, columns: int) -> str:
    """Return text that takes exactly so many columns, cut with an ellipsis or filled."""
    taken = cells(text)
    if taken > columns:
        from rich.cells import set_cell_size

        text = set_cell_size(text, max(columns - 1, 0)) + "…"
        taken = cells(text)
    return text + " " * (columns - taken)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    keep: int = 1,
    widest: int = 40,
    styles: Sequence[Sequence[str | None]] | None = None,
) -> None:
    """
    Print a table.

    On a terminal the columns that do not fit are left out from the right, those before *keep* never, and a line says
    so; long cells are cut at *widest*.

    Args:
        header: Column names.
        rows: Texts, as many as there are columns.
        keep: How many columns must stay.
        widest: In columns of the terminal.
        styles: A style or None for every cell.
    """
    header = [printable(name) for name in header]
    rows = [[printable(text) for text in row] for row in rows]
    limit = widest if on_terminal() else 10_000
    wide = [min(limit, max(cells(line[i]) for line in (header, *rows))) for i in range(len(header))]
    shown = _fitting(wide, keep)
    say(_GAP.join(styled(fitted(header[i], wide[i]), "dim") for i in range(shown)).rstrip())
    for number, row in enumerate(rows):
        texts = []
        for i in range(shown):
            text = fitted(row[i], wide[i])
            style = styles[number][i] if styles else None
            texts.append(styled(text, style) if style else text)
        say(_GAP.join(texts).rstrip())
    if shown < len(header):
        say(styled(f"Not shown for want of width: {', '.join(header[shown:])}", "dim"))


def _fitting(wide: Sequence[int], keep: int) -> int:
    room = width() + len(_GAP)
    for count, column in enumerate(wide):
        room -= column + len(_GAP)
        if room < 0 and count >= keep:
            return count
    return len(wide)


def pairs(items: Sequence[tuple[str, str]]) -> None:
    """Print names and what they are, aligned; empty ones are left out, long ones go on below themselves."""
    present = [(printable(name), text) for name, text in items if text]
    indent = max((cells(name) for name, _ in present), default=0) + 2
    for name, text in present:
        first, *rest = text.split("\n")
        say(f"  {styled(fitted(name, indent), 'dim')}{first}")
        for line in rest:
            say(f"  {' ' * indent}{line}")
