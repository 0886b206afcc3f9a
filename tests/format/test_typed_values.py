"""What is given to main in Python arrives as it was given, whatever letters it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anew.runner.errors import ConfigError
from anew.runner.format.typed_values import overrides_of


class Kind(Enum):
    """Two kinds."""

    FAST = 1


@dataclass
class Inner:
    """A part of a configuration."""

    depth: int = 2


HOSTILE = [
    "", " ", "a b", " a ", "'", '"', "\\", "\\\\", "\\'", "a\\", "a\\\\'", "${x}", "\\${x}", "a\\\\${oc.env:HOME}", "$",
    "{", "}", "[1,2]", "{a:1}", "a,b", "a=b", "a:b", "1", "1.0", "1e3", "-1", "inf", "nan", "null", "NULL",
    "true", "False",
    "a\nb", "\t", "ü", "日本", "#", "%", "~x", "+x", "choice(1,2)", "range(3)", "glob(*)", "!x", "&x", "*", "-",
    "@", "()",
    "a;b", "x # y", "'a'", "it's", "\\n", "/tmp/a b", "s3://bucket/k?x=1&y=2", "a'b\\'c\\\\'d\\",
]  # fmt: skip


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """What main is called with for a value given in Python."""
    from anew import Experiment

    got: list[Any] = []

    @Experiment("typed").main
    def main(x: Any = 1) -> None:
        got.append(x)

    store = tmp_path_factory.mktemp("typed") / "runs"

    def arrived(value: Any) -> Any:
        record = main.run({"x": value}, store=store)
        assert record.config["x"] == got[-1] or got[-1] != got[-1]
        return got[-1]

    return arrived


@pytest.mark.long
def test_texts_arrive_as_they_were_given(arrived: Callable[[Any], Any]) -> None:
    for text in HOSTILE:
        assert arrived(text) == text
    assert arrived(HOSTILE) == HOSTILE
    assert arrived({"k": {"l": HOSTILE}}) == {"k": {"l": HOSTILE}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (True, True),
        (0, 0),
        (-(2**70), -(2**70)),
        (0.1, 0.1),
        (1e-300, 1e-300),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (1.0, 1.0),
        ([], []),
        ({}, {}),
        ((1, "a"), [1, "a"]),
        (range(3), [0, 1, 2]),
        ([[1, 2], [None]], [[1, 2], [None]]),
        ({"a": {"b": [1, {"c": "x y"}]}}, {"a": {"b": [1, {"c": "x y"}]}}),
        ({1: "one"}, {1: "one"}),
        (Path("/tmp/a b"), "/tmp/a b"),
        (Kind.FAST, "FAST"),
        (Inner(3), {"depth": 3}),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.array([[1, 2]]), [[1, 2]]),
    ],
)
def test_values_arrive_as_they_were_given(arrived: Callable[[Any], Any], given: Any, expected: Any) -> None:
    found = arrived(given)
    assert found == expected
    assert type(found).__name__ in (type(expected).__name__, "ListConfig", "DictConfig")


def test_nan_arrives(arrived: Callable[[Any], Any]) -> None:
    assert math.isnan(arrived(math.nan))


def test_words_that_need_no_quotes_have_none_and_all_come_in_order() -> None:
    given = ("b=1", {"opt.lr": 3, "model": "mlp"})
    assert overrides_of(given, {"path": "a/b-c.txt"}) == ["b=1", "opt.lr=3", "model=mlp", "path=a/b-c.txt"]


def test_lists_are_choices_in_a_sweep() -> None:
    values = {
        "lr": [0.1, 0.2],
        "model": ("a", "b c"),
        "seed": range(2),
        "n": np.array([1, 2]),
        "one": 5,
        "l": [[1, 2], [3]],
    }
    assert overrides_of((), values, choices=True) == [
        "lr=0.1,0.2",
        "model=a,'b c'",
        "seed=0,1",
        "n=1,2",
        "one=5",
        "l=[1,2],[3]",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": object()}, "no configuration holds"),
        ({"x": b"bytes"}, "no configuration holds"),
        ({"x": {1, 2}}, "no configuration holds"),
        ({"x": {"a b'": 1}}, "holds the key"),
        ({"x": {"1": 1}}, "holds the key"),
        ({"a b": 1}, "no key of a configuration"),
        ({"a=b": 1}, "no key of a configuration"),
        ({3: 1}, "no key of a configuration"),
        (3, "is no override"),
        (["lr=1"], "is no override"),
    ],
)
def test_what_cannot_be_given_is_said(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        overrides_of((given,), {})


def test_a_sweep_over_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no values to sweep over"):
        overrides_of((), {"lr": []}, choices=True)
