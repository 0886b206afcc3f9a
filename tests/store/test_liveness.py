"""Is that process alive? A wrong answer would call a living run dead, or let a dead one run for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from anew.runner.kernel.door import boot_id, state_of
from anew.runner.records import ProcessFacts, Status
from anew.runner.store import reading
from anew.runner.store.folder import FolderStore
from anew.runner.store.liveness import process_alive, process_facts
from tests.helpers.stores import add_run, make_store


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
    monkeypatch.setattr(reading, "process_alive", lambda facts: None)
    number = add_run(store, status=None, metrics={"x": [1.0]})
    assert store.get(number).status is Status.RUNNING
    long_ago = time.time() - 2 * reading.SILENT_S
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

    monkeypatch.setattr(reading, "process_alive", dies_now)
    assert store.get(number).status is Status.COMPLETED
