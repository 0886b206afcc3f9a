"""Errors as the page is told them: what was wrong, what would be right, and where in a filter."""

from __future__ import annotations

import sys
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from anew.runner import errors
from anew.runner.errors import AnewError, FilterError
from anew.runner.server.wire import encoded
from anew.runner.wording import printable

if TYPE_CHECKING:
    from anew.runner.server.site import Site

_STATUSES: tuple[tuple[type[BaseException], HTTPStatus], ...] = (
    (errors.RunNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.SweepNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.MetricNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.ArtifactNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.ObjectNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.RunStateError, HTTPStatus.CONFLICT),
    (errors.RefusedError, HTTPStatus.CONFLICT),
    (errors.ContentDamagedError, HTTPStatus.CONFLICT),
    (errors.StoreFormatError, HTTPStatus.CONFLICT),
    (errors.StoreError, HTTPStatus.CONFLICT),
)
_LONGEST = 4_000


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


def answer(status: int, message: str, **more: Any) -> Response:
    """Return an error as JSON; what is None of *more* is left out."""
    told = {name: value for name, value in more.items() if value is not None}
    return Response(encoded({"error": {"message": message, **told}}), status, media_type="application/json")


def answered(error: Exception, site: Site) -> Response:
    """Return the answer to a request that raised; a fault of ours goes to stderr, too, with its traceback."""
    if isinstance(error, (OSError, AnewError)) and not isinstance(error, FilterError):
        try:
            site.refuse_gone()  # while it was read
        except Refused as gone:
            error = gone
    if isinstance(error, Refused):
        return answer(error.status, str(error), hint=error.hint)
    if isinstance(error, FilterError) and (place := getattr(error, "position", None)) is not None:
        first, *_, last = str(error).splitlines()
        end = getattr(error, "end", place + 1)
        return answer(HTTPStatus.BAD_REQUEST, f"{_cut(first.rstrip(':'))}.", hint=last, start=place, end=end)
    if isinstance(error, msgspec.ValidationError):
        return answer(HTTPStatus.BAD_REQUEST, f"{str(error)[:500]}.")
    # a text that is no UTF-8 as well
    if isinstance(error, msgspec.DecodeError):
        return answer(HTTPStatus.BAD_REQUEST, f"What was sent is no JSON: {str(error)[:200]}.")
    if isinstance(error, RecursionError):
        return answer(HTTPStatus.BAD_REQUEST, "What was sent has too much inside each other to be read.")
    if isinstance(error, (UnicodeError, OverflowError)):
        return answer(HTTPStatus.BAD_REQUEST, _lines(f"What was sent cannot be used: {error}."))
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return answer(status, _lines(str(error)))
    if isinstance(error, AnewError):
        return answer(HTTPStatus.BAD_REQUEST, _lines(str(error)))
    if refused := errors.refusal(error):
        return answer(HTTPStatus.CONFLICT, _lines(refused))
    sys.stderr.write("".join(traceback.format_exception(error)))
    sys.stderr.write(errors.fault_report())
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a fault in anew; what it is stands in its terminal.")


def _lines(text: str) -> str:
    return _cut("\n".join(printable(line) for line in text.splitlines()))


def _cut(text: str) -> str:
    """Return a message without the middle of what was sent, where that is long; what is wrong stands at the ends."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
