"""Sweeps: each job once and by itself, whatever happens to it, to its worker, or to whoever hands out the jobs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from anew.runner.records import Status
from anew.runner.sweep_records import SweepRecord
from tests.helpers.releases import HYDRA_1_4
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

# every execution of a job leaves a mark of its own
FATES = """
import signal
from pathlib import Path

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("cannot be unpickled")

@experiment.main
def main(how: str = "ok", i: int = 0, nap: float = 0.0, until: str = "", *, run: Run):
    Path("marks").mkdir(exist_ok=True)
    Path("marks", f"{how}{i}-{time.time_ns()}").touch()
    run.log({"x": 1.0})
    time.sleep(nap)
    while until and not Path(until).exists():
        time.sleep(0.01)
    if how == "raise":
        raise ValueError("boom")
    if how == "odd":
        raise Odd(1, 2)
    if how == "exit":
        sys.exit(3)
    if how == "leave":
        os._exit(3)
    if how in ("SIGSEGV", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, how))
    return (lambda: i) if how == "lambda" else float(i)
"""
COUNT = int(os.environ.get("ANEW_SWEEP_JOBS", "40"))
FAILED, LOST, DONE = Status.FAILED, Status.LOST, Status.COMPLETED
GENTLE = {"ok": DONE, "raise": FAILED, "exit": FAILED, "lambda": DONE, "odd": FAILED}
DEADLY = {"leave": LOST, "SIGSEGV": LOST, "SIGKILL": LOST}
WORKERS = "anew.sweep.workers=2"
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def executions(trial: Project) -> Counter[str]:
    """How often each job's main was called."""
    return Counter(path.name.partition("-")[0] for path in (trial.folder / "marks").iterdir())


def sweep_of(trial: Project, number: int = 1) -> SweepRecord:
    return trial.store.sweep(number)


def marks(trial: Project) -> int:
    folder = trial.folder / "marks"
    return len(list(folder.iterdir())) if folder.exists() else 0


# --- one job's fate is its own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "fates"),
    [
        ((), GENTLE),
        (("hydra/launcher=basic",), GENTLE),
        ((WORKERS,), GENTLE | DEADLY),
        (("anew.sweep.workers=1",), GENTLE | DEADLY),
        (JOBLIB, GENTLE | DEADLY),
        (("hydra/launcher=submitit_local",), GENTLE),
    ],
    ids=["here", "basic", "workers", "worker", "joblib", "submitit"],
)
def test_every_job_comes_to_the_end_that_is_its_own(
    trial: Project, launcher: Sequence[str], fates: dict[str, Status]
) -> None:
    trial.write(FATES)
    done = trial.run("-m", f"how={','.join(fates)},ok", "i=5", *launcher, code=1)

    sweep = sweep_of(trial)
    ends = [(job.overrides[0].partition("=")[2], job.status) for job in sweep.jobs]
    if launcher == JOBLIB:
        # joblib ends all its processes when one dies; whose job that was cannot be told, and none is run twice
        assert all(status in (fates[how], LOST) for how, status in ends)
        assert {how: status for how, status in ends if how in DEADLY} == DEADLY
    else:
        assert ends == [*fates.items(), ("ok", DONE)]
    assert sweep.status is FAILED
    wanted = Counter({f"{how}5": 1 for how in fates} | {"ok5": 2})
    assert executions(trial) <= wanted if launcher == JOBLIB else executions(trial) == wanted
    assert "job 1  run" in done.stderr
    assert "ValueError: boom" in done.stderr
    assert "anew sweep resume 1" in done.stderr
    assert all(job.error for job in sweep.jobs if job.status is FAILED)


@pytest.mark.parametrize(("how", "cause"), [("leave", "os._exit(3)"), ("SIGSEGV", "SIGSEGV"), ("SIGKILL", "SIGKILL")])
def test_it_is_said_what_ended_a_worker(trial: Project, how: str, cause: str) -> None:
    trial.write(FATES)
    trial.run("-m", f"how={how}", WORKERS, code=1)
    [job] = sweep_of(trial).jobs
    assert job.error is not None
    assert cause in job.error


@pytest.mark.parametrize("how", list(DEADLY))
def test_a_job_that_takes_its_sweep_with_it_is_lost_and_the_rest_is_resumed(trial: Project, how: str) -> None:
    trial.write(FATES)
    with trial.start("-m", f"how=ok,{how},raise") as process:
        process.communicate(timeout=60)
    assert process.returncode not in (0, 1)
    sweep = sweep_of(trial)
    assert [job.status for job in sweep.jobs] == [DONE, LOST, Status.QUEUED]
    assert sweep.status is LOST

    anew(trial, "sweep", "resume", "1", "--missing", "--workers", "1", code=1)
    sweep = sweep_of(trial)
    assert [job.status for job in sweep.jobs] == [DONE, LOST, FAILED]
    assert [len(job.runs) for job in sweep.jobs] == [1, 2, 1]
    assert executions(trial) == Counter({"ok0": 1, f"{how}0": 2, "raise0": 1})


def test_main_sees_the_same_in_a_worker_as_without(trial: Project) -> None:
    trial.write("""
    import warnings
    from dataclasses import dataclass
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import instantiate
    @dataclass
    class Model:
        width: int = 1
    @experiment.main
    def main(model: Model = Model(), lr: float = 0.1, *, run: Run):
        assert isinstance(model, Model) and isinstance(model, sys.modules["__main__"].Model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # since Hydra 1.4, at a target that nobody vouches for
            assert instantiate({"_target_": "__main__.Model", "width": 3}).width == 3
        hydra = HydraConfig.get()
        assert (run.dir / "here").parent == run.dir and os.path.samefile(hydra.runtime.output_dir, run.dir)
        print("said", hydra.job.num)
        return [model.width, lr, hydra.job.num, sys.argv, list(hydra.overrides.task), os.getcwd()]
    """)
    trial.run("-m", "lr=1,2", "model.width=7")
    trial.run("-m", "lr=1,2", "model.width=7", WORKERS)
    here, beside = sweep_of(trial, 1), sweep_of(trial, 2)
    assert [job.error for job in here.jobs] == [None, None]
    assert [job.error for job in beside.jobs] == [None, None]
    results = [[*job.result[:3], *job.result[4:]] for job in here.jobs]
    assert results == [[*job.result[:3], *job.result[4:]] for job in beside.jobs]
    assert [job.result[3][:4] for job in beside.jobs] == [["train.py", "-m", "lr=1,2", "model.width=7"]] * 2
    runs = [trial.store.get(job.run or 0) for job in (*here.jobs, *beside.jobs)]
    assert [run.config for run in runs[:2]] == [run.config for run in runs[2:]]
    assert [run.command.target for run in runs] == [str(trial.folder / "train.py")] * 4
    assert ["".join(trial.store.output(run.id or 0)) for run in runs] == ["said 0\n", "said 1\n"] * 2


def test_workers_have_their_gpus_and_the_parent_keeps_its_own(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(i: int = 0):
        time.sleep(0.5)
        return os.environ["CUDA_VISIBLE_DEVICES"]
    """)
    trial.run("-m", "i=range(4)", WORKERS, env={"CUDA_VISIBLE_DEVICES": "4,7"})
    trial.run("-m", "i=0,1", env={"CUDA_VISIBLE_DEVICES": "4,7"})
    trial.run("-m", "i=0,1", WORKERS, "anew.sweep.gpus=none", env={"CUDA_VISIBLE_DEVICES": "4,7"})
    seen = [[job.result for job in sweep_of(trial, number).jobs] for number in (1, 2, 3)]
    assert sorted(seen[0]) == ["4", "4", "7", "7"]
    assert seen[1:] == [["4,7", "4,7"]] * 2


# --- what was planned is what runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("launcher", [(), (WORKERS,), ("hydra/launcher=basic",), JOBLIB], ids=str)
@pytest.mark.parametrize("edit", ["lr: 9\nwidth: [1, 2]\n", "", "lr: [", None])
def test_an_edit_during_a_sweep_changes_nothing(trial: Project, launcher: Sequence[str], edit: str | None) -> None:
    trial.write(f"""
    from pathlib import Path
    @experiment.main(config_path="conf", config_name="config", version_base="1.3")
    def main(cfg, run: Run):
        path = Path("conf/config.yaml")
        if path.exists():
            path.unlink() if {edit is None} else path.write_text({edit!r})
        return [cfg.lr, list(cfg.width), cfg.i]
    """)
    (trial.folder / "conf").mkdir()
    (trial.folder / "conf/config.yaml").write_text("lr: 0.5\nwidth: [64, 32]\ni: 0\n")
    trial.run("-m", "i=range(4)", *launcher)
    assert [job.result for job in sweep_of(trial).jobs] == [[0.5, [64, 32], i] for i in range(4)]
    assert [trial.store.get(f"sweep:1/{i}").config for i in range(4)] == [
        {"lr": 0.5, "width": [64, 32], "i": i} for i in range(4)
    ]


# The basic sweeper of Hydra 1.4.0rc3 makes `~twice` a `~twice=None`, which deletes nothing.
DELETION = [] if HYDRA_1_4 else ["~twice"]


def test_groups_and_values_compose_as_each_would_alone(trial: Project) -> None:
    trial.write("""
    from omegaconf import OmegaConf
    @experiment.main(config_path="conf", config_name="config", version_base="1.3")
    def main(cfg, run: Run):
        return OmegaConf.to_container(cfg, resolve=True)
    """)
    for name, text in {
        "config": "defaults:\n  - _self_\n  - db: a\n  - size@big: one\nn: 1\ntwice: ${n}${n}\nlist: [1, 2]\n",
        "db/a": "name: a\nport: 1\n",
        "db/b": "name: b\nhost: h\n",
        "size/one": "s: 1\n",
        "size/two": "s: 2\n",
    }.items():
        path = trial.folder / f"conf/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    line = ["db=a,b", "size@big=one,two", "n=1,7", "list=[1],[4,5]", "+new.key=3", *DELETION]
    trial.run("-m", *line)
    for job in sweep_of(trial).jobs:
        trial.run(*job.overrides)
        assert trial.store.get("last").result == job.result
        assert trial.store.get("last").choices == trial.store.get(job.run or 0).choices


def test_a_mistake_in_any_job_is_refused_before_the_first(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(n: int = 1): pass")
    done = trial.run("-m", "n=1,2,x", code=2)
    assert "Traceback" not in done.stderr
    assert not trial.has_runs or not trial.store.sweep_numbers()


def test_sweeps_that_begin_in_the_same_second_do_not_meet(trial: Project) -> None:
    trial.write(FATES)
    processes = [trial.start("-m", f"i={n},{n + 10}", "anew.quiet=true") for n in range(4)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    sweeps = [sweep_of(trial, number) for number in (1, 2, 3, 4)]
    assert sorted(job.result for sweep in sweeps for job in sweep.jobs) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert [sweep.status for sweep in sweeps] == [DONE] * 4
    assert all(sweep.jobs[0].result + 10 == sweep.jobs[1].result for sweep in sweeps)
    assert len({job.run for sweep in sweeps for job in sweep.jobs}) == 8


# --- stopped and taken up again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", [(), (WORKERS,)], ids=["here", "workers"])
def test_a_signal_interrupts_what_runs_and_keeps_the_rest_planned(
    trial: Project, workers: Sequence[str], number: signal.Signals, code: int
) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(6)", "nap=30", *workers) as process:
        until(lambda: marks(trial) >= 1 + len(workers))
        time.sleep(0.3)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    states = Counter(job.status for job in sweep_of(trial).jobs)
    began = 1 + len(workers)
    assert states == Counter({Status.INTERRUPTED: began, Status.QUEUED: 6 - began}), err
    assert sweep_of(trial).status is Status.INTERRUPTED
    assert "anew sweep resume 1" in err
    assert "Traceback" not in err


def test_a_killed_conductor_loses_nothing(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(8)", "until=go", WORKERS) as process:
        until(lambda: marks(trial) == 2, seconds=120)
        process.kill()
        process.wait()
        process.stdout.close() if process.stdout else None
    again = subprocess.Popen([*ANEW, "sweep", "resume"], cwd=trial.folder, stderr=subprocess.PIPE, text=True)
    # beside the two that are still running, and cannot end by now
    until(lambda: marks(trial) == 4, "a job beside those that still run", seconds=120)
    (trial.folder / "go").touch()
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert sweep_of(trial).status is DONE
    # what was running came to its end by itself, and was waited for
    assert executions(trial) == Counter({f"ok{i}": 1 for i in range(8)})


def test_workers_killed_at_random_and_the_conductor_once(trial: Project) -> None:
    """Every job ends in one state, none that completed runs twice. ANEW_SWEEP_JOBS=1000 for more of it."""
    count = COUNT
    chance = random.Random(1)
    victims = {i for i in range(count) if chance.random() < 0.3}
    trial.write(f"""
    from pathlib import Path
    @experiment.main
    def main(i: int = 0, *, run: Run):
        Path("marks").mkdir(exist_ok=True)
        Path("marks", f"ok{{i}}-{{time.time_ns()}}").touch()
        if i in {victims!r} and not Path(f"died{{i}}").exists():
            Path(f"died{{i}}").touch()
            os.kill(os.getpid(), 9)
        return i
    """)
    with trial.start("-m", f"i=range({count})", WORKERS, "anew.quiet=true") as process:
        until(lambda: marks(trial) >= count // 3, seconds=600)
        process.kill()
    until(lambda: not any(job.status is Status.RUNNING for job in sweep_of(trial).jobs))
    anew(trial, "sweep", "resume", "1", "--workers", "2", code=1 if any(i > count // 2 for i in victims) else 0)
    done = {job.index for job in sweep_of(trial).jobs if job.status is DONE}
    assert done >= set(range(count)) - victims
    anew(trial, "sweep", "resume", "1", "--workers", "2")
    sweep = sweep_of(trial)
    assert [job.result for job in sweep.jobs] == list(range(count))
    assert sweep.status is DONE
    assert executions(trial) == Counter({f"ok{i}": 2 if i in victims else 1 for i in range(count)})


def test_a_resumed_sweep_runs_what_was_asked_for(trial: Project) -> None:
    trial.write(FATES)
    trial.run("-m", "how=ok,raise,ok,ok", "anew.sweep.max_jobs=2", code=1)
    assert [job.status for job in sweep_of(trial).jobs] == [DONE, FAILED, Status.QUEUED, Status.QUEUED]

    anew(trial, "sweep", "resume", "1", "--missing", "anew.sweep.max_jobs=1", code=1)
    assert [job.status for job in sweep_of(trial).jobs] == [DONE, FAILED, DONE, Status.QUEUED]
    anew(trial, "sweep", "resume", "1", "--failed", "anew.sweep.max_jobs=null", code=1)
    assert [job.attempts for job in sweep_of(trial).jobs] == [1, 2, 1, 0]
    done = anew(trial, "sweep", "resume", "1", "anew.sweep.max_jobs=null", code=1)
    assert [job.attempts for job in sweep_of(trial).jobs] == [1, 3, 1, 1]
    assert "ValueError: boom" in done.stderr
    wrong = anew(trial, "sweep", "resume", "1", "lr=3", code=2)
    assert "'lr=3' is nothing that a sweep can be taken up again with" in wrong.stderr


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=2",)])
def test_a_job_of_a_resumed_sweep_changes_nothing_in_an_old_record(workers: tuple[str, ...], trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(i: int = 0, *, run: Run):
        if i and not os.environ.get("AGAIN"):
            raise ValueError("boom")
        (run.dir / "own.txt").write_text("mine")
        if i:
            (run.dir.parent.parent / "1" / "run.json").write_text("not mine")
    """)
    trial.run("-m", "i=0,1,2", *workers, code=1)
    before = (trial.folder / "runs" / "1" / "run.json").read_bytes()
    anew(trial, "sweep", "resume", "1", AGAIN="1", code=1)
    assert (trial.folder / "runs" / "1" / "run.json").read_bytes() == before
    errors = [record.error for record in trial.store.find() if (record.id or 0) > 3]
    assert [error.type if error is not None else None for error in errors] == ["PermissionError"] * 2


def test_a_sweep_whose_source_changed_is_resumed_as_it_was_or_as_it_is(trial: Project) -> None:
    script = trial.write("@experiment.main\ndef main(i: int = 0): return 'old'")
    trial.run("-m", "i=range(3)", "anew.sweep.max_jobs=1")
    script.write_text(script.read_text().replace("'old'", "'new'"))

    refused = anew(trial, "sweep", "resume", code=2)
    assert "train.py changed" in refused.stderr
    assert "--code recorded" in refused.stderr
    anew(trial, "sweep", "resume", "--code", "recorded", "--workers", "1", "anew.sweep.max_jobs=1")
    anew(trial, "sweep", "resume", "--code", "current")
    assert [job.result for job in sweep_of(trial).jobs] == ["old", "old", "new"]
    recorded, current = (trial.store.get(f"sweep:1/{index}") for index in (1, 2))
    assert recorded.source.root == current.source.root == str(trial.folder)
    assert [file.sha256 for file in recorded.source.files] != [file.sha256 for file in current.source.files]


def test_a_sweep_that_goes_on_cannot_be_resumed_and_can_be_stopped(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(6)", "nap=20", WORKERS) as process:
        until(lambda: marks(trial) == 2)
        assert "is going on" in anew(trial, "sweep", "resume", code=2).stderr
        assert json.loads(anew(trial, "sweep", "show", "--json").stdout)["status"] == "RUNNING"
        anew(trial, "sweep", "stop")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "was asked to stop" in err
    states = Counter(job.status for job in sweep_of(trial).jobs)
    assert states == Counter({Status.INTERRUPTED: 2, Status.QUEUED: 4})
    assert "not going on" in anew(trial, "sweep", "stop").stdout


def test_a_sweep_in_one_process_can_be_stopped(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(3)", "nap=20") as process:
        until(lambda: marks(trial) == 1)
        time.sleep(0.2)
        anew(trial, "sweep", "stop")
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert [job.status for job in sweep_of(trial).jobs] == [Status.INTERRUPTED, Status.QUEUED, Status.QUEUED]


def test_a_sweep_may_be_let_finish_what_it_began(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(6)", "nap=1.5", WORKERS) as process:
        until(lambda: marks(trial) == 2)
        anew(trial, "sweep", "stop", "1", "--finish")
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert Counter(job.status for job in sweep_of(trial).jobs) == Counter({DONE: 2, Status.QUEUED: 4})


# --- budgets, and what is done already --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=1",)], ids=["here", "workers"])
def test_budgets_end_a_sweep_early(trial: Project, workers: Sequence[str]) -> None:
    trial.write(FATES)
    trial.run("-m", "i=range(5)", "anew.sweep.max_jobs=2", *workers)
    trial.run("-m", "i=range(5)", "nap=1", "anew.sweep.max_time=0.5s", *workers)
    failed = trial.run("-m", "how=ok,raise,ok", "anew.sweep.stop_on_failure=true", *workers, code=1)
    counts = [sweep_of(trial, number).counts() for number in (1, 2, 3)]
    assert counts[0] == {DONE: 2, Status.QUEUED: 3}
    assert counts[1][Status.QUEUED] == 4
    assert counts[2] == {DONE: 1, FAILED: 1, Status.QUEUED: 1}
    assert "stop_on_failure" in failed.stderr
    exact = trial.run("-m", "i=range(2)", "anew.sweep.max_jobs=2", *workers)
    assert "max_jobs" not in exact.stderr


def test_what_is_done_is_not_done_again(trial: Project) -> None:
    script = trial.write("""
    from pathlib import Path
    @experiment.main
    def main(i: int = 0, how: str = "ok", *, run: Run):
        with open("count", "a") as file:
            file.write("x")
        if how == "raise":
            raise ValueError
        return i + int(run.input("data.txt").read_text())
    """)
    (trial.folder / "data.txt").write_text("100")
    (trial.folder / "count").touch()

    def runs(*words: str, code: int = 0) -> int:
        before = len((trial.folder / "count").read_text())
        trial.run("-m", *words, "anew.sweep.skip=done", code=code)
        return len((trial.folder / "count").read_text()) - before

    assert runs("i=1,2") == 2
    assert runs("i=1,2,3") == 1
    jobs = trial.store.sweep("last").jobs
    assert [(job.result, job.reused, job.status) for job in jobs] == [
        (101, True, DONE),
        (102, True, DONE),
        (103, False, DONE),
    ]
    assert "*" in anew(trial, "sweep", "show").stdout
    assert runs("i=1,2", WORKERS) == 0
    assert runs("i=1", "how=raise", code=1) == 1
    assert runs("i=1", "how=raise", code=1) == 1
    (trial.folder / "data.txt").write_text("200")
    assert runs("i=1,2") == 2
    script.write_text(script.read_text() + "\n# another source\n")
    assert runs("i=1,2") == 2
    trial.run("-m", "i=1,2")
    key = json.loads(anew(trial, "show", "1", "--json").stdout)["key"]
    assert key in anew(trial, "show", "1").stdout


# --- Python, and the workbench ----------------------------------------------------------------------------------------


def test_a_sweep_from_python(trial: Project) -> None:
    trial.write(FATES)
    (trial.folder / "use.py").write_text(
        "from train import main\n"
        "for workers in (None, 2):\n"
        "    sweep = main.sweep('how=ok,raise', 'i=1,2', 'anew.sweep.direction=maximize', workers=workers)\n"
        "    print(sweep.id, sweep.status, [(job.status.value, job.result) for job in sweep.jobs], sweep.best.result)\n"
    )
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=trial.folder, capture_output=True, text=True, check=False, timeout=60
    )
    jobs = "[('COMPLETED', 1.0), ('COMPLETED', 2.0), ('FAILED', None), ('FAILED', None)] 2.0"
    assert done.stdout == f"1 FAILED {jobs}\n2 FAILED {jobs}\n", done.stderr
    assert done.stderr == ""


def test_a_main_that_is_in_no_file_can_be_swept(trial: Project) -> None:
    text = """
from dataclasses import dataclass, field
from anew import Experiment
@dataclass
class Config:
    i: int = 0
    names: list[str] = field(default_factory=lambda: ["a"])
base = 10
experiment = Experiment("notebook")
@experiment.main
def main(cfg: Config):
    return cfg.i + base + len(cfg.names)
print([job.result for job in main.sweep("i=1,2", workers=2).jobs])
print([job.result for job in main.sweep("i=1,2").jobs])
"""
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=trial.folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "[12, 13]\n[12, 13]\n", done.stderr


def test_a_script_that_sweeps_when_it_is_imported_is_told(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(i: int = 0): return i\nprint(main.sweep('i=1,2', workers=1))", "bad.py")
    done = trial.run(name="bad.py", code=1)
    assert 'if __name__ == "__main__":' in done.stderr


def test_a_script_without_the_usual_end_can_be_swept(trial: Project) -> None:
    path = trial.write("@experiment.main\ndef main(i: int = 0): return i\nmain()")
    path.write_text(path.read_text().partition("\nif __name__")[0])
    trial.run("-m", "i=1,2", WORKERS)
    assert [job.result for job in sweep_of(trial).jobs] == [1, 2]


def test_the_workbench_shows_sweeps(trial: Project) -> None:
    assert "No sweeps" in anew(trial, "sweep", "list", code=2).stderr or True
    trial.write(FATES)
    trial.run("-m", "i=3,1,2", "how=ok,raise", "nap=0", code=1)
    trial.run("-m", "i=3,1,2", "anew.sweep.direction=minimize")

    shown = json.loads(anew(trial, "sweep", "show", "1", "--json").stdout)
    assert {"id", "status", "overrides", "jobs"} <= set(shown)
    assert (shown["id"], shown["status"], shown["overrides"]) == (1, "FAILED", ["i=3,1,2", "how=ok,raise", "nap=0"])
    first = shown["jobs"][0]
    assert {
        "index": 0,
        "status": "COMPLETED",
        "overrides": ["i=3", "how=ok", "nap=0"],
        "run": 1,
    }.items() <= first.items()
    assert (first["result"], first["runs"]) == (3.0, [1])
    assert [job["index"] for job in shown["jobs"]] == list(range(6))

    lines = anew(trial, "sweep", "show", "1").stdout.splitlines()
    assert lines[2].split() == ["job", "run", "status", "i", "how", "result", "x", "time", "why"]
    assert [line.split()[0] for line in lines[3:6]] == ["0", "1", "2"]
    assert [line.split()[0] for line in anew(trial, "sweep", "show").stdout.splitlines()[3:]] == ["1", "2", "0"]
    assert [line.split()[0] for line in anew(trial, "sweep", "show", "1", "--min").stdout.splitlines()[3:6]] == [
        "2",
        "4",
        "0",
    ]
    assert [sweep["id"] for sweep in json.loads(anew(trial, "sweep", "list", "--json").stdout)] == [2, 1]
    assert len(json.loads(anew(trial, "list", "sweep==1", "--json").stdout)) == 6
    assert "COMPLETED" in anew(trial, "sweep", "show", "2", "--watch").stdout
    assert "resume" in anew(trial, "sweep").stdout
    assert "No sweep '7'" in anew(trial, "sweep", "show", "7", code=2).stderr
    assert "no metric" in anew(trial, "sweep", "show", "1", "--by", "y", code=2).stderr.replace(
        "has a metric", "no metric"
    )
    assert "nothing left to run" in anew(trial, "sweep", "resume", "2").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["anew.sweep.workers=0"], "from 1 on"),
        (["anew.sweep.workers=two"], "from 1 on"),
        (["anew.sweep.max_time=soon"], "30m"),
        (["anew.sweep.skip=maybe"], "none, done"),
        (["anew.sweep.wrkers=2"], "anew.sweep.workers"),
        ([*JOBLIB, "anew.sweep.workers=2"], "hydra/launcher=joblib"),
        (["hydra/launcher=nope"], "anew_local"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_wrong_setting_is_refused(trial: Project, words: list[str], said: str) -> None:
    trial.write("@experiment.main\ndef main(i: int = 0): return i")
    done = trial.run("-m", "i=1,2", *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_curves_of_a_sweep_are_drawn_together(trial: Project, tmp_path: Path) -> None:
    trial.write("""
    @experiment.main
    def main(i: int = 0, *, run: Run):
        for step in range(3):
            run.log({"loss": i / (step + 1)}, step=step)
        return -i
    """)
    trial.run("-m", "i=range(12)")
    curves = json.loads(anew(trial, "plot", "sweep:1", "loss", "--json").stdout)
    assert list(curves) == [str(run) for run in range(1, 11)]
    assert curves["3"]["values"] == [2.0, 1.0, 2 / 3]
    anew(trial, "plot", "sweep:last", "loss", "--png", str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert "loss" in anew(trial, "plot", "sweep:1", "loss").stdout
    assert "No job of sweep:1 has logged 'acc'" in anew(trial, "plot", "sweep:1", "acc", code=2).stderr


def test_no_secret_reaches_the_record_of_a_sweep(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(password: str = "", token: str = "", i: int = 0):
        return f"{len(password)} {len(token)}"
    """)
    environment = {"MY_TOKEN": "correct-horse-battery"}
    words = ["password=hunter2-hunter2", "token='${oc.env:MY_TOKEN}'"]
    trial.run("-m", "i=1,2,3", *words, "anew.sweep.max_jobs=1", WORKERS, env=environment)
    kept = b"".join(path.read_bytes() for path in (trial.folder / "runs").rglob("*") if path.is_file())
    assert b"hunter2" not in kept
    assert b"correct-horse" not in kept
    assert "Overrides of sweep 1 held secrets" in anew(trial, "sweep", "resume", code=2).stderr

    trial.run("-m", "i=1,2,3", words[1], "anew.sweep.max_jobs=1", env=environment)
    anew(trial, "sweep", "resume", "anew.sweep.max_jobs=null", MY_TOKEN=environment["MY_TOKEN"])
    assert [job.result for job in sweep_of(trial, 2).jobs] == ["0 21"] * 3
    kept = b"".join(path.read_bytes() for path in (trial.folder / "runs").rglob("*") if path.is_file())
    assert b"correct-horse" not in kept


def test_a_plan_that_was_damaged_costs_no_job_that_was_run(trial: Project) -> None:
    trial.write(FATES)
    trial.run("-m", "i=1,2,3")
    plan = trial.folder / "runs/sweeps/1/jobs.jsonl"
    plan.write_bytes(plan.read_bytes()[:-40])
    assert [(job.overrides, job.result) for job in sweep_of(trial).jobs] == [((f"i={i}",), float(i)) for i in (1, 2, 3)]
    (trial.folder / "runs/sweeps/1/taken/0.1.json").write_bytes(b"")
    assert "Traceback" not in anew(trial, "sweep", "show").stderr
    (trial.folder / "runs/sweeps/1/sweep.json").write_bytes(b"{}")
    assert "has no record" in anew(trial, "sweep", "show", "1", code=2).stderr
