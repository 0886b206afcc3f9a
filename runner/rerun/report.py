"""How a re-run came out, and what differs, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from signal import Signals
from typing import Any

from anew.runner import errors
from anew.runner.dataclass import dataclass
from anew.runner.format.serial import to_json
from anew.runner.records import Cause, RerunOf, Status, Verdict
from anew.runner.rerun.environments import is_used
from anew.runner.wording import some

_MOST = 30
_MOST_PACKAGES = 10
_TITLES = {
    "python": "Python",
    "packages": "packages",
    "origins": "where packages came from",
    "variables": "variables",
    "threads": "threads",
    "libraries": "libraries",
    "hardware": "hardware",
    "inputs": "inputs",
    "elsewhere": "code outside of the project",
    "repositories": "repositories of code outside of the project",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RerunResult:
    """
    How a re-run came out.

    Attributes:
        run: The new run's number.
        uid: Its uid.
        rerun_of: The run that was repeated.
        status: How the new run ended.
        judged: The verdict, with the differences and what may explain them.
        notes: What could not be as on record, in sentences.
        signal: The signal that stopped the new run, or None.
        told_to_stop: Whether it was this process that got it, and handed it on.
    """

    run: int
    uid: str
    rerun_of: RerunOf
    status: Status
    judged: Verdict
    notes: tuple[str, ...] = ()
    signal: str | None = None
    told_to_stop: bool = False

    @property
    def verdict(self) -> str:
        """One of "identical", "close", "different", "stopped"."""
        return self.judged.verdict

    @property
    def reasons(self) -> tuple[Cause, ...]:
        """What explains a difference, or may, likeliest first; each with its kind and its place."""
        return self.judged.reasons

    @property
    def causes(self) -> tuple[str, ...]:
        """The same in sentences, as the command line shows them."""
        return self.judged.causes

    @property
    def exit_code(self) -> int:
        """What `anew rerun` exits with."""
        if self.told_to_stop or self.status is Status.INTERRUPTED:
            return errors.EXIT_SIGNAL + Signals[self.signal or "SIGINT"]
        if self.judged.overrides:
            return errors.EXIT_OK if self.status is Status.COMPLETED else errors.EXIT_FAILED
        if self.verdict == "stopped":  # killed, by whomever
            return errors.EXIT_FAILED
        return errors.EXIT_DIFFERENT if self.verdict == "different" else errors.EXIT_OK

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        judged = self.judged
        return {
            "run": self.run,
            "uid": self.uid,
            "rerun_of": {"id": self.rerun_of.id, "uid": self.rerun_of.uid},
            "verdict": judged.verdict,
            "status": self.status.value,
            "overrides": list(judged.overrides),
            "differences": judged.differences,
            "first_difference": judged.first_difference,
            "max_deviation": judged.max_deviation,
            "max_deviation_at": judged.max_deviation_at,
            "causes": list(judged.causes),
            "reasons": [to_json(each) for each in judged.reasons],
            "points": judged.points,
            "remarks": list(judged.remarks),
            "settled": judged.settled,
            "notes": list(self.notes),
        }


def difference_lines(ref: int, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table of what differs from the record, grouped; nothing when nothing does."""
    if not found:
        return
    yield f"different from run {ref}:"
    for section, entries in found.items():
        yield f"  {_TITLES.get(section, section)}"
        yield from (f"    {line}" for line in _section_lines(section, entries))


def _section_lines(section: str, entries: Mapping[str, Any]) -> Iterator[str]:
    idle = sorted(name for name in entries if section == "packages" and not is_used(entries[name]))
    names = sorted(entries.keys() - set(idle))
    most = _MOST_PACKAGES if section in ("packages", "origins") else _MOST
    wide = max((len(name) for name in names[:most]), default=0)
    yield from (f"{name:<{wide}}  {_change(section, entries[name])}" for name in names[:most])
    if len(names) > most:
        yield f"and {len(names) - most} more"
    if idle:
        yield f"{len(idle)} that main did not import: {some(idle)}"


def _change(section: str, entry: Mapping[str, Any]) -> str:
    if section in ("inputs", "elsewhere"):
        state = "is not there any more" if entry["now"] is None else "has changed"
        otherwise = "its content was not kept" if section == "inputs" else "today's is used"
        return f"{state}; " + ("the recorded content is laid out" if entry["restored"] else otherwise)
    if section == "packages" and (entry["recorded"] is None or entry["now"] is None):
        return f"{entry['now']}, was not there" if entry["recorded"] is None else f"was {entry['recorded']}, is missing"
    return f"{_shown(entry['recorded'])} -> {_shown(entry['now'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def verdict_lines(run: int, of: int | str, verdict: Verdict) -> Iterator[str]:
    """Yield how a re-run came out."""
    changed = f" with {' '.join(verdict.overrides)}" if verdict.overrides else ""
    yield f"run {run} is a re-run of {of}{changed}: {verdict_words(verdict)}"
    if verdict.verdict == "identical":
        yield from (f"  {text}" for text in verdict.remarks)
        return
    if verdict.max_deviation and (place := verdict.max_deviation_at):
        yield f"  largest deviation  {verdict.max_deviation:.3g} (relative), {_place(place)}"
    if verdict.first_difference:
        part = verdict.first_difference
        yield f"  first difference   {_place(part)}: {_side(part, 'recorded')} -> {_side(part, 'now')}"
    for number, cause in enumerate(verdict.causes):
        yield f"  {'why' if number == 0 else '':<17}  {cause}"
    for number, text in enumerate(verdict.remarks):
        yield f"  {'also' if number == 0 else '':<17}  {text}"


def verdict_words(verdict: Verdict) -> str:
    """Return the verdict, and how far it goes where the recorded run broke off."""
    if verdict.points is None or verdict.verdict in ("different", "stopped"):
        return verdict.verdict
    return f"{verdict.verdict} as far as it got ({verdict.points} point{'' if verdict.points == 1 else 's'})"


def _place(part: Mapping[str, Any]) -> str:
    step = f" at step {part['step']}" if part["step"] is not None else ""
    return f"{part['what']} {part['name']}".strip() + step


def _side(part: Mapping[str, Any], side: str) -> str:
    value = part[side]
    if part["what"] == "artifact":
        return value[:12] if value else "missing"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
