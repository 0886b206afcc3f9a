"""The filter language, its mistakes, and sorting."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner.errors import FilterError
from anew.runner.query import tree
from anew.runner.query.filters import parse_filter, value_of
from anew.runner.query.sorting import sort_records
from anew.runner.records import CommandFacts, MetricSummary, RunRecord, Status, SweepMembership, Verdict

NOW = datetime.now(timezone.utc)
RUN = RunRecord(
    id=7,
    uid="01abc",
    experiment="digits",
    status=Status.COMPLETED,
    started_at=NOW - timedelta(hours=1),
    duration_s=12.5,
    command=CommandFacts(argv=(), cwd="/"),
    config={"lr": 0.01, "model": {"name": "mlp", "layers": [64, 32]}, "a.b": 1, "debug": False, "none": None, "n": 5},
    metrics={
        "loss": MetricSummary(last=0.05, min=0.05, max=1.0, count=3),
        "train/acc": MetricSummary(last=0.9, min=0.1, max=0.9, count=3),
        "status": MetricSummary(last=1.0, min=1.0, max=1.0, count=1),
        "nan": MetricSummary(last=math.nan, min=None, max=None, count=1),
    },
    result={"acc": 0.93},
    tags=("paper", "good"),
    note="a fine run",
    sweep=SweepMembership(id=3, index=0),
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "loss < 0.1",
        "loss <= 0.05 and train/acc >= 0.9",
        "'train/acc' > 0.5",
        "metric.status == 1",
        "status == completed",
        "status in [COMPLETED, FAILED]",
        "config.lr == 0.01",
        "config.lr==1e-2",
        "config.model.name == 'mlp'",
        "config.model.layers.1 == 32",
        "config.a.b == 1",
        "config.debug == false",
        "config.none == none",
        "not config.debug == true",
        "tag == paper",
        "tag in (paper, other)",
        "tag != broken",
        "tag ~ ^pap",
        "started > 2h",
        "started < 1m",
        "started > 2020-01-01",
        "started < '2099-01-01T00:00:00Z'",
        "id == 7 and experiment ~ dig",
        "result.acc > 0.9",
        "duration > 10",
        "note ~ fine",
        "sweep == 3",
        "missing != 1",
        "loss > 1 or (loss < 1 and not (status == FAILED or status == LOST))",
        "LOSS != 1 and loss < 1 AND NOT loss > 1",
        "uid == 01abc",
        "lr == 0.01 and model.name == mlp",
        "config.model.layers == [64, 32]",
        "config.model.layers != [64]",
        "config.model.layers == 64",
        "tag == [paper, good]",
        "tag not in [broken, old]",
        "missing not in [1]",
        "started > 2h ago and started > -2h and started > '2h ago'",
        "duration < 1m and duration > 12s",
        "ended == none and status in [completed]",
        "verdict == none and verdict != identical and verdict not in [close, different]",
    ],
)
def test_filters_that_match(text: str) -> None:
    assert parse_filter(text).matches(RUN)


@pytest.mark.parametrize(
    "text",
    [
        "loss > 0.1",
        "nan < 1",
        "nan > 1",
        "missing == 1",
        "missing < 1",
        "config.lr == abc",
        "config.lr < abc",
        "config.model < 1",
        "config.debug == 0",
        "config.n == '5'",
        "tag == broken",
        "tag != paper",
        "started > 1m",
        "tag == [paper]",
        "tag not in [paper]",
        "config.model.layers == [64]",
        "config.model.layers == 65",
        "missing in [1]",
        "missing == [1]",
        "duration > 1m",
        "config.model.layers.9 == 1",
    ],
)
def test_filters_that_do_not(text: str) -> None:
    assert not parse_filter(text).matches(RUN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss <", "expected a value"),
        ("loss", "expected a comparison after 'loss'"),
        ("loss = 1", "use '==' to compare"),
        ("< 1", "expected a name"),
        ("(loss < 1", "expected ')'"),
        ("loss < 1 loss > 2", "expected 'and', 'or' or the end"),
        ("tag in paper", "expected a list"),
        ("tag in [paper", "expected ']'"),
        ("statsu == 1", "did you mean 'status'"),
        ("confg.lr == 1", "did you mean 'config'? (for a key of that name: config.confg.lr)"),
        ('"my loss".max > 1', 'quotes go around the whole of a name: "my loss.max"'),
        ('metric."my loss" > 1', 'quotes go around the whole of a name: "metric.my loss"'),
        ("loss' x' > 1", "quotes go around the whole of a name"),
        ("note ~ (", "expected a value"),
        ("note ~ '('", "is no regular expression"),
        ("note == 'open", "expected a quote to end"),
        ("started > nonsense", "expected a time in the years 1 to 9999"),
        ("started > 999999999999999d", "in the years 1 to 9999"),
        (f"started > {'9' * 400}s", "in the years 1 to 9999"),
        ("ended < 99999-01-01", "expected a time in the years 1 to 9999"),
        ("note ~ " + "a" * 1001, "has 1,001 letters"),
        ("note ~ '(?P<1>a)'", "is no regular expression"),
        ("note ~ a{4294967296}", "written out it has 4,294,967,29"),
        ("status == DONE", "there is no status 'DONE'; there are: QUEUED"),
        ("status in [LOST, GONE]", "there is no status 'GONE'"),
        ("verdict == same", "there is no verdict 'same'; there are: identical, close, different"),
        ("verdikt == same", "did you mean 'verdict'"),
        ("0.1 > loss", "expected a name, and the value after it"),
        ("tag not paper", "expected a comparison after 'tag'"),
        ("(" * 60 + "loss < 1" + ")" * 60, "more than 50 parentheses"),
        ("not " * 5000 + "loss < 1", "more than 50 parentheses"),
    ],
)
def test_mistakes_are_shown_with_their_place(text: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    message = str(caught.value)
    assert said in message
    assert f"\n  {text}\n" in message
    assert "^" in message.splitlines()[2]


@pytest.mark.parametrize("name", ["my metric", "metric1", "infos", "statsu", "resultt"])
def test_a_metric_that_is_called_much_like_something_of_ours_is_found(name: str) -> None:
    """What is quoted is meant letter for letter, and what ends as only names of metrics do is no mistyped other."""
    record = replace(RUN, metrics={name: MetricSummary(last=1.0, min=0.5, max=2.0, count=3)})
    texts = [f'"{name}" == 1', f'"{name}.max" == 2', f'"metric.{name}.min" == 0.5', f'has("{name}.count")']
    texts += [] if " " in name else [f"{name}.max == 2"]
    assert [text for text in texts if not parse_filter(text).matches(record)] == []


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FilterError):
        parse_filter(text).matches(RUN)


@pytest.mark.parametrize("pattern", ["(?R)", "(?(DEFINE)(?P<a>(?&a)))(?&a)", "(?P<a>b|(?&a)c)"])
def test_a_pattern_that_calls_itself_is_a_mistake_of_whoever_typed_it(pattern: str) -> None:
    with suppress(FilterError):
        parse_filter(f'note ~ "{pattern}"').matches(replace(RUN, note="abc"))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "(.*a){25}!", "((a+)+)+$", "(?:a?){40}a{40}b"])
def test_a_pattern_that_backtracks_without_end_is_refused_within_seconds(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is the library's: here it is set to what a test can wait for."""
    monkeypatch.setattr(tree, "_PATTERN_S", 0.1)
    run = replace(RUN, note="a" * 60 + "!" + "c" * 5)
    with suppress(FilterError):
        assert parse_filter(f"note ~ '{pattern}'").matches(run) in (True, False)
    with pytest.raises(FilterError, match=r"takes longer than 0\.1 s over the value 'aaaa"):
        parse_filter("note ~ '(a|a)*$'").matches(run)


@pytest.mark.parametrize(
    "pattern",
    [
        "a{99999999}",
        "x{2}(b|a{0,99999999})",
        "((a{1000}){1000})?",
        "(?:" * 100 + "a" + "){2}" * 100,
        "[]](?#[)(a{200}[)]b){200}[^])]",
        "{}{99999999}",
        "\\(\\[a{99999999}",
        "(?x)#[\na{99999999}",
        "[[:alpha:])]{20000}",
        "a{" + "9" * 900 + "}",
    ],
)
def test_a_pattern_that_repeats_too_much_is_refused_before_it_is_compiled(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree.Pattern, "compiled", lambda _: pytest.fail("it was compiled"))
    with pytest.raises(FilterError) as refused:
        parse_filter(f"lr < 1 and note ~ '{pattern}'")
    assert getattr(refused.value, "position", None) == len("lr < 1 and note ~ ")
    assert "regular expression" in str(refused.value)


@pytest.mark.parametrize("pattern", ["[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"\d{1,3}(\.\d{1,3}){3}", "a{,5}{x}"])
def test_a_pattern_that_repeats_what_people_repeat_is_read(pattern: str) -> None:
    parse_filter(f'note ~ "{pattern}"')


def test_a_filter_comes_to_so_much_and_no_more_however_it_is_made_up() -> None:
    many = {"a": " or ".join(["@b"] * 9), "b": "note ~ 'a{9000}'", "c": " or ".join(["@d"] * 60)}
    many["d"] = " or ".join(["id == 1"] * 60)
    for text, said in [("@a", "repeat too much together"), ("@c", "more than 2,000 comparisons")]:
        with pytest.raises(FilterError, match=said):
            parse_filter(text, many.__getitem__)
    assert parse_filter(f"id in [{', '.join(map(str, range(3000)))}]").names


@pytest.mark.parametrize("index", ["²", "9" * 5000, "٣", "-1", "1e3"])
def test_what_is_no_index_of_a_list_finds_nothing_in_it(index: str) -> None:
    assert value_of(RUN, f"config.model.layers.{index}") is None


def test_filters_never_run_code() -> None:
    with pytest.raises(FilterError):
        parse_filter("__import__('os').system('true')")


def test_sorting_puts_what_is_lacking_last() -> None:
    runs = [
        replace(RUN, id=index, metrics={"loss": MetricSummary(last=value, min=None, max=None, count=1)})
        for index, value in enumerate([3.0, math.nan, 1.0, 2.0])
    ]
    runs.append(replace(RUN, id=4, metrics={}))
    assert [run.id for run in sort_records(runs, "loss")] == [2, 3, 0, 1, 4]
    assert [run.id for run in sort_records(runs, "-loss")] == [0, 3, 2, 1, 4]
    with pytest.raises(FilterError):
        sort_records(runs, "-")


def test_re_runs_are_found_and_sorted_by_their_verdict() -> None:
    verdicts = [None, "identical", "different", "stopped", "close"]
    runs = [
        replace(RUN, id=index, verdict=None if word is None else Verdict(verdict=word))
        for index, word in enumerate(verdicts)
    ]
    assert [run.id for run in runs if parse_filter("verdict == Identical").matches(run)] == [1]
    assert [run.id for run in runs if parse_filter("verdict in [different, stopped]").matches(run)] == [2, 3]
    assert [run.id for run in sort_records(runs, "verdict")] == [4, 2, 1, 3, 0]


def test_values_by_name() -> None:
    assert value_of(RUN, "config.model.name") == "mlp"
    assert value_of(RUN, "config.nothing") is None
