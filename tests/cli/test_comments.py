"""`anew comment`: appended, with who and when, and without secrets."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.helpers.scripts import Project, anew


@pytest.fixture
def trial(project: Path) -> Project:
    found = Project(project)
    found.write("""
    @experiment.main
    def main():
        pass
    """)
    found.run(env={"LOGNAME": "ada"})
    return found


def test_comments_are_appended_with_who_and_when(trial: Project) -> None:
    anew(trial, "comment", "1", "looks good", LOGNAME="bob")
    done = anew(
        trial, "comment", "last", "of\ntwo lines; key s3cr3t-of-mine-77", LOGNAME="eve", MY_API_KEY="s3cr3t-of-mine-77"
    )
    assert done.stdout == "Run 1: 2 comments\n"
    record = trial.record()
    assert record.command.user == "ada"
    assert [(each.by, each.text) for each in record.comments] == [
        ("bob", "looks good"),
        ("eve", "of\ntwo lines; key <redacted>"),
    ]
    assert record.started_at < record.comments[0].at <= record.comments[1].at
    told = json.loads(anew(trial, "show", "1", "--json").stdout)
    assert [each["text"] for each in told["comments"]] == [each.text for each in record.comments]
    assert datetime.fromisoformat(told["comments"][0]["at"].replace("Z", "+00:00")) == record.comments[0].at
    shown = anew(trial, "show", "1").stdout
    assert "bob, " in shown
    assert "looks good" in shown
    assert "by       ada" in shown
    assert trial.store.find("status == COMPLETED")[0].comments == record.comments
    anew(trial, "check")


def test_an_empty_comment_is_refused(trial: Project) -> None:
    assert "An empty comment" in anew(trial, "comment", "1", "  ", code=2).stderr
