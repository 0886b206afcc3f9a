"""The `anew` node of a configuration: checked, and every mistake said with what would be right."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from importlib.resources import files
from typing import Any

import pytest
import yaml

from anew.runner.errors import ConfigError
from anew.runner.settings import OutputSettings, Settings, SourceSettings, SystemSettings


def test_nothing_said_gives_the_defaults() -> None:
    assert Settings.from_mapping({}) == Settings()


def test_the_file_that_users_copy_says_the_defaults_and_all_of_them() -> None:
    shipped = yaml.safe_load((files("anew.configs") / "anew" / "default.yaml").read_text(encoding="utf-8"))
    assert Settings.from_mapping({**shipped, "observers": {"files": {"keep": True}}}) == Settings()
    # which observers there are is a group of files, and `keep` is whether "files" is one of them
    beside = {"anew.keep", "anew.observers"}
    assert leaves(shipped) == [leaf for leaf in leaves(as_tree(Settings())) if leaf not in beside]


def as_tree(value: Any) -> Any:
    names = getattr(type(value), "__dataclass_fields__", None)
    return {name: as_tree(getattr(value, name)) for name in names} if names else value


def leaves(tree: Any, where: str = "anew") -> list[str]:
    if not isinstance(tree, dict):
        return [where]
    return sorted(leaf for key, value in tree.items() for leaf in leaves(value, f"{where}.{key}"))


def test_what_is_said_is_kept_and_the_rest_stays_as_it_is() -> None:
    settings = Settings.from_mapping(
        {
            "store": "/data/runs",
            "tags": ["a", 1, 2.5],
            "note": "why",
            "durability_ms": 0,
            "output": {"mode": "sys"},
            "source": {"exclude": "data/*", "max_files": 10},
            "system": {"interval_s": 1},
        }
    )
    assert settings == Settings(
        store="/data/runs",
        tags=("a", "1", "2.5"),
        note="why",
        durability_ms=0,
        output=OutputSettings(mode="sys"),
        source=SourceSettings(exclude=("data/*",), max_files=10),
        system=SystemSettings(interval_s=1.0),
    )
    assert type(settings.system.interval_s) is float


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().quiet = True  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(("said", "mode"), [("fd", "fd"), ("sys", "sys"), ("off", "off"), (False, "off")])
def test_off_may_be_what_yaml_makes_of_it(said: Any, mode: str) -> None:
    assert Settings.from_mapping({"output": {"mode": said}}).output.mode == mode


def test_a_note_that_looks_like_a_number_is_text() -> None:
    assert Settings.from_mapping({"note": 5}).note == "5"
    assert Settings.from_mapping({"note": None}).note is None
    assert Settings.from_mapping({"durability_ms": 5.0}).durability_ms == 5


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        (
            {"quite": True},
            "anew.quite",
            "There is no setting anew.quite. Did you mean anew.quiet? anew has: store, quiet, tags, note, "
            "artifacts, durability_ms, heartbeat_s, seed, deterministic, autolog, tensorboard, drain_s, on_loss, "
            "record, observers, output, system, source, inputs, environment, rerun, sweep.",
        ),
        (
            {"source": {"zzz": 1}},
            "anew.source.zzz",
            "There is no setting anew.source.zzz. anew.source has: enabled, keep, max_file_bytes, max_files, "
            "max_total_bytes, exclude.",
        ),
        ({1: 2}, "anew.1", "There is no setting anew.1."),
        ({"output": "off"}, "anew.output", "anew.output is 'off'; it holds keys: mode, limit_bytes, metrics."),
        ({"output": None}, "anew.output", "anew.output is None; it holds keys: mode, limit_bytes, metrics."),
        ({"output": {"mode": "on"}}, "anew.output.mode", "anew.output.mode is 'on'; it takes one of: fd, sys, off."),
        ({"output": {"mode": True}}, "anew.output.mode", "anew.output.mode is True; it takes one of: fd, sys, off."),
        (
            {"output": {"mode": ["fd"]}},
            "anew.output.mode",
            "anew.output.mode is ['fd']; it takes one of: fd, sys, off.",
        ),
        ({"quiet": "yes"}, "anew.quiet", "anew.quiet is 'yes'; it takes true or false."),
        ({"quiet": 1}, "anew.quiet", "anew.quiet is 1; it takes true or false."),
        ({"tags": None}, "anew.tags", "anew.tags is None; it takes a list of texts, such as anew.tags=[a,b]."),
        ({"tags": [["a"]]}, "anew.tags", "anew.tags is [['a']]; it takes a list of texts, such as anew.tags=[a,b]."),
        ({"tags": {"a": 1}}, "anew.tags", "anew.tags is {'a': 1}; it takes a list of texts, such as anew.tags=[a,b]."),
        ({"store": ["a"]}, "anew.store", "anew.store is ['a']; it takes a text, or null."),
        ({"note": {"a": 1}}, "anew.note", "anew.note is {'a': 1}; it takes a text, or null."),
    ],
)
def test_a_mistake_is_said_with_what_would_be_right(values: Any, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping(values)
    assert str(caught.value).startswith(message)
    assert caught.value.fields["key"] == key


@pytest.mark.parametrize("number", [-1, 1.5, "5", None, True, float("nan"), float("inf"), [1]])
def test_a_count_takes_whole_numbers_from_0_on(number: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping({"source": {"max_files": number}})
    assert str(caught.value) == f"anew.source.max_files is {number!r}; it takes a whole number from 0 on."


@pytest.mark.parametrize("number", [-0.1, "5", None, True, float("nan")])
def test_a_time_takes_numbers_from_0_on(number: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping({"heartbeat_s": number})
    assert str(caught.value) == f"anew.heartbeat_s is {number!r}; it takes a number from 0 on."


@pytest.mark.parametrize("node", [None, "text", [], 5])
def test_a_node_that_holds_no_keys_is_refused(node: Any) -> None:
    with pytest.raises(ConfigError, match=r"anew is .*; it holds keys: store, quiet, "):
        Settings.from_mapping(node)
