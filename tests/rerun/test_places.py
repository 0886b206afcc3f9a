"""Paths in a configuration, in variables and in code: a re-run writes into no record, and reads what is on record."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rerun.test_rerun import Again, tree, trial

__all__ = ["trial"]  # a fixture

OWN = """
@experiment.main(config_path=".", config_name="config")
def main(cfg, run: Run):
    path = Path(cfg.ckpt)
    path.parent.mkdir(exist_ok=True, parents=True)
    with path.open("a") as file:
        file.write("a line\\n")
    return path.read_text()
"""


def write(trial: Again, config: str, source: str = OWN) -> None:
    trial.write(f"from pathlib import Path\n{source}")
    (trial.folder / "config.yaml").write_text(config)


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "place"),
    [
        ("ckpt: ${hydra:runtime.output_dir}/ckpt.txt", "files/ckpt.txt"),
        ("ckpt: ${hydra:run.dir}/${hydra:job.name}.txt", None),
        ("dir: ${hydra:runtime.output_dir}\nckpt: ${dir}/sub/ckpt.txt", "files/sub/ckpt.txt"),
        ("dir: ${hydra:runtime.output_dir}\nckpt: ${.dir}/${now:%Y}.txt", None),
    ],
)
def test_a_place_of_the_runs_own_is_the_new_runs(trial: Again, config: str, place: str | None) -> None:
    write(trial, config)
    trial.run()
    folder = trial.folder.parent / "runs"
    before = tree(folder / "1")
    shown = trial.again("1")
    assert (shown["verdict"], tree(folder / "1")) == ("identical", before)
    if place is not None:
        assert (folder / "2" / place).read_text() == "a line\n"
    assert trial.record(2).config["ckpt"] == trial.record(1).config["ckpt"].replace("/runs/1/", "/runs/2/")
    assert trial.again("2")["verdict"] == "identical"
    assert "ckpt in the configuration led to run 1's own folder" in trial.anew("rerun", "1").stderr


def test_a_place_of_the_runs_own_that_was_typed_is_the_new_runs(trial: Again) -> None:
    write(trial, "ckpt: ???")
    ckpt = trial.folder.parent / "runs" / "1" / "files" / "typed.txt"
    trial.run(f"ckpt={ckpt}")
    assert trial.again("1")["verdict"] == "identical"
    assert ckpt.read_text() == (ckpt.parents[2] / "2" / "files" / "typed.txt").read_text() == "a line\n"


def test_a_place_in_hydras_folder_leads_into_the_new_run(trial: Again) -> None:
    write(trial, "hydra: {run: {dir: 'outputs/${now:%H-%M-%S-%f}'}}\nckpt: ${hydra:run.dir}/a.txt")
    trial.run()
    assert len(list(trial.folder.glob("outputs/*/a.txt"))) == 1
    before = tree(trial.folder)
    assert trial.again("1")["verdict"] == "identical"
    assert tree(trial.folder) == before
    assert (trial.folder.parent / "runs" / "2" / "files" / "a.txt").read_text() == "a line\n"


def test_where_the_store_has_moved_too_a_place_of_the_runs_own_is_the_new_runs(trial: Again) -> None:
    write(trial, "ckpt: ${hydra:runtime.output_dir}/ckpt.txt")
    trial.run()
    moved = trial.folder.parent / "moved"
    (trial.folder.parent / "runs").rename(moved)
    shutil.rmtree(trial.folder)
    assert trial.again("1", ANEW_STORE=str(moved))["verdict"] == "identical"
    assert (moved / "2" / "files" / "ckpt.txt").read_text() == "a line\n"


def test_a_result_that_names_the_runs_own_place_is_said_to(trial: Again) -> None:
    write(trial, "ckpt: ${hydra:runtime.output_dir}/ckpt.txt", OWN.replace("path.read_text()", "str(path)"))
    trial.run()
    assert [each["kind"] for each in trial.again("1", code=3)["reasons"]] == ["place"]


def test_whatever_path_main_has_a_rerun_writes_into_no_earlier_record(trial: Again) -> None:
    """A literal in the source; reading goes on, and so do tags and notes, and runs of main's own."""
    old = trial.folder.parent / "runs" / "1" / "files" / "old.txt"
    trial.write(
        f"""
import anew, os, shutil
old = {str(old)!r}

def tried(change):
    try:
        change()
    except PermissionError as error:
        return str(error).partition(":")[0]
    return "done"

@experiment.main
def main(inner: bool = False, *, run: Run):
    if inner:
        return (run.dir / "inner.txt").write_text("inner")
    if not os.path.exists(old):
        open(old, "w").write("the old run's")
        return None
    os.chdir(os.path.dirname(old))
    os.symlink(old, run.dir / "link")
    done = {{
        "open": tried(lambda: open(old, "a")),
        "descriptor": tried(lambda: os.open("old.txt", os.O_WRONLY)),
        "link": tried(lambda: open(run.dir / "link", "r+")),
        "rename": tried(lambda: os.rename("old.txt", "new.txt")),
        "away": tried(lambda: os.replace(old, run.dir / "x")),
        "over": tried(lambda: os.replace(run.dir / "link", old)),
        "remove": tried(lambda: os.remove(old)),
        "truncate": tried(lambda: os.truncate(old, 0)),
        "folder": tried(lambda: os.mkdir("new")),
        "tree": tried(lambda: shutil.rmtree(os.path.dirname(old))),
        "record": tried(lambda: open("../run.json", "w")),
        "object": tried(lambda: open(next(iter(__import__("glob").glob("../../objects/*/*"))), "w")),
        "read": open(old).read(),
    }}
    if pid := os.fork():
        done["child"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    else:
        os._exit(7 if tried(lambda: open(old, "w")) != "done" else 0)
    (run.dir / "mine.txt").write_text("mine")
    run.log_artifact(run.dir / "mine.txt")
    run.info({{"tried": done}})
"""
    )
    trial.run()
    before = tree(old.parents[1])
    trial.again("1", code=3)
    assert tree(old.parents[1]) == before
    tried = dict(trial.record(2).info["tried"])
    assert (tried.pop("read"), tried.pop("child")) == ("the old run's", 7)
    assert len(tried) == 12
    assert set(tried.values()) == {"[Errno 13] A re-run leaves records of other runs, and content of the store, as is"}
    assert trial.record(2).artifacts[0].size == 4


# --- the project's places -----------------------------------------------------------------------------------------

READS = """
@experiment.main(config_path=".", config_name="config")
def main(cfg):
    return open(cfg.data).read()
"""


def edit(folder: Path) -> None:
    (folder / "data.csv").write_text("of today")


def move(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


@pytest.mark.parametrize("wreck", [edit, move])
@pytest.mark.parametrize(
    "given",
    ["${hydra:runtime.cwd}/data.csv", "PROJECT/data.csv", "${oc.env:DATA}", "${.root}/data.csv", "LINK/data.csv"],
)
def test_an_absolute_path_into_the_project_leads_to_what_is_on_record(
    trial: Again, wreck: Callable[[Path], None], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = trial.folder.parent / "link"
    link.symlink_to(trial.folder)
    value = given.replace("PROJECT", str(trial.folder)).replace("LINK", str(link))
    write(trial, f"root: ${{hydra:runtime.cwd}}\ndata: {value}", READS)
    monkeypatch.setenv("DATA", str(trial.folder / "data.csv"))
    trial.run()
    wreck(trial.folder)
    shown = trial.again("1", "--strict")
    assert (shown["verdict"], trial.record(2).result) == ("identical", "1 2 3\n")
    assert os.path.realpath(str(trial.record(2).config["data"])) == str(trial.folder / "data.csv")
    assert trial.again("2", "--strict")["verdict"] == "identical"
    assert "data in the configuration lead into the laid-out project" in trial.anew("rerun", "1").stderr


def test_a_variable_that_is_a_path_into_the_project_leads_to_what_is_on_record(
    trial: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.write("import os\n@experiment.main\ndef main():\n    return open(os.environ['DATA']).read()\n")
    data = str(trial.folder / "data.csv")
    monkeypatch.setenv("DATA", data)
    trial.run("anew.environment.variables=[DATA]")
    edit(trial.folder)
    assert trial.again("1", "--strict")["verdict"] == "identical"
    facts = trial.record(2).environment
    assert facts is not None
    assert facts.variables["DATA"] == data


def test_what_is_written_by_the_working_directory_stays_out_of_the_project(trial: Again) -> None:
    write(trial, "ckpt: ${hydra:runtime.cwd}/results/a.txt")
    trial.run()
    before = tree(trial.folder)
    assert trial.again("1")["verdict"] == "identical"
    assert tree(trial.folder) == before


def test_a_literal_in_the_source_reads_what_is_there_today_which_is_said_and_refused(trial: Again) -> None:
    data = str(trial.folder / "data.csv")
    trial.write(f"@experiment.main\ndef main():\n    return open({data!r}).read()\n")
    trial.run()
    assert trial.again("1", "--strict")["verdict"] == "identical"
    edit(trial.folder)
    done = trial.anew("rerun", "1", code=3)
    assert "Main read data.csv as it is today" in done.stderr
    assert "is used" not in done.stdout + done.stderr
    assert "data.csv has changed: main read" in done.stdout + done.stderr
    assert "it read what is not on record: data.csv" in trial.anew("rerun", "1", "--strict", code=4).stderr


def test_a_path_to_what_is_in_the_project_but_not_on_record_is_refused_under_strict(trial: Again) -> None:
    write(
        trial,
        f"data: {trial.folder}/late.bin",
        "@experiment.main(config_path='.', config_name='config')\n"
        "def main(cfg):\n    import os\n    return os.path.exists(cfg.data)\n",
    )
    trial.run()
    (trial.folder / "late.bin").touch()
    assert "data in the configuration lead into" in trial.anew("rerun", "1", "--strict", code=4).stderr
    assert "as it is today" in trial.anew("rerun", "1", code=3).stderr
