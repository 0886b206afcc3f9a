"""A name may stand beside what it names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from anew.runner.format.redact import REDACTED, Redactor


@pytest.mark.parametrize(
    ("override", "kept"),
    [
        ("env=[{name:DB_PASSWORD,value:CANARY},{name:A,value:b}]", "env=[{name:DB_PASSWORD,value:X},{name:A,value:b}]"),
        ("env=[{value:CANARY,key:DB_PASSWORD}]", "env=[{value:X,key:DB_PASSWORD}]"),
        ("pairs=[[password,CANARY],[lr,b]]", "pairs=[[password,X],[lr,b]]"),
        ("cmd=[run,--password,CANARY,--lr,b]", "cmd=[run,--password,X,--lr,b]"),
        ("columns=[password,email]", "columns=[password,email]"),
        ("headers=['X-Api-Key: CANARY1']", "headers=['X-Api-Key: X']"),
        ("webhook.headers={X-Api: CANARY,Accept: b}", "webhook.headers={X-Api: X,Accept: b}"),
    ],
)
def test_a_name_may_stand_beside_its_value(override: str, kept: str) -> None:
    assert Redactor().argument(override) == kept.replace("X", REDACTED).replace(f"{REDACTED}-A", "X-A")


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"env": [{"name": "DB_PASSWORD", "value": "X"}]}, {"env": [{"name": "DB_PASSWORD", "value": REDACTED}]}),
        ({"pairs": [["password", "X"], ["lr", "b"]]}, {"pairs": [["password", REDACTED], ["lr", "b"]]}),
        ({"cmd": ["--password", "X", "y"]}, {"cmd": ["--password", REDACTED, "y"]}),
        ({"webhook": {"headers": {"X-Api": "X"}}}, {"webhook": {"headers": {"X-Api": REDACTED}}}),
        ({"columns": ["password", "email"]}, {"columns": ["password", "email"]}),
    ],
)
def test_a_name_beside_its_value_in_a_tree_and_in_yaml(values: Any, kept: Any) -> None:
    assert Redactor().value(values) == kept
    assert yaml.safe_load(Redactor().yaml(yaml.safe_dump(values))) == kept
