"""What the page is told, over real HTTP: the same as the command line gives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from anew.runner.server import failures, rows, series
from anew.runner.server.app import WAYS
from anew.runner.server.asking import NothingAsked
from anew.runner.server.jobs import Jobs
from anew.runner.server.routes import Way, refuse_left, route
from anew.runner.server.rows import Rows
from anew.runner.server.site import Site
from anew.runner.store import column_rows, columns, packing
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.serving import Page, served
from tests.helpers.stores import add_run, make_store
from tests.server.conftest import HOSTILE


def test_the_store_is_told_with_what_may_be_done(page: Page, looked_at: FolderStore) -> None:
    told = page.get("store")

    assert (told["store"], told["read_only"], told["allow_rerun"]) == (looked_at.url, True, False)
    assert told["runs"] == 6
    assert told["indexing"] is None
    assert {"digits", HOSTILE} <= {*told["experiments"]}


def test_runs_come_in_windows_with_the_columns_that_vary(page: Page) -> None:
    first, second = page.get("runs", limit=2), page.get("runs", limit=2, offset=2)

    assert first["total"] == second["total"] == 6
    assert [row["id"] for row in (*first["rows"], *second["rows"])] == [6, 5, 4, 3]
    assert "config.lr" in first["columns"]
    assert all(len(row["cells"]) == len(first["columns"]) for row in first["rows"])


def test_a_damaged_run_is_a_row(page: Page) -> None:
    [row] = page.get("runs", limit=1)["rows"]

    assert (row["id"], row["uid"]) == (6, "")


def test_what_a_damaged_pack_held_is_said_beside_the_rows(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    for _ in range(2):
        add_run(store)
    with served(store.root) as page:
        assert page.get("runs")["left_out"] == []
        [pack] = packing.pack(store, [1]).packs
        Path(pack).chmod(0o644)
        Path(pack).write_bytes(b"nonsense")
        answer = page.get("runs")
    assert [row["id"] for row in answer["rows"]] == [2]
    [why] = answer["left_out"]
    assert f"{pack!r} is no pack of runs, or damaged" in why
    assert why.endswith("What it holds is not among the runs.")


def test_runs_are_filtered_and_sorted_as_anew_list_does(page: Page, looked_at: FolderStore) -> None:
    told = page.get("runs", q="lr < 0.35 and status == COMPLETED", sort="-config.lr", columns="config.lr,loss.min")
    said = anew(
        looked_at.root, "list", "lr < 0.35 and status == COMPLETED", "--sort=-config.lr", "--json", "--store", "."
    )

    assert [row["id"] for row in told["rows"]] == [run["id"] for run in json.loads(said.stdout)] == [2, 1]
    assert [row["cells"] for row in told["rows"]] == [[0.2, 0.2 / 20], [0.1, 0.1 / 20]]


def test_numbers_that_no_json_has_come_as_text_in_rows_and_as_nothing_in_curves(page: Page) -> None:
    [row] = page.get("runs", q="id == 4", columns="config.big,config.odd,result,loss.max")["rows"]
    [curve] = page.get("series", runs="4", names="loss")["series"]

    assert row["cells"] == [{"number": str(2**70)}, {"number": "nan"}, {"number": str(2**64)}, {"number": "inf"}]
    assert curve["mean"] == [1.0, None, None, None, 5.0]
    assert (curve["nan"], curve["points"], curve["whole"]) == (1, 5, True)


def test_names_with_commas_are_quoted_in_lists(page: Page) -> None:
    told = page.get("runs", q="id == 5", columns='"metric.a,b","config.a,b"')

    assert told["columns"] == ["metric.a,b", "config.a,b"]
    assert told["rows"][0]["cells"] == [2.0, 1]


def test_half_a_letter_is_sent_as_it_is(page: Page) -> None:
    assert page.get("runs/5")["config"]['q"q'] == "\ud800"


def test_a_filter_that_cannot_be_read_says_where(page: Page) -> None:
    error = page.get("runs", status=400, q="lr < 0.1 and and")["error"]

    assert (error["start"], error["end"]) == (13, 16)
    assert "expected a name" in error["message"]
    assert error["hint"].startswith("A filter looks like")


@pytest.mark.parametrize("q", ["x" * 49_000, "lr < 1 " * 5_000, 'note ~ "(' + "b" * 40_000 + '"', "@" + "y" * 40_000])
def test_what_is_wrong_is_said_shortly_however_long_the_filter_is(page: Page, q: str) -> None:
    assert len(page.client.get("/api/runs", params={"q": q}).content) < 10_000


def test_a_filter_that_would_fill_the_memory_is_refused_with_its_place(page: Page) -> None:
    error = page.get("runs", status=400, q='lr < 1 and note ~ "a{99999999}"')["error"]

    assert "repeats too much" in error["message"]
    assert error["start"] == len("lr < 1 and note ~ ")


def test_a_filter_that_would_never_end_ends(page: Page, looked_at: FolderStore) -> None:
    note = "a" * 60
    anew(looked_at.root, "note", "1", note, "--store", ".")
    told = page.client.get("/api/runs", params={"q": "note ~ '^(a+)+$|^(a|aa)+b$'"})

    assert told.status_code in (200, 400)
    assert page.get("runs", limit=1)["total"] == 6


def test_columns_have_kinds_types_and_whether_they_vary(page: Page) -> None:
    told = {each["name"]: each for each in page.get("columns", q="id <= 2")["columns"]}

    assert told["config.lr"] == {"name": "config.lr", "kind": "config", "type": "number", "varying": True}
    assert told["config.model.name"]["varying"] is False
    assert told["started"]["type"] == "time"
    assert told["duration"]["type"] == "duration"
    assert told["loss"]["kind"] == "metric"


@pytest.mark.parametrize(
    ("text", "begin", "expected"),
    [
        ("lo", 0, "loss"),
        ("loss < 1 and con", 13, "config.lr"),
        ("not (sta", 5, "status"),
        ("status == FA", 10, "FAILED"),
        ("model.name == m", 14, "mlp"),
        ("lr < 0.1 a", 9, "and"),
        ("lr ", 3, "<="),
        ("experiment in [dig", 15, "digits"),
    ],
)
def test_filters_are_completed(page: Page, text: str, begin: int, expected: str) -> None:
    told = page.get("complete", q=text, at=len(text))

    assert told["from"] == begin
    assert told["to"] == len(text)
    assert expected in [each["text"] for each in told["options"]]


def test_groups_are_those_of_anew_list_by(page: Page, looked_at: FolderStore) -> None:
    told = page.get("groups", q="id <= 2", by="config.model.name", metrics="loss")
    said = anew(
        looked_at.root, "list", "id <= 2", "--by", "config.model.name", "--columns", "loss", "--json", "--store", "."
    )

    [group], [expected] = told["groups"], json.loads(said.stdout)
    assert (group["by"], group["n"], group["metrics"]) == (expected["by"], expected["n"], expected["metrics"])
    assert group["runs"] == [2, 1]


def test_a_table_has_all_runs_by_columns(page: Page) -> None:
    told = page.get("table", q="lr < 0.35", columns="config.lr,status")

    assert told["ids"] == [3, 2, 1]
    assert told["columns"][0] == {"name": "config.lr", "type": "number", "values": [0.3, 0.2, 0.1]}


def test_curves_are_zoomed_into_and_their_extremes_kept(page: Page) -> None:
    [coarse] = page.get("series", runs="1", names="loss", buckets=2)["series"]
    [fine] = page.get("series", runs="1", names="loss", buckets=10, **{"from": 5, "to": 8})["series"]

    assert (coarse["whole"], len(coarse["x"]), coarse["points"]) == (False, 2, 20)
    assert (max(coarse["max"]), min(coarse["min"])) == (0.1, 0.1 / 20)
    assert (fine["whole"], fine["x"]) == (True, [5, 6, 7, 8])


def test_curves_over_time_are_placed_by_it(page: Page) -> None:
    [relative] = page.get("series", runs="1", names="loss", x="relative")["series"]
    [absolute] = page.get("series", runs="1", names="loss", x="time")["series"]
    [row] = page.get("runs", q="id == 1")["rows"]

    assert absolute["x"] == pytest.approx([row["started"] + each for each in relative["x"]])


def test_shared_metrics_are_chosen_where_none_are_named(page: Page) -> None:
    told = page.get("series", runs="1,2")["series"]

    assert [(each["run"], each["name"]) for each in told] == [(1, "loss"), (2, "loss")]


def test_a_metric_that_there_is_not_is_said(page: Page) -> None:
    assert "'nothing'" in page.get("series", status=404, runs="1", names="nothing")["error"]["message"]


def test_a_run_is_what_anew_show_gives(page: Page, looked_at: FolderStore) -> None:
    told = page.get("runs/1")
    said = json.loads(anew(looked_at.root, "show", "1", "--json", "--store", ".").stdout)

    assert told == {**said, "deleted": False, "cut": {}}


def test_the_page_of_a_failed_run_says_why_first(page: Page) -> None:
    told = page.get("runs/3/page")

    assert told["why"] == "ValueError: boom"
    assert any(each["command"].startswith("anew show 3") for each in told["commands"])


def test_output_comes_in_parts(page: Page) -> None:
    first = page.get("runs/1/output", limit=5)
    rest = page.get("runs/1/output", offset=first["next"])

    assert first["text"] + rest["text"] == "line of 0.1\n\x1b[31mred\x1b[0m\n"
    assert rest["next"] == rest["size"] == first["size"]


def test_a_configuration_is_compared(page: Page) -> None:
    told = page.get("runs/2/config?with=1")

    assert told["tree"] == {"lr": 0.2, "model": {"name": "mlp"}}
    assert told["differences"] == [{"key": "lr", "was": 0.1, "now": 0.2, "only": None}]


def test_source_is_listed_read_and_compared(page: Page) -> None:
    files = {each["path"] for each in page.get("runs/1/source")["files"]}
    [changed] = page.get("runs/2/source/diff?with=1")["files"]

    assert files == {"train.py", "same.py"}
    assert page.get("runs/1/source/file?path=train.py")["text"] == "lr = 0.1\n"
    assert changed["path"] == "train.py"
    assert "-lr = 0.1\n+lr = 0.2\n" in changed["hunks"]


def test_events_are_told_without_points(page: Page) -> None:
    told = page.get("runs/1/events", limit=2)
    rest = page.get("runs/1/events", offset=2)

    kinds = [each["kind"] for each in (*told["events"], *rest["events"])]
    assert kinds[0] == "RunStarted"
    assert "ArtifactAdded" in kinds
    assert "MetricsLogged" not in kinds
    assert told["total"] == rest["total"] == len(kinds)


def test_runs_are_compared_in_what_differs(page: Page) -> None:
    told = page.get("compare", runs="1,2")
    sections = {each["name"]: {row["key"]: row["values"] for row in each["rows"]} for each in told["sections"]}

    assert sections["config"] == {"lr": [0.1, 0.2]}
    assert sections["packages"] == {"numpy": ["0.1", "0.2"]}
    assert list(sections["source"]) == ["train.py"]
    assert sections["results"]["result"] == [0.1, 0.2]


def test_a_large_answer_is_packed_where_that_is_understood(page: Page) -> None:
    plain = page.client.get("/api/openapi.json", headers={"accept-encoding": "identity"})
    packed = page.client.get("/api/openapi.json", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert plain.json() == packed.json()
    assert packed.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("runs/99", 404),
        ("runs/no such", 400),
        ("runs/1/source/file?path=../../etc/passwd", 404),
        ("runs/1/content/" + "0" * 64, 404),
        ("sweeps/7", 404),
        ("nothing", 404),
        ("runs?limit=-1", 400),
        ("runs?limit=1&limit=2", 400),
        ("runs?nothing=1", 400),
        ("runs?sort=-", 400),
        ("series?runs=1&buckets=0", 400),
        ("series", 400),
        ("form/1", 403),
    ],
)
def test_what_cannot_be_answered_is_said(page: Page, path: str, status: int) -> None:
    answer = page.client.get(f"/api/{path}")

    assert answer.status_code == status, answer.text
    assert len(answer.json()["error"]["message"]) > 20


def test_many_metrics_are_shown_in_part_and_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "runs")
    for count in (300, 3_000):  # in a short journal, and in one whose columns are kept
        add_run(store, metrics={f"system/m{each}": [1.0, 2.0] for each in range(count)})
    passes: list[object] = []
    grown, decoded = columns._grown, column_rows.Head.decoded
    decoded.cache_clear()

    def counted(following: Any) -> Any:
        passes.append(following)
        return grown(following)

    monkeypatch.setattr(columns, "_grown", counted)
    site = Site(store=store, rows=Rows(store), jobs=Jobs())

    told = series.series(site, series.SeriesAsked(runs="1,2"))
    few = len(passes), decoded.cache_info().misses
    again = series.series(site, series.SeriesAsked(runs="1,2", names=",".join(f"system/m{n}" for n in range(100))))

    assert (len(told.series), told.more) == (2 * 50, 2_950)
    assert (len(again.series), again.more) == (2 * 100, 0)
    assert max(few) < 10
    assert (len(passes), decoded.cache_info().misses) == few


def test_what_takes_long_ends_when_whoever_asked_has_left() -> None:
    """Else this test has no end."""
    sent: list[str] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(str(message["type"]))

    site = Site(store=None, rows=None, jobs=Jobs())  # type: ignore[arg-type]  # it is not looked at
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    app: Any = route(Way("GET", "/", _endless, long=True), site).app
    asyncio.run(app(scope, receive, send))

    assert sent[:1] == ["http.response.start"]
    assert next(way for way in WAYS if way.path == "/api/series").long


def _endless(site: Site, asked: NothingAsked) -> None:
    while True:
        refuse_left()
        time.sleep(0.01)


def test_curves_are_read_no_further_when_whoever_asked_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={f"m{each}": [1.0] for each in range(20)})
    monkeypatch.setattr(series, "refuse_left", mock.Mock(side_effect=[None, None, failures.Refused(400, "left")]))
    read = mock.Mock(wraps=store.blocks_of)
    monkeypatch.setattr(store, "blocks_of", read)

    with pytest.raises(failures.Refused):
        series.series(Site(store=store, rows=Rows(store), jobs=Jobs()), series.SeriesAsked(runs="1"))

    assert read.call_count == 2


def test_of_very_many_metrics_the_first_are_told_and_the_others_found_by_name(store: FolderStore) -> None:
    number = add_run(store, metrics={f"loss/{n}": [float(n)] for n in range(1_500)})
    with served(store.root) as page:
        data = page.get(f"runs/{number}")
        assert list(data["metrics"]) == [f"loss/{n}" for n in range(1_000)]
        assert data["cut"] == {"metrics": 1_500}
        found = page.get(f"runs/{number}/metrics", q="LOSS/149", limit=3)
        assert list(found["metrics"]) == ["loss/149", "loss/1490", "loss/1491"]
        assert found["metrics"]["loss/1490"]["last"] == 1490.0
        assert found["total"] == 11
        assert page.get("runs/1")["cut"] == {}


def test_while_a_store_is_read_for_the_first_time_all_its_runs_are_there_and_those_that_come(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", 1)
    monkeypatch.setattr(Rows, "_read_all", lambda self, store: None)
    fresh = FolderStore.open(store.root)
    site = Site(store=fresh, rows=Rows(fresh), jobs=Jobs())
    site.rows.begin()
    found = site.rows.found()
    assert (found.numbers, found.partial) == ([2, 1], True)
    assert site.rows.columns("", "") == site.rows.columns("", "")
    number = add_run(store, config={"lr": 0.3})
    assert site.rows.found().numbers == [number, 2, 1]
    store.delete(1)
    assert site.rows.found().numbers == [number, 2]
