"""Running a recorded run again: the same comes out, or it is said what stands in the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner.errors import EXIT_UNKEPT, RefusedError, RerunError
from anew.runner.format import serial
from anew.runner.records import Status
from anew.runner.store import marks
from anew.runner.store.integrity import check_store
from tests.helpers import scripts
from tests.helpers.scripts import ANEW, Project
from tests.helpers.waiting import until

FIT = """
import numpy as np
from helper import slope

@experiment.main
def main(lr: float = 0.1, steps: int = 10, fail: bool = False, *, run: Run):
    data = np.loadtxt(run.input("data.csv"))
    w = 0.0
    for step in range(steps):
        w -= lr * slope(w) + np.random.normal() * 0.01 + data.sum()
        run.log({"loss": w, "time/step": time.time()}, step=step)
    if fail:
        raise ValueError("it fails")
    (run.dir / "w.txt").write_text(repr(w))
    run.log_artifact("w.txt")
    print("w is", w)
    return w
"""


class Again(Project):
    """A project whose runs are run again."""

    def anew(self, *args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        variables = {"ANEW_STORE": str(self.folder.parent / "runs"), **env}
        return scripts.anew(self.folder.parent, *args, code=code, **variables)

    def again(self, *args: str, code: int = 0, **env: str) -> dict[str, Any]:
        """`anew rerun ... --json`."""
        shown: dict[str, Any] = json.loads(self.anew("rerun", *args, "--json", code=code, **env).stdout)
        return shown

    @property
    def store(self) -> Any:
        return anew.open_store(self.folder.parent / "runs")

    def has_started(self) -> bool:
        return (self.folder.parent / "runs" / "FORMAT").exists() and bool(self.store.find())

    def wreck(self) -> None:
        """Make today's project useless to a re-run."""
        for path in self.folder.rglob("*"):
            if path.suffix in (".py", ".yaml", ".csv"):
                path.write_text("raise SystemExit('this is of today')\n")


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    trial = Again(project)
    (project / "helper.py").write_text("def slope(w): return 2 * (w - 3)\n")
    (project / "data.csv").write_text("1 2 3\n")
    return trial


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_of_a_wrecked_project_comes_out_identical_and_its_record_is_left_alone(trial: Again) -> None:
    trial.write(FIT)
    trial.run("lr=0.2")
    trial.wreck()
    before = tree(trial.folder.parent / "runs" / "1")
    shown = trial.again("1")
    assert shown["verdict"] == "identical"
    assert shown["status"] == "COMPLETED"
    assert shown["rerun_of"] == {"id": 1, "uid": trial.record(1).uid}
    assert shown["first_difference"] is None
    assert shown["max_deviation"] == 0
    assert list(shown["differences"]) == ["inputs"]
    assert shown["differences"]["inputs"]["data.csv"]["restored"] is True
    assert tree(trial.folder.parent / "runs" / "1") == before
    old, new = trial.record(1), trial.record(2)
    assert (new.result, new.config, new.overrides, new.seed) == (old.result, old.config, old.overrides, old.seed)
    assert new.source == old.source
    assert new.command.argv == old.command.argv
    assert new.verdict is not None
    assert new.verdict.verdict == "identical"
    assert "re-run of" in trial.anew("show", "2").stdout
    assert "1: identical" in trial.anew("show", "2").stdout


def test_a_run_of_a_deleted_project_and_the_rerun_of_a_rerun_come_out_identical(trial: Again) -> None:
    trial.write(FIT)
    trial.run("lr=0.2")
    shutil.rmtree(trial.folder)
    assert trial.again("1")["verdict"] == "identical"
    shown = trial.again("2")
    assert (shown["verdict"], shown["rerun_of"]["id"]) == ("identical", 2)


def test_nothing_is_left_in_the_cache(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    trial.again("1")
    assert list(Path(os.environ["XDG_CACHE_HOME"], "anew", "reruns").iterdir()) == []


def test_overrides_on_top_make_it_a_comparison(trial: Again) -> None:
    trial.write(FIT)
    trial.run("lr=0.2")
    shown = trial.again("1", "lr=0.3")
    assert (shown["verdict"], shown["overrides"]) == ("different", ["lr=0.3"])
    assert shown["first_difference"]["name"] == "loss"
    assert shown["first_difference"]["step"] == 0
    record = trial.record(2)
    assert record.config == {"lr": 0.3, "steps": 10, "fail": False}
    assert record.overrides == ("lr=0.2", "lr=0.3")


def test_todays_code_gives_different_and_says_where(trial: Again) -> None:
    trial.write(FIT)
    trial.run("lr=0.2")
    (trial.folder / "helper.py").write_text("def slope(w): return 2 * (w - 3) * (1 + 1e-9)\n")
    done = trial.anew("rerun", "1", "--code", "current", code=3)
    assert "run 2 is a re-run of 1: different" in done.stdout.splitlines()
    assert "metric loss at step 0" in done.stdout
    assert "The source is another: helper.py." in done.stdout
    # the artifact is another too, but its bytes follow from the number
    shown = trial.again("1", "--code", "current", "--rtol", "1e-6")
    assert shown["verdict"] == "close"
    assert 0 < shown["max_deviation"] < 1e-6
    assert trial.again("1", "--code", "current", "--rtol", "1e-12", code=3)["verdict"] == "different"


def test_a_failed_run_is_compared_by_its_error_too(trial: Again) -> None:
    trial.write(FIT)
    trial.run("fail=true", code=1)
    shown = trial.again("1")
    assert (shown["verdict"], shown["status"]) == ("identical", "FAILED")
    shown = trial.again("1", "fail=false")
    assert shown["first_difference"]["what"] == "status"


def test_an_interrupted_run_is_compared_as_far_as_it_got(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        for step in range(20):
            run.log({"x": step / 7}, step=step)
            if step == 5 and os.environ.get("STOP"):
                os.kill(os.getpid(), 15)
                time.sleep(10)
    """)
    trial.run(code=143, env={"STOP": "1"})
    shown = trial.again("1")
    assert (shown["verdict"], shown["status"]) == ("identical", "COMPLETED")
    assert trial.record(2).metrics["x"].count == 20


def test_main_run_from_another_script_and_python_m_and_a_sweep_are_run_again(trial: Again) -> None:
    (trial.folder / "pkg").mkdir()
    (trial.folder / "pkg" / "__init__.py").touch()
    trial.write(
        """
    import random
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        return lr * random.random()
    """,
        name="pkg/fit.py",
    )
    (trial.folder / "drive.py").write_text(
        "from pkg.fit import main\nfor lr in (1, 2):\n    print(main.run(f'lr={lr}').result)\n"
    )
    trial.run(name="drive.py")
    subprocess.run([sys.executable, "-m", "pkg.fit", "lr=3"], cwd=trial.folder, check=True, timeout=60)
    subprocess.run([sys.executable, "-m", "pkg.fit", "-m", "lr=4,5"], cwd=trial.folder, check=True, timeout=60)
    assert [run.config["lr"] for run in reversed(trial.store.find())] == [1, 2, 3, 4, 5]
    shutil.rmtree(trial.folder)
    for number in (2, 3, 5):
        assert trial.again(str(number))["verdict"] == "identical"
    assert len(trial.store.find()) == 8


def test_main_run_in_the_script_itself_is_run_again_once(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(lr: float = 0.1, *, run: Run):
        return lr * random.random()
    for lr in (1, 2, 3):
        print("got", main.run(f"lr={lr}").result)
    sys.exit()
    """)
    trial.run()
    shown = trial.again("2")
    assert shown["verdict"] == "identical"
    assert len(trial.store.find()) == 4


def test_modes_links_and_odd_names_are_laid_out_byte_for_byte(trial: Again) -> None:
    folder = trial.folder
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / "tool.sh").write_bytes(b"#!/bin/sh\necho from the tool\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / "with space, ünd 'quotes'.txt").write_bytes(b"\xff\x00odd")
    (folder / "sub").mkdir()
    (folder / "sub" / "link.txt").symlink_to("../with space, ünd 'quotes'.txt")
    trial.write("""
    import subprocess
    @experiment.main
    def main(*, run: Run):
        out = subprocess.run(["./tool.sh"], capture_output=True, text=True).stdout
        content = open("sub/link.txt", "rb").read().hex()
        return [out, os.readlink("sub/link.txt"), content, oct(os.stat("tool.sh").st_mode)]
    """)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    trial.run()
    shutil.rmtree(folder)
    assert trial.again("1")["verdict"] == "identical"


def test_what_main_writes_into_the_project_is_kept_and_never_reaches_the_store(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        with open("helper.py", "a") as file:
            file.write("# more")
        with open("result.txt", "w") as file:
            file.write("42")
    """)
    trial.run()
    trial.again("1")
    assert (trial.folder.parent / "runs" / "2" / "files" / "written" / "result.txt").read_text() == "42"
    assert trial.anew("check", "--deep").returncode == 0


def test_relative_paths_out_of_the_project_lead_where_they_led(trial: Again) -> None:
    (trial.folder.parent / "shared").mkdir()
    (trial.folder.parent / "shared" / "x.txt").write_text("then")
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return [run.input("../shared/x.txt").read_text(), open("../shared/x.txt").read()]
    """)
    trial.run()
    assert trial.again("1")["verdict"] == "identical"
    (trial.folder.parent / "shared" / "x.txt").write_text("today")
    assert trial.again("1")["verdict"] == "identical"
    assert (trial.folder.parent / "shared" / "x.txt").read_text() == "today"


def test_a_large_input_is_verified_and_named(trial: Again) -> None:
    (trial.folder / "big.bin").write_bytes(b"then")
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return run.input("big.bin").read_text()
    """)
    trial.run("anew.inputs.keep_bytes=1", "anew.source.exclude=[big.bin]")
    assert trial.again("1")["verdict"] == "identical"
    (trial.folder / "big.bin").write_bytes(b"today")
    shown = trial.again("1", code=3)
    assert shown["differences"]["inputs"]["big.bin"]["restored"] is False
    assert any("big.bin" in cause for cause in shown["causes"])
    assert "big.bin" in trial.anew("rerun", "1", "--strict", code=4).stderr


def test_seeds_hash_seed_and_threads_are_put_back(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(*, run: Run):
        return [hash("text"), random.random(), run.rng("a").random(), os.environ.get("OMP_NUM_THREADS")]
    """)
    trial.run(env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3"})
    shown = trial.again("1", "--strict", PYTHONHASHSEED="9", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    assert shown["verdict"] == "identical"
    assert shown["differences"] == {}


def test_hash_randomisation_is_named_as_a_cause(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return hash("text")
    """)
    trial.run()
    assert [(cause["kind"], cause["where"]) for cause in trial.again("1", code=3)["reasons"]] == [
        ("hash", "train.py:8")
    ]
    # that of the re-run is on record, so that it is no cause any more
    assert trial.again("2")["verdict"] == "identical"


def test_an_environment_variable_in_the_configuration_stays_what_it_was(trial: Again) -> None:
    (trial.folder / "conf").mkdir()
    (trial.folder / "conf" / "config.yaml").write_text(
        "name: ${oc.env:NAME}\nat: ${now:%H:%M:%S.%f}\nn: 1\nm: ${n}\ndb:\n  password: ${oc.env:SECRET}\n"
    )
    trial.write("""
    @experiment.main(config_path="conf", config_name="config")
    def main(cfg, run: Run):
        return [cfg.name, cfg.at, cfg.m, len(cfg.db.password)]
    """)
    trial.run("+more=[1,2]", env={"NAME": "then", "SECRET": "hunter22"})
    trial.wreck()
    assert trial.again("1", NAME="today", SECRET="hunter22")["verdict"] == "identical"
    assert trial.record(2).config == trial.record(1).config
    refused = trial.anew("rerun", "1", code=2)
    assert "set SECRET" in refused.stderr
    assert "db.password=VALUE" in refused.stderr
    trial.again("1", "db.password=hunter22", "n=5")
    assert trial.record(3).config["m"] == 5
    assert trial.record(3).config["name"] == "then"


# --- mistakes and refusals ----------------------------------------------------------------------------------------


def test_unknown_and_unfinished_runs_are_refused(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        time.sleep(30)
    """)
    with trial.start() as process:
        while not trial.has_started():
            time.sleep(0.05)
        assert "still going on" in trial.anew("rerun", "1", code=2).stderr
        process.send_signal(signal.SIGTERM)
    assert "No run '7'" in trial.anew("rerun", "7", code=2).stderr
    assert "no override" in trial.anew("rerun", "1", "oops", code=2).stderr


def test_missing_content_is_named_and_todays_code_is_offered(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    lost = next(file for file in trial.record(1).source.files if file.path == "helper.py")
    trial.store.objects.path(lost.sha256).unlink()
    refused = trial.anew("rerun", "1", code=2)
    assert f"helper.py ({lost.sha256[:12]})" in refused.stderr
    assert "--code current" in refused.stderr
    assert len(trial.store.find()) == 1
    assert trial.again("1", "--code", "current")["verdict"] == "identical"


def test_a_record_from_elsewhere_needs_trust_once(trial: Again, tmp_path: Path) -> None:
    trial.write(FIT)
    trial.run()
    elsewhere = str(tmp_path / "somebody")
    several = trial.anew("verify", "1", code=4, XDG_STATE_HOME=elsewhere)
    assert "\n  command   python train.py" in several.stderr, "lines stay lines"
    assert not any(line.rstrip().endswith(":") for line in several.stdout.splitlines())
    refused = trial.anew("rerun", "1", code=4, XDG_STATE_HOME=elsewhere)
    assert "train.py" in refused.stderr
    assert "--trust" in refused.stderr
    assert len(trial.store.find()) == 1
    trial.anew("rerun", "1", "--trust", XDG_STATE_HOME=elsewhere)
    trial.anew("rerun", "1", XDG_STATE_HOME=elsewhere)


def test_a_forged_mark_is_none() -> None:
    start = {"uid": "a", "seed": 1}
    assert marks.is_own({**start, "origin_mark": marks.mark(start)})
    assert not marks.is_own({**start, "seed": 2, "origin_mark": marks.mark(start)})
    assert not marks.is_own({**start, "origin_mark": ""})
    assert not marks.is_own({**start, "origin_mark": None})
    assert not marks.is_own({**start, "origin_mark": "\xe9"})
    assert not marks.is_own(start)


def edited(trial: Again, **members: object) -> None:
    """Change what `run.json` says, with a checksum that is right again."""
    path = trial.store.layout.run(1).record
    start = serial.unseal(path.read_bytes())
    path.chmod(0o644)
    path.write_bytes(serial.seal({**start, **members}))


def test_a_record_of_ones_own_that_was_changed_since_needs_trust(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    command = serial.to_json(trial.record(1).command)
    edited(trial, command={**command, "options": ["-c", "print('\x1b[2J')"]})
    refused = trial.anew("rerun", "1", code=4)
    assert "changed since" in refused.stderr
    assert "-c print('\\x1b[2J')" in refused.stderr
    assert len(trial.store.find()) == 1


def test_an_input_of_a_hostile_record_is_written_nowhere_outside(trial: Again, tmp_path: Path) -> None:
    trial.write(FIT)
    trial.run()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    content = trial.record(1).source.files[0]
    up = "../" * 30
    paths = [f"{up}{victim}", f"/{up}{victim}", f"{up}{tmp_path}/made"]
    lines = [
        serial.seal({"q": q, "k": "u", "t": 0.1, "f": {"path": path, "sha256": content.sha256, "size": content.size}})
        for q, path in enumerate(paths, 1)
    ]
    (trial.store.layout.run(1).events / "other.jsonl").write_bytes(b"".join(lines))
    trial.anew("rerun", "1", "--json", code=4)
    trial.anew("rerun", "1", "--json", "--trust")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "made").exists()


def test_a_link_out_of_the_project_leads_where_it_led(trial: Again) -> None:
    (trial.folder.parent / "elsewhere").mkdir()
    (trial.folder.parent / "elsewhere" / "x.txt").write_text("3")
    (trial.folder / "data").symlink_to("../elsewhere")
    subprocess.run("git init -q && git add data", shell=True, cwd=trial.folder, check=True)
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return float(open("data/x.txt").read())
    """)
    trial.run("anew.inputs.notice=false")
    assert any("linked to what lies outside" in each for each in trial.record(1).warnings)
    assert trial.again("1")["verdict"] == "identical"


@pytest.mark.parametrize("rtol", ["nan", "-1"])
def test_a_tolerance_that_is_none_is_refused(trial: Again, rtol: str) -> None:
    trial.write(FIT)
    trial.run()
    trial.anew("rerun", "1", "--rtol", rtol, code=2)
    assert len(trial.store.find()) == 1


def test_a_script_that_ends_before_main_says_so(trial: Again) -> None:
    trial.write("""
    if os.environ.get("BROKEN"):
        sys.exit("broken today")
    @experiment.main
    def main(*, run: Run):
        pass
    """)
    trial.run()
    refused = trial.anew("rerun", "1", code=2, BROKEN="1")
    assert "before its main function was called" in refused.stderr
    assert "broken today" in refused.stderr


def test_verify_says_of_each_run_how_it_came_out(trial: Again) -> None:
    trial.write(FIT)
    trial.run("anew.tags=[paper]")
    trial.run("lr=0.3", "anew.tags=[paper]")
    trial.write(
        """
    @experiment.main
    def main(*, run: Run):
        return hash("text")
    """,
        name="other.py",
    )
    trial.run(name="other.py")
    done = trial.anew("verify", "tag:paper")
    assert [line.split()[:3] for line in done.stdout.splitlines()[1:]] == [
        ["1", "4", "identical"],
        ["2", "5", "identical"],
    ]
    rows = json.loads(trial.anew("verify", "tag:paper", "3", "--json", code=3).stdout)
    assert [row["verdict"] for row in rows] == ["identical", "identical", "different"]
    assert "No run" in trial.anew("verify", "tag:none", code=2).stdout


def test_verify_says_why_a_run_never_came_to_its_main(trial: Again) -> None:
    trial.write(
        FIT.replace(
            "import numpy as np", "import numpy as np\nif os.environ.get('BROKEN'): raise SystemExit('no data today')"
        )
    )
    trial.run()
    done = trial.anew("verify", "1", code=2, BROKEN="1")
    assert "not run" in done.stdout
    assert "It said: no data today" in done.stderr


def test_a_run_with_a_hole_is_compared_as_far_as_it_is_on_record(trial: Again) -> None:
    """It is FAILED for that alone, with its number in the message: no two of them would ever be the same."""
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        run.log({"x": 1.0})
        if not os.environ.get("WHOLE"):
            os.truncate(run.dir.parent / "events" / "main.jsonl", 0)
        run.log({"y": 1.0})
    """)
    trial.run(code=EXIT_UNKEPT)
    assert trial.record(1).losses
    shown = trial.again("1", WHOLE="1")
    assert shown["verdict"] == "identical"
    assert any("Lost, and not compared" in each for each in shown["remarks"])
    assert trial.again("1", code=1)["verdict"] == "stopped"
    assert any("not whole on record" in found.what for found in check_store(trial.store))


@pytest.mark.parametrize("way", ["-c", "-"])
def test_modules_that_a_console_imported_from_where_it_stands_are_found_again(trial: Again, way: str) -> None:
    """Of `python -c`, IPython and notebooks the first import path is empty: wherever the process is."""
    trial.write(FIT)
    words = "import train; train.main.run('lr=0.2')"
    command = [sys.executable, way, *([words] if way == "-c" else [])]
    done = subprocess.run(
        command, input=words, cwd=trial.folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert trial.again("1")["verdict"] == "identical"


def test_from_python(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    told: list[str] = []
    result = anew.rerun(1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, tell=told.append)
    assert (result.verdict, result.status, result.exit_code) == ("identical", Status.COMPLETED, 0)
    assert told == []
    (trial.folder / "data.csv").write_text("5")
    trial.wreck()
    with pytest.raises(RerunError, match="neither 'recorded' nor 'current'"):
        anew.rerun(1, code="tomorrow")
    shutil.rmtree(trial.folder / "runs", ignore_errors=True)
    with pytest.raises(RefusedError):
        anew.rerun(_without_mark(trial), strict=True)


def _without_mark(trial: Again) -> int:
    """Return a run that nobody's key has marked."""
    from anew.runner.format import serial

    path = trial.store.layout.run(1).record
    data = serial.unseal(path.read_bytes())
    path.write_bytes(serial.seal({**data, "origin_mark": ""}))
    return 1


def test_ctrl_c_reaches_main_and_the_rerun_is_interrupted(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        if os.environ.get("SLOW"):
            print("begun", flush=True)
            time.sleep(60)
    """)
    trial.run()
    with subprocess.Popen(
        [*ANEW, "rerun", "1"],
        env={**os.environ, "SLOW": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    again = trial.record(2)
    assert again.status is Status.INTERRUPTED
    assert again.verdict is not None
    assert [cause.kind for cause in again.verdict.reasons] == ["stopped"]
    assert again.verdict.causes[0].startswith("The re-run was stopped by SIGINT before its end,")


TYPED = """
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

OmegaConf.register_new_resolver("twice", lambda value: 2 * value)

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

@dataclass
class Optimiser:
    lr: float = 0.1
    kind: Colour = Colour.RED

@dataclass
class Conf:
    optimiser: Optimiser = field(default_factory=Optimiser)
    where: Path = Path("/x")
    size: tuple[int, int] = (1, 2)
    rows: list[Any] = field(default_factory=lambda: [{"a": 1}, {"b": [1, 2]}])
    must: int = MISSING
    gone: int = 3
    double: int = "${twice:${must}}"
    folder: str = "${hydra:runtime.output_dir}"
    job: str = "${hydra:job.name}"
    at: str = "${now:%S.%f}"
    text: str = "\\\\${literal}"

ConfigStore.instance().store("conf", Conf)

@experiment.main(config_path=None, config_name="conf")
def main(cfg, run: Run):
    kinds = [type(cfg.optimiser.kind).__name__, type(cfg.where).__name__, OmegaConf.get_type(cfg.optimiser).__name__]
    values = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert values.pop("folder") == str(run.dir)
    return [kinds, "gone" in cfg, values, sys.argv]
"""


def test_types_and_every_kind_of_value_come_back_exactly(trial: Again) -> None:
    trial.write(TYPED)
    trial.run("must=4", "optimiser.kind=BLUE", "~gone", '+extra={q: [1, "${must}"]}', "size=[5,6]")
    was = trial.record(1)
    assert was.config["text"] == "${literal}"
    assert "gone" not in was.config
    trial.wreck()
    assert trial.again("1")["verdict"] == "identical"
    own = {number: {"folder": was.config["folder"].replace("/runs/1/", f"/runs/{number}/")} for number in (2, 3)}
    assert trial.record(2).config == {**was.config, **own[2]}
    trial.again("1", "must=5")
    changed = trial.record(3).config
    assert (changed["double"], changed["extra"]) == (10, {"q": [1, 5]})
    assert {**changed, "must": 4, "double": 8, "extra": {"q": [1, 4]}} == {**was.config, **own[3]}


def test_an_unknown_key_on_top_is_refused_and_nothing_is_recorded(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    refused = trial.anew("rerun", "1", "nokey=3", code=2)
    assert "has no parameter 'nokey'" in refused.stderr
    assert len(trial.store.find()) == 1


def test_an_install_in_place_of_the_project_does_not_let_todays_modules_in(trial: Again, tmp_path: Path) -> None:
    """As a `.pth` file of an editable install does, `PYTHONPATH` leads into the project."""
    source = trial.folder / "src" / "fitting"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("VALUE = 'then'\n")
    trial.write("""
    from fitting import VALUE
    @experiment.main
    def main(*, run: Run):
        import fitting
        return [VALUE, os.path.relpath(fitting.__file__)]
    """)
    installed = {"PYTHONPATH": f"{trial.folder / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    trial.run(env=installed)
    (source / "__init__.py").write_text("VALUE = 'today'\n")
    assert trial.again("1", PYTHONPATH=installed["PYTHONPATH"])["verdict"] == "identical"
    assert trial.again("1")["verdict"] == "identical"


def test_the_same_rerun_started_twice_at_once_gives_two_runs(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    words = [*ANEW, "rerun", "1", "--json"]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    shown = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert sorted(each["run"] for each in shown) == [2, 3]
    assert [each["verdict"] for each in shown] == ["identical", "identical"]


def test_a_full_disk_is_said_and_nothing_is_left(trial: Again, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system of a few pages cannot be mounted here (no leave to)")
    try:
        (trial.folder / "big.json").write_bytes(os.urandom(200_000).hex().encode())
        trial.write(FIT)
        trial.run()
        refused = trial.anew("rerun", "1", code=2, XDG_CACHE_HOME=str(small))
        assert "No space left on device" in refused.stderr
        assert "XDG_CACHE_HOME=FOLDER" in refused.stderr
        assert list((small / "anew" / "reruns").iterdir()) == []
        assert len(trial.store.find()) == 1
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_damaged_record_says_which_part(trial: Again) -> None:
    trial.write(FIT)
    trial.run()
    trial.store.layout.run(1).record.write_bytes(b"garbage")
    assert "run.json is damaged" in trial.anew("rerun", "1", code=2).stderr


def test_a_function_that_lies_in_no_file_cannot_be_had_again(trial: Again) -> None:
    code = "from anew import Experiment\ndef f(x: int = 1): return x\nExperiment('console').main(f).run()\n"
    (trial.folder / "note.json").write_text("{}")
    subprocess.run([sys.executable, "-c", code], cwd=trial.folder, check=True, timeout=60)
    assert "in no file" in trial.anew("rerun", "1", code=2).stderr


def test_a_configuration_that_no_longer_composes_is_given_untyped(trial: Again) -> None:
    (trial.folder / "conf" / "model").mkdir(parents=True)
    (trial.folder / "conf" / "config.yaml").write_text("defaults:\n  - model: big\n")
    (trial.folder / "conf" / "model" / "big.yaml").write_text("size: 3\n")
    trial.write("""
    @experiment.main(config_path="conf", config_name="config")
    def main(cfg, run: Run):
        return cfg.model.size
    """)
    trial.run("model.size=4")
    (trial.folder / "conf" / "model" / "big.yaml").unlink()
    assert trial.again("1", "--code", "current")["verdict"] == "identical"
    assert any("does not compose any more" in text for text in trial.record(2).warnings)
    shown = trial.again("1", "--code", "current", "model.size=5")
    assert shown["first_difference"] == {"what": "result", "name": "", "step": None, "recorded": 4, "now": 5}


def test_determinism_is_on_record_and_turned_on_again(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    """)
    trial.run("anew.deterministic=true", env={"PYTHONHASHSEED": "0"})
    was = trial.record(1)
    assert was.result == ":4096:8"
    assert was.seeds is not None
    assert was.seeds.deterministic["cublas"] == "CUBLAS_WORKSPACE_CONFIG=:4096:8"
    assert trial.again("1", "--strict")["verdict"] == "identical"
    again = trial.record(2)
    assert again.seeds is not None
    assert again.seeds.deterministic == was.seeds.deterministic


def test_what_main_opens_without_declaring_it_is_put_back_too(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        with open("data.csv") as file:
            return file.read()
    """)
    trial.run()
    assert [ref.path for ref in trial.record(1).inputs] == ["data.csv"]
    (trial.folder / "data.csv").write_text("today")
    assert trial.again("1")["verdict"] == "identical"
    trial.run("anew.inputs.notice=false")
    assert trial.record("last").inputs == ()


def test_one_that_is_killed_leaves_a_run_on_record_and_its_files_go_with_the_next(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        if os.environ.get("SLOW"):
            print("begun", flush=True)
            time.sleep(60)
    """)
    trial.run()
    words = [*ANEW, "rerun", "1"]
    reruns = Path(os.environ["XDG_CACHE_HOME"], "anew", "reruns")
    with subprocess.Popen(words, env={**os.environ, "SLOW": "1"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
        process.wait()
        # main ends with its parent, whose files are there still
        process.stdout.read()
    until(lambda: trial.record(2).status is not Status.RUNNING, "the end of main")
    assert (trial.record(2).status, trial.record(2).verdict) == (Status.INTERRUPTED, None)
    assert len([path for path in reruns.iterdir() if path.is_dir()]) == 1
    assert trial.record(2).rerun_of is not None
    trial.again("1")
    assert list(reruns.iterdir()) == []
