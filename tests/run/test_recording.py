"""From a script to a record: what a user's run leaves behind, whatever it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anew.runner.format import serial
from anew.runner.kernel import door
from anew.runner.records import Status
from tests.helpers.scripts import Project
from tests.helpers.waiting import until


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def test_a_run_is_on_record_with_everything(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, layers: list[int] = [64], *, run: Run):
        for step in range(3):
            run.log({"loss": 1 / (step + 1)}, step=step)
        (run.dir / "model.txt").write_text("weights")
        run.log_artifact("model.txt", name="best/model.txt")
        run.input("train.py")
        run.info({"epochs": 3})
        run.tag("first", "small")
        run.note("a note")
        print("out"); print("err", file=sys.stderr)
        return {"loss": 0.3}
    """)
    done = trial.run("lr=0.2", "layers=[1,2]")
    assert done.stdout == "out\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "anew: run 1 of trial in runs/1"
    assert lines[1] == "err"
    assert lines[2].startswith("anew: run 1 COMPLETED after ")
    assert lines[2].endswith("see: anew show 1")
    assert len(lines) == 3
    record = trial.record()
    shown = serial.record_to_json(record)
    json.dumps(shown, allow_nan=False)
    assert record.status is Status.COMPLETED
    assert record.config == {"lr": 0.2, "layers": [1, 2]}
    assert record.overrides == ("lr=0.2", "layers=[1,2]")
    assert record.result == {"loss": 0.3}
    assert record.metrics["loss"].count == 3
    assert [file.path for file in record.artifacts] == ["best/model.txt"]
    assert [file.path for file in record.inputs] == ["train.py"]
    assert record.info == {"epochs": 3}
    assert record.tags == ("first", "small")
    assert record.note == "a note"
    assert "train.py" in [file.path for file in record.source.files]
    assert record.command.argv == ("train.py", "lr=0.2", "layers=[1,2]")
    assert record.environment is not None
    assert "hydra-core" in record.environment.packages
    assert record.hardware is not None
    assert record.hardware.memory_bytes > 0
    assert record.seeds is not None
    assert record.seeds.seeded["random"] >= 0
    assert record.warnings == ()
    assert sorted("".join(trial.store.output(1)).splitlines()) == ["err", "out"]
    with trial.store.open_object(record.artifacts[0].sha256) as file:
        assert file.read() == b"weights"
    folder = trial.folder / "runs/1"
    assert "lr: 0.2" in (folder / "config.yaml").read_text()
    assert "lr=0.2" in (folder / "overrides.yaml").read_text()
    assert (folder / "hydra.yaml").exists()
    assert (folder / "files/.hydra/config.yaml").exists()
    assert not (trial.folder / "outputs").exists()


def test_quiet_means_quiet(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): pass")
    assert trial.run("-q").stderr == ""
    assert trial.run("anew.quiet=true").stderr == ""


def test_a_store_is_named_by_option_variable_or_setting(trial: Project, tmp_path: Path) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): pass")
    trial.run("--store", str(tmp_path / "a"))
    trial.run(f"--store={tmp_path / 'a'}", env={"ANEW_STORE": str(tmp_path / "b")})
    trial.run(env={"ANEW_STORE": str(tmp_path / "b")})
    trial.run(f"anew.store={tmp_path / 'c'}")
    assert [len(list((tmp_path / name).glob("[0-9]*"))) for name in "abc"] == [2, 1, 1]
    assert not trial.has_runs


ODD = "class Odd(Exception):\n        def {}(self): raise RuntimeError\n    raise Odd(1)"


@pytest.mark.parametrize(
    ("body", "code", "status", "error"),
    [
        ("raise ValueError('boom')", 1, Status.FAILED, "ValueError"),
        ("sys.exit(3)", 3, Status.FAILED, "SystemExit"),
        ("sys.exit(0)", 0, Status.COMPLETED, None),
        ("sys.exit()", 0, Status.COMPLETED, None),
        ("sys.exit('no data')", 1, Status.FAILED, "SystemExit"),
        ("os._exit(5)", 5, Status.LOST, None),
        ("os.kill(os.getpid(), 9)", -9, Status.LOST, None),
        ("raise KeyboardInterrupt", 130, Status.INTERRUPTED, None),
        (
            ODD.format("__str__"),
            1,
            Status.FAILED,
            "Odd",
        ),
        (
            ODD.format("__reduce__"),
            1,
            Status.FAILED,
            "Odd",
        ),
        ("raise anew.AnewError('mine')", 1, Status.FAILED, "AnewError"),
    ],
)
def test_every_way_to_end(trial: Project, body: str, code: int, status: Status, error: str | None) -> None:
    trial.write(f"""
@experiment.main
def main(lr: float = 0.1, *, run: Run):
    run.log({{"x": 1.0}})
    print("printed", flush=True)
    {body}
""")
    trial.run(code=code)
    record = trial.record()
    assert record.status is status
    assert record.metrics["x"].count == 1
    until(lambda: "printed" in "".join(trial.store.output(1)), seconds=5)
    if error:
        assert record.error is not None
        assert error in record.error.type
        assert "train.py" in record.error.traceback
    else:
        assert record.error is None


def test_a_result_that_cannot_be_kept_is_said_and_the_run_is_complete(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): return object()")
    assert "the result of main cannot be kept: a value of type object" in trial.run().stderr
    assert trial.record().status is Status.COMPLETED
    assert trial.record().result is None


def test_values_that_cannot_be_kept_are_named_and_the_run_goes_on(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        run.log({"good": 1.0, "bad": "text"})
        run.log({"bad": "again"})
        run.info({"fine": 1, "odd": object()})
    """)
    err = trial.run().stderr
    assert err.count("the metric 'bad' was not kept: a metric is one number, not a value of type str") == 1
    assert "info.odd cannot be kept" in err
    record = trial.record()
    assert set(record.metrics) == {"good"}
    assert record.info == {"fine": 1}
    assert len(record.warnings) == 2


def test_ten_thousand_metrics_with_odd_names(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        run.log({f"m/{i}": float(i) for i in range(10_000)})
        run.log({"with space": 1.0, "näme/ü": 2, ".": 3, "a.b$c": 4, "\\ud800": 5})
    """)
    trial.run()
    metrics = trial.record().metrics
    assert len([name for name in metrics if not name.startswith("system/")]) == 10_005
    assert metrics["m/9999"].last == 9999.0
    assert metrics["\ud800"].last == 5


def test_children_and_threads_write_into_the_same_run(trial: Project) -> None:
    trial.write("""
    import multiprocessing, subprocess, threading
    def work(run, name):
        run.log({name: 1.0})
        anew.current_run().log({name: 2.0})
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        for kind in ("fork", "spawn"):
            process = multiprocessing.get_context(kind).Process(target=work, args=(run, kind))
            process.start(); process.join()
            assert process.exitcode == 0
        thread = threading.Thread(target=work, args=(run, "thread"))
        thread.start(); thread.join()
        subprocess.run([sys.executable, "-c", "import anew; anew.current_run().log({'below': 3.0})"], check=True)
        run.log({"main": 1.0})
    """)
    trial.run()
    record = trial.record()
    assert {name: metric.count for name, metric in record.metrics.items() if "/" not in name} == {
        "fork": 2,
        "spawn": 2,
        "thread": 2,
        "below": 1,
        "main": 1,
    }
    assert record.warnings == ()


def test_an_exception_in_a_thread_is_on_record(trial: Project) -> None:
    trial.write("""
    import threading
    def work(): raise ValueError("in a thread")
    @experiment.main
    def main(lr: float = 0.1):
        thread = threading.Thread(target=work, name="loader")
        thread.start(); thread.join()
    """)
    assert "in a thread" in trial.run().stderr
    record = trial.record()
    assert record.status is Status.COMPLETED
    assert record.warnings == ("The thread 'loader' ended with ValueError: in a thread",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("run.log_artifact('missing.txt')", "There is no file or folder 'missing.txt'"),
        ("run.log_artifact('train.py', name='../up')", "'../up' cannot name an artifact"),
        ("run.log_artifact('train.py', name='/abs')", "'/abs' cannot name an artifact"),
        ("os.symlink('loop', 'loop'); run.log_artifact('loop')", "'loop' cannot be read"),
        ("os.mkdir('d'); os.symlink('..', 'd/up'); run.log_artifact('d')", "leads out of the artifact's folder"),
        (
            "os.mkdir('d'); os.symlink('/etc/passwd', 'd/p'); run.log_artifact('d')",
            "leads out of the artifact's folder",
        ),
        ("os.mkfifo('fifo'); run.log_artifact('fifo')", "is no regular file"),
        ("run.input('missing.csv')", "There is no file or folder 'missing.csv'"),
        ("run.log('x')", "run.log('x') has no names: give a dict of numbers"),
        ("run.info(3)", "run.info(3) has no names: give a dict"),
        ("run.rng(3)", "run.rng(3) has no name: a generator is called by a text"),
    ],
)
def test_bad_artifacts_inputs_and_names_say_what_is_wrong(trial: Project, call: str, message: str) -> None:
    trial.write(f"@experiment.main\ndef main(lr: float = 0.1, *, run: Run):\n    {call}")
    err = trial.run(code=1).stderr
    assert message in err
    record = trial.record()
    assert record.error is not None
    assert message in record.error.message
    assert record.artifacts == ()


def test_a_path_is_shown_as_it_is_typed_from_where_the_run_was_started(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(*, run: Run):\n    pass")
    assert "run 1 of trial in runs/1\n" in trial.run("hydra.job.chdir=true").stderr


def test_a_record_is_shown_in_little_space(trial: Project) -> None:
    (trial.folder / "more").mkdir()
    for number in range(50):
        (trial.folder / "more" / f"m{number}.py").touch()
    trial.write(
        "@experiment.main\ndef main(lr: float = 0.5, *, run: Run):\n    run.log({'loss': 0.25})\n    return ['x' * 500]"
    )
    trial.run()
    text = repr(trial.record())
    assert text.startswith("RunRecord(id=1, experiment='trial', status=COMPLETED, started_at=")
    assert "config={'lr': 0.5}" in text
    assert "metrics={'loss': 0.25}" in text
    assert len(text) < 400


def test_an_artifact_folder_keeps_every_file(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        (run.dir / "out/deep").mkdir(parents=True)
        for name in ("a.txt", "deep/b.txt"):
            (run.dir / "out" / name).write_text(name)
        run.log_artifact(run.dir / "out")
    """)
    trial.run()
    assert [file.path for file in trial.record().artifacts] == ["out/a.txt", "out/deep/b.txt"]


# --- signals ----------------------------------------------------------------------------------------------------

STUCK = {
    "python": "while True: pass",
    "sleep": "time.sleep(60)",
    "c": "import ctypes; ctypes.PyDLL(None).sleep(60)",
    "cleanup": "try:\n        time.sleep(60)\n    finally:\n        time.sleep(3)",
}


@pytest.mark.parametrize("what", list(STUCK))
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_gives_interrupted_within_a_second(trial: Project, what: str, number: int, code: int) -> None:
    trial.write(f"""
@experiment.main
def main(lr: float = 0.1, *, run: Run):
    run.log({{"x": 1.0}})
    print("ready", flush=True)
    {STUCK[what]}
""")
    with trial.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        sent = time.monotonic()
        until((trial.folder / "runs/1/outcome.json").exists, seconds=5)
        assert time.monotonic() - sent < 1.5  # a second is promised; the machine may be busy
        process.communicate(timeout=20)
    assert process.returncode in (code, -number)
    record = trial.record()
    assert record.status is Status.INTERRUPTED
    assert record.signal == signal.Signals(number).name
    assert record.metrics["x"].count == 1


@pytest.mark.parametrize(
    ("switch", "code"),
    [
        ("", 137 if door.CLOSED else 143),
        ("from anew.runner.guard import kill_switch; kill_switch.arm = lambda: None", 137),
    ],
)
def test_a_shell_sees_that_a_stuck_run_was_terminated_as_asked_and_not_killed(
    trial: Project, switch: str, code: int
) -> None:
    """The worth of the kill switch: without it 137 is what is seen, and taken for memory that ran out."""
    trial.write(f"""
    import ctypes
    from pathlib import Path
    {switch}
    @experiment.main
    def main(lr: float = 0.1):
        Path("there").touch()
        mutex = ctypes.create_string_buffer(64)  # in C, with the GIL
        for _ in range(2):
            ctypes.PyDLL(None).pthread_mutex_lock(mutex)
    """)
    shell = ["sh", "-c", '"$@" & echo $!; wait $!; echo $?', "sh", sys.executable, "train.py"]
    with subprocess.Popen(shell, cwd=trial.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = int(process.stdout.readline())
        until((trial.folder / "there").exists)
        time.sleep(0.2)
        os.kill(run, signal.SIGTERM)
        assert int(process.stdout.readline()) == code
    until(lambda: trial.record().status is Status.INTERRUPTED)


def test_two_interrupts_break_off_the_clean_up(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("cleaning", flush=True)
            time.sleep(60)
    """)
    with trial.start() as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning\n"
        time.sleep(0.1)  # within a few milliseconds it counts as the same Ctrl-C, passed on by a parent
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in (130, -2)
    assert trial.record().status is Status.INTERRUPTED


def test_a_killed_run_is_lost_within_a_second_and_keeps_its_points(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        for i in range(100): run.log({"x": float(i)})
        print("ready", flush=True)
        time.sleep(60)
    """)
    with trial.start() as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert trial.record().status is Status.RUNNING
        process.kill()
        process.wait()
        record = trial.record()
    assert record.status is Status.LOST
    assert record.metrics["x"].count == 100
    assert record.ended_at is None


def test_a_fork_in_main_that_returns_does_not_end_the_run_twice(trial: Project) -> None:
    """A child that falls out of main must not write the parent's outcome."""
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        child = os.fork()
        if child == 0:
            run.log({"child": 1.0})
            return "child"
        os.waitpid(child, 0)
        run.log({"parent": 1.0})
        return "parent"
    """)
    trial.run()
    record = trial.record()
    assert record.status is Status.COMPLETED
    assert record.result == "parent"
    assert {"child", "parent"} <= set(record.metrics)


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["lrr=1"], ["lrr", "lr"]),
        (["lr=abc"], ["lr", "abc"]),
        (["anew.tagz=[a]"], ["tagz", "tags"]),
        (["anew.durability_ms=soon"], ["durability_ms", "soon"]),
        (["anew.output.mode=loud"], ["loud", "fd"]),
        (["seed=-1"], ["seed", "-1"]),
        (["--store"], ["--store"]),
    ],
)
def test_a_mistake_is_refused_before_anything_is_written(trial: Project, args: list[str], said: list[str]) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1, seed: int = 1): raise SystemError")
    done = trial.run(*args, code=2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in said:
        assert word in done.stderr
    assert not trial.has_runs


def test_a_required_parameter_is_asked_for(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float): pass")
    err = trial.run(code=2).stderr
    assert "lr" in err
    assert "Traceback" not in err
    assert not trial.has_runs


def test_a_second_main_is_refused(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1): pass
    @experiment.main
    def other(lr: float = 0.1): pass
    """)
    err = trial.run(code=2).stderr
    assert "Experiment 'trial' has a main function already: main (" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("made", ["file", "foreign", "newer"])
def test_a_store_that_is_none_is_left_alone(trial: Project, made: str) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): raise SystemError")
    runs = trial.folder / "runs"
    if made == "file":
        runs.write_text("mine")
    else:
        runs.mkdir()
        (runs / ("FORMAT" if made == "newer" else "thesis.tex")).write_text("99\n")
    before = sorted(path.name for path in trial.folder.rglob("*"))
    done = trial.run(code=2)
    assert "Traceback" not in done.stderr
    assert str(runs) in done.stderr
    assert sorted(path.name for path in trial.folder.rglob("*")) == before


def test_a_full_disk_before_and_during_the_run(trial: Project, tmp_path: Path) -> None:
    """In a small tmpfs: a run that starts goes on to its end; one that cannot start says so and leaves nothing."""
    script = f"""
set -e
mkdir -p {tmp_path}/small
mount -t tmpfs -o size=600k none {tmp_path}/small
train="{sys.executable} train.py --store {tmp_path}/small/runs"
$train fill={tmp_path}/small/fill > out1 2> err1 && echo 0 > code1 || echo $? > code1
dd if=/dev/zero of={tmp_path}/small/fill bs=1k 2> dd.log || true
$train > out2 2> err2 && echo 0 > code2 || echo $? > code2
rm -f {tmp_path}/small/fill
cp -r {tmp_path}/small/runs {tmp_path}/kept
"""
    trial.write("""
    @experiment.main
    def main(fill: str = "", *, run: Run):
        run.log({"before": 1.0})
        if fill:
            try:
                with open(fill, "wb", buffering=0) as file:
                    while True: file.write(bytes(1000))
            except OSError: pass
        for i in range(2000): run.log({"x": float(i)})
        if fill: os.unlink(fill)
        run.log({"after": 1.0})
        return 1
    """)
    allowed = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("unshare -rm is not permitted here, so no small disk can be made")
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=trial.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = (trial.folder / "err1").read_text()
    assert (trial.folder / "code1").read_text().strip() == "74", first
    assert "No space left on device" in first
    assert (trial.folder / "code2").read_text().strip() == "2"
    assert "No space left on device" in (trial.folder / "err2").read_text()
    from anew.runner.store.folder import FolderStore

    record = FolderStore.open(tmp_path / "kept").get(1)
    assert record.status is Status.FAILED
    assert {"before", "after"} <= set(record.metrics)
    assert any("could not be written" in text for text in record.warnings)


# --- from Python ------------------------------------------------------------------------------------------------


def test_main_run_returns_the_record_and_raises_what_main_raises(trial: Project) -> None:
    trial.write(
        """
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        if lr > 1: raise ValueError("too fast")
        return lr
    """,
        "lib.py",
    )
    trial.write("""
    import lib
    def main():
        record = lib.main.run("lr=0.5")
        assert record.result == 0.5 and record.status == "COMPLETED" and record.id == 1, record
        assert lib.main.run().result == 0.1
        try:
            lib.main.run("lr=2")
        except ValueError as error:
            assert str(error) == "too fast"
        else:
            raise SystemError("not raised")
        try:
            lib.main.run("lrr=2")
        except anew.AnewError as error:
            assert "lrr" in str(error)
        else:
            raise SystemError("not raised")
        assert [record.status.value for record in anew.open_store().find()] == ["FAILED", "COMPLETED", "COMPLETED"]
        assert lib.main(0.7, run=None) == 0.7
    """)
    done = trial.run()
    assert done.stderr == ""
    assert trial.record(1).command.entry == "call"


def test_python_dash_m_and_packages(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): return lr", "pkg/train.py")
    (trial.folder / "pkg/__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "pkg.train", "lr=0.3"], cwd=trial.folder, capture_output=True, text=True, check=True
    )
    assert "COMPLETED" in done.stderr
    record = trial.record()
    assert (record.command.entry, record.command.target, record.result) == ("module", "pkg.train", 0.3)


def test_a_relative_config_path_works_from_anywhere(trial: Project, tmp_path: Path) -> None:
    trial.write(
        '@experiment.main(config_path="conf", config_name="config")\ndef main(cfg): return cfg.a', "lib/train.py"
    )
    (trial.folder / "lib/conf").mkdir()
    (trial.folder / "lib/conf/config.yaml").write_text("a: 5\n")
    (trial.folder / "use.py").write_text("from lib import train\nprint(train.main.run().result)\n")
    done = subprocess.run([sys.executable, "use.py"], cwd=trial.folder, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"
    subprocess.run([sys.executable, str(trial.folder / "lib/train.py")], cwd=tmp_path, check=True, capture_output=True)
    assert [record.result for record in trial.store.find()] == [5, 5]


def test_a_multirun_makes_a_run_per_job(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): return lr")
    trial.run("-m", "lr=0.1,0.2,0.3")
    assert [record.config["lr"] for record in trial.store.find()] == [0.3, 0.2, 0.1]
    assert [record.sweep.index for record in trial.store.find() if record.sweep] == [2, 1, 0]
    assert trial.store.get("sweep:1/1").config["lr"] == 0.2
    assert not (trial.folder / "multirun").exists()


def test_the_seed_pins_what_is_random(trial: Project) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(seed: int = 1, *, run: Run):
        import numpy
        return [random.random(), float(numpy.random.rand()), float(run.rng("a").random()), float(run.rng("b").random())]
    """)
    for seed in (1, 1, 2):
        trial.run(f"seed={seed}")
    third, second, first = [record.result for record in trial.store.find()]
    assert first == second
    assert len({*first, *third}) == 8


def test_no_secret_reaches_the_store(trial: Project) -> None:
    secret, key = "correct-horse-battery", "sk-" + 2 * "0123456789abcdef"
    trial.write("""
    @experiment.main
    def main(db: dict = {"password": "", "url": ""}, *, run: Run):
        print("connecting with", db["password"], db["url"], os.environ["SERVICE_TOKEN"])
        run.info({"url": db["url"]})
        run.note(db["password"])
        raise ValueError(db["password"])
    """)
    trial.run(
        f"db.password={secret}",
        f"db.url='mongodb://me:{secret}@host/x'",
        code=1,
        env={"SERVICE_TOKEN": key},
    )
    for path in (trial.folder / "runs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret.encode() not in data, path
            assert key.encode() not in data, path


def test_system_metrics_are_sampled_and_can_be_turned_off(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): time.sleep(1.3)")
    trial.run("anew.system.interval_s=0.5")
    assert trial.record().metrics["system/memory_bytes"].count >= 1
    trial.run("anew.system.interval_s=0.5", "anew.system.enabled=false")
    assert trial.record().metrics == {}


def test_modules_imported_while_main_runs_are_kept(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1):\n    import late")
    (trial.folder / "late.py").write_text("x = 1\n")
    trial.run()
    assert {"train.py", "late.py", "pyproject.toml"} == {file.path for file in trial.record().source.files}


def test_current_run_outside_of_a_run_says_what_to_do() -> None:
    import anew

    assert "ANEW_RUN" not in os.environ
    with pytest.raises(anew.AnewError, match=r"No run is going on here.*@experiment\.main"):
        anew.current_run()


def test_runs_from_threads_take_turns_and_nested_ones_do_not_wait(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): return lr", "lib.py")
    trial.write("""
    import lib
    from concurrent.futures import ThreadPoolExecutor
    outer = Experiment("outer")
    @outer.main
    def nested(n: int = 1, *, run: Run):
        assert lib.main.run("lr=0.7").result == 0.7
        assert anew.current_run().uid == run.uid
    def main():
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda i: lib.main.run(f"lr={i}").result, range(8)))
        assert results == [0, 1, 2, 3, 4, 5, 6, 7], results
        nested.run()
    """)
    trial.run()
    assert [record.experiment for record in trial.store.find()][:2] == ["trial", "outer"]


def test_a_run_that_waits_for_the_run_that_it_is_in_is_mentioned(trial: Project) -> None:
    trial.write("""
    import threading
    import anew.runner.config.compose.turns as turns
    turns.PATIENCE_S = 0.2
    inner = Experiment("inner")
    @inner.main
    def deep(n: int = 1): pass
    @experiment.main
    def main(lr: float = 0.1):
        thread = threading.Thread(target=deep.run, name="late")
        thread.start(); thread.join(1)
    """)
    assert "the thread 'late' waits until the run that is going on" in trial.run().stderr


def test_a_traceback_begins_with_the_users_code(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1): raise ValueError('x')")
    trial.run(code=1)
    error = trial.record().error
    assert error is not None
    assert error.traceback.splitlines()[1].strip().startswith('File "')
    assert "train.py" in error.traceback.splitlines()[1]


def test_values_that_fail_when_looked_at_cost_only_themselves(trial: Project) -> None:
    trial.write("""
    from collections.abc import Mapping
    class Broken(Mapping):
        def __getitem__(self, key): raise RuntimeError("no")
        def __iter__(self): raise RuntimeError("no")
        def __len__(self): raise RuntimeError("no")
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        run.info({"bad": Broken(), "good": 1})
        return Broken()
    """)
    err = trial.run().stderr
    assert "info.bad was not kept: RuntimeError: no" in err
    assert "The result of main was not kept: no" in err
    assert trial.record().status is Status.COMPLETED
    assert trial.record().info == {"good": 1}


def test_a_run_that_fails_between_its_record_and_main_has_an_outcome(trial: Project) -> None:
    trial.write("""
    from anew.runner.run.pulse import Pulse
    def fail(*args, **options): raise KeyboardInterrupt
    Pulse.start = fail
    @experiment.main
    def main(lr: float = 0.1): raise SystemError
    """)
    trial.run(code=130)
    record = trial.record()
    assert record.status is Status.INTERRUPTED
    assert record.error is None
