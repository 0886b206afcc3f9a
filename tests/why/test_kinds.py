"""Causes that take a world around them: packages, programs that hang, and projects as people change them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.why.asked import why
from anew.runner.why.explanation import markdown
from tests.helpers.needs import needs
from tests.helpers.projects import Tiny, copy_project, environments_of, environments_with
from tests.helpers.scripts import Project
from tests.why.test_why import asked, names

pytestmark = pytest.mark.long


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


MEASURED = """
from measured import LENGTH
@experiment.main
def main(run: Run, lr: float = 0.1, width: int = 2):
    return {"length": LENGTH + 0.001 * width}
"""


def test_a_package_is_named_by_its_versions(trial: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trial runs in a real environment, made by uv."""
    versions = {"1.0": "LENGTH = 1.0\n", "2.0": "LENGTH = 3.0\n"}
    good, bad = environments_with("measured", versions, tmp_path, monkeypatch)
    trial.write(MEASURED)
    for python, words in ((good, []), (bad, ["lr=0.2", "width=3"])):
        subprocess.run([python, "train.py", "anew.seed=1", *words], cwd=trial.folder, check=True, timeout=120)
    found = asked(trial)
    assert [delta.kind for delta in found.deltas] == ["config", "config", "package"]
    assert names(found) == ["measured"]
    assert found.sentence == "Of 3 differences, measured (1.0 -> 2.0) alone takes result.length from 1.002 to 3.002."
    facts = [trial.record(run.run).environment for run in found.trials if run.run is not None]
    assert {each.packages["measured"] for each in facts if each is not None} == set(versions)


def test_packages_that_need_each_other_are_one_difference(
    trial: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`measured` 2 needs `rule_r` 2, which needs it; `other` goes alone, though it names them."""
    old, new = (
        [
            Tiny("measured", version, f"import rule_r\nLENGTH = rule_r.LENGTH + {version}\n", (f"rule-r>={version}",)),
            Tiny("rule_r", version, f"LENGTH = {version}\n", (f"measured=={version}",)),
            Tiny("other", version, "", ("measured>=1",)),
        ]
        for version in ("1.0", "2.0")
    )
    good, bad = environments_of([old, new], tmp_path, monkeypatch)
    # what the project at hand wants of packages is nothing to what was installed
    (trial.folder / "uv.toml").write_text('override-dependencies = ["rule-r>=1"]\n')
    trial.write(MEASURED)
    for python, words in ((good, []), (bad, ["lr=0.2"])):
        subprocess.run([python, "train.py", "anew.seed=1", *words], cwd=trial.folder, check=True, timeout=120)
    planned = asked(trial, dry_run=True)
    assert [(delta.kind, delta.what) for delta in planned.deltas] == [
        ("config", "config.lr"),
        ("package", "measured and rule_r"),
        ("package", "other"),
    ]
    assert planned.to_json()["deltas"][1]["now"] == {"measured": "2.0", "rule_r": "2.0"}
    found = asked(trial)
    assert names(found) == ["measured and rule_r"]
    assert found.sentence.startswith("Of 3 differences, measured (1.0 -> 2.0) with rule_r (1.0 -> 2.0) alone takes")
    assert "was `measured 1.0, rule_r 1.0`, is `measured 2.0, rule_r 2.0`" in markdown(found.to_json())


def test_packages_that_uv_cannot_judge_stay_alone(
    trial: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what they need is not to be had, all packages are still tried, one by one."""
    old, new = (
        [Tiny(name, version, f"LENGTH = {version}\n", ("nowhere",)) for name in ("measured", "rule")]
        for version in ("1.0", "2.0")
    )
    good, bad = environments_of([old, new], tmp_path, monkeypatch)
    trial.write(MEASURED)
    for python in (good, bad):
        subprocess.run([python, "train.py", "anew.seed=1"], cwd=trial.folder, check=True, timeout=120)
    assert [delta.what for delta in asked(trial, dry_run=True).deltas] == ["measured", "rule"]


HANGING = """
@experiment.main
def main(lr: float = 0.1, retry: int = 0, wait: bool = False):
    while wait and retry > 2:
        print("once more", flush=True)
        time.sleep(0.1)
    return lr
"""


def test_a_program_that_hangs_is_explained_where_it_was_stopped(trial: Project) -> None:
    trial.write(HANGING)
    trial.run("anew.seed=1")
    with trial.start("anew.seed=1", "lr=0.2", "retry=5", "wait=true") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.communicate(timeout=60)
    found = asked(trial, timeout=4.0)
    assert names(found) == ["config.retry", "config.wait"]
    assert "config.retry (0 -> 5) and config.wait (false -> true) together" in found.sentence


class Month:
    """A project of tests/projects, recorded as it was, and once more after a month of edits, one of them harmful."""

    def __init__(self, name: str, script: str, where: Path) -> None:
        self.folder, self.runs = where / name, where / "runs"
        self._script = script
        copy_project(name, self.folder)

    def run(self, *words: str, **variables: str) -> None:
        environment = {**os.environ, "ANEW_STORE": str(self.runs), **variables}
        command = [sys.executable, self._script, "-q", "anew.seed=7", *words]
        subprocess.run(command, cwd=self.folder, check=True, timeout=120, env=environment)

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        text = (self.folder / path).read_text()
        for old, new in changes:
            assert text.count(old) == 1, (old, path)
            text = text.replace(old, new)
        (self.folder / path).write_text(text)

    def explained(self, metric: str) -> tuple[int, list[str]]:
        found = why(1, 2, store=self.runs, metric=metric)
        assert found.status == "found", found.sentence
        return len(found.deltas), names(found)


def test_ten_edits_of_digits_and_labels_that_no_longer_belong_to_their_pixels(tmp_path: Path) -> None:
    digits = Month("digits", "train.py", tmp_path)
    digits.run(LABEL="then")
    digits.edit("preparation.py", ("is done to", "happens to"), ("x / 16", "x * 0.0625"))
    digits.edit(
        "train.py",
        ("with scikit-learn", "and what scikit-learn makes of them"),
        ('Experiment("digits")', 'Experiment("digits")  # ten of them'),
        ("y_train[order]", "y_train"),
        ("    joblib.dump(", "    print('kept')\n    joblib.dump("),
    )
    (digits.folder / "notes.py").write_text("IDEAS = ['another forest']\n")
    digits.edit("conf/model/forest.yaml", ("n_estimators: 20", "n_estimators: 22"))
    digits.run(LABEL="today")
    count, causes = digits.explained("accuracy")
    assert count >= 8
    assert causes == ["train.py:22"]


def test_ten_edits_of_an_orbit_and_a_step_that_is_too_long(tmp_path: Path) -> None:
    orbit = Month("orbit", "orbit.py", tmp_path)
    orbit.run()
    orbit.edit(
        "orbit.py",
        ("A planet's orbit", "The orbit of a planet"),
        ('Experiment("orbit")', 'Experiment("orbit")  # of one planet'),
        ("    noise = run.rng", "    # the same each time\n    noise = run.rng"),
        ("    return [float(value)", "    print('done')\n    return [float(value)"),
    )
    orbit.edit("step.py", ("distance = (", "# the cube of it\ndistance = ("), ("x + dt * vx", "x + 2 * dt * vx"))
    (orbit.folder / "start.txt").write_text("1.0 0.0 0.0 1.0000001\n")
    (orbit.folder / "plot.py").write_text("print('a plot')\n")
    orbit.run("dt=0.01000001", OMP_NUM_THREADS="2")
    count, causes = orbit.explained("x")
    assert count >= 8
    assert [cause.partition(":")[0] for cause in causes] == ["step.py"]


@pytest.mark.torch
def test_ten_edits_of_a_net_and_a_learning_rate(tmp_path: Path) -> None:
    needs("torch", "torch==2.13.0")
    net = Month("net", "train.py", tmp_path)
    net.run()
    net.edit("layers.py", ("The network", "All of the network"), ("nn.Dropout(0.1)", "nn.Dropout(0.100001)"))
    net.edit(
        "train.py",
        ("read the data.", "read all data."),
        ('Experiment("net")', 'Experiment("net")  # a small one'),
        ("with noise", "with a little noise"),
        ("    step = 0\n", "    step = 0  # the first\n"),
        ("    torch.save(", "    print('kept')\n    torch.save("),
    )
    (net.folder / "helpers.py").write_text("NOTHING = None\n")
    net.run("lr=0.9", SOMETHING="today")
    count, causes = net.explained("loss")
    assert count >= 7
    assert causes == ["config.lr"]
