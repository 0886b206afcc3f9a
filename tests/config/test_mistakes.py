"""What was mistyped, or is in vain: each is told with what would be right, and nothing is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.scripts import Project

MAIN = """
@experiment.main
def main(model: str = "mlp", lr: float = 0.1, *, run: Run):
    run.log({"": 1.0, " ": 2.0, "loss": 0.5})
    run.tag("", "kept", " ")
    return lr
"""


@pytest.fixture
def fit(project: Path) -> Project:
    made = Project(project)
    made.write(MAIN)
    return made


MISTAKES = [
    ("model=größe", "ö ß is read in quotes only", "'model=\"größe\"'"),
    ("model=a&b", "& is read in quotes only", "'model=\"a&b\"'"),
    ("model=[1", "cannot be read", "'model=\"[1\"'"),
    ("anew.note=größe", "The override 'anew.note=größe' cannot be read", "'anew.note=\"größe\"'"),
    ("größe=1", "cannot be in a key", "größe=1"),
    ("model", "it has no value", "model=1"),
    ("workers=2", "no parameter 'workers'", "anew.sweep.workers=..."),
    ("tags=x", "no parameter 'tags'", "anew.tags=..."),
    ("anew.workers=2", "There is no setting anew.workers", "Did you mean anew.sweep.workers?"),
    ("anew.tags=a,b", "'anew.tags=a,b' would sweep", "'anew.tags=[a,b]'"),
    ("anew.tags=[a,'']", "anew.tags is ['a', '']", "one of these is empty"),
    ("anew.store=", "name is empty", "--store FOLDER"),
    ("-m lr=range(3,0) model=a,b", "nothing to run", "lr=range(3,0) (no numbers lie there)"),
    ("-m model=glob(z*)", "nothing to run", "there is no such config group"),
]


@pytest.mark.parametrize(("line", "first", "second"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_told_with_what_to_type_and_leaves_nothing(
    fit: Project, line: str, first: str, second: str
) -> None:
    done = fit.run(*line.split(), code=2)
    assert first in done.stderr
    assert second in done.stderr
    assert "Exception" not in done.stderr
    assert not list(fit.folder.glob("runs/[0-9]*")) + list(fit.folder.glob("runs/sweeps/*"))


def test_the_line_that_is_told_can_be_typed(fit: Project) -> None:
    fit.run('model="größe"', "anew.tags=[a,b]")
    record = fit.record()
    assert (record.config["model"], record.tags) == ("größe", ("a", "b", "kept"))


def test_a_group_without_such_a_file_is_told_with_what_it_has(project: Path) -> None:
    made = Project(project)
    made.write("@experiment.main(config_path='conf', config_name='c')\ndef main(cfg): ...\n")
    (project / "conf" / "db").mkdir(parents=True)
    (project / "conf" / "c.yaml").write_text("defaults: [db: one, _self_]\n")
    for name in ("one", "two"):
        (project / "conf" / "db" / f"{name}.yaml").write_text("x: 1\n")
    assert (
        "db=glob(z*) (there is no such file; the group has: one, two)" in made.run("-m", "db=glob(z*)", code=2).stderr
    )


def test_what_is_for_sweeps_is_said_to_be_in_vain_in_a_run(fit: Project) -> None:
    assert "anew.sweep.workers=2 is for sweeps, and this is one run" in fit.run("anew.sweep.workers=2").stderr
    assert "is for sweeps" not in fit.run("-m", "lr=1,2", "anew.sweep.workers=2").stderr


def test_settings_beside_a_script_without_a_configuration_folder_are_said_not_to_be_read(fit: Project) -> None:
    (fit.folder / "anew").mkdir()
    (fit.folder / "anew" / "default.yaml").write_text("tags: [ours]\n")
    said = fit.run().stderr
    assert f"{fit.folder}/anew/default.yaml is not read" in said
    assert f"--config-dir {fit.folder}" in said
    assert fit.record().tags == ("kept",)
    assert "is not read" not in fit.run("--config-dir", str(fit.folder)).stderr
    assert fit.record().tags == ("ours", "kept")


def test_a_metric_and_a_tag_without_a_name_are_left_out_and_said(fit: Project) -> None:
    said = fit.run().stderr
    assert "a metric's name is a text, and this one is empty" in said
    assert "run.tag('', 'kept', ' '): a tag is a name" in said
    record = fit.record()
    assert (list(record.metrics), record.tags) == (["loss"], ("kept",))
    assert len(record.warnings) >= 2


@pytest.mark.parametrize("words", ["model.width=3", "++model.width=3", "++model.a.b=3", "-m model.width=3,4"])
def test_a_key_of_what_is_null_is_said_to_be_in_vain(project: Path, words: str) -> None:
    fit = Project(project)
    fit.write("""
    from dataclasses import dataclass
    @dataclass
    class Model:
        width: int = 1
    @experiment.main
    def main(model: Model = None):
        return model
    """)
    done = fit.run(*words.split(), code=2)
    assert "model is null where it was declared" in done.stderr
    assert "Traceback" not in done.stderr
