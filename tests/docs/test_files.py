"""The page on files: what it says of lines is so, its readers read, and every path of a store is on it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import anew
from anew.runner import events
from anew.runner.format import serial
from anew.runner.guard.gzipped import compress
from tests.helpers.places import ROOT
from tests.helpers.stores import add_run, make_store

PAGE = (ROOT / "docs" / "files.md").read_text()
READER = re.findall(r"```python\n# points.py\n(.*?)```", PAGE, re.DOTALL)[0]
JQ = re.findall(r"^\$ (jq .*)$", PAGE, re.MULTILINE)[0]


@pytest.fixture
def points(project: Path) -> str:
    """What a reader has to say of a journal whose last line is half there, and one of whose lines comes twice."""
    store = make_store(project / "runs")
    add_run(store, metrics={"acc": [0.5], "loss": [1.0, 0.25, 1e-9]})
    (project / "points.py").write_text(READER)
    journal = project / "runs/1/events/main.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"q":99,"k":"m","t":99.0,"s":99,"m":{"loss":9.0},"c":"0000')
    series = anew.open_store().metrics(1, "loss")
    return "".join(f"{step} {value}\n" for step, value in zip(series.steps, series.values, strict=True))


def test_the_reader_in_python_reads_what_anew_reads(points: str, project: Path) -> None:
    journal = project / "runs/1/events/main.jsonl"
    journal.write_bytes(journal.read_bytes()[: journal.read_bytes().rindex(b"\n") + 1] * 2)
    command = [sys.executable, "points.py", "runs/1/events/main.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == points


def test_the_reader_in_python_passes_over_half_a_line(points: str, project: Path) -> None:
    command = [sys.executable, "points.py", "runs/1/events/main.jsonl"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == points


def test_the_reader_in_python_reads_compressed_journals(points: str, project: Path) -> None:
    journal = project / "runs/1/events/main.jsonl"
    with journal.open("rb") as source, journal.with_name("main.jsonl.gz").open("wb") as target:
        compress(source, target)
    command = [sys.executable, "points.py", "runs/1/events/main.jsonl.gz"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == points


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
def test_jq_reads_what_anew_reads(points: str, project: Path) -> None:
    done = subprocess.run(JQ, shell=True, capture_output=True, text=True, check=True, timeout=60)
    read = [(int(step), float(value)) for step, value in map(str.split, done.stdout.splitlines())]
    assert read == [(int(step), float(value)) for step, value in map(str.split, points.splitlines())]


def test_the_reader_is_short() -> None:
    body = READER.partition("def entries")[2].partition("\n\n\n")[0]
    assert len(body.splitlines()) <= 15


def test_the_line_on_the_page_is_sealed() -> None:
    line = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0].encode()
    assert serial.unseal(line)["m"] == {"loss": 0.6982590422417693}


@pytest.mark.parametrize("kind", sorted(events.KINDS))
def test_every_kind_of_line_is_on_the_page(kind: str) -> None:
    row = re.search(rf"^\| `{kind}` \|.*$", PAGE, re.MULTILINE)
    assert row


def test_every_file_of_a_run_is_on_the_page(project: Path) -> None:
    """Those of the store that is kept, which has runs, a sweep and observers."""
    folder = ROOT / "tests/data/stores/1/folder"
    for path in folder.rglob("*"):
        first = path.relative_to(folder).parts[0]
        if path.is_file() and first not in ("objects", "trash") and "files" not in path.parts:
            name = re.sub(r"^(away|taker)", "NAME", path.name)
            assert name in PAGE or path.parent.name in ("events", "taken", "conductors"), path
    assert json.loads((folder / "FORMAT").read_text()) == 1
