"""What is asked of a re-run, by words or from Python, and what it answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import anew
from anew.runner.errors import MissingExtraError, RefusedError
from tests.helpers.waiting import until
from tests.rerun.test_rerun import Again


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    return Again(project)


CAUGHT = """
@experiment.main
def main(lr: float = 0.1, *, run: Run):
    try:
        if os.environ.get("SLOW"):
            print("ready", flush=True)
            time.sleep(60)
    except BaseException:
        pass
    return lr
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_main_that_takes_a_signal_for_itself_is_no_success_of_the_command(
    sent: signal.Signals, code: int, trial: Again
) -> None:
    trial.write(CAUGHT)
    with trial.start(env={"SLOW": "1"}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode == code
    assert (trial.record(1).status.value, trial.record(1).result) == ("INTERRUPTED", 0.1)
    trial.run()


def test_what_is_mistyped_is_said_in_the_words_of_users_and_of_the_project(trial: Again) -> None:
    trial.write(CAUGHT)
    trial.run()
    said = trial.anew("rerun", "1", "--strct", code=2).stderr
    # click 8.1 says: (Possible options: --strict, --trust)
    assert re.search(r"'?--strict'?, '?--trust'?\W", said)
    assert "--strict-all" not in said
    assert "'abc' is not a valid number" in trial.anew("rerun", "1", "--rtol", "abc", code=2).stderr
    assert "'abc' is not a valid whole number" in trial.anew("list", "--limit", "abc", code=2).stderr
    said = trial.anew("rerun", "1", "lr=abc", code=2).stderr
    assert f"main ({trial.folder / 'train.py'}:" in said
    assert "reruns" not in said


def test_a_result_from_python_has_causes_and_reasons_as_the_command_line_shows_them(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(*, run: Run):
        return random.Random().random()
    """)
    trial.run()
    result = anew.rerun(1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [reason] = result.reasons
    assert (reason.kind, reason.where.partition(":")[0]) == ("unseeded", "train.py")
    assert result.causes == (reason.sentence,)
    assert result.to_json()["causes"] == list(result.causes)
    shown = trial.anew("list", "verdict == different", "--columns", "verdict").stdout
    assert "1: different" in shown
    assert "No runs" in trial.anew("list", "verdict == identical").stdout


def test_a_run_that_is_deleted_while_it_is_run_again_is_said_to_be_gone(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        end = time.monotonic() + 60
        while os.environ.get("SLOW") and time.monotonic() < end and not os.path.exists(os.environ["SLOW"]):
            time.sleep(0.05)
        return 1
    """)
    trial.run()
    gone = trial.folder.parent / "gone"
    command = [sys.executable, "-c", "import sys; from anew.runner.cli import main; sys.exit(main())", "rerun", "1"]
    with subprocess.Popen(
        command, cwd=trial.folder, env={**os.environ, "SLOW": str(gone)}, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: len(trial.store.find()) == 2)
        trial.anew("delete", "1")
        gone.touch()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Run 1 was deleted while it was run again" in said
    assert "run 2" in said
    assert trial.record(2).verdict is None


def test_a_seed_that_is_set_for_a_configuration_with_another_is_refused_in_a_sweep_as_well(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(i: int = 0, seed: int = 3, *, run: Run):
        return random.random()
    """)
    for words in ((), ("-m", "i=1,2")):
        said = trial.run(*words, "seed=3", "anew.seed=5", code=2).stderr
        assert "anew.seed=5 and seed=3 cannot both be the root seed. Leave anew.seed out" in said
    assert trial.store.find() == []
    trial.run("anew.seed=3", "i=1")
    trial.run("-m", "i=1,2", "anew.seed=3", "anew.sweep.skip=done")
    assert [record.config["i"] for record in trial.store.find()] == [2, 1]


def test_a_seed_that_is_set_for_a_function_without_one_tells_what_a_sweep_has_done(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(i: int = 0, *, run: Run):
        return random.random() + i
    """)
    for seed in (5, 5, 6):
        trial.run("-m", "i=1,2", f"anew.seed={seed}", "anew.sweep.skip=done")
    assert [record.seed for record in trial.store.find()] == [6, 6, 5, 5]
    assert trial.again("1")["verdict"] == "identical"
    shown = trial.again("1", "+anew.seed=6")
    assert trial.record(shown["run"]).result == trial.record(3).result


def test_a_recorded_environment_that_cannot_be_had_is_refused_with_what_to_do(
    trial: Again, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    info = site / "used-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "used.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: used\nVersion: 1.0\n")
    (info / "RECORD").write_text("used.py,,\n")
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        import used
        return used.x
    """)
    (trial.folder / "early.py").write_text("import used\n" + (trial.folder / "train.py").read_text())
    path = {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}
    trial.run(env=path, name="early.py")
    info.rename(tmp_path / "gone")
    (site / "used.py").unlink()
    said = trial.anew("rerun", "1", code=2).stderr
    assert "Not installed any more: used. To have the recorded packages: --env recorded" in said
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[uv\]'.*--env current"):
        anew.rerun(1, env="recorded")
    with pytest.raises(RefusedError, match=r"Under --strict run 1 is not run again: .*pip install 'anew\[uv\]'"):
        anew.rerun(1, env="recorded", strict=True)
