"""Reports of the project, as they are seen, written and kept."""

from __future__ import annotations

from collections.abc import Callable

from tests.page.driving import View
from tests.page.stores import HOSTILE, Kinds

Look = Callable[..., View]
REPORT = f"""\
# What the rate does

{HOSTILE}

```anew
list 'id in [1, 5]' --columns config.lr,loss
```
"""
TEXT = "document.querySelector('.report-text textarea')"


def test_a_report_is_opened_edited_and_saved(look: Look, kinds: Kinds) -> None:
    file = kinds.folder / "notes" / "rates.md"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(REPORT.replace("\n", "\r\n").encode())
    view = look("reports")
    view.click("notes/rates.md", "a")
    view.wait_for("iframe.report-page")
    assert view.page.evaluate("document.querySelector('iframe').sandbox.value") == ""
    first = view.page.evaluate("document.querySelector('iframe').src")
    shown = view.page.evaluate(f"fetch({first!r}).then(answer => answer.text())")
    assert "<td>0.2</td>" in shown
    assert "<img src=x" not in shown
    view.click("Edit", "button")
    assert view.page.evaluate(f"{TEXT}.value") == REPORT
    view.fill("text of notes/rates.md", REPORT.replace("list 'id in [1, 5]'", "lost 1"))
    view.wait_for_text("notes/rates.md:6: 'lost' is no command for a report", ".report-shown .error")
    assert view.page.evaluate("document.querySelector('iframe').src") == first, "what was shown stays"
    # what was not saved is there again after another view was looked at
    view.go("runs")
    view.wait_for(".rows .row")
    view.go("report/notes%2Frates.md")
    view.wait_for_text("not saved")
    view.fill("text of notes/rates.md", REPORT.replace("What the rate does", "Rates"))
    view.page.wait_for("!document.querySelector('.report-shown .error')", "that nothing is wrong any more")
    assert view.axe() == []
    view.click("Save", "button")
    view.page.wait_for("!document.querySelector('.run-facts .badge')", "that it is saved")
    saved = REPORT.replace("What the rate does", "Rates").replace("\n", "\r\n")
    assert file.read_bytes() == saved.encode(), "lines end as they did"
    # somebody else writes it meanwhile
    file.write_text(REPORT)
    view.fill("text of notes/rates.md", f"{REPORT}more\n")
    view.click("Save", "button")
    view.wait_for_text("was changed since it was opened")
    assert file.read_text() == REPORT
    view.click("Take back", "button")
    view.click("All reports", "a")
    view.fill("Name of a new report", "notes/new")
    view.click("New report", "button")
    view.click("Save", "button")
    view.page.wait_for("!document.querySelector('.run-facts .badge')", "that it is saved")
    assert "```anew" in (kinds.folder / "notes" / "new.md").read_text()


def test_a_report_that_is_opened_after_another_begins_anew(look: Look, kinds: Kinds) -> None:
    """Else what the one before says would stand in its editor, and be saved as what it says."""
    notes = kinds.folder / "notes"
    notes.mkdir(exist_ok=True)
    for name in ("one", "other"):
        (notes / f"{name}.md").write_text(REPORT.replace("What the rate does", name))
    view = look("report/notes%2Fone.md?edit=1")
    view.wait_for("iframe.report-page")
    first = view.page.evaluate("document.querySelector('iframe').src")
    view.go("report/notes%2Fother.md?edit=1")
    view.page.wait_for(f"{TEXT} && {TEXT}.value.startsWith('# other')", "that the text is its own")
    view.page.wait_for(
        f"(frame => frame && frame.src !== {first!r})(document.querySelector('iframe'))",
        "that what is shown is its own",
    )
    assert view.page.evaluate("!document.querySelector('.run-facts .badge')"), "nothing was changed"
    view.go("report/notes%2Fgone.md")
    view.wait_for_text("There is no report", ".error")
    view.go("report/notes%2Fone.md?edit=1")
    view.page.wait_for(f"{TEXT} && {TEXT}.value.startsWith('# one')", "that it is there")
    assert view.page.evaluate("!document.querySelector('.error')"), "what was wrong with another is not"
