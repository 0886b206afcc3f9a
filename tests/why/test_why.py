"""Causes that were planted between two runs are found, and nothing else is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import RerunError, StoreError
from anew.runner.records import Status
from anew.runner.why import kept
from anew.runner.why.asked import resume, why
from anew.runner.why.explanation import Explanation
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

KEYS = ", ".join(f"k{number}: float = 0.0" for number in range(30))
TOTAL = " + ".join(f"k{number} * {0 if number != 17 else 1}" for number in range(30))
# twelve pieces of code in five files; each is a hunk of its own when it is changed
PARTS = 12
FILES = 5
PAUSE = "\n".join("# ." for _ in range(9))


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def part(number: int, value: str) -> str:
    return f"def part{number}():\n    return {value}\n\n{PAUSE}\n\n"


def parts(trial: Project, values: dict[int, str]) -> None:
    """Write the pieces of code, some of them another than 0.0."""
    for file in range(FILES):
        own = range(file, PARTS, FILES)
        text = "".join(part(number, values.get(number, "0.0")) for number in own)
        (trial.folder / f"parts{file}.py").write_text(text)


PARTED = (
    "".join(f"from parts{number % FILES} import part{number}\n" for number in range(PARTS))
    + f"""
@experiment.main
def main(run: Run, lr: float = 0.1, rest: float = 0.0):
    acc = 0.9 - sum([{", ".join(f"part{number}()" for number in range(PARTS))}]) - rest
    run.log({{"acc": acc}}, 0)
    return {{"acc": acc}}
"""
)


def names(found: Explanation) -> list[str]:
    by_number = {delta.n: delta for delta in found.deltas}
    return [by_number[number].what for number in found.causes]


def asked(trial: Project, good: int = 1, bad: int = 2, **options: Any) -> Explanation:
    return why(good, bad, store=trial.folder / "runs", **options)


def test_what_it_would_cost_is_told_of_one_difference_and_of_several(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(a: float = 1.0, b: float = 1.0):\n    return a + b\n")
    for overrides in ([], ["a=2"], ["a=2", "b=2"]):
        trial.run("anew.seed=1", *overrides)
    assert asked(trial, 1, 2, dry_run=True).sentence.startswith("1 difference; a trial takes ")
    assert asked(trial, 1, 3, dry_run=True).sentence.startswith("2 differences; a trial takes ")


def test_one_key_among_thirty_is_named_with_the_change_that_it_makes(trial: Project) -> None:
    trial.write(f"@experiment.main\ndef main({KEYS}):\n    return 1.0 + {TOTAL}\n")
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", *(f"k{number}={number + 1}" for number in range(30)))
    planned = json.loads(anew(trial, "why", "1", "2", "--dry-run", "--json").stdout)
    assert list(planned) == ["deltas"]
    assert [each["n"] for each in planned["deltas"]] == list(range(1, 31))
    assert planned["deltas"][17] == {"n": 18, "kind": "config", "what": "config.k17", "was": 0.0, "now": 18.0}
    assert trial.store.numbers()[0] == 2, "a dry run started something"

    done = anew(trial, "why", "1", "2", "--json")
    found = json.loads(done.stdout)
    assert (found["id"], found["status"], found["causes"], found["shares"]) == (1, "found", [18], {"18": 1.0})
    assert found["sentence"] == "Of 30 differences, config.k17 (0.0 -> 18.0) alone takes result from 1.0 to 19.0."
    # both ends, five halvings, and one that says that it is enough alone
    assert len(found["trials"]) <= 2 + 5 + 1
    assert "at most" in done.stderr

    last = trial.record()
    assert last.why is not None
    assert last.why.id == 1
    assert last.rerun_of is not None
    assert last.rerun_of.id == 1
    shown = " ".join(anew(trial, "show", str(last.id)).stdout.split())
    assert "trial of search 1, with" in shown
    assert len(trial.store.find("why == 1")) == len(found["trials"])

    text = anew(trial, "why", "--show", "1", "--markdown").stdout
    assert text.startswith("**Of 30 differences, config.k17")
    assert "- `config.k17` (config), 100% of it\n  was `0.0`, is `18.0`" in text
    assert "Causes" in anew(trial, "why", "--show", "1").stdout
    assert "All is well" in anew(trial, "check", "--deep").stdout
    (trial.folder / "runs/whys/1/answer.json").write_text("{}")
    assert "answer.json of search 1 is damaged" in anew(trial, "check", code=2).stdout
    with pytest.raises(StoreError, match="is damaged"):
        kept.answer(trial.store, 1)


def test_one_hunk_among_twelve_in_five_files_is_named_by_its_line(trial: Project) -> None:
    parts(trial, {})
    trial.write(PARTED)
    trial.run("anew.seed=1")
    parts(trial, {number: "0.2" if number == 7 else "1.0 - 1.0" for number in range(PARTS)})
    trial.run("anew.seed=1")
    found = asked(trial, metric="acc")
    line = 2 + 13  # the second piece of its file
    assert [delta.kind for delta in found.deltas] == ["hunk"] * PARTS
    assert names(found) == [f"parts2.py:{line}"]
    assert found.sentence == f"Of 12 differences, parts2.py:{line} alone takes acc from 0.9 to 0.7."
    [hunk] = [delta for delta in found.deltas if delta.n in found.causes]
    assert (hunk.was, hunk.now) == ("    return 0.0\n", "    return 0.2\n")


@pytest.mark.long
def test_causes_that_only_act_together_and_what_explains_the_rest(trial: Project) -> None:
    """A hunk and a key that do nothing alone; another key takes it a little further. Half of the hunks need another."""
    parts(trial, {})
    trial.write(
        PARTED.replace("- rest\n", "- rest - (lr > 0.5) * parts4.amount\n").replace("from", "import parts4\nfrom", 1)
    )
    (trial.folder / "parts4.py").write_text("amount = 0.0\n" + (trial.folder / "parts4.py").read_text())
    trial.run("anew.seed=1")
    # part 0 calls what part 5 (of the same file) defines from now on, and so on
    parts(
        trial,
        {0: "helper5()", 1: "helper6()", 5: "0.0\n\n\ndef helper5():\n    return 0.0"}
        | {6: "0.0\n\n\ndef helper6():\n    return 0.0"},
    )
    (trial.folder / "parts4.py").write_text("amount = 0.3\n" + (trial.folder / "parts4.py").read_text())
    trial.run("anew.seed=1", "lr=0.9", "rest=0.1")
    found = asked(trial)
    assert sorted(names(found)) == ["config.lr", "config.rest", "parts4.py:1"]
    first, second, rest = (found.shares[number] for number in sorted(found.causes, key=lambda each: each))
    assert first == pytest.approx(0.375)
    assert second == pytest.approx(0.25)
    assert rest == pytest.approx(0.375)
    assert "config.lr (0.1 -> 0.9) and parts4.py:1 together, and none of them alone, take" in found.sentence
    assert "; with config.rest (0.0 -> 0.1) to" in found.sentence
    assert any(trial_run.outcome == "unresolved" for trial_run in found.trials), "no mixture was broken"


DATA = """
from pathlib import Path
@experiment.main
def main(run: Run, lr: float = 0.1):
    good = sum(map(float, Path("a.csv").read_text().split()))
    other = sum(map(float, Path("b.csv").read_text().split()))
    run.log({"lines": other}, 0)
    return good
"""


def test_one_of_two_inputs_is_named_and_an_earlier_search_is_made_use_of(trial: Project) -> None:
    trial.write(DATA)
    (trial.folder / "a.csv").write_text("1\n2\n")
    (trial.folder / "b.csv").write_text("5\n")
    trial.run("anew.seed=1")
    (trial.folder / "a.csv").write_text("1\n9\n")
    (trial.folder / "b.csv").write_text("6\n")
    trial.run("anew.seed=1")
    found = asked(trial)
    assert [(delta.kind, delta.what) for delta in found.deltas] == [("input", "a.csv"), ("input", "b.csv")]
    assert names(found) == ["a.csv"]
    before = trial.store.numbers()[0]
    again = asked(trial)
    assert (again.id, names(again)) == (2, ["a.csv"])
    assert trial.store.numbers()[0] == before, "what an earlier search has run was run again"
    assert names(resume(2, store=trial.folder / "runs")) == ["a.csv"]
    assert trial.store.numbers()[0] == before


FAILING = """
@experiment.main
def main(lr: float = 0.1, depth: int = 2, width: int = 3):
    return build(depth, width)
def build(depth, width):
    if depth > 4 and width > 4:
        raise ValueError(f"{depth} is too deep")
    if depth > 4:
        raise TypeError("another failure")
    return depth
"""


def test_a_failure_is_explained_by_what_makes_it_fail_in_the_same_place(trial: Project) -> None:
    trial.write(FAILING)
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", "lr=0.2", "depth=5", "width=5", code=1)
    done = anew(trial, "why", "2")
    assert "run 1 is taken for the good one" in done.stderr
    head = done.stdout.splitlines()[0]
    assert head == (
        "Of 3 differences, config.depth (2 -> 5) and config.width (3 -> 5) together, and none of them alone, make it "
        "fail: ValueError in build of train.py."
    )


ODD = """
@experiment.main
def main(lr: float = 0.1, odd: str = ""):
    return {"nan": float("nan"), "none": None, "": 1.0}[odd]
"""


@pytest.mark.parametrize("odd", ["nan", "none"])
def test_a_result_that_is_no_number_is_explained_both_ways(trial: Project, odd: str) -> None:
    trial.write(ODD)
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", "lr=0.2", f"odd={odd}")
    for refs in (("1", "2"), ("2", "1")):
        found = json.loads(anew(trial, "why", *refs, "--json").stdout)
        assert (found["status"], found["causes"]) == ("found", [2])
        kept_answer = json.loads(anew(trial, "why", "--show", str(found["id"]), "--json").stdout)
        assert kept_answer["sentence"] == found["sentence"]


NOISY = """
import random
@experiment.main
def main(lr: float = 0.1, shift: float = 0.0):
    return random.random() + shift
"""


@pytest.mark.long
@pytest.mark.parametrize(("shift", "status"), [("0.1", "noise"), ("5.0", "found")])
def test_a_difference_counts_when_it_is_larger_than_chance(trial: Project, shift: str, status: str) -> None:
    trial.write(NOISY)
    trial.run("anew.seed=1")
    trial.run("anew.seed=2", "lr=0.2", f"shift={shift}")
    found = asked(trial, repeat=4, workers=2)
    assert found.status == status
    assert found.exit_code == (0 if status == "found" else 1)
    if status == "found":
        assert names(found) == ["config.shift"]
        assert any("permutation test of the means, p = 0.029" in note for note in found.notes)
    else:
        assert "no larger than chance" in found.sentence


def test_the_seed_is_a_cause_like_any_other(trial: Project) -> None:
    trial.write(NOISY)
    trial.run("anew.seed=1")
    trial.run("anew.seed=2", "lr=0.2")
    assert names(asked(trial)) == ["seed"]


@pytest.mark.long
def test_a_search_that_is_stopped_or_has_no_more_runs_is_gone_on_with(trial: Project) -> None:
    trial.write(f"import time\n@experiment.main\ndef main({KEYS}):\n    time.sleep(k29)\n    return 1.0 + {TOTAL}\n")
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", *(f"k{number}={number + 1}" for number in range(29)))
    spent = asked(trial, max_runs=4)
    assert (spent.status, spent.exit_code, len(spent.trials)) == ("budget", 1, 4)
    assert "differences are still in question" in spent.sentence
    assert "anew why --resume 1" in spent.sentence
    before = trial.store.numbers()[0]
    found = resume(1, store=trial.folder / "runs")
    assert names(found) == ["config.k17"]
    assert trial.store.numbers()[0] - before <= 4, "what was known was run again"

    # of another seed, so that nothing of it was run
    trial.run("anew.seed=2")
    good = trial.store.numbers()[0]
    trial.run("anew.seed=2", *(f"k{number}={number + 1}" for number in range(29)))
    process = subprocess.Popen(
        [*ANEW, "why", str(good), str(good + 1)],
        cwd=trial.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        until(lambda: len(kept_trials(trial, 2)) >= 1)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    if process.returncode == 130:  # else it had come to its end already
        assert "anew why --resume 2" in err
        assert "Traceback" not in err
        assert names(resume(2, store=trial.folder / "runs")) == ["config.k17"]


def kept_trials(trial: Project, search: int) -> list[Any]:
    return trial.store.find(f"why == {search}")


def test_what_cannot_be_explained_is_said_and_starts_nothing(trial: Project) -> None:
    trial.write(
        "@experiment.main\ndef main(run: Run, lr: float = 0.1):\n    run.log({'loss': lr}, 0)\n    return lr > 1\n"
    )
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", "lr=0.2", "anew.source.enabled=false")
    trial.run("anew.seed=1")
    wrong = {
        ("1", "3"): "came to the same: there is nothing to explain",
        ("1", "2"): "The source of run 2 is not on record",
        ("1", "9"): "No run '9'",
        ("1",): "No earlier completed run of 'trial' came out otherwise than run 1",
        ("1", "3", "--metric", "los"): "Did you mean loss?",
        ("1", "3", "--only", "sorce"): "Did you mean source?",
        ("1", "3", "--repeat", "2"): "at least 4",
        ("1", "2", "3"): "3 runs were given",
        ("--show", "4"): "No search 4",
        ("--resume", "4"): "there is none yet: anew why GOOD BAD",
    }
    for words, said in wrong.items():
        done = anew(trial, "why", *words, code=2)
        assert said in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (trial.folder / "runs/whys").exists()
    with pytest.raises(RerunError, match="is not a number from 0 on"):
        asked(trial, tolerance=-1)
    assert trial.record(3).status is Status.COMPLETED
