"""What `anew.start` is given as a configuration, as plain values and back."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anew.runner.errors import ConfigError
from anew.runner.started.given import put, values_of


class Kind(Enum):
    BIG = 1
    SMALL = 2


@dataclasses.dataclass(frozen=True)
class Frozen:
    lr: float = 0.1
    kind: Kind = Kind.BIG


def _given() -> dict[Any, Any]:
    opt = argparse.Namespace(lr=0.1, on=True, path=Path("a"))
    return {
        "opt": opt,
        "frozen": Frozen(),
        "n": np.int64(3),
        "t": (1, 2),
        "s": {2, 1},
        "f": len,
        "none": None,
        1: "a",
    }


def test_it_is_kept_as_plain_values() -> None:
    assert values_of(_given()) == {
        "opt": {"lr": 0.1, "on": True, "path": "a"},
        "frozen": {"lr": 0.1, "kind": "BIG"},
        "n": 3,
        "t": [1, 2],
        "s": [1, 2],
        "f": "builtins.len",
        "none": None,
        "1": "a",
    }
    assert values_of(None) == {}
    assert values_of(SimpleNamespace(a=1)) == {"a": 1}
    nested: dict[str, Any] = {}
    nested["self"] = nested
    assert list(values_of(nested)) == ["self"]


@pytest.mark.parametrize("wrong", ["lr=0.1", 3, [1], Frozen, print, argparse])
def test_what_has_no_names_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="give a dict"):
        values_of(wrong)


def test_recorded_values_are_put_where_they_were_as_they_were() -> None:
    given = _given()
    opt, frozen = given["opt"], given["frozen"]
    wanted = {**values_of(given), "opt": {"lr": 2, "on": False, "path": "b"}, "frozen": {"lr": 0.5, "kind": "SMALL"}}
    put({**wanted, "t": [3], "f": "builtins.print", "new": [1], "none": 7}, given)
    assert (given["opt"], given["frozen"]) == (opt, frozen)
    assert opt == argparse.Namespace(lr=2.0, on=False, path=Path("b"))
    assert frozen == Frozen(0.5, Kind.SMALL)
    assert (given["t"], given["f"], given["new"], given["none"], given["n"]) == ((3,), len, [1], 7, np.int64(3))
    del wanted["t"]
    put(wanted, given)
    assert "t" not in given
    put({"opt": {**wanted["opt"], "path": "<redacted>"}}, given)
    assert opt.path == Path("b")


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"lr": 0.1}, {"lr": "high"}),
        ({"on": True}, {"on": 3}),
        ({"kind": Kind.BIG}, {"kind": "HUGE"}),
        (MappingProxyType({"lr": 0.1}), {"lr": 0.2}),
    ],
)
def test_what_does_not_fit_is_refused(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wanted))):
        put(wanted, config)
