"""How a run came out beside the run that it repeats, and what made the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from anew.runner.dataclass import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """
    What made two runs differ, or may have.

    Attributes:
        kind: "stopped", "override", "source", "input", "missing", "unkept", "unseeded", "time", "temporary", "place",
            "made", "order", "hash", "python", "package", "variable", "thread", "hardware", "library" or "unknown".
        where: The file and line ("train.py:12"), input, package, variable or artifact; empty where there is none.
        sentence: It in words.
    """

    kind: str = ""
    where: str = ""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """
    How a re-run came out beside the run that it repeats.

    Attributes:
        verdict: "identical", "close" or "different"; "stopped" of a re-run that did not come to its end.
        overrides: What was changed on purpose; then "different" is a finding, not a failure.
        rtol: The relative tolerance that "close" was judged by; None when only identity counted.
        differences: Section -> name -> {"recorded", "now", "restored"}: what differed before main started.
        first_difference: Where the two part: {"what", "name", "step", "recorded", "now"}; None when they do not.
        max_deviation: The largest relative deviation of a number; None when the two cannot be compared by numbers.
        max_deviation_at: Where it is, in the form of `first_difference`.
        causes: What explains a difference, or may, likeliest first, in sentences.
        reasons: The same, each with its kind and its place; none in what earlier versions wrote.
        points: How many points of metrics were compared, where the recorded run broke off; None where it ended.
        remarks: What is no difference, and good to know, in sentences: what is lost and was not compared.
        settled: Of a re-run that was made twice: whether the two came out the same; None when it was made once.
    """

    verdict: str
    overrides: tuple[str, ...] = ()
    rtol: float | None = None
    differences: Mapping[str, Any] = field(default_factory=dict)
    first_difference: Mapping[str, Any] | None = None
    max_deviation: float | None = None
    max_deviation_at: Mapping[str, Any] | None = None
    causes: tuple[str, ...] = ()
    reasons: tuple[Cause, ...] = ()
    points: int | None = None
    remarks: tuple[str, ...] = ()
    settled: bool | None = None
