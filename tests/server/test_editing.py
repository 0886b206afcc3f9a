"""What is changed from the page is changed in the store, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.serving import Page, served
from tests.helpers.stores import add_run


@pytest.fixture
def page(store: FolderStore) -> Iterator[Page]:
    """The page of a store of one's own."""
    with served(store.root) as page:
        yield page


def test_tags_are_given_and_taken_away(page: Page, store: FolderStore) -> None:
    row = page.post("runs/1/tags", add=["paper", "<b>"])
    again = page.post("runs/1/tags", add=["new"], remove=["paper"])

    assert row["tags"] == ["paper", "<b>"]
    assert again["tags"] == ["<b>", "new"] == list(store.get(1).tags)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "a\tb", "\x7f", "\x85"])
def test_no_tag_has_a_control_character(page: Page, store: FolderStore, name: str) -> None:
    assert "control character" in page.post("runs/1/tags", status=400, add=["good", name])["error"]["message"]
    assert store.get(1).tags == ()


def test_a_note_is_set_and_shown_at_once(page: Page, store: FolderStore) -> None:
    page.get("runs")
    page.post("runs/2/note", text="seen\x1b[31m")

    assert store.get(2).note == "seen\x1b[31m"
    assert page.get("runs", q="has(note)")["rows"][0]["id"] == 2


def test_runs_are_deleted_listed_shown_and_restored(page: Page, store: FolderStore) -> None:
    assert page.post("runs/delete", runs=[1]) == {"runs": [1], "refused": []}
    assert page.get("runs")["total"] == 1
    assert [row["deleted"] for row in page.get("runs", deleted="true")["rows"]] == [True]
    assert page.get("runs/1")["deleted"] is True
    assert page.get("runs/1/page")["summary"]["deleted"] is True

    assert page.post("runs/restore", runs=[1])["runs"] == [1]
    assert page.get("runs")["total"] == 2
    assert store.get(1).config == {"lr": 0.1}


def test_a_run_that_goes_on_is_not_deleted(page: Page, store: FolderStore) -> None:
    number = add_run(store, status=None)

    told = page.post("runs/delete", runs=[number, 2])

    assert told["runs"] == [2]
    assert told["refused"][0]["run"] == number
    assert store.get(number).status is Status.RUNNING
    assert page.post("runs/delete", status=409, runs=[number])["error"]["message"]


def test_a_view_that_is_saved_is_a_question_of_anew_list(page: Page, store: FolderStore) -> None:
    view = {"q": "lr < 0.15", "sort": "-loss", "columns": ["config.lr"], "charts": [{"x": "step"}]}

    page.post("views", name="good", view=view)

    [told] = page.get("views")["views"]
    assert (told["name"], told["view"]) == ("good", view)
    assert page.get("runs", q="@good")["total"] == 1
    assert "0.1" in anew(store.root, "list", "@good", "--store", ".").stdout


def test_a_question_of_anew_list_is_a_view(page: Page, store: FolderStore) -> None:
    anew(store.root, "list", "lr > 0.15", "--sort=lr", "--columns", "loss", "--save", "other", "--store", ".")

    assert page.get("views")["views"][0]["view"] == {"q": "lr > 0.15", "sort": "lr", "columns": ["loss"]}


def test_a_view_is_forgotten(page: Page) -> None:
    page.post("views", name="good", view={"q": ""})
    page.post("views/delete", name="good")

    assert page.get("views")["views"] == []
    assert "good" in page.post("views/delete", status=400, name="good")["error"]["message"]


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "1st", "with space", "é"])
def test_a_name_that_is_none_is_refused(page: Page, store: FolderStore, name: str) -> None:
    page.post("views", status=400, name=name, view={})
    page.post("views/delete", status=400, name=name)

    assert not store.views().names()


def test_runs_are_not_started_unless_that_was_allowed(page: Page) -> None:
    assert "--allow-rerun" in page.post("rerun", status=403, run="1")["error"]["hint"]
    page.get("form/1", status=403)
    page.get("jobs/1", status=403)
    page.post("sweeps/1/resume", status=403)


def test_a_sweep_that_there_is_not_is_not_stopped(page: Page) -> None:
    page.post("sweeps/1/stop", status=404)


@pytest.mark.parametrize("path", ["runs/1/tags", "runs/1/note", "views", "rerun", "runs/delete"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 100_000, b'{"x": "\\ud800"}', b'{"x": "\xff"}', b'{"x": 1e999999}', b"nul"],
    ids=["deep list", "deep object", "half a pair", "no unicode", "beyond floats", "no word"],
)
def test_a_body_that_is_odd_is_refused_and_no_fault(page: Page, path: str, body: bytes) -> None:
    told = page.client.post(f"/api/{path}", content=body, headers={"content-type": "application/json"})

    assert told.status_code in (400, 403)
    assert told.json()["error"]["message"]


def test_no_text_with_a_nul_is_taken(page: Page, store: FolderStore) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("runs/1/tags", {"add": ["\0"]}),
        ("runs/1/note", {"text": "a\0"}),
        ("views", {"name": "a", "view": {"deep": [{"er\0": 1}]}}),
    ]
    for path, said in asked:
        assert "NUL" in page.post(path, status=400, **said)["error"]["message"]
    assert (store.get(1).tags, store.get(1).note) == ((), None)


def test_a_store_that_is_away_is_said_and_shown_again_when_it_is_back(store: FolderStore) -> None:
    away = store.root.with_name("away")
    with served(store.root) as page, page.live() as stream:
        page.get("runs")
        store.root.rename(away)
        for path in (
            "runs",
            "store",
            "runs/1/page",
            "runs/1",
            "columns",
            "table?columns=lr",
            "series?runs=1&names=loss",
        ):
            assert "is not there" in page.get(path, status=503)["error"]["message"]
        assert "is not there" in page.post("runs/1/tags", status=503, add=["x"])["error"]["message"]
        assert "is not there" in stream.next("trouble")[0]["message"]
        assert page.client.get("/api/live", params={"runs": "1"}).status_code == 503
        away.rename(store.root)
        assert page.get("runs")["total"] == 2
        assert page.post("runs/1/tags", add=["x"])["tags"] == ["x"]
        page.stop()
        assert page.process.stderr is not None
        assert page.process.stderr.read() == ""


@pytest.mark.parametrize(
    ("view", "status"),
    [
        ({"q": "x" * 70_000}, 413),
        ({"more": ["y" * 1000] * 70}, 413),
        ({"columns": [{}]}, 400),
        ({"columns": "lr"}, 400),
        ({"sort": 5}, 400),
        ({"by": None}, 400),
        ({"more": json.loads("[" * 100 + "]" * 100)}, 400),
    ],
)
def test_a_view_that_is_large_or_odd_is_not_kept(page: Page, view: dict[str, object], status: int) -> None:
    assert page.post("views", status=status, name="odd", view=view)["error"]["message"]
    assert page.get("views") == {"views": []}
