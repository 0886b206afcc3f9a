"""The page of a run: each of its parts, for a run of every kind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.browser import Browser
from tests.helpers.scripts import Project
from tests.page.driving import Served, View, serving
from tests.page.stores import HOSTILE, Kinds, going

Look = Callable[..., View]


def test_a_run_that_completed_shows_what_came_out_and_where_it_belongs(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}")
    view.wait_for_text("In a terminal")
    said = view.text()
    for text in ("Run 1 of fit", "completed", "few samples", "paper", "The first that holds.", "train.py full=true"):
        assert text in said
    assert view.count(".trouble") == 0
    assert any(text.startswith("anew show 1") for text in view.texts(".command code"))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("failed", f"ValueError: width 8 does not fit {HOSTILE}"),
        ("lost", "died without saying how"),
        ("interrupted", "SIGINT"),
    ],
)
def test_a_run_that_did_not_complete_says_why_first(look: Look, kinds: Kinds, kind: str, why: str) -> None:
    view = look(f"run/{getattr(kinds, kind)}")
    view.wait_for_text(why, ".trouble")
    first = view.page.evaluate("document.querySelector('.run-head').nextElementSibling.className")
    assert "trouble" in first
    assert {"failed": "Why it failed", "lost": "Why it was lost"}.get(kind, "Why it was") in view.text(".trouble")
    tall = "document.querySelector('.trouble').offsetHeight"
    view.click("Configuration")
    view.wait_for_text(why, ".trouble summary")
    assert view.page.evaluate(tall) < 50
    view.page.click("document.querySelector('.trouble summary')")
    view.page.wait_for(f"{tall} > 50", "what is folded")
    view.wait_for_text("What it printed last", ".trouble")


def test_a_failed_run_shows_its_traceback(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.failed}")
    view.wait_for(".trouble pre")
    assert 'File "' in view.text(".trouble pre")
    assert "in main" in view.text(".trouble pre")


def test_of_many_metrics_the_first_are_shown_and_others_are_found(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.hostile}")
    view.wait_for_text("the first 50 of 1,202 metrics")
    rows = "[aria-label='Values of metrics'] tbody tr"
    assert view.count(rows) == 50
    view.fill("Find a metric", "deep/1199")
    view.wait_for_text("1 metric", ".narrowing")
    assert [text.split()[0] for text in view.texts(rows)] == ["deep/1199"]
    view.go(f"run/{kinds.hostile}/curves")
    view.wait_for(".charts-grid figure")
    assert view.count(".charts-grid figure") == 50
    view.fill("Find a metric", "deep/119")
    view.wait_for_text("11 metrics", ".narrowing")
    assert view.count(".charts-grid figure") == 11


def test_what_is_hostile_is_text_everywhere(look: Look, kinds: Kinds) -> None:
    """Names, notes, tags, overrides, messages, output: whatever a run says must not become an element."""
    view = look(f"run/{kinds.hostile}")
    for part in ("", "config", "output", "source", "files", "environment", "events", "rerun"):
        view.go(f"run/{kinds.hostile}/{part}")
        view.page.settle()
        assert view.count("main img") == 0, part
    view.go(f"run/{kinds.hostile}")
    view.wait_for_text(HOSTILE, ".tags")
    view.go(f"run/{kinds.hostile}/config")
    view.wait_for_text(HOSTILE, ".tree")
    for path in (f"compare?runs={kinds.hostile},{kinds.other}", f"sweep/{kinds.grid}"):
        view.go(path)
        view.wait_for_text("<img src=x")
        assert view.count("main img") == 0, path


def test_a_rerun_says_its_verdict_and_why(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.different}")
    view.wait_for_text("random.SystemRandom()")
    assert f"different from run {kinds.noisy}" in view.text()
    view.go(f"run/{kinds.identical}")
    view.wait_for_text(f"identical to run {kinds.other}")
    view.go(f"run/{kinds.other}")
    view.wait_for_text(f"run {kinds.identical} = identical")


def test_a_run_in_the_trash_is_shown_as_that(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.trash}")
    view.wait_for_text("in the trash")


def test_a_run_is_deleted_and_restored(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.interrupted}")
    view.wait_for_text("Delete", ".run-actions")
    view.click("Delete")
    view.wait_for_text("in the trash", ".run-facts")
    assert kinds.interrupted not in {record.id for record in FolderStore.open(kinds.store).find()}
    view.click("Restore")
    view.wait_for_text("Delete", ".run-actions")
    assert kinds.interrupted in {record.id for record in FolderStore.open(kinds.store).find()}


def test_a_run_that_is_not_there_says_what_is(served: Served) -> None:
    view = served.open("sweeps")
    view.go("run/999")
    view.wait_for_text("No run '999'")
    view.close()


def test_the_configuration_is_searched_and_compared(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.other}/config")
    view.wait_for(".tree-rows")
    view.fill("Search configuration", "lay")
    assert view.texts(".tree-rows th") == ["layers"]
    view.fill("Search configuration", "")
    view.choose(".beside select", "default")
    view.wait_for_text("was 0.1", ".tree-rows")
    assert {"lr", "kind", "layers"} <= set(view.texts(".tree-rows tr.changed th"))
    view.go(f"run/{kinds.other}/config?with={kinds.full}")
    view.wait_for_text("only what differs (4)")
    view.click("only what differs (4)")
    assert sorted(view.texts(".tree-rows th")) == ["full", "kind", "layers", "lr"]


def test_output_is_shown_without_what_acts(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/output")
    view.wait_for(".text-lines .line")
    view.page.evaluate("document.querySelector('.text-lines').scrollTop = 0")
    view.wait_for_text("start", ".text-lines")
    said = view.text(".text-lines")
    assert "\x1b" not in said
    assert HOSTILE in said
    assert view.count(".text-lines a") == 0
    assert view.count(".text-lines .line") < 200


def test_output_is_searched_also_where_it_is_not_in_sight(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/output")
    view.wait_for(".text-lines .line")
    view.fill("Search output", "line 2500 of")
    assert view.text(".hits") == "1 of 1"
    view.wait_for_text("line 2500 of the output", ".text-lines .current")
    view.fill("Search output", "line 1")
    assert view.text(".hits").startswith("1 of 1111")
    view.click("next")
    assert view.text(".hits").startswith("2 of 1111")
    view.fill("Search output", "nowhere to be found")
    assert view.text(".hits") == "nothing found"


def test_source_is_shown_as_it_was_recorded(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/source?file=helper.py")
    view.wait_for_text("return loss * (1 - lr)", ".code")
    assert "slower, and steadier" in (kinds.folder / "helper.py").read_text()
    assert "slower" not in view.text(".code")
    assert view.texts(".files button bdi") == [".gitignore", "data.csv", "helper.py", "pyproject.toml", "train.py"]


@pytest.mark.parametrize("other", ["today", "commit", "1"])
def test_source_is_compared_with_a_run_its_commit_and_today(look: Look, kinds: Kinds, other: str) -> None:
    """Run 1 was of the commit, and the file is another one since; the other run has today's."""
    run = kinds.full if other == "today" else kinds.other
    view = look(f"run/{run}/source?with={other}")
    view.wait_for(".diff-file .diff")
    assert "helper.py" in view.text(".diff-file summary")
    assert "slower, and steadier" in view.text(".diff")
    assert view.count(".diff .added") > 0
    assert view.count(".diff .removed") > 0


def test_source_that_is_the_same_says_so(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/source?with=commit")
    view.wait_for_text("The source files are the same.")


@pytest.fixture
def files(look: Look, kinds: Kinds) -> Callable[[str], View]:
    """Look into an artifact of the run that has one of each kind."""
    view = look(f"run/{kinds.full}/files")
    view.wait_for(".files button")

    def files(name: str) -> View:
        view.go(f"run/{kinds.full}/files?artifact={name}")
        view.wait_for(f'article[aria-label="{name}"]')
        return view

    return files


@pytest.mark.parametrize("name", ["picture.png", "drawing.svg"])
def test_pictures_are_drawn(files: Callable[[str], View], name: str) -> None:
    view = files(name)
    view.page.wait_for("document.querySelector('.preview-image')?.naturalWidth > 0", "a drawn picture")


@pytest.mark.parametrize(("name", "kind"), [("tone.wav", "audio"), ("clip.webm", "video")])
def test_sound_and_film_can_be_played(files: Callable[[str], View], name: str, kind: str) -> None:
    view = files(name)
    view.page.wait_for(f"document.querySelector('article {kind}')?.readyState > 0", "something to play")
    assert view.page.evaluate(f"document.querySelector('article {kind}').error") is None


def test_a_table_has_rows_and_hostile_cells_as_text(files: Callable[[str], View]) -> None:
    view = files("table.csv")
    view.wait_for_text("name, 7", "article table")
    assert view.texts("article thead th") == ["label", "n", "share"]
    assert "<b>bold</b>" in view.text("article table")
    assert view.count("article table b") == 0


def test_json_is_a_tree_and_text_is_text(files: Callable[[str], View]) -> None:
    view = files("facts.json")
    view.wait_for_text('["cat","dog"]', "article .tree-rows")
    view = files("notes.txt")
    view.wait_for_text("with <b>marks</b>", "article pre")
    view = files("model.bin")
    view.wait_for_text("can be downloaded", "article")


def test_html_is_shown_where_nothing_in_it_acts(files: Callable[[str], View]) -> None:
    """Its script would say so in the page, and ask the server as the user would."""
    view = files("report.html")
    view.wait_for("article iframe")
    sandbox = view.page.evaluate("document.querySelector('article iframe').getAttribute('sandbox')")
    assert "allow-same-origin" not in sandbox
    assert view.page.evaluate("document.querySelector('article iframe').contentDocument") is None
    view.page.evaluate("new Promise(done => setTimeout(done, 300))")
    assert view.page.evaluate("document.title").startswith("Run")


def test_a_pdf_is_shown(files: Callable[[str], View]) -> None:
    view = files("page.pdf")
    view.wait_for("article iframe")
    answer = view.page.evaluate(
        "fetch(document.querySelector('article iframe').src).then(r => [r.status, r.headers.get('content-type')])"
    )
    assert answer == [200, "application/pdf"]


def test_inputs_are_looked_into(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/files")
    view.wait_for(".inputs li")
    assert any("data.csv" in text for text in view.texts(".inputs li"))
    view.click("look")
    view.wait_for_text("1 2 3 4", ".inputs table tbody")


def test_environment_events_and_observers_are_shown(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.full}/environment")
    view.wait_for_text("CPython")
    view.fill("Search packages", "hydra-co")
    assert view.texts("table.small tbody tr td:first-child") == ["hydra-core"]
    view.go(f"run/{kinds.full}/events")
    view.wait_for(".events li")
    assert "export" in view.text()
    assert view.count(".events li") > 10


def test_tags_and_notes_are_edited_in_place(look: Look, kinds: Kinds) -> None:
    view = look(f"run/{kinds.interrupted}")
    view.wait_for_text("Tags and note")
    view.fill("Add a tag", "seen")
    view.page.press_enter()
    view.wait_for_text("seen", ".tags .tag")
    view.click("Write a note")
    view.fill("Note", "by the page")
    view.click("Save")
    view.wait_for_text("by the page", "p.note")
    record = FolderStore.open(kinds.store).get(kinds.interrupted)
    assert (record.tags, record.note) == (("seen",), "by the page")
    view.click("remove tag seen")
    view.page.wait_for("!document.querySelector('.tags .tag')", "end of the tag")


def test_a_run_is_seen_while_it_goes_on_and_when_it_is_lost(kinds: Kinds, browser: Browser) -> None:
    """Output grows, and whoever looks at a run that is killed sees that it is lost, without asking again."""
    project = Project(kinds.folder)
    with serving(kinds.store, browser) as served, going(project) as process:
        number = max(project.store.numbers())
        view = served.open(f"run/{number}/output")
        view.wait_for(".text-lines .line")
        assert view.page.evaluate("document.querySelector('.searched [type=checkbox]').checked")
        before = view.texts(".text-lines .line")[-1]
        view.page.wait_for(
            f"[...document.querySelectorAll('.text-lines .line')].at(-1)?.innerText.trim() !== {json.dumps(before)}",
            "more output",
        )
        assert "running" in view.text(".run-head")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        view.wait_for_text("lost", ".run-head")
        view.wait_for_text("died without saying how", ".trouble")
        view.close()


def test_nothing_is_written_where_all_is_read_only(kinds: Kinds, browser: Browser) -> None:
    with serving(kinds.store, browser, "--read-only") as served:
        view = served.open(f"run/{kinds.full}")
        view.wait_for_text("Tags and note")
        assert view.count(".tags button, .tags input, textarea") == 0
        assert "Re-run" not in view.text(".tabs")
        assert view.count(f'a[href="#/new/{kinds.full}"]') == 0
        view.close()


def test_a_run_fits_a_phone(look: Look, kinds: Kinds) -> None:
    """What is wider than the window is found by the check at the end."""
    view = look(f"run/{kinds.full}", width=390, height=844)
    for part in ("", "config", "output", "source", "files", "environment", "events"):
        view.go(f"run/{kinds.full}/{part}")
        view.check()
