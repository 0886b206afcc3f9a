"""The observers `webhook`, `console` and `memory`: what they tell, and what they do when nobody listens."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anew.observers.console import ConsoleObserver
from anew.observers.memory import MemoryObserver
from anew.observers.webhook import WebhookObserver
from anew.runner import events as ev
from anew.runner.errors import AnewError, ConfigError, UnavailableError
from anew.runner.records import Status
from anew.runner.testing import Sample, sample_run
from tests.hooks import HookServer, free_port

pytest_plugins = ("tests.hooks",)
SECRET = "/services/T000/SECRETPART?key=SECRETTOO"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return sample_run(tmp_path / "runs", Status.FAILED)


def deliver(observer: Any, sample: Sample) -> None:
    if hasattr(observer, "begin"):
        observer.begin(sample.store)
    for event in sample.events:
        observer.handle(event)
    observer.close()


# --- webhook ----------------------------------------------------------------------------------------------------


def test_start_and_failure_are_told_in_a_sentence(hooks: HookServer, sample: Sample) -> None:
    deliver(WebhookObserver(hooks.url + SECRET), sample)
    start, end = (body["text"] for body in hooks.bodies)
    assert "sample" in start
    assert "failed" in end.lower()
    assert "ValueError: diverged" in end
    assert {each.path for each in hooks.posted} == {SECRET}


def test_only_what_is_wanted_is_told(hooks: HookServer, sample: Sample, tmp_path: Path) -> None:
    deliver(WebhookObserver(hooks.url, on="failure"), sample_run(tmp_path / "fine"))
    assert hooks.posted == []
    deliver(WebhookObserver(hooks.url, on="failure"), sample)
    assert len(hooks.posted) == 1


def test_a_template_fills_nested_texts(hooks: HookServer, sample: Sample) -> None:
    template = {"type": "message", "blocks": [{"t": "{experiment} {status} {{x}}"}, {"e": "{error}"}], "n": 3}
    deliver(WebhookObserver(hooks.url, on="end", template=template), sample)
    [body] = hooks.bodies
    assert body["blocks"] == [{"t": "sample FAILED {x}"}, {"e": "ValueError: diverged"}]
    assert body["n"] == 3


@pytest.mark.parametrize("template", [{"a": "{config}"}, {"a": "{run.__class__}"}, {"a": "{uid!r}"}])
def test_a_field_that_there_is_not_is_refused_when_it_is_built(template: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="experiment"):
        WebhookObserver("https://host/x", template=template)


def test_nothing_of_the_configuration_is_told(hooks: HookServer, sample: Sample) -> None:
    start = replace(sample.record, config={"password": "hidden-word", "lr": 0.123456})
    observer = WebhookObserver(hooks.url)
    observer.handle(replace(sample.events[0], record=start))
    for event in sample.events[1:]:
        observer.handle(event)
    observer.close()
    assert hooks.bodies
    assert "hidden-word" not in str(hooks.bodies)
    assert "0.123456" not in str(hooks.bodies)


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_service_that_cannot_now_is_asked_again(hooks: HookServer, sample: Sample, status: int) -> None:
    hooks.answer(status)
    observer = WebhookObserver(hooks.url + SECRET)
    with pytest.raises(UnavailableError) as caught:
        observer.handle(sample.events[0])
    assert "SECRET" not in str(caught.value)
    observer.handle(sample.events[0])
    assert len(hooks.posted) == 2
    observer.close()


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refusal_for_good_is_no_outage_and_tells_no_secret(hooks: HookServer, sample: Sample, status: int) -> None:
    hooks.answer(status)
    observer = WebhookObserver(hooks.url + SECRET)
    with pytest.raises(AnewError) as caught:
        observer.handle(sample.events[0])
    assert not isinstance(caught.value, OSError)
    assert str(status) in str(caught.value)
    assert "SECRET" not in str(caught.value) + repr(observer)
    observer.close()


def test_a_service_that_is_not_there_or_does_not_answer_is_an_outage(hooks: HookServer, sample: Sample) -> None:
    gone = WebhookObserver(f"http://127.0.0.1:{free_port()}{SECRET}")
    with pytest.raises(UnavailableError) as caught:
        gone.handle(sample.events[0])
    assert "SECRET" not in str(caught.value)
    hooks.answers.append("silence")
    stuck = WebhookObserver(hooks.url, timeout_s=0.2)
    with pytest.raises(UnavailableError):
        stuck.handle(sample.events[0])


def test_a_redirect_is_not_followed(hooks: HookServer, sample: Sample) -> None:
    other = HookServer()
    try:
        hooks.answer(307, Location=other.url)
        with pytest.raises(AnewError):
            WebhookObserver(hooks.url).handle(sample.events[0])
        assert other.posted == []
    finally:
        other.stop()


@pytest.mark.parametrize("url", [None, "", "ftp://host/x", "not a url"])
def test_a_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ConfigError):
        WebhookObserver(url)


# --- console ----------------------------------------------------------------------------------------------------


def test_the_console_has_start_metrics_and_end(sample: Sample) -> None:
    stream = io.StringIO()
    deliver(ConsoleObserver(stream=stream, interval_s=0), sample)
    text = stream.getvalue()
    assert "sample" in text
    assert "loss" in text
    assert "ValueError: diverged" in text


def test_text_of_a_run_cannot_drive_the_terminal(sample: Sample) -> None:
    stream = io.StringIO()
    start = replace(sample.record, experiment="x\x1b[2Jy")
    observer = ConsoleObserver(stream=stream, interval_s=0)
    observer.handle(replace(sample.events[0], record=start))
    for event in sample.events[1:]:
        observer.handle(event)
    observer.close()
    assert "\x1b" not in stream.getvalue()


def test_what_was_printed_is_not_printed_again(sample: Sample) -> None:
    stream = io.StringIO()
    deliver(ConsoleObserver(stream=stream, interval_s=0), sample)
    assert "epoch 2" not in stream.getvalue()


# --- memory -----------------------------------------------------------------------------------------------------


def test_memory_keeps_each_event_once_in_order(sample: Sample) -> None:
    memory = MemoryObserver()
    deliver(memory, sample)
    deliver(memory, sample)
    assert memory.events == sample.events
    assert [event.step for event in memory.of(ev.MetricsLogged)][:3] == [0, 1, 2]
    assert repr(memory.record()) == repr(sample.final)
    assert memory.output() == sample.output
    memory.clear()
    assert memory.events == ()
