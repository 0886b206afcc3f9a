"""How things are said: times, durations, sizes and values as short texts, and what messages are made of."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from anew.runner.errors import AnewError
from anew.runner.format.values import exact_form, plain, shown
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.records import CommandFacts

if TYPE_CHECKING:
    import decimal
    import difflib
else:
    difflib = later("difflib")
    decimal = later("decimal")

_LONG_FLOAT = regexp(r"(?<![\w.])\d+\.\d{7,}(?:[eE][+-]?\d+)?(?![\w.])")
_LONG_BITS = 200
_WORDS = frozenset({"", "true", "false", "null", "none"})
_UNITS = ((86400 * 365, "y"), (86400 * 30, "mo"), (86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def typed(command: CommandFacts) -> str:
    """Return a command line as it is shown; of what `anew run` runs, to be typed again."""
    return f"anew run {shlex.join(command.argv)}" if is_without_main(command) else " ".join(command.argv)


def is_without_main(command: CommandFacts) -> bool:
    """Whether `anew run` runs it: no main returns anything, and what is printed is a part of what comes of it."""
    return command.entry in ("program", "command", "notebook")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a time was, in one unit: "3 min ago"; "in 5 s" for one that is to come."""
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    for length, unit in _UNITS:
        if abs(seconds) >= length:
            text = f"{int(abs(seconds) // length)} {unit}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "now"


def duration(seconds: float | None) -> str:
    """Return a duration in one or two units: "0.3 s", "12 s", "2 min 5 s", "3 h 20 min"."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def size(count: int) -> str:
    """Return a number of bytes: "812 B", "3.4 KiB", "1.2 GiB"."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def short(value: Any) -> str:
    """Return a value in little space: floats to five digits, texts and lists of texts as they are, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.5g}"
        return f"{text}.0" if text.lstrip("-").isdecimal() else text
    if isinstance(value, int) and value.bit_length() > _LONG_BITS:
        return f"{decimal.Decimal(value):.5g}"
    if isinstance(value, str):
        return exact(value)
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return printable(" ".join(map(word, value)))
    if (
        isinstance(value, Mapping)
        and len(value) <= 3
        and all(isinstance(item, (int, float)) for item in value.values())
    ):
        return " ".join(f"{printable(key_name(key))}={short(item)}" for key, item in value.items())
    return exact(value)


def exact(value: Any) -> str:
    """Return a value in full, as it would be typed: a text in quotes where it reads like something else."""
    if isinstance(value, str) and not _reads_otherwise(value):
        return printable(value)
    return printable(json.dumps(shown(value), ensure_ascii=False))


def key_name(key: Any) -> str:
    """Return what a key is called in a dotted name: a text in quotes where it reads like something else."""
    return json.dumps(key) if isinstance(key, str) and ("." in key or _reads_otherwise(key)) else str(key)


def _reads_otherwise(text: str) -> bool:
    """Whether a text, written without quotes, would be taken for a number, a truth value, a list, or nothing."""
    if text[:1] in ("[", "{", '"', "'") or text != text.strip() or text.lower() in _WORDS:
        return True
    with suppress(ValueError):
        float(text)
        return True
    return False


def told_apart(was: Any, now: Any) -> tuple[Any, Any]:
    """Return two values that are not the same as JSON that is not either: with their kinds, where it would be."""
    sides = plain(was), plain(now)
    if exact_form(sides[0]) != exact_form(sides[1]):
        return sides
    words = exact(was), exact(now)
    if words[0] != words[1]:
        return words
    return f"{words[0]} ({type(was).__name__})", f"{words[1]} ({type(now).__name__})"


def without_noise(text: str) -> str:
    """Return a text with its long floats in six digits: what a search draws has seventeen."""
    return _LONG_FLOAT.sub(lambda found: f"{float(found[0]):.6g}", text)


def word(text: str) -> str:
    """Return a text as one word among others: in quotes if it is empty or has spaces in it."""
    return text if text and not any(map(str.isspace, text)) else json.dumps(text, ensure_ascii=False)


def printable(text: str) -> str:
    """Return text on one line, control characters and surrogates escaped: a record must not drive a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )


def in_a_line(error: BaseException | str, most: int = 1000) -> str:
    """Return what an error says, or a text, on one line, at most so many characters of it."""
    return " ".join(str(error).split())[:most]


def place_of(error: BaseException) -> str:
    """Return in which line of somebody's own an error came up, " in flaky.py:13"; nothing for an error of ours."""
    import sysconfig
    import traceback

    if isinstance(error, AnewError):
        return ""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    places = ((Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__))
    own = [each for each in places if each[0].is_absolute() and not any(map(each[0].is_relative_to, installed))]
    own = [each for each in own if not each[0].is_relative_to(Path(__file__).parent)]
    return f" in {own[-1][0].name}:{own[-1][1]}" if own else ""


def users_frames(trace: TracebackType | None) -> TracebackType | None:
    """
    Return a traceback without frames of ours that a user's own frame stands behind, as of a run in a run.

    Where the failure is in ours, those frames stay that lead from the user's last one to it.
    """
    each: list[TracebackType] = []
    while trace is not None:
        each.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    is_last = True
    for step in reversed(each):
        is_ours = str(step.tb_frame.f_globals.get("__name__", "")).startswith("anew.runner.")
        is_last = is_last and is_ours
        if is_last or not is_ours:
            kept = TracebackType(kept, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return kept


def trim_causes(error: BaseException) -> None:
    """Have what an exception was raised from, or while handling, be shown by the user's own frames alone."""
    seen = {id(error)}
    todo = [error.__cause__, error.__context__]
    while todo:
        each = todo.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = users_frames(each.__traceback__)
            todo += [each.__cause__, each.__context__]


def sentence(text: str) -> str:
    """Return a text with a full stop, unless it ends with a mark already."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def some(names: Sequence[object], most: int = 3) -> str:
    """Return the first of the names, and how many more there are: "a, b, c and 12 more"."""
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more} more" if more > 0 else "")


def closest(given: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like the one given, if one is."""
    return next(iter(difflib.get_close_matches(given, list(names), n=1)), None)


def lines(text: str) -> str:
    """Return text with its line breaks, all else that could drive a terminal escaped."""
    return "\n".join(printable(line) for line in text.split("\n"))


def nearest(given: str, names: Iterable[str], prefix: str = "", *, line: bool = False) -> str:
    """Return " Did you mean ...?" with the names that come closest, each after *prefix*; "" when none is near."""
    close = difflib.get_close_matches(given, list(dict.fromkeys(str(name) for name in names)), n=2)
    if not close:
        return ""
    return f"{chr(10) if line else ' '}Did you mean {' or '.join(prefix + name for name in close)}?"


def show(text: str) -> None:
    """Show on a terminal, in place of what was shown before, what is being done; "" takes that away. Else nothing."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{f'anew: {lines(text)}' if text else ''}")
        sys.stderr.flush()


def say(text: str) -> None:
    """Write one line of ours to stderr; a closed stderr is no reason to fail."""
    try:
        sys.stderr.write(f"anew: {lines(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
