"""What redaction costs grows with what is redacted, and a command is looked at once, however many jobs it has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner.format.override_text import Spot, spots
from anew.runner.format.redact import REDACTED, Redactor


def calls(function: Callable[[], Any]) -> int:
    """Return how many functions are called, comparisons among them."""
    count = 0

    def note(frame: Any, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


# no value is there twice: what was looked at before is remembered
WORDS: dict[str, Callable[[int], list[str]]] = {
    "choices": lambda n: ["lr=" + ",".join(f"c{n}.{i}" for i in range(n))],
    "list": lambda n: ["layers=[" + ",".join(f"l{n}.{i}" for i in range(n)) + "]"],
    "dict": lambda n: ["+d={" + ",".join(f"k{i}:d{n}.{i}" for i in range(n)) + "}"],
    "pairs": lambda n: ["+d=[" + ",".join(f"[p{n}.{i},b]" for i in range(n)) + "]"],
    "quotes": lambda n: ["text=" + ",".join(f"'q {n}.{i}'" for i in range(n))],
    "words": lambda n: [f"+a.b{n}_{i}=1" for i in range(n)],
    "secrets": lambda n: ["users=[" + ",".join(f"{{password:s{n}.{i}}}" for i in range(n)) + "]"],
    "secret words": lambda n: [f"+a.b{n}_{i}.password=w{n}.{i}" for i in range(n)],
}


@pytest.mark.parametrize("kind", WORDS)
def test_twice_as_much_on_a_command_line_costs_twice_as_much(kind: str) -> None:
    once, twice = (calls(partial(Redactor().arguments, WORDS[kind](n))) for n in (150, 300))
    assert twice < 2.5 * once


# as many secrets as there are lines, each of them new, between texts that may hold one
DOCUMENTS: dict[str, Callable[[int], str]] = {
    "values": lambda n: "".join(f"u{i}:\n  user: m{n}.{i}\n  password: y{n}.{i}\n" for i in range(n)),
    "items": lambda n: "task:\n" + "".join(f"- u{i}.password=z{n}.{i}\n- lr={n}.{i}\n" for i in range(n)),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_twice_as_much_in_a_yaml_document_costs_twice_as_much(kind: str) -> None:
    once, twice = (calls(partial(Redactor().yaml, DOCUMENTS[kind](n))) for n in (150, 300))
    assert twice < 2.5 * once


LINES = st.builds(
    "- {}{}".format,
    st.sampled_from(["", "password: ", "note: ", "api_key: "]),
    st.sampled_from(["hunter22", "hunter22-and-more", "12345678", "912345678", "it is hunter22", "a.password=1234"]),
)


@given(st.lists(LINES, min_size=1))
def test_a_yaml_document_is_what_its_lines_are_one_by_one_once_all_is_known(lines: list[str]) -> None:
    apart = Redactor()
    for _ in range(3):
        found = list(map(apart.yaml, lines))

    assert Redactor().yaml("\n".join(lines)) == "\n".join(found)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def noted(argument: str) -> list[Spot]:
        found.append(argument)
        return spots(argument)

    monkeypatch.setattr("anew.runner.format.pairs.spots", noted)
    return found


def test_a_command_is_looked_at_once_where_as_much_is_known(looked_at: list[str]) -> None:
    words = ["once.py", "-m", "lr=0.1,0.2", "users=[{password:hunter22}]"]
    kept = {Redactor(["known99"]).arguments(words) for _ in range(5)}
    assert kept == {("once.py", "-m", "lr=0.1,0.2", f"users=[{{password:{REDACTED}}}]")}
    assert looked_at == words


def test_whoever_has_a_command_from_before_knows_its_secrets_too() -> None:
    words = ["again.py", "db.password=hunter22", "users=[{pass:1234}]"]
    for _ in range(2):
        redactor = Redactor()
        redactor.arguments(words)
        assert redactor.text("hunter22") == REDACTED
        assert redactor.text("is users=[{pass:1234}]") == f"is users=[{{pass:{REDACTED}}}]"


def test_a_command_is_looked_at_again_where_more_is_known() -> None:
    words = ["more.py", "out=hunter23"]
    redactor = Redactor()
    assert redactor.arguments(words) == tuple(words)
    redactor.learn(["hunter23"])
    assert redactor.arguments(words) == ("more.py", f"out={REDACTED}")
    assert Redactor().arguments(words) == tuple(words)
    redactor = Redactor()
    redactor.argument("out.password=23")
    assert redactor.arguments(["more.py", "lr=1,out.password=23"])[1] == f"lr=1,out.password={REDACTED}"


def test_a_secret_that_a_later_word_gives_away_is_whole_in_an_earlier_one() -> None:
    words = ["out=hunter22-and-more", "+a.password=hunter22", "+b.password=hunter22-and-more"]
    assert Redactor().arguments(words)[0] == f"out={REDACTED}"
