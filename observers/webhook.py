"""A run's start and end, told to a chat or to any other service that takes a POST of JSON."""

from __future__ import annotations

import html
import http.client
import json
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from http import HTTPStatus
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from anew import __version__
from anew.observers import glance
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.errors import AnewError, ConfigError, UnavailableError
from anew.runner.format.redact import redact_text
from anew.runner.format.values import iso
from anew.runner.records import RunRecord, Status, state_of
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import duration, printable

OCCASIONS = ("start", "end", "failure")
FIELDS = (
    "text",
    "run",
    "uid",
    "experiment",
    "status",
    "host",
    "started_at",
    "ended_at",
    "duration",
    "result",
    "error",
    "metrics",
    "store",
)
_DEFAULT = {"text": "{text}"}
_TEAMS = {
    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": "AdaptiveCard",
    "version": "1.4",
    "body": [
        {"type": "TextBlock", "text": "{experiment}: {status}", "weight": "Bolder", "wrap": True},
        {"type": "TextBlock", "text": "{text}", "wrap": True},
        {"type": "TextBlock", "text": "{host} {store}", "isSubtle": True, "wrap": True},
    ],
}
TEMPLATES: Mapping[str, Mapping[str, Any]] = {
    "text": _DEFAULT,
    "slack": {
        "text": "{text}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "*{experiment}: {status}*\n{text}"}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "run {run}, {host} {store}"}]},
        ],
    },
    # what the workflows of Teams take, which came after its incoming webhooks
    "teams": {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": _TEAMS}],
    },
}
_EXAMPLE = "anew.observers.webhook.url='${oc.env:WEBHOOK_URL}'"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_MOST_FIELD_SHOWN = 40
_COMES_BACK = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class WebhookError(AnewError, RuntimeError):
    """What was sent is refused, and would be refused again."""


class WebhookObserver:
    """
    Sends one POST when a run starts, and one when it has ended; or one for a sweep.

    The body is JSON: `{"text": "run 42 of digits failed after 3 min 2 s: ValueError: boom; loss 0.113"}`, which
    incoming webhooks of Slack, Teams, Mattermost and Rocket.Chat take, or what `template` makes of it. It has nothing
    of the configuration and of the command line, no traceback and no captured output.

    Sent at least once. A service that cannot be reached, or that answers 5xx, 408 or 429, is tried again for as long
    as it takes; any other answer but 2xx is an error that is reported. An instance sends nothing twice; but there is
    nowhere to look up what an earlier one has sent, so what was under way when a process died, and a start when the
    observer was restarted, can come twice. A start is news for a short time only: it is left out when the run has
    ended meanwhile, or is older than `start_within_s`; an end is always told. Redirects are not followed: what is
    sent goes to the place that was named, or nowhere. Proxies are taken from the environment, as everywhere.

    The path and the query of the URL are the secret of most webhooks: no error, representation or log shows more of it
    than scheme and host. For one thread at a time.

    Args:
        url: Where to, "https://..."; best as `${oc.env:WEBHOOK_URL}`.
        when: "start", "end" (however it ended), "failure" (failed or interrupted), or several. An end is told once.
        template: A body by its name: "slack", "teams" (its workflows) or "text", which is the default. Or what to
            send: nested mappings and lists, in whose texts `{NAME}` stands for text (the whole sentence),
            run (number, or the beginning of the uid), uid, experiment, status, host, started_at, ended_at, duration,
            result, error, metrics or store. What there is not (yet) is empty. `{{` and `}}` are braces.
        headers: Further headers, name -> text.
        metrics: Which metrics are told, as patterns such as `[val/*, lr]`; null: all but those of the machine,
            `system/*`. At most eight.
        sweep: What is told of a sweep: "jobs", each of them as a run, or "one": a message for the whole of it, once its
            last job has ended or it was stopped, and none for its jobs.
        escape: Whether &, < and > in fields are written `&amp;`, `&lt;` and `&gt;`: in chats they would make links and
            mentions. Turn it off for services that take the text as it is.
        timeout_s: How long a connection, and then an answer, is waited for.
        start_within_s: See above.

    Raises:
        ConfigError: The URL is missing or no http(s) URL, the template has an unknown field or is no JSON, or another
            argument is not as said above.
    """

    def __init__(
        self,
        url: str | None = None,
        when: Sequence[str] | str = OCCASIONS,
        template: Mapping[str, Any] | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        sweep: str = "jobs",
        metrics: Sequence[str] | str | None = None,
        escape: bool = True,
        timeout_s: float = 5.0,
        start_within_s: float = 600.0,
    ) -> None:
        self._place = _place(_split(url))
        self._url = str(url)
        self._when = _occasions(when)
        self._template = _DEFAULT if template is None else _checked(template)
        if sweep not in ("jobs", "one"):
            raise ConfigError(f'sweep={sweep!r}: a webhook tells of the "jobs" of a sweep, or of it in "one" message')
        self._sweep = sweep
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"anew/{__version__}",
            **_checked_headers(headers or {}),
        }
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s={timeout_s!r} must be greater than 0: seconds to wait for an answer.")
        self._patterns = glance.patterns_of(metrics)
        self._escape = escape
        self._timeout_s = timeout_s
        self._start_within_s = start_within_s
        self._store: RunStore | None = None
        self._record: RunRecord | None = None
        self._is_pruned = False
        self._metrics: dict[str, float | int] = {}
        self._sent: set[tuple[str, str]] = set()
        self._opener = _opener()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place!r}, when={list(self._when)!r})"

    @property
    def sink(self) -> str:
        """Scheme and host of the URL."""
        return self._place

    def check(self) -> str:
        """
        Look whether something answers there, by a HEAD request, which posts nothing; return where it is.

        Whether it is the right webhook shows only when something is sent. Raises UnavailableError.
        """
        answer = self._answer("HEAD")
        if isinstance(answer, str):
            raise UnavailableError(f"{self._place} cannot be reached: {answer}")
        return self._place

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in; what an earlier instance was handed is looked up there."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """
        Take one event; a start or an end is sent before this returns.

        Raises:
            UnavailableError: The service cannot be reached, or does not take it now.
            WebhookError: The service refuses it.
        """
        if isinstance(event, ev.RunStarted):
            self._record = event.record
        if self._sweep == "one" and self._record is not None and self._record.sweep is not None:
            return
        if isinstance(event, ev.RunStarted):
            self._take_up(event.record)
        elif isinstance(event, ev.MetricsLogged):
            self._metrics.update(event.values)
        elif isinstance(event, ev.ToldToStop):
            self._is_pruned = True
        elif isinstance(event, ev.RunEnded):
            self._end(event)

    def sweep_ended(self, sweep: SweepRecord) -> None:
        """Tell of a sweep, where that is asked for; called by who handed its jobs out. Raises as `handle`."""
        is_wanted = "end" in self._when or ("failure" in self._when and sweep.status is not Status.COMPLETED)
        if self._sweep != "one" or not is_wanted:
            return
        ended = sweep.ended_at or datetime.now(timezone.utc)
        took = duration((ended - sweep.start.started_at).total_seconds())
        counts = ", ".join(f"{count} {status}" for status, count in sweep.counts().items())
        failed = next((job for job in sweep.jobs if job.error), None)
        best = f"best: job {sweep.best.index} ({' '.join(sweep.best.overrides)})" if sweep.best else ""
        result = glance.result_line(sweep.best.result) if sweep.best else ""
        error = f"job {failed.index} ({' '.join(failed.overrides)}): {failed.error}" if failed else ""
        text = f"sweep {sweep.id} of {sweep.experiment}: {sweep.status} after {took}; {len(sweep.jobs)} jobs: {counts}"
        fields = {
            **dict.fromkeys(FIELDS, ""),
            "text": "; ".join(filter(None, (text, f"{best}: {result}" if best else "", error))),
            "run": f"sweep {sweep.id}",
            "uid": sweep.start.uid,
            "experiment": sweep.experiment,
            "status": str(sweep.status),
            "started_at": iso(sweep.start.started_at),
            "ended_at": iso(ended),
            "duration": took,
            "result": result,
            "error": error,
        }
        self._send("sweep", sweep.start.uid, self._shown(fields))

    def close(self) -> None:
        """Do nothing: no connection is held."""

    def _take_up(self, record: RunRecord) -> None:
        known = self._recorded(record)
        self._record = record
        self._metrics = {name: summary.last for name, summary in known.metrics.items()}
        self._is_pruned = known.pruned
        age_s = (datetime.now(timezone.utc) - record.started_at).total_seconds()
        if "start" in self._when and not known.status.final and age_s <= self._start_within_s:
            host = _host(record)
            text = f"{glance.title(record)} started" + (f" on {host}" if host else "")
            self._send("start", record.uid, self._fields(record, text=text, status=str(Status.RUNNING)))

    def _recorded(self, record: RunRecord) -> RunRecord:
        """Return what the store knows of the run by now, or else what was known at its start."""
        try:
            return record if self._store is None else self._store.get(record.uid)
        except (AnewError, OSError):
            return record

    def _end(self, ended: ev.RunEnded) -> None:
        record = self._record
        assert record is not None, "the first event is RunStarted"
        if "end" not in self._when and ("failure" not in self._when or ended.status is Status.COMPLETED):
            return
        metrics = glance.metrics_line(self._metrics, self._patterns)
        text = f"{glance.title(record)} {glance.outcome_line(ended, pruned=self._is_pruned)}"
        fields = self._fields(
            record,
            text=f"{text}; {metrics}" if metrics else text,
            status=state_of(ended.status, self._is_pruned),
            ended_at=iso(ended.ended_at),
            duration=duration(ended.duration_s),
            result=glance.result_line(ended.result),
            error=glance.error_line(ended.error),
            metrics=metrics,
        )
        self._send("end", record.uid, fields)

    def _fields(self, record: RunRecord, **known: str) -> dict[str, str]:
        url = getattr(self._store, "url", None)
        fields = {
            **dict.fromkeys(FIELDS, ""),
            "run": glance.number_of(record),
            "uid": record.uid,
            "experiment": record.experiment,
            "host": _host(record),
            "started_at": iso(record.started_at),
            "store": redact_text(url) if isinstance(url, str) else "",
            **known,
        }
        return self._shown(fields)

    def _shown(self, fields: Mapping[str, str]) -> dict[str, str]:
        shown: Callable[[str], str] = _escaped if self._escape else printable
        return {name: shown(text) for name, text in fields.items()}

    # --- sending ------------------------------------------------------------------------------------------------

    def _send(self, occasion: str, uid: str, fields: Mapping[str, str]) -> None:
        if (uid, occasion) in self._sent:
            return
        body = json.dumps(_filled(self._template, fields), allow_nan=False).encode("ascii")
        answer = self._answer("POST", body)
        # raised here and not where it was caught: an error that is shown with its causes would show the URL
        if isinstance(answer, str):
            raise UnavailableError(f"{self._place} cannot be reached: {answer}")
        if answer >= HTTPStatus.INTERNAL_SERVER_ERROR or answer in _COMES_BACK:
            raise UnavailableError(f"{self._place} does not take it now: it answers {_status(answer)}")
        if HTTPStatus.MULTIPLE_CHOICES <= answer < HTTPStatus.BAD_REQUEST:
            raise WebhookError(
                f"{self._place} answers {_status(answer)}: it sends us elsewhere, and redirects are not followed. Give "
                "the final URL."
            )
        if not HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
            raise WebhookError(
                f"{self._place} refuses it: it answers {_status(answer)}. Look whether the webhook is still there, and "
                "whether the template is what it takes."
            )
        self._sent.add((uid, occasion))

    def _answer(self, method: str, body: bytes | None = None) -> int | str:
        """Return the status of the answer, or why there is none."""
        request = urllib.request.Request(self._url, body, self._headers, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return int(response.status)
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except OSError as error:
            reason = getattr(error, "reason", error)  # urllib wraps what the socket says
            if isinstance(reason, TimeoutError):
                return f"no answer within {self._timeout_s:g} s"
            return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
        except http.client.HTTPException as error:
            return f"the answer is no HTTP ({type(error).__name__})"


def _opener() -> urllib.request.OpenerDirector:
    """Return what sends requests and nothing more: it follows no redirect, and takes every status for an answer."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
        opener.add_handler(handler())
    return opener


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _host(record: RunRecord) -> str:
    return record.hardware.hostname if record.hardware else ""


def _escaped(text: str) -> str:
    return html.escape(printable(text), quote=False)


# --- what a configuration says; no message shows the URL, or what a header holds ----------------------------------


def _split(url: str | None) -> SplitResult:
    if not isinstance(url, str) or not url:
        raise ConfigError(f"A webhook needs a URL, such as {_EXAMPLE}")
    try:
        parts = urlsplit(url)
        parts.hostname and parts.hostname.encode("idna")  # whether it can be
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(
            "The webhook's URL cannot be used. It begins with https:// (or http://) and a host, and has no blanks and "
            f"no letters beyond ASCII (write these as %XX). To take it from the environment: {_EXAMPLE}"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "The webhook's URL has a user or a password in it; give these as a header: "
            "anew.observers.webhook.headers.Authorization='${oc.env:WEBHOOK_TOKEN}'"
        )
    return parts


def _place(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def _occasions(given: Sequence[str] | str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    wrong = [name for name in names if name not in OCCASIONS]
    if wrong or not names:
        raise ConfigError(f"when={list(names)!r}: a webhook can be sent at {', '.join(OCCASIONS)}")
    return names


def _checked(template: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(template, str):
        if template not in TEMPLATES:
            raise ConfigError(f"There is no template {template!r}; there are: {', '.join(TEMPLATES)}")
        return TEMPLATES[template]
    if not isinstance(template, Mapping):
        raise ConfigError('The template is no mapping; one is, for example: {content: "{text}"}')
    try:
        json.dumps(_filled(template, dict.fromkeys(FIELDS, "")), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"The template cannot be written as JSON: {error}") from error
    return template


def _filled(value: Any, fields: Mapping[str, str]) -> Any:
    """Return a template with the fields in their places; nothing in a field is looked at again."""
    if isinstance(value, str):
        return _filled_text(value, fields)
    if isinstance(value, Mapping):
        return {key: _filled(item, fields) for key, item in value.items()}
    return [_filled(item, fields) for item in value] if isinstance(value, (list, tuple)) else value


def _filled_text(text: str, fields: Mapping[str, str]) -> str:
    parts: list[str] = []
    try:
        for literal, name, form, conversion in Formatter().parse(text):
            parts.append(literal)
            if name is None:
                continue
            if name not in fields or form or conversion:
                shown = printable(name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else ""))
                raise ConfigError(
                    f"The template has {{{shown[:_MOST_FIELD_SHOWN]}}}; there are: "
                    f"{', '.join(f'{{{each}}}' for each in FIELDS)}. For braces themselves write {{{{ and }}}}",
                    field=name,
                )
            parts.append(fields[name])
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError("The template has a single brace; for braces themselves write {{ and }}") from error
    return "".join(parts)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)):
            raise ConfigError(f"{name!r} cannot be the name of a header.")
        if not (isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
            raise ConfigError(f"What the header {name!r} holds is no text on one line.")
        checked[name] = value
    return checked
