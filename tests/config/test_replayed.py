"""A recorded configuration comes back exactly, whatever is composed today, with the types that are composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.hooks import Recorded
from anew.runner.config.replayed import replay
from anew.runner.config.signature.values import recorded, users_part
from anew.runner.errors import ConfigError
from tests.helpers.releases import register_resolver

KEYS = st.sampled_from(["a", "b", "c", "lr", "x y", "0", "ünd"])
TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="${}\\:abc.'\" ", max_size=12),
    st.sampled_from(["${a}", "\\${a}", "${now:%Y}", "???x", "null", "1e3", "${oc.env:HOME}"]),
).filter(lambda text: text != "???")
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=4), st.just("???"))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
CONFIGS = st.dictionaries(KEYS, TREES, max_size=4)
PLAIN_CONFIGS = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(alphabet="abc", max_size=4), st.just("${lr}")
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
        max_leaves=8,
    ),
    max_size=4,
)


def composed(values: Any) -> DictConfig:
    """What Hydra would compose: the user's part and its own."""
    cfg = OmegaConf.merge({"hydra": {"job": {}}}, values)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    return cfg


def again(
    config: dict[str, Any], *todays: Any, changes: Sequence[str] = (), overrides: Sequence[str] = ()
) -> tuple[DictConfig, tuple[str, ...]]:
    """Replay *config*; *todays* are the compositions without and with the changes."""
    was = Recorded(ref="1", config=config, overrides=tuple(overrides), changes=tuple(changes))

    def compose(overrides: Sequence[str] | None) -> DictConfig:
        return composed({}) if overrides is None else composed(todays[-1] if overrides else todays[0])

    cfg, notes = replay(was, compose, lambda overrides, cfg: None)
    return users_part(cfg), notes


def same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)


@settings(deadline=None, max_examples=300)
@given(config=CONFIGS, today=PLAIN_CONFIGS)
def test_whatever_is_composed_today_what_is_on_record_comes_out(config: dict[str, Any], today: dict[str, Any]) -> None:
    cfg, _ = again(config, today)
    assert same(dict(sorted(recorded(cfg).items())), dict(sorted(config.items()))) or recorded(cfg) == config


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Part:
    size: int = 1
    at: Path = Path("here")


@dataclass
class Typed:
    colour: Colour = Colour.RED
    place: Path = Path("/data")
    pair: tuple[float, float] = (1.0, 2.0)
    parts: list[Part] = field(default_factory=lambda: [Part()])
    named: dict[str, Part] = field(default_factory=dict)
    either: Part | None = None
    by_colour: dict[Colour, int] = field(default_factory=lambda: {Colour.RED: 1})
    rate: float = 1


def test_types_are_those_that_are_composed() -> None:
    was = Typed(
        colour=Colour.BLUE,
        place=Path("/other"),
        pair=(3.0, 4.5),
        parts=[Part(2, Path("there")), Part(3)],
        named={"one": Part(7)},
        either=Part(9),
        by_colour={Colour.BLUE: 4},
        rate=2.0,
    )
    config = recorded(OmegaConf.structured(was))
    cfg, notes = again(config, OmegaConf.structured(Typed()))
    assert notes == ()
    assert recorded(cfg) == config
    assert cfg.colour is Colour.BLUE
    assert cfg.place == Path("/other")
    assert OmegaConf.get_type(cfg.parts[1]) is Part
    assert OmegaConf.get_type(cfg.named.one) is Part
    assert OmegaConf.get_type(cfg.either) is Part
    assert cfg.by_colour[Colour.BLUE] == 4


def test_a_reference_stays_one_and_the_world_is_not_asked_again() -> None:
    register_resolver("test_replayed_today", lambda: "today", replace=True)
    try:
        today = {"lr": 1, "same": "${lr}", "when": "${test_replayed_today:}", "later": "${not_there_yet:}"}
        config = {"lr": 5, "same": 5, "when": "then", "later": "${not_there_yet:}"}
        cfg, _ = again(config, today)
        assert cfg.when == "then"
        cfg.lr = 6
        assert cfg.same == 6
        assert OmegaConf.is_interpolation(cfg, "later")
    finally:
        OmegaConf.clear_resolver("test_replayed_today")


def test_keys_that_are_not_on_record_are_taken_out_and_text_stays_text() -> None:
    cfg, _ = again({"b": "${lr}", "c": "\\${x}"}, {"a": 1, "b": "x", "c": "", "lr": 3})
    assert recorded(cfg) == {"b": "${lr}", "c": "\\${x}"}
    assert cfg.b == "${lr}"


def test_with_changes_what_follows_from_them_follows_and_the_rest_is_as_on_record() -> None:
    register_resolver("test_replayed_twice", lambda value: 2 * value, replace=True)
    try:
        rest = {"double": "${test_replayed_twice:${lr}}", "ref": "${lr}", "edited": "today", "when": "today"}
        config = {"lr": 1, "double": 2, "ref": 1, "edited": "then", "when": "then"}
        cfg, _ = again(config, {"lr": 1, **rest}, {"lr": 5, **rest}, changes=["lr=5"])
        assert recorded(cfg) == {"lr": 5, "double": 10, "ref": 5, "edited": "then", "when": "then"}
    finally:
        OmegaConf.clear_resolver("test_replayed_twice")


def test_a_secret_is_asked_for_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"The value of db\.password is a secret") as caught:
        again({"db": {"password": "<redacted>"}}, {"db": {"password": "${oc.env:NO_SUCH_VARIABLE_HERE}"}})
    assert "set NO_SUCH_VARIABLE_HERE" in str(caught.value)
    cfg, _ = again({"db": {"password": "<redacted>"}}, {"db": {"password": "in the source"}})
    assert cfg.db.password == "in the source"


@pytest.mark.parametrize(
    ("typed", "change"),
    [
        ("db.password=<redacted>", "db.password=given"),
        ("+db={password:<redacted>}", "db={password:given}"),
        ("db={password:<redacted>}", "++db.password=given"),
    ],
)
def test_a_secret_that_was_typed_is_asked_for_although_it_has_a_default(typed: str, change: str) -> None:
    config = {"db": {"password": "<redacted>"}}
    default = {"db": {"password": "in the source"}}
    with pytest.raises(ConfigError, match=r"anew rerun \S+ db\.password=VALUE"):
        again(config, default, overrides=[typed])
    cfg, _ = again(config, default, {"db": {"password": "given"}}, changes=[change], overrides=[typed])
    assert cfg.db.password == "given"


def test_a_secret_in_a_list_is_asked_for_with_all_of_the_list() -> None:
    config = {"users": [{"password": "<redacted>"}]}
    with pytest.raises(ConfigError, match=r"anew rerun \S+ 'users=\[\.\.\.\]'"):
        again(config, {"users": [{"password": "in the source"}]}, overrides=["users=[{password:<redacted>}]"])


def test_what_no_longer_composes_is_given_untyped_and_that_is_said() -> None:
    was = Recorded(ref="1", config={"a": {"b": "${x}"}}, overrides=("model=gone",))

    def compose(overrides: Sequence[str] | None) -> DictConfig:
        if overrides is not None:
            raise ValueError("there is no such model")
        return composed({})

    cfg, notes = replay(was, compose, lambda overrides, cfg: None)
    assert recorded(users_part(cfg)) == {"a": {"b": "${x}"}}
    assert "there is no such model" in notes[0]
