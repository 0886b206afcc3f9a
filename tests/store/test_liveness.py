"""Is that process alive? A wrong answer would call a living run dead, or let a dead one run for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from anew.runner.errors import RunStateError
from anew.runner.format import ids, serial
from anew.runner.kernel.door import boot_id, state_of
from anew.runner.records import CommandFacts, ProcessFacts, RunRecord, Status
from anew.runner.store import curate, liveness, living
from anew.runner.store.folder import FolderStore
from anew.runner.store.liveness import process_alive, process_facts
from tests.helpers.scripts import Project, anew
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until


def sleeper() -> tuple[subprocess.Popen[bytes], ProcessFacts]:
    """A process that sleeps, and its facts."""
    process = subprocess.Popen(["sleep", "60"])
    state = state_of(process.pid)
    assert state is not None
    return process, replace(process_facts(), pid=process.pid, started_ticks=state[1])


def test_this_process_lives_and_one_that_is_gone_does_not() -> None:
    assert process_alive(process_facts()) is True
    process, facts = sleeper()
    assert process_alive(facts) is True
    process.kill()
    process.wait()
    assert process_alive(facts) is False


def test_a_stopped_process_lives_and_a_zombie_does_not() -> None:
    process, facts = sleeper()
    process.send_signal(signal.SIGSTOP)
    assert process_alive(facts) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_alive(facts) is False
    process.wait()


def test_the_same_number_used_again_is_another_process() -> None:
    assert process_alive(replace(process_facts(), started_ticks=1.0)) is False


def test_another_host_or_container_cannot_be_told_from_here() -> None:
    assert process_alive(replace(process_facts(), hostname="elsewhere", boot_id="other-1")) is None
    boot = boot_id().rpartition("-")[0]
    assert process_alive(replace(process_facts(), boot_id=f"{boot}-1")) is None


def test_a_run_elsewhere_lives_while_its_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store: FolderStore = make_store(tmp_path / "runs")
    monkeypatch.setattr(living, "process_alive", lambda facts: None)
    number = add_run(store, status=None, metrics={"x": [1.0]})
    assert store.get(number).status is Status.RUNNING
    long_ago = time.time() - 2 * living.SILENT_S
    for path in (*store.layout.run(number).folder.rglob("*"), store.layout.run(number).folder):
        os.utime(path, (long_ago, long_ago))
    assert store.get(number).status is Status.LOST
    os.utime(store.layout.run(number).journal("main"))
    assert store.get(number).status is Status.RUNNING


def test_an_outcome_that_appears_while_we_look_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store)
    outcome = store.layout.run(number).outcome
    hidden = outcome.with_name("hidden")
    outcome.rename(hidden)

    def dies_now(facts: ProcessFacts) -> bool:
        hidden.rename(outcome)
        return False

    monkeypatch.setattr(living, "process_alive", dies_now)
    assert store.get(number).status is Status.COMPLETED


# --- a run that cannot run any Python ---------------------------------------------------------------------------------

HOLDS_THE_LOCK = """
import ctypes
@experiment.main
def main(seconds: int = 8):
    open("stuck", "w").close()
    ctypes.PyDLL(None).sleep(seconds)  # no thread of this process gets to run Python meanwhile
"""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another host than the one that runs are on."""
    monkeypatch.setattr(liveness, "boot_id", lambda: "another-1")


@pytest.mark.usefixtures("elsewhere")
def test_a_run_in_a_c_call_is_alive_for_other_hosts_and_is_not_deleted(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard gives the signs of life."""
    trial = Project(project)
    trial.write(HOLDS_THE_LOCK)
    monkeypatch.setattr(living, "SILENT_S", 3.0)
    with trial.start("seconds=14", "anew.heartbeat_s=0.5", "anew.system.enabled=false") as process:
        until((project / "stuck").exists, "main")
        for _ in range(12):
            time.sleep(0.5)
            assert trial.record(1).status is Status.RUNNING
        beats = (project / "runs" / "1" / "events" / "guard.jsonl").read_bytes().splitlines()
        with pytest.raises(RunStateError, match="Stop it first"):
            curate.delete(trial.store, 1)
        process.kill()
        process.communicate()
    assert len(beats) > 4
    assert all(serial.unseal(line + b"\n")["k"] == "h" for line in beats)
    until(lambda: trial.record(1).status is Status.LOST, "its silence")
    assert not trial.record(1).damage


def test_without_a_guard_the_run_gives_the_signs_of_life_and_with_one_it_does_not(project: Path) -> None:
    trial = Project(project)
    trial.write(
        "@experiment.main\ndef main(guarded: bool = True):\n    time.sleep(2)\n"
        "if 'guarded=false' in sys.argv:\n    sys.executable = ''\n"
    )
    for number, word in enumerate(("true", "false"), 1):
        trial.run(f"guarded={word}", "anew.heartbeat_s=0.5")
        events = project / "runs" / str(number) / "events"
        assert (events / "guard.jsonl").exists() is (word == "true")
        assert (b'"k":"h"' in (events / "main.jsonl").read_bytes()) is (word == "false")
        assert trial.record(number).status is Status.COMPLETED
        assert not trial.record(number).damage


def test_a_silent_run_on_another_host_is_taken_by_force_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, status=None)
    add_run(store, status=Status.COMPLETED)
    monkeypatch.setattr(living, "SILENT_S", -1.0)
    monkeypatch.setattr(liveness, "boot_id", lambda: "another-1")
    assert store.get(1).status is Status.LOST
    with pytest.raises(RunStateError, match=r"may be going on.*anew delete --force 1"):
        curate.delete(store, 1)
    curate.delete(store, 1, force=True)
    curate.delete(store, 2)
    with pytest.raises(RunStateError, match="anew purge --force 1"):
        curate.purge(store, [1])
    purged = curate.purge(store)
    assert (purged.runs, purged.left) == ((2,), (1,))
    assert store.layout.trashed(1).record.exists()
    assert curate.purge(store, [1], force=True).runs == (1,)


@pytest.mark.usefixtures("elsewhere")
def test_the_commands_say_what_to_type(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    number, layout = store.claim()
    record = RunRecord(
        uid=ids.new_uid(),
        experiment="far",
        started_at=datetime.now(timezone.utc) - timedelta(days=9),
        command=CommandFacts(argv=("train.py",), cwd="/"),
        process=ProcessFacts(pid=1, started_ticks=1.0, boot_id="other-1", hostname="cut-off", monotonic_s=0.0),
    )
    store.start(number, record)
    for path in (layout.folder, layout.record):
        os.utime(path, (1, 1))
    refused = anew(tmp_path, "delete", "1", code=2)
    assert "may be going on" in refused.stderr
    assert "cut-off" in refused.stderr
    anew(tmp_path, "delete", "--force", "1")
    left = anew(tmp_path, "purge", "--yes")
    assert "anew purge --force 1" in left.stderr + left.stdout
    anew(tmp_path, "purge", "--yes", "--force", "1")
    assert not layout.folder.exists()
