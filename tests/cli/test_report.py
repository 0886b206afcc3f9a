"""Reports: Markdown in which what anew shows stands in the place of what asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.stores import add_run, make_store

REPORT = """\
# What the rate <does>

Not run: <script>alert(1)</script> & [a link](javascript:alert(1)).

```anew
# the best of them
$ anew list --columns config.lr,loss --sort loss
compare 1 2
```

```python
list
```

```anew
plot 1 2 loss --log
```

![mine](own.svg) ![another's](https://elsewhere.example/a.png) ![outside](../outside.svg)
"""


@pytest.fixture
def store(project: Path) -> FolderStore:
    store = make_store(project / "runs")
    add_run(store, config={"lr": 0.25, "name": "a|b <b>"}, metrics={"loss": [2.0, 1.1234567891]})
    add_run(store, config={"lr": 0.5, "name": "c"}, metrics={"loss": [2.0, 0.5]})
    return store


def test_a_report_is_one_file_with_tables_and_curves_and_loads_nothing(store: FolderStore, project: Path) -> None:
    (project / "own.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (project.parent / "outside.svg").write_text("<svg>secret</svg>")
    (project / "rates.md").write_text(REPORT)
    assert anew(project, "report", "rates.md").stdout == "rates.html\n"
    page = (project / "rates.html").read_text()
    assert "<title>What the rate &lt;does&gt;</title>" in page
    assert page.count("<table>") == 2
    assert "<td>1.12346</td>" in page
    assert "a|b &lt;b&gt;" in page
    assert "<script" not in page
    assert "javascript:" not in re.sub(r"\[a link\]\(javascript:[^<]*", "", page), "such a link is none"
    assert page.count('src="data:image/svg+xml;base64,') == 2, "the curves, and the picture that lies beside it"
    assert not re.search(r'(?:src|href)="(?!data:)', page), "something is loaded from elsewhere"
    assert "default-src 'none'" in page
    # what is no block of ours stays
    assert '<code class="language-python">list' in page


def test_what_is_frozen_shows_the_same_when_the_runs_are_others(store: FolderStore, project: Path) -> None:
    (project / "rates.md").write_text(REPORT)
    said = anew(project, "report", "rates.md", "--freeze", "-o", "out.html").stdout
    assert said == "out.html\nrates.frozen.md\n"
    first = (project / "out.html").read_text()
    add_run(store, config={"lr": 0.75, "name": "d"}, metrics={"loss": [3.0, 0.125]})
    anew(project, "report", "rates.frozen.md", "-o", "again.html")
    again = (project / "again.html").read_text()
    assert re.findall(r"<t[dh]>.*?</t[dh]>", again) == re.findall(r"<t[dh]>.*?</t[dh]>", first)
    assert re.findall(r'src="[^"]*"', again) == re.findall(r'src="[^"]*"', first)
    anew(project, "report", "rates.md", "-o", "today.html")
    assert "<td>0.125</td>" in (project / "today.html").read_text()
    assert "<td>0.125</td>" not in again


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("delete 1", "r.md:4: 'delete' is no command for a report; list, compare, why, plot are."),
        ("lst", "Did you mean list?"),
        ("list --save good", "r.md:4: --save has no place in a report"),
        ("plot 1 loss --svg=x.svg", "r.md:4: --svg=x.svg has no place in a report"),
        ("why 1 2", "A report begins no search; to show one: why --show N"),
        ("list 'loss <", 'r.md:4: "list \'loss <" is no command: No closing quotation.'),
        ("list 'loss <'", "r.md:4: "),
        ("plot 1 los", "Did you mean 'loss'?"),
        ("plot 9 loss", "r.md:4: No run '9'"),
    ],
)
def test_what_cannot_be_shown_is_said_with_its_line_and_nothing_is_written(
    store: FolderStore, project: Path, line: str, said: str
) -> None:
    (project / "r.md").write_text(f"# A\n\n```anew\n{line}\n```\n")
    done = anew(project, "report", "r.md", code=2)
    assert said in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / "r.html").exists()
    assert len(store.numbers()) == 2


def test_a_file_that_is_none_or_no_text_or_the_report_itself_is_refused(store: FolderStore, project: Path) -> None:
    assert "There is no file 'nowhere.md'" in anew(project, "report", "nowhere.md", code=2).stderr
    (project / "b.md").write_bytes(b"\xff\xfe")
    assert "is no text in UTF-8" in anew(project, "report", "b.md", code=2).stderr
    (project / "r.md").write_text("# A\n")
    assert "is the report itself" in anew(project, "report", "r.md", "-o", "r.md", code=2).stderr
    assert (project / "r.md").read_text() == "# A\n"
    said = anew(project, "report", "r.md", "-o", "no/such/folder.html", code=2).stderr
    assert "'no/such/folder.html' cannot be written: No such file or directory. To write elsewhere: -o" in said
