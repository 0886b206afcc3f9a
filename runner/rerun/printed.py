"""What two programs printed, compared line by line: of a program that has no main it is what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import field, replace

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp
from anew.runner.rerun.clues import own_places, without_durations
from anew.runner.rerun.parts import Part, apart
from anew.runner.rerun.sides import Side, own_folders
from anew.runner.wording import is_without_main, some

_MOST_PARTS = 200
_ADDRESS = regexp(r"0x[0-9a-f]{6,}")
_NUMBER = regexp(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.])")
_CUT = regexp(r"^\[\.\.\. +\d+ bytes (?:left out|could not be written: .*) \.\.\.\]$", re.MULTILINE)
# tqdm's own form, and the bars that Keras and Rich draw
_BAR = regexp(r"\d+%\|.*\[.*\]|[\u2501\u2578\u257a\u2588]{3,}|\[[=>#.-]{8,}\]")


@dataclass(slots=True)
class PrintedCompared:
    """
    Where what two programs printed parts.

    Attributes:
        parts: The lines that differ, or the first of them where one printed more lines than the other.
        remarks: What was not compared, and why, in sentences.
    """

    parts: list[Part] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def compare_printed(was: Side, now: Side, *, broken_off: bool) -> PrintedCompared:
    """
    Compare what two runs of a program without a main printed on stdout; of other runs nothing is compared.

    The paths of a run's own place, addresses in memory, and what progress bars say of time make no difference. Where
    stdout and stderr were one terminal or file in both runs, what was printed there is compared as one; where they
    were in one of them, all of the other's stdout has to be there. By which stream came what is beside it is not known:
    where that is more than the other's stderr, it is a difference, and the doubt is said.

    Args:
        was: The run on record.
        now: Its re-run.
        broken_off: Whether the run on record did not come to its end.
    """
    if not is_without_main(was.record.command):
        return PrintedCompared()
    why = _why_not(was, now, broken_off)
    if why is None:
        texts = [side.printed() for side in (was, now)]
        if any(_CUT.search(text) for text, _ in texts):
            why = "it is longer than anew.output.limit_bytes, so that a part of it was left out"
    if why is not None:
        return PrintedCompared(remarks=[f"What it printed is not compared: {why}."])
    places = own_places(own_folders(was, now))
    old, new = (_Lines(_split(text), turns, places) for text, turns in texts)
    if old.is_mixed is new.is_mixed:
        return PrintedCompared(parts=[*_by_lines(old, new)])
    return _by_stdout(old, new)


def _why_not(was: Side, now: Side, broken_off: bool) -> str | None:
    for side, which in ((was, "the recorded run"), (now, "the re-run")):
        if side.is_output_damaged:
            return f"the log of {which} is damaged"
        if not side.has_output:
            return f"the output of {which} was not captured"
    return "the recorded run broke off" if broken_off else None


def _split(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


class _Lines:
    """What one run printed, by lines; as it stands there, and without what is another in each run."""

    def __init__(self, lines: list[str], turns: tuple[int, ...] | None, places: re.Pattern[str]) -> None:
        is_told_apart = turns is not None and sum(turns) == len(lines)
        self.is_mixed = not is_told_apart
        self.errors = 0
        self.shown = lines
        if is_told_apart:
            of_errors = [index % 2 == 1 for index, count in enumerate(turns or ()) for _ in range(count)]
            self.shown = [line for line, is_error in zip(lines, of_errors, strict=True) if not is_error]
            self.errors = len(lines) - len(self.shown)
        self.plain = [_plain(line, places) for line in self.shown]

    def at(self, index: int) -> tuple[str | None, str | None]:
        """Return a line as it stands there and as it is compared; None twice behind the last."""
        return (self.shown[index], self.plain[index]) if index < len(self.shown) else (None, None)


def _plain(line: str, places: re.Pattern[str]) -> str:
    line = _ADDRESS.sub("0x", places.sub("@", line))
    return without_durations(line) if _BAR.search(line) else line


def _by_stdout(old: _Lines, new: _Lines) -> PrintedCompared:
    """Compare two of which one alone has its streams apart: in the other, lines of stderr stand anywhere."""
    found = PrintedCompared()
    mixed, told = (old, new) if old.is_mixed else (new, old)
    known = Counter(told.plain)
    left: list[tuple[str, str]] = []
    for shown, plain in zip(mixed.shown, mixed.plain, strict=True):
        known[plain] -= 1
        if known[plain] < 0:
            left.append((shown, plain))
    for index, (shown, plain) in enumerate(zip(told.shown, told.plain, strict=True)):
        if known[plain] > 0:
            known[plain] -= 1
            other = next((each for each in left if _numbers_aside(each[1]) == _numbers_aside(plain)), (None, None))
            if other[0] is not None:
                left.remove(other)
            found.parts.append(_part(index, *((other, (shown, plain)) if old.is_mixed else ((shown, plain), other))))
    if len(left) > told.errors:
        # which may be stdout's: to call that the same would be to compare less
        which, last = ("the recorded run" if old.is_mixed else "the re-run"), left[-1]
        found.parts.append(_part(len(told.plain), *((last, (None, None)) if old.is_mixed else ((None, None), last))))
        found.remarks.append(
            f"In {which} stdout and stderr were one. There is more beside the other's stdout than that one's stderr: "
            f"{some([repr(shown) for shown, _ in left])}. Where that came by stderr, which is not compared, nothing "
            "differs; to tell, run it again with stderr in a file of its own (2>FILE)."
        )
    return found


def _part(index: int, was: tuple[str | None, str | None], now: tuple[str | None, str | None]) -> Part:
    return Part("output", f"line {index + 1}", None, was[0], now[0], _deviation(was[1], now[1]))


def _by_lines(old: _Lines, new: _Lines) -> Iterator[Part]:
    is_as_long = len(old.shown) == len(new.shown)
    found = 0
    for index in range(max(len(old.shown), len(new.shown))):
        was, now = (side.at(index) for side in (old, new))
        if was[1] == now[1]:
            continue
        found += 1
        part = _part(index, was, now)
        is_last = not is_as_long or found == _MOST_PARTS
        yield replace(part, deviation=None) if is_last else part
        if is_last:
            return


def _numbers_aside(line: str) -> str:
    return _NUMBER.sub("@", line)


def _deviation(was: str | None, now: str | None) -> float | None:
    """Return how far the numbers in two lines are apart, where the rest of them is the same."""
    if was is None or now is None or _numbers_aside(was) != _numbers_aside(now):
        return None
    found = [
        apart(float(a), float(b)) for a, b in zip(_NUMBER.findall(was), _NUMBER.findall(now), strict=True) if a != b
    ]
    known = [each for each in found if each is not None]
    return max(known, default=None) if len(known) == len(found) else None
