"""
Hydra apps, unchanged, under `@hydra.main` and under `@experiment.main`: the same output, the same exit codes.

The apps in tests/apps are equivalents of what Hydra's documentation teaches. Each case runs twice; the one difference
allowed is that an error of composition leaves with 2 and one message, before anything was written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.places import APPS
from tests.helpers.releases import HYDRA_1_4, OLDEST_BASE, without_migration_warnings

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+")
HEAD = 'from anew import Experiment\nexperiment = Experiment("app")\n'


@dataclass(frozen=True)
class Answer:
    """What a script left."""

    code: int
    out: str
    err: str


class Driver:
    """A process that runs scripts; see tests/apps/driver.py."""

    def __init__(self) -> None:
        command = [sys.executable, str(APPS / "driver.py")]
        self._process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, argv: list[str], cwd: Path, env: dict[str, str], plain: bool) -> Answer:
        """Run one script to its end."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"argv": argv, "cwd": str(cwd), "env": env, "plain": plain}) + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


class Both:
    """One app in two folders, one of them with its decorator replaced."""

    def __init__(self, driver: Driver, folder: Path, app: str) -> None:
        self._driver = driver
        self._app = app
        self.plain, self.ours = folder / "them" / "app", folder / "ours" / "app"
        for place in (self.plain, self.ours):
            shutil.copytree(APPS / app, place)
        for script in folder.rglob("*.py"):
            script.write_text(script.read_text().replace('version_base="1.1"', f'version_base="{OLDEST_BASE}"'))
        for script in self.ours.rglob("*.py"):
            text = script.read_text()
            script.write_text(HEAD + text.replace("@hydra.main(", "@experiment.main(") if "@hydra" in text else text)

    def run(self, *args: str, env: dict[str, str] | None = None) -> tuple[Answer, Answer]:
        """Run the app with these arguments under both."""
        argv = list(args) if args[:1] == ("-m",) and "=" not in args[1] else ["my_app.py", *args]
        plain = self._one(self.plain, argv, env or {})
        ours = self._one(self.ours, argv, env or {})
        return plain, ours

    def run_ours(self, *args: str, env: dict[str, str] | None = None) -> Answer:
        """Run the app under ours alone."""
        return self._one(self.ours, ["my_app.py", *args], env or {})

    def _one(self, folder: Path, argv: list[str], env: dict[str, str]) -> Answer:
        env = {"HERE": str(folder), "ANEW_STORE": "", **env}
        answer = self._driver.run(argv, folder, env, plain=folder == self.plain)
        out, err = (TIME.sub("TIME", text.replace(str(folder), "HERE")) for text in (answer.out, answer.err))
        return Answer(answer.code, out, without_migration_warnings(err))

    @property
    def wrote(self) -> bool:
        """Whether anything was recorded, or begun to be."""
        strays = [*self.ours.glob("outputs"), *self.ours.glob("multirun")]
        return any([*strays, *self.ours.glob("runs/[0-9]*"), *self.ours.glob("runs/sweeps/*")])


@pytest.fixture
def both(request: pytest.FixtureRequest, driver: Driver, tmp_path: Path) -> Both:
    return Both(driver, tmp_path, request.param)


SAME = [
    ("plain_config", ""),
    ("plain_config", "+db.driver=mysql +db.port=1 ++x=[1,{{a:2}}]"),
    ("plain_config", "--cfg job +a=1"),
    ("plain_config", "--help"),
    ("plain_config", "--hydra-help"),
    ("plain_config", "--version"),
    ("groups", ""),
    ("groups", "db=postgresql name=x steps=[3] +extra.deep=1 ~secret"),
    ("groups", "+experiment=fast"),
    ("groups", "server/web@web=large +server/web@backup=small"),
    ("groups", "~db url=none"),
    ("groups", "-cn other"),
    ("groups", "--config-name=other name=x"),
    ("groups", "--config-dir {APP}/conf/server +web=large"),
    ("groups", "--cfg job"),
    ("groups", "--cfg job --resolve"),
    ("groups", "--cfg job -p db"),
    ("groups", "--cfg hydra -p hydra.job"),
    ("groups", "--cfg hydra -p hydra.runtime.config_sources"),
    ("groups", "--cfg job -p no.such"),
    ("groups", "--info defaults"),
    ("groups", "--info defaults-tree +experiment=fast"),
    ("groups", "--info searchpath"),
    ("groups", "--info config"),
    ("groups", "--help"),
    ("groups", "-m db=mysql,postgresql name=a,b"),
    ("groups", "-m name=choice(a,b) steps=[1],[2]"),
    ("groups", "-m db=glob(*) hydra.sweep.dir=out hydra.sweep.subdir=${{hydra.job.num}}"),
    ("groups", "hydra.mode=MULTIRUN name=a,b"),
    ("groups", "-m +n=range(1,4) hydra.sweeper.max_batch_size=2"),
    ("groups", "hydra.job.name=named hydra.run.dir=here"),
    ("structured", ""),
    ("structured", "db=postgresql colour=BLUE rates=[1,2] +names.a=1 limit=3"),
    ("structured", "-m limit=1,null"),
    ("schema", ""),
    ("schema", "--cfg job db.port=5"),
    ("instantiate", ""),
    ("logging", ""),
    ("logging", "hydra.verbose=[__main__,other]"),
    ("logging", "hydra/job_logging=stdout"),
    ("logging", "hydra/job_logging=none hydra/hydra_logging=none"),
    ("logging", "-m +n=1,2"),
    ("folder", "+a=1"),
    ("folder", "hydra.job.chdir=false"),
    ("folder", "hydra.output_subdir=null"),
    ("folder", "+hydra.job.env_set.COLOUR=red"),
    ("callbacks", ""),
    ("callbacks", "-m n=1,5"),
    ("search", ""),
    ("search", "dataset=imagenet"),
    ("search", "dataset=own hydra.searchpath=[file://lib]"),
    ("help", ""),
    ("help", "--help"),
    ("help", "--help n=5"),
    ("late", ""),
]


def without_ours(text: str) -> str:
    """What Hydra's help shows, without the options that are anew's."""
    text = re.sub(r"anew_\w+, ", "", text).replace("sweeper: basic, optuna", "sweeper: basic")
    return re.sub(r"hydra/sweeper/sampler: .*\n", "", text)


@pytest.mark.parametrize(("both", "line"), SAME, indirect=["both"], ids=[f"{app} {line}".strip() for app, line in SAME])
def test_an_app_prints_and_exits_as_under_hydra(both: Both, line: str) -> None:
    args = line.format(APP=APPS / "groups").split()
    plain, ours = both.run(*args)

    assert ours.code == plain.code, ours.err
    assert without_ours(ours.out) == plain.out
    assert "Traceback" not in ours.err


FAILING = [
    ("failing", "+how=raise +n=1", 1),
    ("failing", "+how=exit +n=3", 3),
    ("failing", "+how=exit +n=0", 0),
    ("failing", "+how=missing +needed=???", 1),
    ("failing", "+how=wrong", 1),
    ("failing", "-m +how=raise +n=1,2", 1),
    ("structured", "limit=7", 1),
    ("instantiate", "wrong=true", 1),
    ("callbacks", "n=0", 1),
]


@pytest.mark.parametrize(
    ("both", "line", "code"), FAILING, indirect=["both"], ids=[f"{app} {line}" for app, line, _ in FAILING]
)
def test_a_failure_in_main_is_told_as_by_hydra(both: Both, line: str, code: int) -> None:
    """The traceback begins in main's own frame: neither Hydra's nor our frames are shown."""
    plain, ours = both.run(*line.split())

    said = "".join(each for each in ours.err.splitlines(keepends=True) if not each.startswith("anew: "))
    assert ours.code == plain.code == code
    assert ours.out == plain.out
    line_number = r"(, line |\.py:)\d+"
    hint = "\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
    assert re.sub(line_number, "", said) == re.sub(line_number, "", plain.err.replace(hint, ""))


@pytest.mark.parametrize("both", ["failing"], indirect=True)
def test_hydra_full_error_shows_the_whole_traceback(both: Both) -> None:
    plain, ours = both.run("+how=raise", "+n=1", env={"HYDRA_FULL_ERROR": "1"})

    assert ours.code == plain.code == 1
    assert "run_job" in ours.err
    assert "RuntimeError: failed with 1" in ours.err


REFUSED = [
    ("groups", "nme=x", "Did you mean name?", "+nme=x"),
    ("groups", "db.usr=x", "Did you mean db.user?", "driver, user, pass"),
    ("groups", "db=mysqll", "Did you mean db=mysql?", "postgresql"),
    ("groups", "experiment=fast", "No match in the defaults list", "+experiment=fast"),
    ("groups", "-cn confg", "Did you mean config?", "Cannot find primary config 'confg'"),
    ("groups", "-cp nowhere", "Primary config directory not found", "nowhere"),
    ("groups", "-cd nowhere", "Additional config directory", "not found"),
    ("groups", "name=[1", "'name=[1'", "cannot be read"),
    ("groups", "name=a,b", "Ambiguous value for argument 'name=a,b'", "--multirun"),
    ("groups", "-m db=mysql,mysqll", "Could not find 'db/mysqll'", "Available options"),
    ("groups", "-m nme=1,2", "Could not override 'nme'", "Did you mean name?"),
    ("groups", "-m hydra.verbose=true,false", "Sweeping over Hydra's configuration", ""),
    ("groups", "--cfg job -m", "Only one of", ""),
    ("groups", "--resolve", "--resolve", ""),
    ("groups", "hydra/launcher=nope", "Could not find 'hydra/launcher/nope'", "basic"),
    ("groups", "+hydra.callbacks.a._target_=no.such.Thing", "no.such.Thing", ""),
    ("groups", "+hydra.job.env_copy=[NOT_SET_ANYWHERE]", "NOT_SET_ANYWHERE", ""),
    ("groups", "hydra.run.dir=${nothing}", "nothing", ""),
    ("structured", "rates=[a]", "could not be converted to Float", "rates"),
    ("structured", "colour=GREEN", "GREEN", "RED, BLUE"),
    ("structured", "-m limit=1,x", "could not be converted to Integer", "limit=x"),
    ("structured", "dbb=mysql", "Did you mean db?", ""),
    ("schema", "db=broken", "'many'", "could not be converted to Integer"),
    ("failing", "--experimental-rerun=nowhere.pickle", "nowhere.pickle", "does not exist"),
]


@pytest.mark.parametrize(
    ("both", "line", "first", "second"), REFUSED, indirect=["both"], ids=[f"{app} {line}" for app, line, *_ in REFUSED]
)
def test_an_error_of_composition_is_one_message_and_leaves_nothing(
    both: Both, line: str, first: str, second: str
) -> None:
    plain, ours = both.run(*line.split())

    assert (plain.code, ours.code) == (1, 2)
    assert ours.err.count("anew: ") == 1
    assert first in ours.err
    assert second in ours.err
    assert "Traceback" not in ours.err
    assert ours.out == ""
    assert not both.wrote


@pytest.mark.parametrize("both", ["groups"], indirect=True)
def test_yaml_that_cannot_be_read_is_told_with_file_and_line(both: Both) -> None:
    (both.ours / "conf" / "config.yaml").write_text("name: shop\nlist: [1, 2\nother: x\n")

    answer = both.run_ours()

    assert answer.code == 2
    assert "HERE/conf/config.yaml:3: " in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("both", ["module"], indirect=True)
def test_an_app_runs_as_a_module(both: Both) -> None:
    plain, ours = both.run("-m", "pkg.my_app", "n=6")

    assert ours == Answer(0, plain.out, ours.err)
    assert plain.out == "{'n': 6} my_app\n"


@pytest.mark.parametrize("both", ["groups"], indirect=True)
def test_shell_completion_answers_as_under_hydra(both: Both) -> None:
    line = {"COMP_LINE": "python my_app.py db", "COMP_POINT": "19"}

    plain, ours = both.run("-sc", "query=bash", env=line)

    assert ours == plain
    assert "db=" in plain.out


@pytest.mark.parametrize("both", ["callbacks"], indirect=True)
def test_experimental_rerun_takes_what_it_takes_in_this_release(both: Both) -> None:
    """A configuration that was pickled, or since Hydra 1.4, which pickles none, the folder of a job."""
    both.run(*(["n=3"] if HYDRA_1_4 else ["-cn", "pickled"]), "hydra.run.dir=out")

    plain, ours = both.run("--experimental-rerun", "out" if HYDRA_1_4 else "out/.hydra/config.pickle")

    assert plain.out == ours.out
    assert "main 3\n" in plain.out
    assert ours.code == plain.code == 0


@pytest.mark.parametrize("both", ["folder"], indirect=True)
def test_the_output_lies_in_the_folder_of_the_run_and_of_each_job_of_a_sweep(both: Both) -> None:
    both.run_ours("+a=1")
    both.run_ours("-m", "+a=1,2")

    kept = sorted(str(path.parent.relative_to(both.ours)) for path in both.ours.rglob("overrides.yaml"))
    assert [each for each in kept if each.endswith(".hydra")] == [f"runs/{n}/files/.hydra" for n in (1, 2, 3)]
    assert (both.ours / "runs/sweeps/1/multirun.yaml").exists()
    assert not (both.ours / "outputs").exists()


@pytest.mark.parametrize("both", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("line", "places"),
    [
        ("hydra.run.dir=there", ["there"]),
        ("-m +a=1,2 hydra.sweep.dir=there", ["there/0", "there/1"]),
        ("-m +a=1,2 hydra.sweep.dir=there hydra.sweep.subdir=job${hydra.job.num}", ["there/job0", "there/job1"]),
        ("-m +a=1,2 hydra.sweep.subdir=job${hydra.job.num}", ["runs/sweeps/1/job0", "runs/sweeps/1/job1"]),
    ],
)
def test_an_output_folder_that_the_user_sets_is_honoured_and_the_run_says_so(
    both: Both, line: str, places: list[str]
) -> None:
    answer = both.run_ours(*line.split())

    assert answer.code == 0, answer.err
    records = [json.loads(path.read_text()) for path in sorted(both.ours.glob("runs/*/run.json"))]
    assert [record["provenance"]["hydra_dir"] for record in records] == [str(both.ours / place) for place in places]
    assert all((both.ours / place / ".hydra/config.yaml").exists() for place in places)


@pytest.mark.parametrize("both", ["groups"], indirect=True)
def test_the_argv_that_main_sees_is_untouched(both: Both) -> None:
    script = both.ours / "my_app.py"
    script.write_text(script.read_text().replace("    job = ", "    import sys; print(sys.argv)\n    job = "))

    answer = both.run_ours("-q", "name=x", "anew.note=y")

    assert "['my_app.py', '-q', 'name=x', 'anew.note=y']" in answer.out


def test_plain_hydra_is_left_alone_where_anew_is_installed(tmp_path: Path) -> None:
    """Nothing of ours is a plugin: an app of Hydra's in the same environment finds its own output folders."""
    shutil.copytree(APPS / "plain_config", tmp_path / "app")
    script = tmp_path / "app" / "my_app.py"
    script.write_text("import mended\n" + script.read_text())
    command = [sys.executable, "my_app.py", "--cfg", "hydra", "-p", "hydra.run"]
    env = {**os.environ, "PYTHONPATH": str(APPS)}
    done = subprocess.run(command, cwd=script.parent, text=True, capture_output=True, check=True, env=env)

    assert "outputs/${now:" in done.stdout
