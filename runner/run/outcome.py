"""How a run ended: what main returned or raised, and which signals came, as the event that ends the journal."""

from __future__ import annotations

import traceback
from datetime import datetime, timezone
from types import FrameType
from typing import Any

from anew.runner import errors
from anew.runner import events as ev
from anew.runner.format.redact import Redactor
from anew.runner.guard.orders import Told
from anew.runner.guard.watch import Terminated
from anew.runner.records import ErrorFacts, Status
from anew.runner.wording import trim_causes, users_frames


def ending(
    uid: str,
    duration_s: float,
    result: Any,
    failure: BaseException | None,
    received: str | None,
    redactor: Redactor,
    told: Told | None = None,
) -> ev.RunEnded:
    """
    Return the event that ends a run.

    The status is INTERRUPTED after SIGINT or SIGTERM, FAILED after another exception or an exit with a code other than
    0, else COMPLETED.

    Args:
        uid: The run.
        duration_s: How long it took.
        result: What main returned, as it may be kept.
        failure: What main raised, or what kept it from being called; None when it returned.
        received: The signal that came while main was running, or None.
        redactor: Knows the secrets.
        told: Why the run was to end before its time, where that is what the signal was sent for.
    """
    status, signal, code = _verdict(failure, received)
    error = _error(failure, redactor) if failure is not None and status is Status.FAILED else None
    if received and told is not None:
        status, signal = Status(told.status), None
        error = ErrorFacts(type=told.kind, message=told.message, traceback=_where(failure, redactor, told))
    return ev.RunEnded(
        uid=uid,
        writer="outcome",
        q=0,
        t=duration_s,
        status=status,
        ended_at=datetime.now(timezone.utc),
        duration_s=duration_s,
        result=result,
        error=error,
        signal=signal,
        exit_code=code,
    )


def _verdict(failure: BaseException | None, received: str | None) -> tuple[Status, str | None, int]:
    if received or isinstance(failure, (KeyboardInterrupt, Terminated)):
        signal = received or ("SIGTERM" if isinstance(failure, Terminated) else "SIGINT")
        return Status.INTERRUPTED, signal, errors.EXIT_SIGTERM if signal == "SIGTERM" else errors.EXIT_SIGINT
    if isinstance(failure, (errors.UnkeptError, errors.ObserverRequiredError)):
        # of no other error is it known that main did not raise it
        return Status.FAILED, None, failure.exit_code
    if failure is None:
        return Status.COMPLETED, None, errors.EXIT_OK
    if isinstance(failure, SystemExit):
        code = failure.code
        # as a shell sees it, to whom 256 would be 0
        number = (code & 0xFF or int(code != 0)) if isinstance(code, int) else 0 if code is None else 1
        return (Status.FAILED if number else Status.COMPLETED), None, number
    return Status.FAILED, None, errors.EXIT_FAILED


def _error(failure: BaseException, redactor: Redactor) -> ErrorFacts:
    kind = type(failure)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return ErrorFacts(
        type=redactor.text(name),
        message=str(redactor.told_apart(message(failure))),
        traceback=_where(failure, redactor),
    )


def _where(failure: BaseException | None, redactor: Redactor, told: Told | None = None) -> str:
    """Return a failure's traceback, as text; of what is *told* where main was then."""
    if failure is None:
        return ""
    trace = failure.__traceback__
    # our own frames say nothing to the user
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    trim_causes(failure)
    found = traceback.TracebackException(type(failure), failure, users_frames(trace))
    if told is None:
        return redactor.text("".join(found.format()))
    theirs = [frame for frame, _ in traceback.walk_tb(trace) if not _is_ours(frame)]
    frames = traceback.format_list(found.stack[: len(theirs)])
    return redactor.text("".join(["Traceback (most recent call last):\n", *frames, f"{told.kind}: {told.message}\n"]))


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("anew.runner.")


def message(failure: BaseException | None) -> str:
    """Return what an exception says; a user's own may fail to."""
    try:
        return str(failure)
    except Exception as error:
        return f"<the message cannot be printed: {type(error).__name__}>"
