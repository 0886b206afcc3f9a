"""The live stream: it begins where an answer ended, and leaves nothing out."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import Project
from tests.helpers.serving import Live, Page, served
from tests.helpers.stores import add_run
from tests.helpers.waiting import until

GOING = """
@experiment.main
def main(steps: int = 100_000, child: bool = False, *, run: Run) -> float:
    if child and os.fork() == 0:
        for step in range(60):
            anew.current_run().log({"loss": -float(step)}, step=1_000_000 + step)
            time.sleep(0.02)
        os._exit(0)
    for step in range(steps):
        run.log({"loss": float(step), "other": 1.0}, step=step)
        if step % 20 == 0:
            print(step, flush=True)
        time.sleep(0.005)
    if child:
        os.wait()
    return 1.0
"""


@pytest.fixture
def project(project: Path) -> Project:
    """A project whose run goes on for as long as is wanted."""
    made = Project(project)
    made.write(GOING)
    return made


def begun(project: Project, *words: str) -> Any:
    """Start a run, and wait until it has logged."""
    process = project.start("anew.quiet=true", *words)
    until(lambda: (project.folder / "runs" / "FORMAT").exists() and project.store.find())
    until(lambda: project.store.find()[0].metrics)
    return process


def points(live: Live, seen: list[float], enough: int) -> str:
    """Take points of `loss` until there are so many; return the last cursor."""
    cursor = ""
    while len(seen) < enough:
        data, cursor = live.next("points")
        seen += [x for each in data["series"] if each["name"] == "loss" for x in each["x"]]
    return cursor


def test_no_point_falls_between_an_answer_and_the_stream_nor_between_two_streams(project: Project) -> None:
    process = begun(project)
    with served(project.folder / "runs") as page:
        answer = page.get("series", runs="1", names="loss", buckets=10_000)
        seen: list[float] = list(answer["series"][0]["x"])
        time.sleep(0.3)  # what is logged before the stream is opened is what a page would miss
        first = len(seen)
        with page.live(cursor=answer["cursor"], runs="1", names="loss") as live:
            cursor = points(live, seen, first + 100)
        time.sleep(0.3)
        # as a browser does, with the cursor of before in the address
        with page.live(cursor=answer["cursor"], runs="1", names="loss", headers={"Last-Event-ID": cursor}) as live:
            points(live, seen, len(seen) + 100)
    process.kill()
    process.communicate()

    whole = [step for step, _ in zip(range(len(seen)), seen, strict=True)]
    # between the last cursor and the end of a stream the same points may have been read twice by this test alone
    assert sorted({*seen}) == whole[: len({*seen})]
    assert len(seen) - len({*seen}) <= 800


def test_points_of_a_child_come_once_each(project: Project) -> None:
    process = begun(project, "child=true", "steps=400")
    with served(project.folder / "runs") as page:
        answer = page.get("series", runs="1", names="loss", buckets=10_000)
        seen = list(answer["series"][0]["x"])
        with page.live(cursor=answer["cursor"], runs="1", names="loss") as live:
            points(live, seen, 460)
    process.communicate()

    assert sorted(seen) == [*range(400), *range(1_000_000, 1_000_060)]


def test_a_run_that_is_killed_turns_lost_and_a_new_one_appears(project: Project) -> None:
    project.run("steps=2", "anew.quiet=true")
    with served(project.folder / "runs") as page:
        cursor = page.get("runs")["cursor"]
        with page.live(cursor=cursor, columns="loss", runs="2") as live:
            process = begun(project)
            told, _ = live.next("rows")
            while not told["rows"] or told["rows"][0]["status"] != "RUNNING":
                told, _ = live.next("rows")
            assert (told["rows"][0]["id"], told["total"]) == (2, 2)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            while not told["rows"] or told["rows"][0]["status"] != "LOST":
                told, _ = live.next("rows")
    assert project.record(2).status is Status.LOST


def test_output_that_grows_is_told(project: Project) -> None:
    process = begun(project)
    with served(project.folder / "runs") as page, page.live(runs="1") as live:
        first, _ = live.next("output")
        second, _ = live.next("output")
        part = page.get("runs/1/output", offset=first["size"])
    process.kill()
    process.communicate()

    assert second["size"] > first["size"]
    assert part["live"] is True
    assert part["text"].endswith("\n")


def test_what_others_change_and_delete_is_told(store: FolderStore) -> None:
    with served(store.root) as page:
        cursor = page.get("runs")["cursor"]
        with page.live(cursor=cursor, q="lr < 0.15") as live:
            store.tag(1, "paper")
            assert live.next("rows")[0]["stale"] is True
            store.delete(1)
            told, _ = live.next("rows")
            while 1 not in told["gone"]:
                told, _ = live.next("rows")
            assert told["total"] == 0
            number = add_run(store, config={"lr": 0.01})
            told, _ = live.next("rows")
            while not told["rows"]:
                told, _ = live.next("rows")
            assert [row["id"] for row in told["rows"]] == [number]


def test_a_change_between_an_answer_and_the_stream_is_told(store: FolderStore) -> None:
    with served(store.root) as page:
        cursor = page.get("runs")["cursor"]
        number = add_run(store)
        time.sleep(1)
        page.get("runs")
        with page.live(cursor=cursor) as live:
            assert number in [row["id"] for row in live.next("rows")[0]["rows"]]


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "W10", "WyJhYmMiLDEse31d", "\N{SNOWMAN}"])
def test_a_cursor_of_another_server_has_all_asked_again(page: Page, cursor: str) -> None:
    with page.live(cursor=cursor) as live:
        assert live.next("reset")[0] == {}


def test_a_stream_of_what_there_is_not_is_refused(page: Page) -> None:
    assert page.client.get("/api/live", params={"q": "lr <"}).status_code == 400
    assert page.client.get("/api/live", params={"runs": "no such"}).status_code == 400
    assert page.client.get("/api/live", params={"nothing": "1"}).status_code == 400


def test_a_server_with_open_streams_ends(store: FolderStore) -> None:
    with served(store.root) as page, page.live() as live:
        store.tag(1, "x")
        live.next("rows")
        began = page.process.poll()
        assert began is None
        assert page.stop() == 0
