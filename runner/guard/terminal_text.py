"""
What a terminal would show, as plain text: colours gone, progress bars in their final state.

A model of the last rows only. Text that can no longer change leaves it and never comes back, so that the cost is linear
in what was printed. The control functions understood are those of ECMA-48 that progress bars and dashboards use; others
are left out of the text. Lines are not wrapped: what was one line stays one.
"""

from __future__ import annotations

import re
from functools import cache

KEEP_ROWS = 50
_MOST_TURNS = 2000
_LONG_ROW = 1 << 14
_LONGEST_SEQUENCE = 4096

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_SPECIAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]+"  # text
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # control sequence
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # control string: titles, links, images
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # escape sequence
    r"|[\x00-\x1f\x7f-\x9f]"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)\Z")
_ALTERNATE_SCREEN = ("?1049", "?1047", "?47")


class Row:
    """A line that may still change; `ended` once its writer has gone on to the next."""

    __slots__ = ("ended", "owner", "text")

    def __init__(self, owner: Cursor) -> None:
        self.owner = owner
        self.text = ""
        self.ended = False


class Turns:
    """
    How many lines of a text are of which stream.

    Attributes:
        counts: Lines by turns: of what was printed (0 where errors come first), of errors, of what was printed, ...;
            None where there were too many turns to be kept.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: tuple[int, ...] | None = (0,)) -> None:
        self.counts = counts

    def copy(self) -> Turns:
        """Return the same, to be gone on with apart from this."""
        return Turns(self.counts)

    def add(self, of_errors: bool, lines: int) -> None:
        """Take note of lines that come next."""
        if self.counts is None or not lines:
            return
        if len(self.counts) % 2 == (0 if of_errors else 1):
            self.counts = (*self.counts[:-1], self.counts[-1] + lines)
        else:
            self.counts = (*self.counts, lines) if len(self.counts) < _MOST_TURNS else None


class Screen:
    """
    The last rows of a log that any number of streams write to, each with a cursor of its own.

    Rows stand in the order in which they were begun, whichever stream they are of; no stream writes into another's row.
    Not safe in threads.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._final: list[str] = []
        self._cursors: list[Cursor] = []
        self._torn: Row | None = None
        self._turns = Turns()

    def cursor(self, *, of_errors: bool = False) -> Cursor:
        """Return the place where a further stream writes: what is printed, or with *of_errors* what is said of it."""
        cursor = Cursor(self, of_errors=of_errors)
        self._cursors.append(cursor)
        return cursor

    def take(self) -> str:
        """Return the text that has become final since the last call."""
        text = "".join(self._final)
        self._final.clear()
        return text

    def tail(self) -> str:
        """Return the rows that may still change, as they would stand at the end of the text."""
        rows = self._rows
        if not rows:
            return ""
        seam = "\n" if self._torn is not None and self._torn is not rows[0] else ""
        return seam + "\n".join([row.text for row in rows]) + ("\n" if rows[-1].ended else "")

    def turns(self) -> tuple[int, ...] | None:
        """Return how many lines the streams have by turns; see `Turns`."""
        turns = self._turns.copy()
        self._count_tail(turns)
        return turns.counts

    def _count_tail(self, turns: Turns) -> None:
        if self._torn is not None and self._rows and self._torn is not self._rows[0]:
            turns.add(self._torn.owner.of_errors, 1)
        for row in self._rows:
            turns.add(row.owner.of_errors, 1)

    def finish(self) -> None:
        """Make everything final."""
        for cursor in self._cursors:
            cursor.drop_blank_rows()
        self._final.append(self.tail())
        self._count_tail(self._turns)
        self._rows.clear()

    def add(self, row: Row) -> None:
        """Begin a row."""
        self._rows.append(row)
        if len(self._rows) > KEEP_ROWS:
            self._release(len(self._rows) - KEEP_ROWS)

    def remove(self, row: Row) -> None:
        """Take a row away that was erased."""
        self._rows.remove(row)

    def pass_by(self, text: str, owner: Cursor) -> None:
        """Take whole lines that are final at once, after all rows that can become final."""
        self._release(len(self._rows))
        self._seam(None)
        self._final.append(text)
        self._turns.add(owner.of_errors, text.count("\n"))

    def tear(self, row: Row) -> None:
        """Make the text of an overlong row final, though the row goes on."""
        self._release(self._rows.index(row))
        self._seam(row)
        self._final.append(row.text)
        row.text = ""
        self._torn = row

    def _release(self, count: int) -> None:
        """Make the oldest *count* rows final, save those that their cursor stands on or above."""
        live = {id(row) for cursor in self._cursors for row in cursor.rows[cursor.y :]}
        leaving = [row for row in self._rows[:count] if id(row) not in live]
        for row in leaving:
            self._seam(row)
            self._final.append(row.text + "\n")
            self._turns.add(row.owner.of_errors, 1)
            self._rows.remove(row)
            row.owner.forget(row)

    def _seam(self, row: Row | None) -> None:
        """End the line of a torn row before another text follows it."""
        if self._torn is not None and self._torn is not row:
            self._final.append("\n")
            self._turns.add(self._torn.owner.of_errors, 1)
        self._torn = None


class Cursor:
    """
    Where one stream writes.

    Attributes:
        rows: The stream's own rows that may still change.
        y: Index in `rows`; equal to its length on a row not begun yet.
        of_errors: Whether the stream is for errors.
    """

    def __init__(self, screen: Screen, *, of_errors: bool = False) -> None:
        self.of_errors = of_errors
        self._screen = screen
        self.rows: list[Row] = []
        self.y = 0
        self._x: int | None = None  # in cells; None: at the end of the row
        self._top: int | None = None  # of what was last cleared
        self._saved: tuple[int, int] = (0, 0)
        self._unfinished = ""

    def feed(self, text: str) -> None:
        """Write what the stream printed; sequences may be cut anywhere between calls."""
        if self._unfinished:
            text = self._unfinished + text
            self._unfinished = ""
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
            if cut := _UNFINISHED.search(text, max(0, len(text) - _LONGEST_SEQUENCE)):
                self._unfinished = cut[0]
                text = text[: cut.start()]
        if _SPECIAL.search(text):
            self._with_controls(text)
        else:
            self._plain(text)

    def forget(self, row: Row) -> None:
        """Note that a row of ours, above the cursor, is final."""
        self.rows.remove(row)
        self.y -= 1
        if self._top:
            self._top -= 1

    def drop_blank_rows(self) -> None:
        """Drop what was erased below the cursor, when nothing more will come."""
        while len(self.rows) > self.y and not self.rows[-1].text:
            if len(self.rows) == self.y + 1 and self.rows[-1].ended:
                return
            self._screen.remove(self.rows.pop())

    # --- text ---------------------------------------------------------------------------------------------------

    def _plain(self, text: str) -> None:
        line, newline, rest = text.partition("\n")
        self._write(line)
        if newline:
            self._newline()
            self._lines(rest)

    def _lines(self, text: str) -> None:
        if self.y == len(self.rows) and text.count("\n") > KEEP_ROWS:
            cut = len(text)
            for _ in range(KEEP_ROWS):
                cut = text.rindex("\n", 0, cut)
            self._screen.pass_by(text[: cut + 1], self)
            text = text[cut + 1 :]
        *lines, last = text.split("\n")
        for line in lines:
            self._write(line)
            self._newline()
        self._write(last)

    def _write(self, text: str) -> None:
        if not text:
            return
        row = self._row()
        if self._x is None:
            row.text += text
        else:
            row.text, self._x = _overwritten(row.text, self._x, text)
        if len(row.text) > _LONG_ROW:
            self._screen.tear(row)
            self._x = None

    def _row(self) -> Row:
        while self.y >= len(self.rows):
            row = Row(self)
            self.rows.append(row)
            self._screen.add(row)
        return self.rows[self.y]

    def _newline(self) -> None:
        self._row().ended = True
        self.y += 1
        self._x = None if self.y == len(self.rows) else 0

    # --- control functions --------------------------------------------------------------------------------------

    def _with_controls(self, text: str) -> None:
        for match in _TOKEN.finditer(text):
            token = match[0]
            first = token[0]
            if first == "\n":
                self._newline()
            elif first == "\r":
                self._x = 0
            elif first == "\b":
                self._x = max(0, self._column() - 1)
            elif first == "\x1b":
                self._escape(token)
            elif first == "\t" or first >= "\xa0" or " " <= first < "\x7f":
                self._write(token)

    def _escape(self, token: str) -> None:
        if token.startswith("\x1b["):
            self._control(token[-1], token[2:-1])
        elif token == "\x1b7":
            self._saved = (self.y, self._column())
        elif token == "\x1b8":
            self._move(*self._saved)
        elif token == "\x1bc":
            self._erase_from(self._home())

    def _control(self, function: str, words: str) -> None:
        if words.startswith("?"):
            if words in _ALTERNATE_SCREEN and function in "hl":
                self._alternate(function == "h")
            return
        numbers = [int(word) if word.isascii() and word.isdigit() else 0 for word in words.split(";")]
        count = max(1, numbers[0])
        if function == "A":
            self._move(self.y - count, self._column())
        elif function == "B":
            self._move(self.y + count, self._column())
        elif function == "C":
            self._x = min(self._column() + count, _LONG_ROW)
        elif function == "D":
            self._x = max(0, self._column() - count)
        elif function in "EF":
            self._move(self.y + (count if function == "E" else -count), 0)
        elif function in "G`":
            self._x = min(count, _LONG_ROW) - 1
        elif function in "Hf":
            column = numbers[1] if len(numbers) > 1 else 1
            self._address(count, max(1, column))
        elif function == "J":
            self._erase_display(numbers[0])
        elif function == "K":
            self._erase_line(numbers[0])
        elif function == "s":
            self._saved = (self.y, self._column())
        elif function == "u":
            self._move(*self._saved)

    def _column(self) -> int:
        if self._x is not None:
            return self._x
        return _width(self.rows[self.y].text) if self.y < len(self.rows) else 0

    def _move(self, y: int, x: int) -> None:
        """Go to a row that there is, or stay on the one not begun yet."""
        self.y = max(0, min(y, max(self.y, len(self.rows) - 1)))
        self._x = x

    def _home(self) -> int:
        if self._top is None:
            self._top = len(self.rows)
        self.y, self._x = min(self._top, len(self.rows)), 0
        return self.y

    def _address(self, line: int, column: int) -> None:
        self._home()
        for _ in range(min(line, KEEP_ROWS) - 1):
            self._newline()
        self._x = min(column, _LONG_ROW) - 1

    def _alternate(self, entered: bool) -> None:
        """Begin a screen that will vanish, or let it vanish."""
        if entered:
            self._top = len(self.rows)
            self.y, self._x = self._top, None
        else:
            self._erase_from(self._home())
            self._x = None

    def _erase_display(self, part: int) -> None:
        if part == 0:
            self._erase_line(0)
            self._erase_from(self.y + 1)
        elif part == 2:
            if self._top is None:
                self._top = len(self.rows)
            self._erase_from(self._top)

    def _erase_from(self, y: int) -> None:
        while len(self.rows) > y:
            self._screen.remove(self.rows.pop())
        self.y = min(self.y, len(self.rows))
        if self.y == len(self.rows) - 1:
            self.rows[-1].ended = False

    def _erase_line(self, part: int) -> None:
        if self.y >= len(self.rows):
            return
        row = self.rows[self.y]
        column = self._column()
        if part == 0:
            row.text = "".join(_cells(row.text)[:column])
        elif part == 1:
            row.text = " " * (column + 1) + "".join(_cells(row.text)[column + 1 :])
        else:
            row.text = ""
        self._x = column


def _overwritten(old: str, column: int, new: str) -> tuple[str, int | None]:
    """
    Return a row after *new* was written at *column*, without blanks at its end, and the column behind it.

    The column is None at the end of the row. Of a wide character that is half overwritten a blank is left.
    """
    if old.isascii() and new.isascii():
        end = column + len(new)
        text = old[:column].ljust(column) + new + old[end:]
    else:
        before, written = _cells(old), _cells(new)
        end = column + len(written)
        head, rest = before[:column], before[end:]
        if before[column : column + 1] == [""]:
            head[-1] = " "
        if rest[:1] == [""]:
            rest[0] = " "
        text = "".join(head + [" "] * (column - len(head)) + written + rest)
        old = "x" * len(before)
    kept = text.rstrip(" ")
    return kept, None if kept == text and end >= len(old) else end


def _width(text: str) -> int:
    return len(text) if text.isascii() else len(_cells(text))


def _cells(text: str) -> list[str]:
    """Return what stands in each column; a wide character is followed by an empty cell, an accent joins its letter."""
    if text.isascii():
        return list(text)
    cells: list[str] = []
    for letter in text:
        columns = _columns(letter)
        if columns == 0 and cells:
            cells[-1] += letter
        else:
            cells += (letter, "") if columns == 2 else (letter,)
    return cells


@cache
def _columns(letter: str) -> int:
    import unicodedata

    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
