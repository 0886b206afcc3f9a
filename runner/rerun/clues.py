"""What a difference is by its look: times, durations, temporary names, paths of the run's own folder, made ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp
from anew.runner.records import RunRecord
from anew.runner.rerun.parts import is_number

_TIME_WORDS = frozenset(
    [
        "t0",
        "t1",
        "time",
        "times",
        "timing",
        "timings",
        "timestamp",
        "date",
        "datetime",
        "elapsed",
        "took",
        "duration",
        "durations",
        "secs",
        "seconds",
        "sec",
        "millis",
        "ms",
        "us",
        "ns",
        "latency",
        "wall",
        "walltime",
        "wallclock",
        "runtime",
        "speed",
        "throughput",
        "fps",
        "eta",
        "now",
        "began",
        "ended",
        "uptime",
        "clock",
        "dt",
        "tic",
        "toc",
        "ips",
        "overhead",
        "speedup",
        "stamp",
    ]
)
_WORD = regexp(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])|\d+")
_SLACK_S = 5.0
_SCALES = (1.0, 1e3, 1e6, 1e9)

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_STAMP = regexp(
    rf"\d{{4}}[-/.]\d\d[-/.]\d\d(?:[T _]\d\d[:h-]?\d\d(?:[:m-]?\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    rf"|D:\d{{14}}|(?:(?:{_DAYS})[a-z]*,? )?(?:(?:{_MONTHS})[a-z]* +\d\d?|\d\d? (?:{_MONTHS})[a-z]*)[ ,]+"
    r"(?:\d{4}|\d\d:\d\d:\d\d)"
    rf"(?: \d\d:\d\d:\d\d)?(?: \d{{4}})?|\b\d?\d:\d\d(?::\d\d(?:[.,]\d+)?)?\b|\b\d{{8}}[T_-]?\d{{6}}\b"
)
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_LASTED = regexp(
    rf"(?<![\w.]){_NUMBER}\s?(?:s|ms|us|µs|ns|sec|secs|seconds?|milliseconds?|microseconds?|minutes?|mins?|it/s|s/it)\b"
    r"|(?:\b\d+m ?\d+(?:\.\d+)?s\b)"
)
_NAMED = regexp(rf"(?P<name>[A-Za-z_][\w ./()%-]{{0,60}}?)(?P<mark>[\"']?\s*[:=,]\s*[\"']?|\s+)(?P<value>{_NUMBER})")
_CLOCK = regexp(r"\b\d+:\d\d(?::\d\d)?\b|\?(?=(?:it|[A-Za-z]+)/s)")
_TEMPORARY = regexp(r"\btmp[A-Za-z0-9_]{8}\b")
# without its dashes one of version 4 alone (RFC 9562): any other 32 digits are sooner an MD5 of what differs
_UUID = regexp(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15})\b",
    re.IGNORECASE,
)
_ADDRESS = regexp(r"0x[0-9a-f]{6,}")
_LONG_NUMBER = regexp(r"\d{10,19}(?:\.\d+)?")
_SANDBOX = regexp(r"[^\s'\"<>]*/anew/reruns/[0-9a-z]{26}(?:/files)?")


@dataclass(frozen=True, slots=True)
class Clue:
    """
    What a difference is by its look.

    Attributes:
        kind: As a `Cause` has it.
        what: In words that go after "it is": "a time".
    """

    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Looks:
    """Recognises what differs between two runs."""

    was: RunRecord
    now: RunRecord
    folders: Sequence[str] = ()

    def of_values(self, name: str, recorded: Any, now: Any) -> Clue | None:
        """Return what two values are; None when nothing is known of them."""
        if isinstance(recorded, str) and isinstance(now, str):
            return self.of_texts(recorded, now)
        if not (is_number(recorded) and is_number(now)):
            return None
        if any(self._is_moment(recorded, now, scale) for scale in _SCALES):
            return Clue("time", "a time of day, as a number")
        if _sounds_like_time(name):
            return Clue("time", f"a duration or a time, going by its name ({name})")
        return None

    def may_be_duration(self, recorded: Any, now: Any) -> bool:
        """Whether two numbers lie in the order of how long the runs took."""
        if not (isinstance(recorded, float) and isinstance(now, float)):
            return False
        lasted = self.was.duration_s or 0.0, self.now.duration_s or 0.0
        return all(0 < value <= limit + _SLACK_S for value, limit in zip((recorded, now), lasted, strict=True))

    def of_texts(self, recorded: str, now: str) -> Clue | None:
        """Return what makes two texts differ, when the rest of them is the same."""
        if recorded == now:
            return None
        found: list[Clue] = []
        for clue, pattern, is_one in self._patterns():
            recorded, cut = _cut(recorded, pattern, is_one)
            now, cut_now = _cut(now, pattern, is_one)
            if cut != cut_now:
                found.append(clue)
            if recorded == now and found:
                return _together(found)
        if sorted(recorded.splitlines()) == sorted(now.splitlines()):
            return Clue("order", "the same lines in another order")
        if sorted(_words(recorded)) == sorted(_words(now)):
            return Clue("order", "the same words in another order")
        return None

    def is_moment(self, value: float) -> bool:
        """Whether a number of seconds lies within one of the runs, or shortly before."""
        return any(_begins(record) <= value <= _ends(record) for record in (self.was, self.now))

    def _is_moment(self, recorded: float, now: float, scale: float) -> bool:
        pairs = ((recorded, self.was), (now, self.now))
        return all(_begins(record) <= float(value) / scale <= _ends(record) for value, record in pairs)

    def _patterns(self) -> Iterator[tuple[Clue, re.Pattern[str], Callable[[re.Match[str]], bool]]]:
        """Yield what is told by which pattern, and which matches of that count; the surest first."""
        yield Clue("place", "the path of the run's own folder or project"), own_places(self.folders), _always
        yield Clue("temporary", "a temporary name"), _TEMPORARY, _always
        yield Clue("unseeded", "a random id (UUID)"), _UUID, _always
        yield Clue("place", "an object's address in memory"), _ADDRESS, _always
        yield Clue("time", "a date or a time of day"), _STAMP, _always
        yield Clue("time", "a duration"), _LASTED, _always
        yield Clue("time", "a duration or a time, going by its name"), _NAMED, lambda m: _sounds_like_time(m["name"])
        yield Clue("time", "a time of day, as a number"), _LONG_NUMBER, lambda m: self._is_any_moment(m[0])

    def _is_any_moment(self, text: str) -> bool:
        return any(self.is_moment(float(text) / scale) for scale in _SCALES)


def own_places(folders: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the paths of a run's own place: of its folder, of the project, and of that laid out again."""
    known = sorted({folder for folder in folders if len(folder) > 1}, key=len, reverse=True)
    # in a re-run the project's path stands below the sandbox, and the two together are one place
    paths = "|".join(map(re.escape, known))
    return re.compile(f"(?:{_SANDBOX.pattern})?(?:{paths})|{_SANDBOX.pattern}" if paths else _SANDBOX.pattern)


def without_durations(text: str) -> str:
    """Return a text with a mark in place of each duration, rate and clock time."""
    return _LASTED.sub("@", _CLOCK.sub("@", text))


def _begins(record: RunRecord) -> float:
    return record.started_at.timestamp() - _SLACK_S


def _ends(record: RunRecord) -> float:
    return record.started_at.timestamp() + (record.duration_s or 0.0) + _SLACK_S


def _sounds_like_time(name: str) -> bool:
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _TIME_WORDS) or bool(
        re.search(r"(?:^|[^a-z])(?:t0|t1)(?:$|[^a-z0-9])|per_?s(?:ec(?:ond)?)?$|_s$", name)
    )


def _always(match: re.Match[str]) -> bool:
    return True


def _cut(text: str, pattern: re.Pattern[str], is_one: Callable[[re.Match[str]], bool]) -> tuple[str, list[str]]:
    """Return a text without what a pattern matches, and that."""
    cut: list[str] = []

    def take(match: re.Match[str]) -> str:
        if not is_one(match):
            return match[0]
        cut.append(match[0])
        begin = match.start("value") - match.start() if "value" in pattern.groupindex else 0
        return f"{match[0][:begin]}@"

    return pattern.sub(take, text), cut


def _together(found: Sequence[Clue]) -> Clue:
    what = " and ".join(dict.fromkeys(clue.what for clue in found))
    return Clue(found[-1].kind, what)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\s,;\[\]{}()'\"]+", text)
