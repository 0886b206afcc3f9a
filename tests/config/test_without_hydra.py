"""A script of plain values, run as users do: Hydra is not there until it is asked for, and nobody sees a difference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.releases import HYDRA_1_4
from tests.helpers.scripts import Project, anew

pytestmark = pytest.mark.skipif(HYDRA_1_4, reason="Hydra 1.4 composes each time")

SCRIPT = """
if os.environ.get("BEFORE"):
    import hydra

@experiment.main
def main(n: int = 1, *, run: Run):
    import logging
    logging.getLogger("mine").info("n is %d", n)
    there = sorted({"hydra", "omegaconf", "yaml"} & set(sys.modules))
    asked = {}
    if n == 2:
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.global_hydra import GlobalHydra
        import hydra.utils
        asked = {
            "output": HydraConfig.get().runtime.output_dir == str(run.dir),
            "cwd": hydra.utils.get_original_cwd() == os.getcwd(),
            "path": hydra.utils.to_absolute_path("x") == os.path.abspath("x"),
            "overrides": list(HydraConfig.get().overrides.task),
            "job": HydraConfig.get().job.name,
            "number": GlobalHydra.instance().is_initialized(),
        }
    run.info({"there": there, "asked": asked})
    if n == 3:
        raise ValueError("no")
    return n
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first run has had Hydra's part kept."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write(SCRIPT)
    project.run()
    return project


def test_hydra_is_not_imported_and_what_is_printed_and_written_is_the_same(project: Project) -> None:
    said = {}
    for before in ("", "1"):
        done = project.run("n=5", env={"BEFORE": before})
        record = project.record()
        assert record.info["there"] == (["hydra", "omegaconf", "yaml"] if before else [])
        told = re.sub(r"\d{4}-\d\d-\d\d [0-9:,]+|after [0-9.]+ s", "", done.stdout + done.stderr)
        said[before] = told, files(record.id, project), record.config, record.overrides, record.provenance.config_name
        assert "][mine][INFO] - n is 5" in done.stdout

    assert without(said[""], project) == without(said["1"], project)


def files(number: int | None, project: Project) -> dict[str, str]:
    """Return what lies in a run's own folder, less times."""
    folder = project.folder / "runs" / str(number) / "files"
    texts = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert set(texts) == {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "train.log"}
    return {name: re.sub(r"\[\d{4}-[^]]+\]", "[when]", text) for name, text in texts.items()}


def without(said: object, project: Project) -> str:
    """Return what was said without numbers of runs and times."""
    text = re.sub(r"\[\d{4}-[^]]+\]|after [0-9.]+ s", "", repr(said))
    return re.sub(r"runs/\d+|run \d+|show \d+", "RUN", text)


def test_hydra_is_there_for_whoever_asks_for_it_inside_main(project: Project) -> None:
    project.run("n=2")

    assert project.record().info["asked"] == {
        "output": True,
        "cwd": True,
        "path": True,
        "overrides": ["n=2"],
        "job": "train",
        "number": True,
    }


def test_a_failure_and_a_mistake_are_told_in_the_same_words(project: Project) -> None:
    for words, code in ((["n=3"], 1), (["n=x"], 2), (["m=1"], 2)):
        told = {
            before: without(project.run(*words, code=code, env={"BEFORE": before}).stderr, project)
            for before in ("", "1")
        }
        assert told[""] == told["1"]
    assert project.record().error is not None


def test_a_run_from_python_is_as_plain_as_one_from_the_command_line(project: Project, tmp_path: Path) -> None:
    code = (
        "import sys, train\n"
        "records = [train.main.run(n=each) for each in (6, 7)]\n"
        "assert [each.result for each in records] == [6, 7], records\n"
        "assert not {'hydra', 'omegaconf'} & set(sys.modules)\n"
        "import logging\n"
        "assert not logging.getLogger().handlers\n"
    )
    (project.folder / "twice.py").write_text(code)
    project.run(name="twice.py")

    assert project.record().config == {"n": 7}


def test_to_import_the_names_alone_loads_little(project: Project) -> None:
    """What a library that annotates with `Run` pays: 10 ms, and 4 of them for `typing`."""
    (project.folder / "names.py").write_text(
        "import sys\n"
        "before = set(sys.modules)\n"
        "from anew import Experiment, Run\n"
        "new = set(sys.modules) - before\n"
        "ours = {each for each in new if each.startswith('anew')}\n"
        "heavy = {'inspect', 'dataclasses', 'pathlib', 'logging', 'json', 'hashlib', 'socket', 'subprocess', 'yaml'}\n"
        "assert len(ours) < 15, sorted(ours)\n"
        "assert not heavy & new, sorted(heavy & new)\n"
    )
    project.run(name="names.py")


HEADED = """
from anew import Experiment
experiment = Experiment("headed")
@experiment.main(config_path="conf", config_name="config", version_base=None)
def main(cfg):
    return dict(cfg)
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("head", ["#@package foo", "\n\n# @package foo"])
def test_a_file_that_says_where_its_keys_belong_is_hydras_to_read(project: Project, head: str) -> None:
    (project.folder / "conf").mkdir(exist_ok=True)
    (project.folder / "conf/config.yaml").write_text(f"{head}\na: 1\n")
    (project.folder / "headed.py").write_text(HEADED)
    project.run(name="headed.py")
    assert project.record().result == {"foo": {"a": 1}}


TIMES = """
from dataclasses import dataclass
from anew import Experiment
experiment = Experiment("times")
@dataclass
class Times:
    first: str = "${{now:%H%M%S%f}}"
    second: str = "${{now:%f}}"
{main}
if __name__ == "__main__":
    main()
"""
MAINS = {
    "schema": "@experiment.main(config=Times)\ndef main(cfg: Times):\n    return [cfg.first, cfg.second]",
    "parameters": (
        "@experiment.main\ndef main(first: str = '${now:%H%M%S%f}', second: str = '${now:%f}'):\n"
        "    return [first, second]"
    ),
}


@pytest.mark.parametrize("before", ["", "1"])
@pytest.mark.parametrize("kind", MAINS)
def test_the_time_on_record_is_the_time_that_main_was_given(project: Project, kind: str, before: str) -> None:
    (project.folder / "times.py").write_text(TIMES.format(main=MAINS[kind]))
    # a variable of Hydra's has it compose
    project.run(name="times.py", env={"HYDRA_FULL_ERROR": before} if before else {})
    record = project.record()
    assert record.result == [record.config["first"], record.config["second"]]


COMPOSING = """
from hydra import compose
from anew import Experiment
experiment = Experiment("composing")
@experiment.main(config_path="composed", config_name="config", version_base=None)
def main(cfg):
    return dict(compose("other", overrides=[f"b={cfg.a}"]))
if __name__ == "__main__":
    main()
"""


def test_main_may_compose_in_a_run_and_in_a_job_of_a_sweep(project: Project) -> None:
    (project.folder / "composed").mkdir()
    (project.folder / "composed/config.yaml").write_text("a: 1\n")
    (project.folder / "composed/other.yaml").write_text("b: 0\n")
    (project.folder / "composing.py").write_text(COMPOSING)
    project.run(name="composing.py")
    project.run("-m", "a=2,3", name="composing.py")
    numbers = project.store.numbers()[:3]
    assert [project.record(each).result for each in reversed(numbers)] == [{"b": 1}, {"b": 2}, {"b": 3}]


MAKING = """
from dataclasses import dataclass, field
from anew import Experiment
experiment = Experiment("making")
@dataclass
class Inner:
    k: int = 3
    def __post_init__(self): self.k += 1
@dataclass
class Config:
    n: int = 1
    inner: Inner = field(default_factory=Inner)
    def __post_init__(self): self.n *= 2
@experiment.main
def main(cfg: Config):
    return [cfg.n, cfg.inner.k]
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("words", [[], ["n=5", "inner.k=7"]])
def test_what_a_class_makes_of_its_values_is_made_of_those_on_record_again(project: Project, words: list[str]) -> None:
    (project.folder / "making.py").write_text(MAKING)
    records = []
    for before in ({}, {"HYDRA_FULL_ERROR": "1"}):
        project.run(*words, name="making.py", env=before)
        records.append(project.record())
    assert records[0].config == records[1].config
    assert records[0].result == records[1].result
    assert "identical" in anew(project, "rerun", str(records[0].id)).stdout
