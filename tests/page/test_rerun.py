"""Runs that are started from the page: again, with other values, from a form, and as a sweep."""

from __future__ import annotations

from collections.abc import Callable

from anew.runner.store.folder import FolderStore
from tests.page.driving import View
from tests.page.stores import Kinds

Look = Callable[..., View]


def test_a_run_is_run_again_after_it_was_shown_what_will_run(look: Look, kinds: Kinds) -> None:
    store = FolderStore.open(kinds.store)
    before = set(store.numbers())
    view = look(f"run/{kinds.other}/rerun")
    view.wait_for_text("Run it again")
    view.click("Re-run …")
    view.wait_for("dialog[open]")
    assert f"rerun {kinds.other}" in view.text("dialog")
    assert set(store.numbers()) == before
    view.click("Cancel", "dialog button")
    assert set(store.numbers()) == before
    view.click("Re-run …")
    view.wait_for("dialog[open]")
    view.click("Run it", "dialog button")
    view.wait_for_text("identical", ".job-state")
    assert view.text(".job .sgr-bold") == "start"
    assert view.text(".job .sgr-fg-2") == "lr=0.2"
    (number,) = set(store.numbers()) - before
    assert f"run {number}" in view.text(".job-state")
    record = store.get(number)
    assert record.rerun_of is not None
    assert record.rerun_of.id == kinds.other


def test_overrides_are_run_and_mistakes_are_said(look: Look, kinds: Kinds) -> None:
    store = FolderStore.open(kinds.store)
    view = look(f"run/{kinds.other}/rerun")
    view.wait_for_text("Run it again")
    view.fill("Overrides", "lr=0.25 steps=4")
    view.click("Re-run …")
    view.wait_for("dialog[open]")
    assert "lr=0.25 steps=4" in view.text("dialog")
    view.click("Run it", "dialog button")
    view.page.wait_for("!!document.querySelector('.job-state a')", "the new run")
    view.wait_for_text("It ended", ".job-state")
    record = store.get("last")
    assert (record.config["lr"], record.config["steps"]) == (0.25, 4)
    view.fill("Overrides", "lr=abc")
    view.click("Re-run …")
    view.wait_for("dialog[open]")
    view.click("Run it", "dialog button")
    view.wait_for_text("exit code 2", ".job-state")
    view.wait_for_text("lr", ".job .text-lines")


def test_a_new_run_comes_from_a_form_of_its_parameters(look: Look, kinds: Kinds) -> None:
    store = FolderStore.open(kinds.store)
    view = look(f"new/{kinds.full}")
    view.wait_for(".parameters")
    kind = view.page.evaluate("[...document.querySelectorAll('#parameter-kind option')].map(o => o.value)")
    assert kind == ["SGD", "ADAM"]
    view.choose("#parameter-kind", "ADAM")
    view.choose("#parameter-full", "false")
    view.fill("steps", "3")
    view.fill("name", "it's")
    assert "steps=3" in view.text()
    view.click("Run …")
    view.wait_for("dialog[open]")
    view.click("Run it", "dialog button")
    view.wait_for_text("It ended", ".job-state")
    config = store.get("last").config
    assert (config["kind"], config["full"], config["steps"], config["name"]) == ("ADAM", False, 3, "it's")


def test_a_sweep_comes_from_the_form_too(look: Look, kinds: Kinds) -> None:
    store = FolderStore.open(kinds.store)
    before = len(store.sweep_numbers())
    view = look(f"new/{kinds.other}")
    view.wait_for(".parameters")
    view.click("a sweep: several values of a parameter apart by commas, a run of each combination")
    view.fill("lr", "0.3,0.4")
    view.fill("steps", "2")
    view.click("Sweep …")
    view.wait_for("dialog[open]")
    assert "lr=0.3,0.4" in view.text("dialog")
    view.click("Run it", "dialog button")
    view.wait_for_text("It ended", ".job-state")
    assert len(store.sweep_numbers()) == before + 1


def test_the_form_fits_a_phone(look: Look, kinds: Kinds) -> None:
    view = look(f"new/{kinds.full}", width=390, height=844)
    view.wait_for(".parameters")
