"""What differs between two runs, section by section."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner.attached.media import Histogram
from anew.runner.query.compare import LONGEST_DIFF_BYTES, compare
from anew.runner.records import ContentRef, GitFacts, HardwareFacts
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "runs")


def differences(store: FolderStore, a: int = 1, b: int = 2) -> dict[str, Any]:
    """The sections that are not empty; all of it is strict JSON."""
    sections = compare(store.get(a), store.get(b), store)
    assert json.loads(json.dumps(sections, allow_nan=False)) == sections
    assert set(sections) >= {"config", "source", "packages", "hardware", "inputs", "result", "metrics"}
    return {name: section for name, section in sections.items() if section}


def test_runs_with_the_same_facts_do_not_differ(store: FolderStore) -> None:
    for _ in range(2):
        add_run(
            store,
            config={"lr": math.nan, "deep": {"er": [1]}},
            metrics={"loss": [1.0, math.nan, math.inf], "system/cpu_percent": [3.0]},
            result={"acc": math.nan},
            source={"a.py": "x"},
        )
    assert differences(store) == {}


def test_the_machine_and_the_time_are_not_compared(store: FolderStore) -> None:
    add_run(store, metrics={"system/cpu_percent": [1.0], "time/epoch": [1.0]}, minutes_ago=60)
    add_run(store, metrics={"system/cpu_percent": [2.0]}, minutes_ago=1)
    assert differences(store) == {}


def test_config_is_compared_by_dotted_key_and_a_missing_side_is_left_out(store: FolderStore) -> None:
    add_run(store, config={"m": {"lr": 0.1, "n": None}, "same": 1}, overrides=("m.lr=0.1",), choices={"m": "svm"})
    add_run(store, config={"m": {"lr": 0.2}, "same": 1, "new": [1, math.inf]}, choices={"m": "mlp"})
    assert differences(store) == {
        "config": {"m.lr": {"a": 0.1, "b": 0.2}, "m.n": {"a": None}, "new": {"b": [1, "Infinity"]}},
        "choices": {"m": {"a": "svm", "b": "mlp"}},
        "overrides": {"a": ["m.lr=0.1"], "b": []},
    }


def test_source_is_compared_as_a_unified_diff_of_the_stored_content(store: FolderStore) -> None:
    add_run(store, source={"a.py": "one\ntwo\n", "gone.py": "x\n", "same.py": "s"})
    add_run(store, source={"a.py": "one\n2", "new.py": "y\n", "same.py": "s"})
    source = differences(store)["source"]
    assert list(source) == ["a.py", "gone.py", "new.py"]
    assert source["a.py"]["diff"] == (
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n\\ No newline at end of file\n"
    )
    assert "-x\n" in source["gone.py"]["diff"]
    assert set(source["gone.py"]) == {"a", "diff"}
    assert "+y\n" in source["new.py"]["diff"]


def test_lines_end_at_line_feeds_only(store: FolderStore) -> None:
    add_run(store, source={"a.py": "one\x0c\u2028two\r\nthree\n"})
    add_run(store, source={"a.py": "one\x0c\u2028two\r\n3\n"})
    diff = differences(store)["source"]["a.py"]["diff"]
    assert diff.endswith(" one\x0c\u2028two\r\n-three\n+3\n")


def test_what_has_no_text_is_compared_by_digest(store: FolderStore) -> None:
    """Binary, too long, not kept, missing or damaged in the store: that it differs is known all the same."""
    long = "x\n" * LONGEST_DIFF_BYTES
    names = ["bin", "long", "missing", "damaged"]
    add_run(store, source=dict.fromkeys(names, "before\n"))
    add_run(store, source={"bin": "", "long": long, "missing": "gone\n", "damaged": "hurt\n"})
    first, second = store.get(1), store.get(2)
    files = {file.path: file for file in second.source.files}
    store.objects.path(files["missing"].sha256).unlink()
    damaged = store.objects.path(files["damaged"].sha256)
    damaged.chmod(0o644)
    damaged.write_bytes(b"\xff\xff")
    data = store.objects.put_bytes(b"\xff\x00\xfe")
    files["bin"] = ContentRef(path="bin", sha256=data, size=3)
    files["unkept"] = ContentRef(path="unkept", sha256="0" * 64, size=3, kept=False)
    second = replace(second, source=replace(second.source, files=tuple(files.values())))
    source = compare(first, second, store)["source"]
    assert sorted(source) == ["bin", "damaged", "long", "missing", "unkept"]
    assert all("diff" not in entry for entry in source.values())


def test_git_is_no_difference_when_the_files_are_the_same(store: FolderStore) -> None:
    for commit in ("a" * 40, "b" * 40):
        add_run(store, source={"a.py": "x"})
        number = store.numbers()[0]
        record = store.get(number)
        assert record.source.git is None
        git = GitFacts(commit=commit, branch="main", dirty=False)
        assert compare(record, replace(record, source=replace(record.source, git=git)), store)["source"] == {}


def test_packages_python_and_hardware(store: FolderStore) -> None:
    add_run(store, packages={"numpy": "2.0", "torch": "2.5"})
    add_run(store, packages={"numpy": "2.1"})
    second = store.get(2)
    assert second.environment is not None
    second = replace(
        second,
        environment=replace(second.environment, python="3.12.1", variables={"OMP_NUM_THREADS": "4"}),
        hardware=HardwareFacts(hostname="other", os="Linux", boot_id="changes with every boot"),
    )
    sections = compare(store.get(1), second, store)
    assert sections["packages"] == {
        "python": {"a": "3.11.7", "b": "3.12.1"},
        "numpy": {"a": "2.0", "b": "2.1"},
        "torch": {"a": "2.5"},
    }
    assert sections["variables"] == {"OMP_NUM_THREADS": {"b": "4"}}
    assert sections["hardware"] == {"hostname": {"a": "host", "b": "other"}}


@pytest.mark.parametrize(
    ("a", "b", "parted"),
    [
        ([1.0, 2.0], [1.0, 2.5], {"index": 1, "a": {"step": 1, "value": 2.0}, "b": {"step": 1, "value": 2.5}}),
        ([1.0, math.nan], [1.0, 2.5], {"index": 1, "a": {"step": 1, "value": "NaN"}, "b": {"step": 1, "value": 2.5}}),
        ([1.0, math.nan], [1.0, math.nan, 3.0], {"index": 2, "a": {"count": 2}, "b": {"count": 3}}),
        (
            [2**70],
            [2**70 + 1],
            {"index": 0, "a": {"step": 0, "value": 2**70}, "b": {"step": 0, "value": 2**70 + 1}},
        ),
    ],
)
def test_series_part_at_a_point(store: FolderStore, a: list[float], b: list[float], parted: dict[str, Any]) -> None:
    add_run(store, metrics={"loss": a, "same": [math.nan]})
    add_run(store, metrics={"loss": b, "same": [math.nan]})
    metrics = differences(store)["metrics"]
    assert list(metrics) == ["loss"]
    assert metrics["loss"]["first_difference"] == parted


def test_a_metric_of_one_run_only(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [1.0]})
    add_run(store)
    assert list(differences(store)["metrics"]["loss"]) == ["a"]


def test_results_artifacts_and_seeds(store: FolderStore) -> None:
    add_run(store, result=None, artifacts={"m.bin": b"1", "same": b"s"})
    add_run(store, result=[1, math.nan], artifacts={"m.bin": b"2", "same": b"s"})
    found = differences(store)
    assert found["result"] == {"a": None, "b": [1, "NaN"]}
    assert list(found["artifacts"]) == ["m.bin"]
    second = replace(store.get(2), seed=7)
    assert compare(store.get(1), second, store)["seed"] == {"a": 1, "b": 7}


def test_content_that_is_damaged_is_said_and_not_compared(store: FolderStore) -> None:
    one = store.get(add_run(store, source={"train.py": "x = 1\n"}))
    other = store.get(add_run(store, source={"train.py": "x = 2\n"}))
    path = store.objects.path(one.source.files[0].sha256)
    path.chmod(0o644)
    path.write_text("x = 7\n")
    said: list[str] = []

    assert "diff" not in compare(one, other, store, said.append)["source"]["train.py"]
    assert "The content of train.py" in said[0]
    path.unlink()
    assert "diff" not in compare(one, other, store, said.append)["source"]["train.py"]
    assert "does not hold the content" in said[1]


def test_histograms_are_compared_step_by_step(store: FolderStore) -> None:
    one = Histogram(low=0.0, high=1.0, counts=(1, 2))
    other = Histogram(low=0.0, high=1.0, counts=(2, 1))
    add_run(store, histograms={"same": [one, other], "w": [one, one, one], "gone": [one]})
    add_run(store, histograms={"same": [one, other], "w": [one, other]})
    found = differences(store)
    assert set(found) == {"histograms"}
    assert set(found["histograms"]) == {"w", "gone"}
    assert found["histograms"]["w"]["first_difference"] == {"step": 1}
    assert [found["histograms"]["w"][side]["count"] for side in "ab"] == [3, 2]
    assert set(found["histograms"]["gone"]) == {"a"}
    shown = anew(store.root, "--store", store.url, "diff", "1", "2").stdout
    assert "Histograms" in shown
    assert "at step 1" in shown
    assert "only one has it" in shown
