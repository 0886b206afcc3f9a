"""What becomes of a sweep's files: damage is said and costs no result; what somebody changed is not run unseen."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import SweepNotFoundError
from anew.runner.format import serial
from anew.runner.format.serial import from_json, to_json
from anew.runner.records import Severity, Status
from anew.runner.store import marks
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store
from anew.runner.sweep import vouching
from anew.runner.sweep.remote import EXPECT
from anew.runner.sweep_records import SweepStart
from tests.helpers.scripts import Project, anew

ANEW = [sys.executable, "-c", "import sys; from anew.runner.cli import main; sys.exit(main(sys.argv[1:]))"]
TRIALS = int(os.environ.get("ANEW_DAMAGE_TRIALS", "300"))


@pytest.fixture
def trial(project: Path) -> Project:
    """A sweep of four jobs, of which three were done; each execution of a job is a line in the file `count`."""
    found = Project(project)
    found.write("""
    @experiment.main
    def main(i: int = 0, extra: str = ""):
        with open("count", "a") as file:
            file.write(f"{i}{extra}\\n")
        return i * 10
    """)
    found.run("-m", "i=1,2,3,4", "anew.sweep.max_jobs=3", "anew.quiet=true")
    return found


@pytest.fixture
def sweep(trial: Project) -> Path:
    return trial.folder / "runs/sweeps/1"


def resume(trial: Project, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [*ANEW, "sweep", "resume", "1", "anew.sweep.max_jobs=null", *words],
        cwd=trial.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stderr


def executions(trial: Project) -> list[str]:
    return (trial.folder / "count").read_text().split()


def results(store: FolderStore) -> dict[int, Any]:
    return {job.index: job.result for job in store.sweep(1).jobs}


def change(path: Path, number: int, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change what a sealed line says, and seal it again, as somebody can who does not have the user's key."""
    lines = path.read_bytes().splitlines()
    raw = serial.unseal(lines[number])
    edit(raw)
    lines[number] = serial.seal(raw).rstrip(b"\n")
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_ones_own_sweep_is_taken_up_on_another_host_and_in_a_copy_without_a_word(
    trial: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trial.folder / "runs", tmp_path / "copied")
    # another node of a cluster, with the same home
    (tmp_path / "sitecustomize.py").write_text("import socket; socket.gethostname = lambda: 'another'")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    for store in (trial.folder / "runs", tmp_path / "copied"):
        resume(trial, "--store", str(store))
        assert results(FolderStore.open(store)) == {0: 10, 1: 20, 2: 30, 3: 40}


# --- what somebody changed --------------------------------------------------------------------------------------------


def test_an_override_added_to_the_plan_is_shown_and_not_run_without_trust(trial: Project, sweep: Path) -> None:
    def edit(job: dict[str, Any]) -> None:
        job["overrides"].append("extra=evil")
        job["config"]["extra"] = "evil"

    change(sweep / "jobs.jsonl", 3, edit)
    refused = resume(trial, code=4)
    assert "job 3  i=4 extra=evil" in refused
    assert "anew sweep resume 1 --trust" in refused
    assert executions(trial) == ["1", "2", "3"]

    resume(trial, "--trust")
    assert executions(trial) == ["1", "2", "3", "4evil"]
    assert trial.store.sweep_folder(1).strange() == []


def test_a_job_that_was_added_to_the_plan_is_run_once_it_is_trusted_and_the_sweep_is_complete(
    trial: Project, sweep: Path
) -> None:
    line = {**serial.unseal((sweep / "jobs.jsonl").read_bytes().splitlines()[3]), "index": 4, "overrides": ["i=5"]}
    with (sweep / "jobs.jsonl").open("ab") as file:
        file.write(serial.seal({**line, "config": {**line["config"], "i": 5}}))
    assert "job 4  i=5" in resume(trial, code=4)

    resume(trial, "--trust")
    assert executions(trial) == ["1", "2", "3", "4", "5"]
    again = subprocess.run(
        [*ANEW, "sweep", "resume", "1"], cwd=trial.folder, capture_output=True, text=True, timeout=120, check=True
    )
    assert "nothing left to run" in again.stderr


@pytest.mark.parametrize("of", ["job", "sweep", "mark"])
def test_a_worker_runs_what_was_handed_out_and_nothing_else(
    trial: Project, sweep: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, of: str
) -> None:
    store = trial.store
    start, job = store.sweep(1).start, store.sweep_folder(1).planned()[3]
    words = [str(store.root), "1", "3", "1", "anew.quiet=true"]
    expected = f"{EXPECT}{vouching.digest(start, job, None)}"
    if of == "mark":
        # nobody says what was handed out, and here nobody's key has marked it
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    elif of == "job":
        change(sweep / "jobs.jsonl", 3, lambda raw: raw["overrides"].append("extra=evil"))
    else:
        change(sweep / "sweep.json", 0, lambda raw: raw["command"].update(options=["-X", "dev"]))
    for given in ([], [expected]) if of != "mark" else ([],):
        assert worker(trial, *given, *words) == 4
    assert executions(trial) == ["1", "2", "3"]
    if of == "mark":
        assert worker(trial, expected, *words) == 0
        assert executions(trial) == ["1", "2", "3", "4"]


def worker(trial: Project, *words: str) -> int:
    command = [sys.executable, "-m", "anew.runner.sweep.remote", *words]
    return subprocess.run(command, cwd=trial.folder, check=False, stdin=subprocess.DEVNULL).returncode


def test_a_line_of_another_sweep_is_none_of_this_ones(trial: Project, sweep: Path) -> None:
    trial.run("-m", "i=1,2,3,4", "extra=other", "anew.sweep.max_jobs=1", "anew.quiet=true")
    (sweep / "jobs.jsonl").write_bytes((sweep.parent / "2/jobs.jsonl").read_bytes())

    assert "job 3  i=4 extra=other" in resume(trial, code=4)


def test_a_claim_that_somebody_made_is_shown(trial: Project, sweep: Path) -> None:
    """It would have a job taken for done."""
    made = serial.unseal((sweep / "taken/0.1.json").read_bytes())
    (sweep / "taken/3.1.json").write_bytes(serial.seal({**made, "index": 3, "reused": True}))

    assert "taken/3.1.json  job 3 was done by run 1" in resume(trial, code=4)


def test_what_a_worker_with_another_key_took_is_vouched_for_by_who_handed_it_out(
    trial: Project, sweep: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = trial.store.sweep_folder(1)
    with monkeypatch.context() as patch:
        patch.setattr(marks, "state_folder", lambda: tmp_path / "another")
        assert folder.take(3, 1, 99)
    assert folder.strange() == ["taken/3.1.json  job 3 was done by run 99"]

    folder.vouch_for(3, 1)
    assert folder.strange() == []
    assert folder.claim(3, 1).run == 99


# --- damage -----------------------------------------------------------------------------------------------------------


def test_no_flip_cut_or_gap_shows_another_result_or_ends_a_reader(trial: Project, sweep: Path) -> None:
    chance = random.Random(trial.folder.name)
    store = trial.store
    right = results(store)
    assert right == {0: 10, 1: 20, 2: 30, 3: None}
    files = [*sweep.glob("*.json*"), *sweep.glob("taken/*"), *sweep.glob("conductors/*")]
    assert len(files) == 2 + 3 + 2
    for _ in range(TRIALS):
        path = chance.choice(files)
        whole = path.read_bytes()
        kind = chance.choice(["flip", "cut", "gone", "zeros", "junk"])
        place = chance.randrange(len(whole))
        if kind == "flip":
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :])
        elif kind == "cut":
            path.write_bytes(whole[:place])
        elif kind == "zeros":
            path.write_bytes(whole[:place] + bytes(len(whole) - place))
        elif kind == "junk":
            path.write_bytes(b'{"index": [], "run": {}, "attempt": "x", "number": null}')
        else:
            path.unlink()
        what = f"{kind} at {place} of {path.name}"
        try:
            found = store.sweep(1)
        except SweepNotFoundError:
            assert path.name == "sweep.json", what
        else:
            shown = {job.index: job.result for job in found.jobs}
            assert shown == right or (path.name == "jobs.jsonl" and shown == {i: right[i] for i in shown}), what
            is_harmless = path.name in ("jobs.jsonl", "1.json", "1.ended.json") and kind == "gone"
            # a last newline is not covered by the seal, and a claim that is whole without it is whole
            assert found.warnings or is_harmless or place >= len(whole) - 1 or path.name == "sweep.json", what
        finally:
            path.write_bytes(whole)


@pytest.mark.parametrize("damage", ["flip", "gone", "empty", "other"])
def test_a_completed_job_whose_claim_is_damaged_is_not_run_again(trial: Project, sweep: Path, damage: str) -> None:
    path = sweep / "taken/0.1.json"
    if damage == "gone":
        path.unlink()
    elif damage == "other":
        change(path, 0, lambda raw: raw.update(run=2))
    else:
        path.write_bytes(path.read_bytes().replace(b'"run":1', b'"run":2') if damage == "flip" else b"")
    assert results(trial.store) == {0: 10, 1: 20, 2: 30, 3: None}
    [warning] = trial.store.sweep(1).warnings
    assert warning == "taken/0.1.json is missing or damaged; by its own record run 1 did the job"
    assert warning in [finding.what for finding in check_store(trial.store)]

    said = resume(trial, *(["--trust"] if damage == "other" else []))
    assert "taken/0.1.json" in said
    assert executions(trial) == ["1", "2", "3", "4"]
    assert results(trial.store) == {0: 10, 1: 20, 2: 30, 3: 40}
    assert trial.store.sweep(1).warnings == ()
    assert trial.store.sweep_folder(1).strange() == []


def test_a_claim_that_no_run_explains_is_said_and_the_job_run_once_more(trial: Project, sweep: Path) -> None:
    (sweep / "taken/3.1.json").write_bytes(b"?")
    job = trial.store.sweep(1).jobs[3]
    assert (job.status, job.attempts) == (Status.LOST, 1)
    assert job.error is not None
    assert "taken/3.1.json is missing or damaged" in job.error

    assert "taken/3.1.json is missing or damaged" in resume(trial)
    assert executions(trial) == ["1", "2", "3", "4"]
    assert (trial.store.sweep(1).jobs[3].attempts, results(trial.store)[3]) == (2, 40)


def test_a_sweep_whose_conductors_are_damaged_is_taken_up_once_they_are_silent(trial: Project, sweep: Path) -> None:
    path = sweep / "conductors/1.json"
    path.write_bytes(b"")
    (sweep / "conductors/1.ended.json").unlink()
    assert "is going on" in resume(trial, code=2)

    os.utime(path, (1, 1))
    assert "conductors/1.json is damaged" in resume(trial)
    assert results(trial.store)[3] == 40


def test_a_later_claim_that_says_nothing_does_not_undo_what_an_earlier_one_came_to(trial: Project, sweep: Path) -> None:
    (sweep / "taken/0.2.json").symlink_to("/dev/zero")
    assert results(trial.store)[0] == 10
    resume(trial)
    assert executions(trial) == ["1", "2", "3", "4"]


def test_a_sweep_whose_record_is_gone_is_said(trial: Project, sweep: Path) -> None:
    (sweep / "sweep.json").unlink()
    assert "sweep.json is missing; its runs: anew list sweep==1" in anew(trial, "sweep", "list").stderr
    [finding] = check_store(trial.store)
    assert (finding.severity, finding.what) == (Severity.ERROR, "the record of sweep 1 is missing")


def test_a_pipe_in_the_place_of_the_word_to_stop_is_not_waited_for(trial: Project, sweep: Path) -> None:
    os.mkfifo(sweep / "stop")
    trial.store.sweep_folder(1).ask_to_stop("finish")
    assert (sweep / "stop").read_text() == "finish"


def test_a_damaged_sweep_is_listed_as_such(trial: Project, sweep: Path) -> None:
    (sweep / "sweep.json").write_bytes(serial.seal({"uid": 3}))
    done = subprocess.run([*ANEW, "sweep", "list"], cwd=trial.folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "sweep.json is damaged" in done.stderr
    assert "has no record" in resume(trial, code=2)


# --- sweeps of earlier versions ---------------------------------------------------------------------------------------


def test_a_sweep_of_an_earlier_version_is_read_and_resumed(trial: Project, sweep: Path) -> None:
    """Its claims were not sealed, neither they nor its jobs marked, and nothing compared at its end."""
    raw = serial.unseal((sweep / "sweep.json").read_bytes())
    start = to_json(from_json(SweepStart, raw))
    bare = {"format": raw["format"], **{key: value for key, value in start.items() if key != "is_sealed"}}
    (sweep / "sweep.json").write_bytes(serial.seal({**bare, "origin_mark": marks.mark(bare)}))
    lines = [serial.unseal(line) for line in (sweep / "jobs.jsonl").read_bytes().splitlines()]
    (sweep / "jobs.jsonl").write_bytes(b"".join(serial.seal(_unmarked(line)) for line in lines))
    for path in (*sweep.glob("taken/*.json"), *sweep.glob("conductors/*.json")):
        path.write_text(json.dumps(_unmarked(serial.unseal(path.read_bytes()))))

    assert results(trial.store) == {0: 10, 1: 20, 2: 30, 3: None}
    assert trial.store.sweep(1).warnings == ()
    resume(trial)
    assert executions(trial) == ["1", "2", "3", "4"]
    assert trial.store.sweep(1).status is Status.COMPLETED


def _unmarked(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key not in ("origin_mark", "sums")}


def test_an_attempt_is_taken_once(trial: Project) -> None:
    folder = trial.store.sweep_folder(1)
    assert folder.take(3, 1, 7)
    assert not folder.take(3, 1, 8)
    assert folder.claim(3, 1).run == 7


@pytest.mark.parametrize("name", ["sweep.json", "jobs.jsonl", "taken/0.1.json", "conductors/1.json", "stop"])
def test_a_pipe_in_a_sweeps_folder_is_not_waited_for(trial: Project, sweep: Path, name: str) -> None:
    (sweep / name).unlink(missing_ok=True)
    os.mkfifo(sweep / name)
    for words in (["sweep", "list"], ["sweep", "show", "1"], ["check", "--deep"], ["list"]):
        done = subprocess.run(
            [*ANEW, *words], cwd=trial.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr


def test_a_plan_that_was_cut_short_after_the_end_is_said(trial: Project, sweep: Path) -> None:
    plan = sweep / "jobs.jsonl"
    plan.write_bytes(b"".join(plan.read_bytes().splitlines(keepends=True)[:3]))

    assert any("jobs.jsonl" in warning for warning in trial.store.sweep(1).warnings)
    resume(trial)


def test_what_ended_an_attempt_is_sealed(trial: Project, sweep: Path) -> None:
    folder = trial.store.sweep_folder(1)
    folder.died(0, 1, "killed by SIGKILL")
    assert folder.cause(0, 1) == "killed by SIGKILL"
    assert list(folder.flaws()) == []
    path = sweep / "taken/0.1.death"
    whole = path.read_bytes()
    for at in range(len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        assert folder.cause(0, 1) is None
        assert len(list(folder.flaws())) == 1
    path.write_text("killed, as earlier versions put it")
    assert folder.cause(0, 1) == "killed, as earlier versions put it"


def test_what_is_not_sealed_is_compared_with_what_it_was_at_the_end(trial: Project, sweep: Path) -> None:
    folder = trial.store.sweep_folder(1)
    path = sweep / "multirun.yaml"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"hydra", b"Hydra", 1))
    assert list(folder.flaws()) == ["multirun.yaml was changed or damaged since the sweep ended"]
    path.unlink()
    assert list(folder.flaws()) == ["multirun.yaml is missing"]
    path.write_bytes(whole)
    assert list(folder.flaws()) == []
