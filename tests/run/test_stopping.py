"""That a run was told to stop is a fact of its record, and is told again to whatever repeats it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anew.runner import events as ev
from anew.runner.records import Status
from anew.runner.search.files import write_json
from tests.helpers.scripts import Project, anew

# what is reported is x from the start; the pruner ends what is above 5
JOB = """
@experiment.main
def main(x: float = 0.0, how: str = "return", *, run: Run):
    for step in range(4):
        run.report(x, step)
        if step >= 2 and run.should_stop():
            if how == "raise":
                import optuna
                raise optuna.TrialPruned
            return x + 100
    return x
"""
SEARCH = (
    "-m",
    "hydra/sweeper=optuna",
    "hydra.sweeper.sampler=grid",
    "hydra.sweeper.pruner={name: threshold, upper: 5.0}",
    "hydra.sweeper.n_trials=2",
    "x=choice(1,9)",
)


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    trial = Project(project)
    trial.write(JOB)
    return trial


def told(trial: Project, number: int) -> list[ev.ToldToStop]:
    return [event for event in trial.store.events(number) if isinstance(event, ev.ToldToStop)]


def pruned_of(trial: Project) -> int:
    [record] = trial.store.find("status == PRUNED")
    assert record.id is not None
    return record.id


@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_run_that_was_told_to_stop_says_so_everywhere_and_comes_out_the_same_again(trial: Project, how: str) -> None:
    done = trial.run(*SEARCH, f"how={how}")
    number = pruned_of(trial)
    record = trial.record(number)
    assert (record.status, record.pruned, record.state) == (Status.COMPLETED, True, "PRUNED")
    assert record.result == (109.0 if how == "return" else None)
    assert "1 COMPLETED, 1 PRUNED" in done.stderr
    assert f"run {number} PRUNED after" in done.stderr
    [event] = told(trial, number)
    assert (event.asked, event.step, event.thread) == (1, 2, 0)

    assert [each.config["x"] for each in trial.store.find("status == COMPLETED")] == [1.0]
    assert "PRUNED" in anew(trial, "list").stdout
    assert "PRUNED" in anew(trial, "show", str(number)).stdout
    assert json.loads(anew(trial, "list", "--json", "status == PRUNED").stdout)[0]["pruned"] is True
    shown = anew(trial, "sweep", "show").stdout
    assert "1 COMPLETED, 1 PRUNED" in shown
    assert "2 of 2 jobs begun" in shown
    assert json.loads(anew(trial, "diff", "1", "2", "--json").stdout)["status"] != {}

    assert "identical" in anew(trial, "rerun", str(number)).stdout
    again = trial.record()
    assert again.rerun_of is not None
    assert (again.state, again.rerun_of.stops[0].asked) == ("PRUNED", 1)
    assert "identical" in anew(trial, "rerun", "last").stdout
    assert trial.record().state == "PRUNED"


def test_what_was_pruned_is_nobodys_finished_result(trial: Project) -> None:
    trial.run(*SEARCH)
    trial.run("-m", "x=1,9", "anew.sweep.skip=done")
    jobs = trial.store.sweep("last").jobs
    assert {float(job.overrides[0].partition("=")[2]): (job.reused, job.result) for job in jobs} == {
        1.0: (True, 1.0),
        9.0: (False, 9.0),
    }


def test_a_search_whose_jobs_raise_what_optuna_has_for_it_goes_on_and_a_caller_gets_it(trial: Project) -> None:
    """`optuna.TrialPruned` also comes from other libraries' callbacks, and without having asked."""
    trial.write("""
    import optuna
    @experiment.main
    def fit(x: float = 0.0, *, run: Run):
        run.log({"loss": x})
        raise optuna.TrialPruned("hopeless")
    def main():
        if len(sys.argv) == 1:
            return fit()
        try:
            fit.run(x=2)
        except optuna.TrialPruned as error:
            print("told", error)
    """)
    assert "PRUNED after" in trial.run().stderr
    assert trial.run("called").stdout == "told hopeless\n"
    for number in (1, 2):
        record = trial.record(number)
        assert (record.state, record.error, record.exit_code) == ("PRUNED", None, 0)
        assert "identical" in anew(trial, "rerun", str(number)).stdout


def test_threads_and_children_that_ask_are_told_again_as_they_were(trial: Project) -> None:
    trial.write("""
    import multiprocessing, threading
    def ask(run, found):
        for step in range(2, 5):
            run.report(9.0, step)
            found.append(run.should_stop())
    def in_child():
        found = []
        ask(anew.current_run(), found)
        anew.current_run().info({"child": found})
    @experiment.main
    def main(x: float = 0.0, *, run: Run):
        found = [run.should_stop()]
        thread = threading.Thread(target=ask, args=(run, found))
        thread.start(); thread.join()
        child = multiprocessing.get_context("spawn").Process(target=in_child)
        child.start(); child.join()
        found.append(run.should_stop())
        return found
    """)
    trial.run(*SEARCH[:-1], "x=choice(9)", "hydra.sweeper.n_trials=1", "hydra.sweeper.value=objective")
    record = trial.record(1)
    assert record.result == [False, True, True, True, True]
    assert record.info == {"child": [True, True, True]}
    writers = {(event.writer == "main", event.thread, event.asked) for event in told(trial, 1)}
    assert writers == {(True, 1, 1), (True, 0, 2), (False, 0, 1)}
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert trial.record().state == "PRUNED"


def test_a_run_of_an_earlier_version_is_known_by_the_folder_of_its_search(trial: Project) -> None:
    """It left a file in there, with the step; a run of another store that had that number is none of it."""
    trial.run("-m", "x=1,9")
    trial.run("x=7")
    folder = trial.store.layout.sweep(1).search
    folder.mkdir()
    write_json(folder / "1.stopped", {"step": 2})
    trial.store.layout.index.unlink()
    assert pruned_of(trial) == 2
    assert anew(trial, "rerun", "2", code=3).stdout  # it went on then, which the file does not know
    again = trial.record()
    assert (again.result, again.state) == (109.0, "PRUNED")
    assert [event.step for event in told(trial, again.id or 0)] == [2]


def test_observers_are_told(trial: Project) -> None:
    done = trial.run(*SEARCH, "anew/observers=[files,console]")
    assert done.stderr.count("was pruned after") == 1
