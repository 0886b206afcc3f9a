"""Runs beside each other: what differs of them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from tests.page.driving import View
from tests.page.stores import Kinds

Look = Callable[..., View]
ROWS = """
[...document.querySelectorAll("main section")]
  .filter((section) => section.querySelector("h2")?.innerText.startsWith("TITLE"))
  .flatMap((section) => [...section.querySelectorAll(".abreast tbody tr")])
  .map((row) => [...row.children].map((cell) => cell.innerText))
"""


def section(view: View, title: str) -> dict[str, list[str]]:
    """The rows of a section, by key."""
    rows = view.page.evaluate(ROWS.replace("TITLE", title))
    return {row[0]: row[1:] for row in rows}


def test_of_two_runs_only_what_differs_is_shown(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.full},{kinds.other}")
    view.wait_for(".abreast")
    configuration = section(view, "Configuration")
    assert configuration["lr"] == ["0.1", "0.2"]
    assert configuration["kind"] == ["SGD", "ADAM"]
    assert "width" not in configuration
    assert "helper.py" in section(view, "Source")
    assert section(view, "Packages") == {}
    said = view.text(".alike")
    assert "packages" in said
    assert "configuration" not in said
    assert "source" not in said
    assert all(text.endswith(" s") for text in section(view, "Run")["duration"])
    view.wait_for_text("slower, and steadier", ".diff")
    assert f"anew diff {kinds.full} {kinds.other}" in view.texts(".command code")


def test_many_runs_stand_beside_each_other(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.full},{kinds.other},{kinds.different}")
    view.wait_for(".abreast")
    assert section(view, "Configuration")["lr"] == ["0.1", "0.2", "0.1"]
    view.click(f"leave out run {kinds.different}")
    view.page.wait_for("document.querySelectorAll('.abreast thead')[0].querySelectorAll('th').length === 3", "two runs")
    assert f"runs={kinds.full}%2C{kinds.other}" in view.page.evaluate("location.hash")


def test_a_run_is_added_by_its_number(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.full}")
    assert "Two runs at least" in view.text()
    view.fill("Add a run", str(kinds.other))
    view.page.press_enter()
    view.wait_for(".abreast")
    assert section(view, "Configuration")["lr"] == ["0.1", "0.2"]


def test_runs_that_are_the_same_say_so(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.other},{kinds.identical}")
    view.wait_for_text("Curves")
    assert section(view, "Configuration") == {}
    assert section(view, "Source") == {}


def test_a_run_that_is_not_there_is_said(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.full},999")
    view.wait_for_text("No run '999'")


def test_a_comparison_fits_a_phone(look: Look, kinds: Kinds) -> None:
    view = look(f"compare?runs={kinds.full},{kinds.other},{kinds.different}", width=390, height=844)
    view.wait_for(".abreast")
