"""Reports of a project: what is listed, what is shown of them, and that nothing else is read or written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.serving import Page, served

REPORT = "# Rates\n\n```anew\nlist --columns config.lr,loss\n```\n\n<script>alert(1)</script>\n"


@pytest.fixture
def project(store: FolderStore, tmp_path: Path) -> Path:
    """A project whose store has two runs, with one report and what is none."""
    folder = tmp_path / "project"
    for name in ("notes", ".hidden", "node_modules"):
        (folder / name).mkdir(parents=True)
        (folder / name / "week.md").write_text(REPORT)
    (folder / "pyproject.toml").touch()
    (folder / "README.md").write_text("# Not a report\n\n```python\nanew\n```\n")
    (tmp_path / "outside.md").write_text(REPORT)
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "linked").symlink_to(folder / "notes")
    store.root.rename(folder / "runs")
    (folder / "runs" / "1" / "kept.md").write_text(REPORT)
    return folder


@pytest.fixture
def page(project: Path) -> Iterator[Page]:
    """The page of that project."""
    with served("runs", folder=project) as page:
        yield page


def test_a_report_is_listed_shown_and_written(page: Page, project: Path) -> None:
    found = page.get("reports")
    assert found == {
        "project": str(project),
        "reports": [{"path": "notes/week.md", "title": "Rates", "blocks": 1}],
    }
    opened = page.get("report", path="notes/week.md")
    assert opened["text"] == REPORT

    key = page.post("report/preview", path="notes/week.md", text=REPORT.replace("Rates", "Other"))["key"]
    answer = page.client.get(f"/api/report/shown/{key}")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "<h1>Other</h1>" in answer.text
    assert "<td>0.1</td>" in answer.text
    assert "<script" not in answer.text
    kept = page.client.get(f"/api/report/shown/{key}", params={"name": "week.html"})
    assert kept.headers["content-disposition"] == "attachment; filename*=UTF-8''week.html"
    assert (project / "notes" / "week.md").read_text() == REPORT

    said = page.post("report", path="notes/week.md", text=f"{REPORT}more\n", was=opened["digest"])
    assert (project / "notes" / "week.md").read_text() == f"{REPORT}more\n"
    page.post("report", 409, path="notes/week.md", text=REPORT, was=opened["digest"])
    for mode in (0o600, 0o664):
        (project / "notes" / "week.md").chmod(mode)
        said = page.post("report", path="notes/week.md", text=f"{REPORT}{mode}\n", was=said["digest"])
        assert (project / "notes" / "week.md").stat().st_mode & 0o777 == mode
    page.post("report", path="notes/week.md", text=REPORT, was=said["digest"])
    page.post("report", 400, path="notes/week.md", text="no block\n", was=said["digest"])
    page.post("report", path="new.md", text=REPORT)
    page.post("report", 409, path="new.md", text=f"{REPORT}more\n")
    assert (project / "new.md").read_text() == REPORT


def contents(folder: Path) -> dict[str, str]:
    """Return every Markdown file at or below a folder, and what it says."""
    return {str(path): path.read_text() for path in sorted(folder.rglob("*.md"))}


ELSEWHERE = (
    "../outside.md", "notes/../../outside.md", "/etc/motd.md", "link.md", "linked/week.md", ".hidden/week.md",
    "./notes/week.md", "notes//week.md", "notes\\week.md", "runs/1/kept.md", "runs/1/new.md", "README.md",
    "nowhere/new.md", "a.txt", "x" * 300 + ".md", "notes", "pipe.md", "README.md/x.md",
)  # fmt: skip


def test_nothing_else_is_opened_or_written(page: Page, project: Path) -> None:
    before = contents(project.parent)
    os.mkfifo(project / "pipe.md")
    for path in ELSEWHERE:
        for was in (None, "0" * 64):
            answer = page.client.post("/api/report", json={"path": path, "text": f"{REPORT}changed", "was": was})
            assert 400 <= answer.status_code < 500, f"{path}: {answer.text}"
        assert 400 <= page.client.get("/api/report", params={"path": path}).status_code < 500, path
    assert [each["path"] for each in page.get("reports")["reports"]] == ["notes/week.md"]
    (project / "pipe.md").unlink()
    assert contents(project.parent) == before


def test_of_nested_fences_the_outer_one_counts_and_what_asks_too_often_is_refused(page: Page, project: Path) -> None:
    (project / "shown.md").write_text(f"````markdown\n{REPORT}````\n")
    (project / "tilde.md").write_text("~~~ anew\nlist\n~~~\n```\n~~~anew\n```\n")
    assert [(each["path"], each["blocks"]) for each in page.get("reports")["reports"]] == [
        ("notes/week.md", 1),
        ("tilde.md", 1),
    ]
    page.get("report", 404, path="shown.md")
    often = "```anew\n" + "list\n" * 41 + "```\n"
    assert "more than 40 times" in page.post("report/preview", 400, path="tilde.md", text=often)["error"]["message"]


def test_a_name_that_is_no_text_is_left_out_and_harms_no_other(page: Page, project: Path) -> None:
    odd = os.fsencode(project / "notes") + b"/odd\xff"
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system takes no names that are no UTF-8")
    for name in (odd + b"/week.md", odd + b".md"):
        with open(name, "w") as file:
            file.write(REPORT)
    answer = page.client.get("/api/reports")
    assert [each["path"] for each in answer.json()["reports"]] == ["notes/week.md"]
    assert "\\ud" not in answer.text
    for path in ("notes/odd\udcff.md", "notes/odd\udcff/week.md"):
        for asked in ({"path": path}, {"path": path, "text": REPORT}):
            data = json.dumps(asked).encode()
            said = page.client.post("/api/report/preview", content=data, headers={"content-type": "application/json"})
            assert said.status_code == 400, said.text
    assert page.client.get("/api/report?path=notes/odd%FF.md").status_code in (400, 404)


SAID = {
    "delete 1": "notes/week.md:4: 'delete' is no command for a report",
    "why 1 2": "A report begins no search",
    "why --metric --show 1 2": "A report begins no search",
    "list --save mine": "--save has no place in a report",
    "plot 1 loss --svg=/tmp/x.svg": "has no place in a report",
    "list 'lr <'": "notes/week.md:4:",
    "plot 1 nosuch": "notes/week.md:4: ",
}


def test_what_a_block_may_not_ask_is_said_by_its_line(page: Page) -> None:
    for line, said in SAID.items():
        text = REPORT.replace("list --columns config.lr,loss", line)
        assert said in page.post("report/preview", 400, path="notes/week.md", text=text)["error"]["message"]


def test_a_page_that_changes_nothing_shows_reports_and_writes_none(project: Path) -> None:
    with served("runs", "--read-only", folder=project) as page:
        page.post("report", 403, path="new.md", text=REPORT)
        key: Any = page.post("report/preview", path="notes/week.md", text=REPORT)["key"]
        assert page.client.get(f"/api/report/shown/{key}").status_code == 200
        assert page.client.get(f"/api/report/shown/{'0' * 32}").status_code == 404
    assert not (project / "new.md").exists()
