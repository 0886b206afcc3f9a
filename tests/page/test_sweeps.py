"""Sweeps: how far they are, what is best of them, and why jobs failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.browser import Browser
from tests.helpers.scripts import Project
from tests.page.driving import View, serving
from tests.page.stores import Kinds, variables, wait_for

Look = Callable[..., View]
# pixels go down, values up
POINTS = """
[...document.querySelectorAll(".plot circle")]
  .map((c) => [Number(c.getAttribute("cx")), -c.getAttribute("cy"), c.classList.contains("chosen")])
"""


def test_sweeps_are_listed_with_how_far_they_are(look: Look, kinds: Kinds) -> None:
    view = look("sweeps")
    view.wait_for(".sweeps li")
    listed = [text for text in view.texts(".sweeps li") if text.startswith(f"Sweep {kinds.grid} ")]
    assert "6 completed, 6 failed" in listed[0]
    view.page.click(f"document.querySelector('a[href=\"#/sweep/{kinds.grid}\"]')")
    view.wait_for_text(f"Sweep {kinds.grid} of fit", "h1")


def test_failed_jobs_are_shown_by_their_reasons(look: Look, kinds: Kinds) -> None:
    view = look(f"sweep/{kinds.grid}")
    view.wait_for_text("Why 6 of 12 failed", ".trouble")
    reasons = view.texts(".trouble li")
    assert len(reasons) == 2
    assert all(text.count("job") == 3 for text in reasons)
    assert "width 8 does not fit" in view.text(".trouble")


def test_the_jobs_of_a_grid_are_sorted_by_what_was_swept(look: Look, kinds: Kinds) -> None:
    view = look(f"sweep/{kinds.grid}")
    view.wait_for_text("Jobs (12)")
    jobs = "section:has(button.sort) tbody tr"
    assert view.count(jobs) == 12
    view.click("sort by lr")
    view.click("sort by lr")
    assert [text.split()[5] for text in view.texts(jobs)][:4] == ["0.2"] * 4


def test_a_search_shows_its_best_what_mattered_and_how_it_learned(look: Look, kinds: Kinds) -> None:
    if kinds.search is None:
        pytest.skip("no searches: Optuna is not installed")
    view = look(f"sweep/{kinds.search}")
    view.wait_for_text("How the search learned")
    said = view.text()
    assert "loss, smallest" in said
    assert view.count(".importance tr") == 2
    assert view.count(".plot circle") == 8
    assert view.count(".plot circle.chosen") >= 1
    view.wait_for_text("What came of which values")
    view.wait_for(".sweep figure canvas")


def test_of_two_aims_those_jobs_stand_out_that_none_beats(look: Look, kinds: Kinds) -> None:
    if kinds.pareto is None:
        pytest.skip("no searches: Optuna is not installed")
    view = look(f"sweep/{kinds.pareto}")
    view.wait_for_text("What no other job beats")
    points = view.page.evaluate(POINTS)
    beaten = [any(o[0] <= p[0] and o[1] <= p[1] and o[:2] != p[:2] for o in points) for p in points]
    assert [not each for each in beaten] == [point[2] for point in points]
    assert any(beaten)


def test_a_sweep_is_stopped_and_resumed_from_its_page(kinds: Kinds, browser: Browser) -> None:
    project = Project(kinds.folder)
    before = set(project.store.sweep_numbers())
    process = project.start("-m", "end=wait,wait", "steps=3", "lr=0.3,0.4", "anew.sweep.workers=1", env=variables())
    try:
        wait_for(lambda: set(project.store.sweep_numbers()) - before and project.record("last").metrics)
        (number,) = set(project.store.sweep_numbers()) - before
        with serving(kinds.store, browser, "--allow-rerun") as served:
            view = served.open(f"sweep/{number}")
            view.wait_for_text("running", ".run-head")
            view.click("Stop")
            process.communicate(timeout=60)
            view.wait_for_text("Resume", ".run-actions")
            assert "Stop" not in view.texts(".run-actions button")
            (kinds.folder / "enough").touch()
            view.click("Resume")
            view.wait_for_text("It ended.", ".job-state")
            view.wait_for_text("completed", ".run-facts")
            assert {job.status for job in project.store.sweep(number).jobs} == {"COMPLETED"}
            view.close()
    finally:
        (kinds.folder / "enough").unlink(missing_ok=True)
        process.kill()
        process.communicate()


def test_sweeps_fit_a_phone(look: Look, kinds: Kinds) -> None:
    view = look("sweeps", width=390, height=844)
    for number in filter(None, (kinds.grid, kinds.search, kinds.pareto)):
        view.go(f"sweep/{number}")
        view.wait_for_text("Jobs (")
        view.check()
