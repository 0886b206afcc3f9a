"""One POST at the start and one at the end, to a real HTTP server with its faults; the URL stays secret."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

import anew.configs
from anew.observers.webhook import FIELDS, WebhookError, WebhookObserver
from anew.runner import events as ev
from anew.runner.config.build import build_observer
from anew.runner.contracts import Beginning, Checking, Observer
from anew.runner.errors import ConfigError, UnavailableError
from anew.runner.format.values import iso
from anew.runner.records import (
    CommandFacts,
    ErrorFacts,
    HardwareFacts,
    Provenance,
    RunRecord,
    Status,
)
from tests.helpers.hooks import HookServer, free_port
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store

pytest_plugins = ("tests.helpers.hooks",)

SECRETS = ("S3CRETPATH", "S3CRETTOKEN", "S3CRETHEADER")
PATH = "/services/S3CRETPATH?token=S3CRETTOKEN"
FAILED = ErrorFacts(type="ValueError", message="boom", traceback="Traceback: S3CRETTRACE")


def record(**changes: Any) -> RunRecord:
    made = RunRecord(
        uid="01kjmz5n7a8y3v0c2xq9r4tw6b",
        id=42,
        experiment="digits",
        started_at=datetime.now(timezone.utc),
        command=CommandFacts(argv=("train.py", "lr=0.123456"), cwd="/project"),
        config={"lr": 0.123456},
        overrides=("lr=0.123456",),
        provenance=Provenance(unresolved="lr: 0.123456\n"),
        hardware=HardwareFacts(hostname="gpu07", os="Linux"),
    )
    return replace(made, **changes)


def start(**changes: Any) -> ev.RunStarted:
    made = record(**changes)
    return ev.RunStarted(uid=made.uid, writer="run", q=0, t=0.0, record=made)


def point(q: int, values: Mapping[str, float | int]) -> ev.MetricsLogged:
    return ev.MetricsLogged(uid=record().uid, writer="main", q=q, t=q / 8, step=q, values=values)


def end(status: Status = Status.COMPLETED, **changes: Any) -> ev.RunEnded:
    return ev.RunEnded(
        uid=record().uid,
        writer="outcome",
        q=0,
        t=182.0,
        status=status,
        ended_at=record().started_at,
        duration_s=182.0,
        **changes,
    )


def deliver(hooks: HookServer, *events: ev.Event, **options: Any) -> list[Any]:
    """Hand over events, and return what was posted."""
    observer = WebhookObserver(hooks.url + PATH, **options)
    for event in events:
        observer.handle(event)
    observer.close()
    return hooks.bodies


def texts(hooks: HookServer) -> list[str]:
    return [body["text"] for body in hooks.bodies]


# --- what is sent -----------------------------------------------------------------------------------------------


def test_a_run_is_told_at_its_start_and_at_its_end(hooks: HookServer) -> None:
    bodies = deliver(
        hooks, start(), point(1, {"loss": 0.5, "system/cpu": 3}), point(2, {"loss": 0.25}), end(result=0.9375)
    )

    assert bodies == [
        {"text": "run 42 of digits started on gpu07"},
        {"text": "run 42 of digits completed after 3 min 2 s: result 0.9375; loss 0.25"},
    ]
    assert [posted.path for posted in hooks.posted] == [PATH, PATH]
    headers = hooks.posted[0].headers
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("anew/")


def test_a_run_that_was_told_to_stop_is_pruned(hooks: HookServer) -> None:
    told = ev.ToldToStop(uid=record().uid, writer="main", q=1, t=0.1, asked=1)
    deliver(hooks, start(), told, end(), template={"text": "{text}", "status": "{status}"}, when=["end"])
    [body] = hooks.bodies
    assert body == {"text": "run 42 of digits was pruned after 3 min 2 s", "status": "PRUNED"}


def test_a_failure_says_why(hooks: HookServer) -> None:
    deliver(hooks, start(hardware=None), end(Status.FAILED, error=FAILED))
    deliver(hooks, start(hardware=None), end(Status.INTERRUPTED, signal="SIGTERM"))

    assert texts(hooks) == [
        "run 42 of digits started",
        "run 42 of digits failed after 3 min 2 s: ValueError: boom",
        "run 42 of digits started",
        "run 42 of digits was interrupted after 3 min 2 s (SIGTERM)",
    ]


@pytest.mark.parametrize(
    ("when", "ending", "told"),
    [
        (["start"], Status.FAILED, ["RUNNING"]),
        ("end", Status.COMPLETED, ["COMPLETED"]),
        (["end"], Status.FAILED, ["FAILED"]),
        (["failure"], Status.COMPLETED, []),
        (["failure"], Status.FAILED, ["FAILED"]),
        (["failure"], Status.INTERRUPTED, ["INTERRUPTED"]),
        (["start", "end", "failure"], Status.FAILED, ["RUNNING", "FAILED"]),
    ],
)
def test_it_is_told_when_that_is_asked_for(
    hooks: HookServer, when: Sequence[str] | str, ending: Status, told: list[str]
) -> None:
    bodies = deliver(hooks, start(), end(ending), when=when, template={"status": "{status}"})

    assert bodies == [{"status": status} for status in told]


def test_a_template_makes_another_body(hooks: HookServer) -> None:
    template = {
        "content": "{experiment}/{run}: {status}",
        "blocks": [{"type": "section", "text": ["{uid}", "{{literally}} {host}"]}, 1, None, True],
        "{run}": 0.5,
    }

    bodies = deliver(hooks, start(), template=template)

    assert bodies == [
        {
            "content": "digits/42: RUNNING",
            "blocks": [{"type": "section", "text": [record().uid, "{literally} gpu07"]}, 1, None, True],
            "{run}": 0.5,
        }
    ]


def test_every_field_is_filled(hooks: HookServer, tmp_path: Path) -> None:
    observer = WebhookObserver(hooks.url, template={name: f"{{{name}}}" for name in FIELDS}, escape=False)
    observer.begin(make_store(tmp_path / "runs"))
    began, ended = start(), end(Status.FAILED, error=FAILED, result={"a": 1})
    for event in (began, point(1, {"loss": 0.5}), ended):
        observer.handle(event)

    first, last = hooks.bodies
    known = {
        "run": "42",
        "uid": record().uid,
        "experiment": "digits",
        "host": "gpu07",
        "started_at": iso(began.record.started_at),
        "store": str(tmp_path / "runs"),
    }
    unknown = dict.fromkeys(("ended_at", "duration", "result", "error", "metrics"), "")
    assert first == {"text": "run 42 of digits started on gpu07", "status": "RUNNING", **known, **unknown}
    assert last == {
        "text": "run 42 of digits failed after 3 min 2 s: ValueError: boom; loss 0.5",
        "status": "FAILED",
        **known,
        "ended_at": iso(ended.ended_at),
        "duration": "3 min 2 s",
        "result": "a=1",
        "error": "ValueError: boom",
        "metrics": "loss 0.5",
    }


def test_nothing_in_a_field_is_filled_again(hooks: HookServer) -> None:
    [body] = deliver(hooks, start(experiment="{uid} {0} {x.y} {"), template={"name": "{experiment}"})

    assert body == {"name": "{uid} {0} {x.y} {"}


@pytest.mark.parametrize(
    "text",
    [
        "{nothing}",
        "{run.__class__}",
        "{run[0]}",
        "{run!r}",
        "{run:>9}",
        "{run:>{uid}}",
        "{}",
        "{0}",
        "{ run }",
        "{",
        "}",
        "{run",
    ],
)
def test_a_field_that_there_is_not_is_refused_when_it_is_built(text: str) -> None:
    with pytest.raises(ConfigError, match="template") as caught:
        WebhookObserver("https://example.invalid/x", template={"a": [{"b": text}]})

    assert "write {{ and }}" in str(caught.value)
    if "{" in text.strip("{") + "{" and len(text) > 4 and text != "{run":
        assert "{text}, {run}, {uid}" in str(caught.value)


@pytest.mark.parametrize("template", [{"a": object()}, {"a": float("nan")}, {("a",): "b"}, ["{text}"], "{text}"])
def test_a_template_that_is_no_json_object_is_refused(template: Any) -> None:
    with pytest.raises(ConfigError, match="template"):
        WebhookObserver("https://example.invalid/x", template=template)


def test_markup_of_chats_is_escaped_unless_that_is_turned_off(hooks: HookServer) -> None:
    """`<!channel>` would call everybody; `<https://...|here>` would be a link."""
    error = ErrorFacts(type="E", message="<!channel> a & b", traceback="")
    events = (start(), end(Status.FAILED, error=error))

    deliver(hooks, *events, when="end")
    deliver(hooks, *events, when="end", escape=False)

    assert texts(hooks) == [
        "run 42 of digits failed after 3 min 2 s: E: &lt;!channel&gt; a &amp; b",
        "run 42 of digits failed after 3 min 2 s: E: <!channel> a & b",
    ]


def test_texts_are_short_and_on_one_line(hooks: HookServer) -> None:
    error = ErrorFacts(type="E", message="line\n" * 1000 + "\x1b[2J \udc80", traceback="")
    metrics = {f"metric {index}\n": index for index in range(100)}
    events = [start(experiment="x" * 5000), point(1, metrics), end(Status.FAILED, error=error, result="y" * 10**6)]

    bodies = deliver(hooks, *events, template={"all": " ".join(f"{{{name}}}" for name in FIELDS if name != "store")})

    assert all(len(body["all"]) < 8000 + 5000 for body in bodies)
    assert all(body["all"].isprintable() for body in bodies)
    assert "metric 7 7 and 92 more" in bodies[-1]["all"]


def test_metrics_can_be_chosen(hooks: HookServer) -> None:
    deliver(hooks, start(), point(1, {"a/x": 1, "b/x": float("nan"), "c": 2**70}), end(), metrics=["b/*", "c"])

    assert texts(hooks)[-1] == "run 42 of digits completed after 3 min 2 s; b/x nan, c 1.1806e+21"


def test_the_body_has_nothing_of_configuration_command_and_traceback(hooks: HookServer) -> None:
    output = ev.OutputCaptured(uid=record().uid, writer="output", q=1, t=1.0, text="lr is 0.123456", offset=0)
    template = {name: f"{{{name}}}" for name in FIELDS}

    bodies = deliver(hooks, start(), output, end(Status.FAILED, error=FAILED), template=template)

    assert len(bodies) == 2
    assert "0.123456" not in json.dumps(bodies)
    assert "S3CRETTRACE" not in json.dumps(bodies)


def test_a_password_in_the_url_of_the_store_is_not_told(hooks: HookServer) -> None:
    class Store:
        url = "mongodb://ada:s3cretword@db/anew"

        def get(self, ref: str) -> RunRecord:
            return record()

    observer = WebhookObserver(hooks.url, template={"store": "{store}"})
    observer.begin(Store())  # type: ignore[arg-type]  # all of it that is asked for
    observer.handle(start())

    assert hooks.bodies == [{"store": "mongodb://ada:&lt;redacted&gt;@db/anew"}]


def test_headers_are_sent_along(hooks: HookServer) -> None:
    deliver(hooks, start(), headers={"Authorization": "Bearer x", "content-type": "application/vnd.x+json"})

    headers = {name.lower(): value for name, value in hooks.posted[0].headers.items()}
    assert headers["authorization"] == "Bearer x"
    assert headers["content-type"] == "application/vnd.x+json"


# --- repeats and restarts ---------------------------------------------------------------------------------------


def test_an_instance_sends_nothing_twice(hooks: HookServer) -> None:
    deliver(hooks, start(), end(), start(), end())

    assert len(hooks.bodies) == 2


def test_what_failed_to_be_sent_is_sent_when_it_comes_again(hooks: HookServer) -> None:
    observer = WebhookObserver(hooks.url)
    observer.handle(start())
    hooks.answer(500)
    with pytest.raises(UnavailableError):
        observer.handle(end())
    observer.handle(end())
    observer.handle(end())

    assert len(hooks.bodies) == 3
    assert texts(hooks)[-1].startswith("run 42 of digits completed")


def test_whoever_takes_up_a_run_midway_tells_the_metrics_of_all_of_it(hooks: HookServer, tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store, metrics={"loss": [1, 0.5], "acc": [0.25]}, status=None)
    began, *points = store.events(number)
    observer = WebhookObserver(hooks.url, when="end")
    observer.begin(store)
    for event in (began, points[-1], replace(end(), uid=began.uid)):
        observer.handle(event)

    assert texts(hooks)[0].endswith("; loss 0.5, acc 0.25")


def test_a_start_is_not_told_when_it_is_no_news_any_more(hooks: HookServer, tmp_path: Path) -> None:
    """The run has ended meanwhile, or it is long ago; the end is told however late."""
    store = make_store(tmp_path / "runs")
    number = add_run(store, minutes_ago=0.1)
    events = list(store.events(number))
    observer = WebhookObserver(hooks.url, when=["start"])
    observer.begin(store)
    observer.handle(events[0])
    long_ago = datetime.now(timezone.utc) - timedelta(minutes=11)
    deliver(hooks, start(started_at=long_ago), when="start")
    assert hooks.bodies == []

    deliver(hooks, start(started_at=long_ago), when="start", start_within_s=3600)
    deliver(hooks, start(started_at=datetime(2020, 1, 1, tzinfo=timezone.utc)), end())

    assert [text.split()[4] for text in texts(hooks)] == ["started", "completed"]


def test_a_store_that_cannot_be_read_does_not_keep_news_back(hooks: HookServer, tmp_path: Path) -> None:
    observer = WebhookObserver(hooks.url)
    observer.begin(make_store(tmp_path / "runs"))
    observer.handle(start())

    assert len(hooks.bodies) == 1


# --- faults -----------------------------------------------------------------------------------------------------


def raised(observer: WebhookObserver, kind: type[Exception] = UnavailableError) -> str:
    """Hand over a start that cannot be sent; return all that is shown of the error, without secrets in it."""
    with pytest.raises(kind) as caught:
        observer.handle(start())
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(observer) + observer.sink
    assert not any(secret in shown for secret in SECRETS)
    return str(caught.value)


def secretive(url: str, **options: Any) -> WebhookObserver:
    return WebhookObserver(url + PATH, headers={"X-Key": "S3CRETHEADER"}, **options)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 429])
def test_a_server_that_does_not_take_it_now_is_asked_again(hooks: HookServer, status: int) -> None:
    observer = secretive(hooks.url)
    hooks.answer(status)

    assert f"{hooks.url} does not take it now: it answers {status}" in raised(observer)
    observer.handle(start())

    assert len(hooks.bodies) == 2
    assert hooks.bodies[0] == hooks.bodies[1]


def test_a_port_that_nothing_listens_on_counts_as_out_of_reach() -> None:
    port = free_port()

    assert raised(secretive(f"http://127.0.0.1:{port}")) == (
        f"http://127.0.0.1:{port} cannot be reached: Connection refused"
    )


def test_a_host_that_there_is_not_counts_as_out_of_reach() -> None:
    assert "https://nowhere.invalid cannot be reached: " in raised(secretive("https://nowhere.invalid"))


def test_a_server_that_does_not_answer_is_not_waited_for_longer_than_said(hooks: HookServer) -> None:
    hooks.answers.append("silence")

    assert raised(secretive(hooks.url, timeout_s=0.2)) == f"{hooks.url} cannot be reached: no answer within 0.2 s"


def test_a_server_that_hangs_up_or_talks_nonsense_counts_as_out_of_reach(hooks: HookServer) -> None:
    for answer in ("", "S3CRETPATH is no HTTP\r\n\r\n", "HTTP/1.1 abc S3CRETPATH\r\n\r\n"):
        hooks.answers.append(answer)

        assert f"{hooks.url} cannot be reached: " in raised(secretive(hooks.url))


def test_https_to_a_server_that_has_none_counts_as_out_of_reach(hooks: HookServer) -> None:
    place = hooks.url.replace("http:", "https:")

    assert f"{place} cannot be reached: " in raised(secretive(place))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 499])
def test_what_is_refused_is_an_error_that_is_not_tried_for_ever(hooks: HookServer, status: int) -> None:
    hooks.answer(status)

    said = raised(secretive(hooks.url), WebhookError)

    assert f"{hooks.url} refuses it: it answers {status}" in said
    assert not issubclass(WebhookError, OSError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hooks: HookServer, status: int) -> None:
    elsewhere = HookServer()
    hooks.answer(status, Location=f"{elsewhere.url}{PATH}")

    said = raised(secretive(hooks.url), WebhookError)

    elsewhere.stop()
    assert f"answers {status}" in said
    assert "redirects are not followed" in said
    assert elsewhere.posted == []
    assert len(hooks.posted) == 1


def test_the_other_side_may_be_looked_for_without_posting(hooks: HookServer) -> None:
    observer = secretive(hooks.url)
    assert isinstance(observer, Checking)
    assert observer.check() == hooks.url
    assert hooks.posted == []
    nobody = secretive(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="Connection refused"):
        nobody.check()


# --- making one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        42,
        "S3CRETPATH",
        "ftp://example.invalid/S3CRETPATH",
        "file:///S3CRETPATH",
        "https:///S3CRETPATH",
        "https://[::1/S3CRETPATH",
        "https://example.invalid:port/S3CRETPATH",
        "https://example.invalid/S3CRETPATH with blanks",
        "https://example.invalid/S3CRETPATH\r\nX: y",
        "https://example.invalid/S3CRETPATH/größe",
        "https://a..b/S3CRETPATH",
        "https://ada:S3CRETPATH@example.invalid/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url: Any) -> None:
    with pytest.raises(ConfigError, match=r"\$\{oc\.env:WEBHOOK_") as caught:
        WebhookObserver(url)

    shown = "".join(traceback.format_exception(caught.value))
    assert "S3CRETPATH" not in shown.replace('"S3CRETPATH"', "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"when": ["begin"]}, "start, end, failure"),
        ({"when": []}, "start, end, failure"),
        ({"headers": {"a b": "S3CRETHEADER"}}, "'a b'"),
        ({"headers": {"X-Key": "S3CRETHEADER\r\nX: y"}}, "'X-Key'"),
        ({"headers": {"X-Key": 7}}, "'X-Key'"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_other_mistakes_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        WebhookObserver("https://example.invalid/x", **options)

    assert "S3CRETHEADER" not in str(caught.value)


def test_the_configuration_that_comes_along_builds_the_observer() -> None:
    text = (Path(anew.configs.__file__).parent / "anew" / "observers" / "webhook.yaml").read_text()
    spec = yaml.safe_load(text)

    assert all(isinstance(key, str) for key in spec)
    observer = build_observer("webhook", {**spec, "url": "https://example.invalid/x"})

    assert isinstance(observer, WebhookObserver)
    assert isinstance(observer, Observer)
    assert isinstance(observer, Beginning)
    assert repr(observer) == "WebhookObserver('https://example.invalid', when=['start', 'end', 'failure'])"
    with pytest.raises(ConfigError, match="needs a URL"):
        build_observer("webhook", spec)


# --- a real run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [[], [500, 503], [404]], ids=["well", "an outage", "refused"])
def test_a_run_tells_of_itself_and_keeps_the_url_to_itself(
    project: Path, hooks: HookServer, answers: list[int]
) -> None:
    trial = Project(project)
    trial.write("@experiment.main\ndef main(*, run: Run):\n    run.log({'loss': 0.5})\n    raise ValueError('boom')\n")
    for status in answers:
        hooks.answer(status)

    done = trial.run(
        "anew/observers=[files,webhook]",
        "anew.observers.webhook.url=${oc.env:HOOK_ADDRESS}",
        "anew.observers.webhook.when=[failure]",
        code=1,
        env={"HOOK_ADDRESS": hooks.url + PATH},
    )

    assert set(texts(hooks)) == {texts(hooks)[-1]}
    assert " failed after " in texts(hooks)[-1]
    assert texts(hooks)[-1].endswith(" s: ValueError: boom; loss 0.5")
    assert len(hooks.posted) == len(answers) + 1
    kept = b"".join(path.read_bytes() for path in (project / "runs").rglob("*") if path.is_file())
    for secret in SECRETS[:2]:
        assert secret not in done.stderr + done.stdout
        assert secret.encode() not in kept


# --- templates by name, and sweeps --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slack", "teams", "text"])
def test_a_template_has_a_name(hooks: HookServer, name: str) -> None:
    [body] = deliver(hooks, start(), end(error=FAILED, status=Status.FAILED), when="failure", template=name)
    assert "digits" in json.dumps(body)
    assert "ValueError: boom" in json.dumps(body)
    if name == "slack":
        assert [block["type"] for block in body["blocks"]] == ["section", "context"]
    if name == "teams":
        [card] = body["attachments"]
        assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert card["content"]["type"] == "AdaptiveCard"


def test_a_template_that_there_is_not_is_said() -> None:
    with pytest.raises(ConfigError, match="slack, teams"):
        WebhookObserver("https://example.org/x", template="slak")
    with pytest.raises(ConfigError, match="sweep='job'"):
        WebhookObserver("https://example.org/x", sweep="job")


SWEPT = """\
@experiment.main
def main(lr: float = 0.1):
    if lr > 1:
        raise ValueError("too fast")
    return lr
"""


@pytest.mark.parametrize("workers", [[], ["anew.sweep.workers=2"]], ids=["one by one", "workers"])
def test_a_sweep_is_one_message(hooks: HookServer, project: Path, workers: list[str]) -> None:
    trial = Project(project)
    trial.write(SWEPT)
    ours = ["anew/observers=[files,webhook]", f"anew.observers.webhook.url={hooks.url}{PATH}"]
    ours.append("anew.observers.webhook.sweep=one")
    trial.run("-m", "lr=0.5,0.25,3", "anew.sweep.direction=minimize", *ours, *workers, code=1)
    [text] = texts(hooks)
    assert text.startswith("sweep 1 of trial: FAILED after ")
    assert "; 3 jobs: 2 COMPLETED, 1 FAILED; best: job 1 (lr=0.25): 0.25; job 2 (lr=3): " in text
    assert "too fast" in text
    trial.run("lr=0.5", *ours)
    assert texts(hooks)[-1].startswith("run 4 of trial completed")


def test_a_sweep_that_cannot_be_told_ends_all_the_same(hooks: HookServer, project: Path) -> None:
    trial = Project(project)
    trial.write(SWEPT)
    ours = ["anew/observers=[files,webhook]", f"anew.observers.webhook.url=http://127.0.0.1:{free_port()}{PATH}"]
    done = trial.run("-m", "lr=0.5,0.25", "anew.observers.webhook.sweep=one", *ours)
    assert "webhook was not told of sweep 1" in done.stderr
    assert not [each for each in SECRETS if each in done.stderr]
