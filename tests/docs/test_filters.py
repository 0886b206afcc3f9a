"""The page on filters: each of its examples does what it says, and no name goes unmentioned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import anew
from anew.runner.query.filters import FIELD_NAMES
from tests.helpers.places import ROOT
from tests.helpers.stores import add_run, make_store

PAGE = (ROOT / "docs" / "filters.md").read_text()
EXAMPLES = re.findall(r"^\| `(.+)` \| (yes|no)\b", PAGE, re.MULTILINE)
# other spellings of names that are there
ALSO = {"tags", "duration_s"}


@pytest.mark.parametrize(("text", "matches"), EXAMPLES)
def test_an_example_matches_as_the_page_says(text: str, matches: str, project: Path) -> None:
    add_run(
        make_store(project / "runs"),
        config={"lr": 0.01, "model": {"name": "mlp", "layers": [64, 32]}},
        metrics={"loss": [1.0, 0.05]},
        result={"acc": 0.93},
        tags=["paper"],
        minutes_ago=0.2,
    )
    assert [record.id for record in anew.open_store().find(text)] == ([1] if matches == "yes" else [])


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("name", sorted(FIELD_NAMES - ALSO))
def test_every_name_is_mentioned(name: str) -> None:
    assert f"`{name}`" in PAGE
