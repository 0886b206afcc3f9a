"""How a recorded run is to be run again, and judged."""

from __future__ import annotations

from collections.abc import Sequence

from anew.runner.dataclass import dataclass
from anew.runner.errors import RerunError


@dataclass(frozen=True, kw_only=True, slots=True)
class RerunOptions:
    """
    What decides how runs are run again, and judged.

    Attributes:
        code: "recorded" lays the recorded source out; "current" uses today's project.
        env: "current" uses this Python; "recorded" one with the recorded distributions, built by uv.
        strict: Refuse when anything differs that the re-run does not put right; of packages those count that the
            recorded run imported, with "all" every one.
        rtol: Relative tolerance for numbers; None for identity.
        ignore: Patterns of metrics that need not come out the same, beside the run's own.
        trust_source: Trust the source of a record that came from elsewhere, from now on.
        keep: Leave the laid-out files where they are, and say where.
        twice: Run it once more when it came out different, to tell what differs each time from what differs from the
            record.

    Raises:
        RerunError: A value is none of those.
    """

    code: str = "recorded"
    env: str = "current"
    strict: bool | str | None = False
    rtol: float | None = None
    ignore: Sequence[str] = ()
    trust_source: bool = False
    keep: bool = False
    twice: bool = False

    def __post_init__(self) -> None:
        for name, value in (("code", self.code), ("env", self.env)):
            if value not in ("recorded", "current"):
                raise RerunError(f"{name}={value!r} is neither 'recorded' nor 'current'.")
        if self.rtol is not None and not self.rtol >= 0:
            raise RerunError(f"rtol={self.rtol!r} is no tolerance; give a number from 0 on, such as 1e-6.")
