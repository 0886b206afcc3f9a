"""What a search came to: as a value, in a sentence, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from anew.runner import errors
from anew.runner.dataclass import dataclass
from anew.runner.format.values import plain
from anew.runner.why.deltas import Delta
from anew.runner.wording import in_a_line, short

FOUND, SAME, NOISE, BUDGET, UNRESOLVED, PLANNED = "found", "same", "noise", "budget", "unresolved", "planned"
_LONGEST = 40
# kinds whose sides are texts that no one writes in quotes
_TEXTS = ("package", "python", "variable")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """
    One run of a search.

    Attributes:
        run: Its number; None where none was recorded.
        deltas: The numbers of the differences that it had of the bad run.
        outcome: "good", "bad" or "unresolved".
        value: What it came to.
    """

    run: int | None
    deltas: tuple[int, ...]
    outcome: str
    value: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """
    Which differences between two runs made the difference.

    Attributes:
        id: The search's number in its store; None where nothing was run.
        status: "found"; "noise", when the runs differ by no more than chance; "unresolved", when run again they do not
            differ as they did; "budget", when the runs that were allowed did not do; "planned", when none was wanted.
        good: The good run's number.
        bad: The bad one's.
        metric: By what they are told apart: a metric, "result" or "failure".
        deltas: All differences that were in question.
        causes: The numbers of those that turn the good run bad, and of which none can be done without.
        shares: Cause -> which part of the change it explains: the mean over all orders in which the causes can be taken
            over (L. S. Shapley, 1953); of more than three causes the mean of its part alone and its part when the
            others are there.
        trials: What was run.
        sentence: The answer.
        left_out: What differs, too, and was not in question, and why.
        notes: What else there is to know, in sentences.
    """

    id: int | None
    status: str
    good: int
    bad: int
    metric: str
    deltas: tuple[Delta, ...]
    causes: tuple[int, ...] = ()
    shares: Mapping[int, float] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    sentence: str = ""
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What the command leaves with: 0 for an answer, else 1."""
        return errors.EXIT_OK if self.status in (FOUND, PLANNED) else errors.EXIT_FAILED

    def to_json(self) -> dict[str, Any]:
        """Return it as `--json` shows it, and as it is kept."""
        return {
            "id": self.id,
            "status": self.status,
            "good": self.good,
            "bad": self.bad,
            "metric": self.metric,
            "deltas": [delta.to_json() for delta in self.deltas],
            "causes": list(self.causes),
            "shares": {str(number): share for number, share in self.shares.items()},
            "trials": [
                {"run": each.run, "deltas": list(each.deltas), "outcome": each.outcome, "value": plain(each.value)}
                for each in self.trials
            ],
            "sentence": self.sentence,
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }


def markdown(answer: Mapping[str, Any]) -> str:
    """Return an answer, as `to_json` has it, to be pasted into a review."""
    lines = [f"**{answer['sentence']}**", ""]
    deltas = {delta["n"]: delta for delta in answer["deltas"]}
    for number in answer["causes"]:
        delta = deltas[number]
        share = answer["shares"].get(str(number))
        lines.append(f"- `{delta['what']}` ({delta['kind']}){f', {share:.0%} of it' if share is not None else ''}")
        if delta["kind"] == "hunk":
            lines += ["", "  ```diff", *(f"  {line}" for line in hunk_lines(delta)), "  ```"]
        else:
            was, now = (side_text(delta["kind"], delta[side]) for side in ("was", "now"))
            lines.append(f"  was `{was}`, is `{now}`")
    lines += ["", f"Run {answer['good']} was taken for good, {answer['bad']} for bad; {len(answer['trials'])} trials."]
    lines += [f"- {text}" for text in (*answer["left_out"], *answer["notes"])]
    return "\n".join(lines) + "\n"


def hunk_lines(delta: Mapping[str, Any]) -> list[str]:
    """Return a hunk's lines as `diff` marks them."""
    gone, come = ((delta[side] or "").splitlines() for side in ("was", "now"))
    return [*(f"-{line}" for line in gone), *(f"+{line}" for line in come)]


# --- words --------------------------------------------------------------------------------------------------------


def described(delta: Delta) -> str:
    """Return a difference in a few words: "config.lr (0.01 -> 0.1)"."""
    if delta.kind == "hunk":
        if delta.lines <= 1 or " and " in delta.what:
            return delta.what
        path, _, line = delta.what.rpartition(":")
        return f"{path} lines {line}-{int(line) + delta.lines - 1}"
    if delta.kind in ("file", "input"):
        word = "added" if delta.was is None else "removed" if delta.now is None else "its content"
        return f"{delta.what} ({word})"
    if delta.kind == "package" and isinstance(delta.was, Mapping):  # several that are only to be had together
        each = ({name: side_text("package", at) for name, at in side.items()} for side in (delta.was, delta.now))
        old, new = each
        return " with ".join(f"{name} ({old[name]} -> {new[name]})" for name in old)
    was, now = (_cut(side_text(delta.kind, each)) for each in (delta.was, delta.now))
    return f"{delta.what} ({was} -> {now})"


def side_text(kind: str, value: Any) -> str:
    """Return one side of a difference in a line; versions and variables are texts, whatever they look like."""
    if value is None:
        return "none"
    if kind == "package" and isinstance(value, Mapping):
        return ", ".join(f"{name} {side_text(kind, version)}" for name, version in value.items())
    return in_a_line(value) if kind in _TEXTS and isinstance(value, str) else short(value) or "none"


def _short(value: Any) -> str:
    return _cut(short(value) or "none")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def answered(
    metric: str, of: int, good: Any, steps: Sequence[tuple[Sequence[Delta], Any]], *, is_failure: bool, bad: Any
) -> str:
    """
    Return the answer in a sentence.

    Args:
        metric: By what the runs are told apart.
        of: How many differences there were.
        good: What the good run came to.
        steps: Causes in the order in which they were found, and what comes of them and those before.
        is_failure: Whether *metric* is how runs fail.
        bad: What the bad run came to.
    """
    [(first, value), *further] = steps
    head = f"Of {of} differences, " if of > 1 else "The one difference, "
    names = _listed(first)
    alone = "" if of == 1 else " alone" if len(first) == 1 else " together, and none of them alone,"
    comma = "," if of == 1 else ""
    if is_failure:
        verb = "makes" if len(first) == 1 else "make"
        return f"{head}{names}{comma}{alone} {verb} it fail: {bad}."
    verb = "takes" if len(first) == 1 else "take"
    text = f"{head}{names}{comma}{alone} {verb} {metric} from {_short(good)} to {_short(value)}"
    for deltas, after in further:
        text += f"; with {_listed(deltas)} to {_short(after)}"
    return f"{text}."


def _listed(deltas: Sequence[Delta]) -> str:
    names = [described(delta) for delta in deltas]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
