"""What is run again is all of it vouched for by one's own key, or trusted as it is; whoever changed whatever."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner.dispatch.transfer import to_observer
from anew.runner.errors import RefusedError
from anew.runner.format import serial
from anew.runner.relaunch import basis
from anew.runner.rerun.asked import rerun
from anew.runner.store import marks
from anew.runner.store.locate import open_run_folders
from tests.helpers import scripts
from tests.helpers.scripts import Project
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)

BODY = """
@experiment.main
def main(lr: float = 0.5, *, run: Run):
    import late
    return lr * late.factor() + float(run.input("data.csv").read_text())
"""
FILE = dict[str, Any]


@pytest.fixture
def trial(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one run, whose source lies in part in the journal."""
    shutil.copytree(recorded, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each test has a copy of."""
    project = tmp_path_factory.mktemp("recorded") / "project"
    project.mkdir()
    trial = Project(project)
    (project / "late.py").write_text("def factor(): return 2\n")
    (project / "data.csv").write_text("3\n")
    trial.write(BODY)
    trial.run("lr=0.25", env={"OMP_NUM_THREADS": "2", "CUDA_HINT": "plain"})
    assert "late.py" in {each.path for each in trial.record(1).source.files}
    return project


def anew(trial: Project, *words: str, code: int = 0, env: dict[str, str] | None = None) -> Any:
    return scripts.anew(trial, *words, code=code, **(env or {}))


def runs(trial: Project) -> int:
    return len(trial.store.find())


# --- each edit ----------------------------------------------------------------------------------------------------


def start(change: Callable[[FILE], None]) -> Callable[[Project], None]:
    """Return an edit of `run.json`, with a checksum that is right again."""

    def edit(trial: Project) -> None:
        path = trial.store.layout.run(1).record
        data = serial.unseal(path.read_bytes())
        change(data)
        path.chmod(0o644)
        path.write_bytes(serial.seal(data))

    return edit


def entry(kind: str, change: Callable[[FILE], None]) -> Callable[[Project], None]:
    """Return an edit of a journal's lines of a kind, with checksums that are right again."""

    def edit(trial: Project) -> None:
        path = trial.store.layout.run(1).journal("main")
        lines = [serial.unseal(line) for line in path.read_bytes().splitlines()]
        changed = [line for line in lines if line["k"] == kind]
        assert changed
        for line in changed:
            change(line)
        path.write_bytes(b"".join(map(serial.seal, lines)))

    return edit


def added(kind: str, where: str = "train.py", **more: Any) -> Callable[[Project], None]:
    """Return the addition of a file's entry in a journal of its own."""

    def edit(trial: Project) -> None:
        content = b"raise SystemExit('of somebody else')\n"
        sha256 = trial.store.objects.put_bytes(content)
        file = {"path": where, "sha256": sha256, "size": len(content), "mode": 0o644, "kept": True, "link": None}
        line = {"q": 1, "k": kind, "t": 99.0, "f": [file] if kind == "s" else file, **more}
        (trial.store.layout.run(1).events / "other.jsonl").write_bytes(serial.seal(line))

    return edit


def foreign(trial: Project) -> str:
    return str(trial.store.objects.put_bytes(b"def factor(): raise SystemExit('of somebody else')\n"))


def other_source(trial: Project) -> None:
    def change(data: FILE) -> None:
        for file in data["source"]["files"]:
            file["sha256"] = foreign(trial)

    start(change)(trial)


def other_late(trial: Project) -> None:
    def change(line: FILE) -> None:
        for file in line["f"]:
            file["sha256"] = foreign(trial)

    entry("s", change)(trial)


def other_input(trial: Project) -> None:
    entry("u", lambda line: line["f"].update(sha256=foreign(trial)))(trial)


def moved_input(trial: Project) -> None:
    entry("u", lambda line: line["f"].update(path="train.py"))(trial)


def copied_mark(trial: Project) -> None:
    """An entry of another run, with its mark."""
    trial.run("lr=0.3")
    shutil.copy(trial.store.layout.run(2).journal("main"), trial.store.layout.run(1).events / "other.jsonl")
    other = trial.store.layout.run(1).events / "other.jsonl"
    lines = [serial.unseal(line) for line in other.read_bytes().splitlines()]
    for line in lines:
        if line["k"] == "s":
            line["f"][0]["path"] = "train.py"
    other.write_bytes(b"".join(map(serial.seal, lines)))


def replaced_content(trial: Project) -> None:
    for name in ("late.py", "train.py"):
        sha256 = next(each.sha256 for each in trial.record(1).source.files if each.path == name)
        path = trial.store.objects.path(sha256)
        path.chmod(0o644)
        path.write_text("raise SystemExit('of somebody else')\n")


def set_in(*keys: Any, to: Any) -> Callable[[Project], None]:
    def change(data: FILE) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = to

    return start(change)


EDITS: dict[str, Callable[[Project], None]] = {
    "source added": added("s", "other.py"),
    "source replaced": added("s"),
    "source added with a mark": added("s", om="0" * 64),
    "input added": added("u", "other.csv"),
    "input in place of source": added("u"),
    "late source": other_late,
    "source digest": other_source,
    "input digest": other_input,
    "input path": moved_input,
    "entry of another run": copied_mark,
    "content": replaced_content,
    "override": set_in("overrides", to=["lr=0.75"]),
    "override added": set_in("overrides", to=["lr=0.25", "hydra.job.chdir=true"]),
    "configuration": set_in("config", "lr", to=0.75),
    "setting": set_in("provenance", "settings", to=["anew.observers.x._target_=os.system"]),
    "flag": set_in("provenance", "flags", to=["--config-dir", "/tmp"]),
    "variable": set_in("environment", "variables", "CUDA_HINT", to="other"),
    "variable added": set_in("environment", "variables", "PYTHONSTARTUP", to="/tmp/x.py"),
    "thread count": set_in("environment", "threads", "OMP_NUM_THREADS", to="3"),
    "package": set_in("environment", "packages", "numpy", to="1.0"),
    "origin": set_in("environment", "origins", "numpy", to="git+https://x.org/y"),
    "interpreter": set_in("command", "interpreter", to="/tmp/python"),
    "interpreter options": set_in("command", "options", to=["-c", "print(1)"]),
    "argv": set_in("command", "argv", to=["/tmp/x.py"]),
    "target": set_in("command", "target", to="/tmp/x.py"),
    "function": set_in("command", "function", to="os:system"),
    "import path": set_in("command", "import_paths", to=["/tmp"]),
    "working directory": set_in("command", "cwd", to="/tmp"),
    "root": set_in("source", "root", to="/tmp"),
    "seed": set_in("seed", to=7),
    "hash seed": set_in("seeds", "hash_randomization", to="7"),
    "mark": set_in("origin_mark", to="0" * 64),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_of_what_would_run_is_refused(trial: Project, edit: Callable[[Project], None]) -> None:
    edit(trial)
    before = runs(trial)
    with pytest.raises(RefusedError):
        rerun(1, store=trial.store)
    assert runs(trial) == before


def test_every_command_refuses_with_its_own_exit_code(trial: Project) -> None:
    EDITS["source replaced"](trial)
    for command in ("rerun", "verify"):
        refused = anew(trial, command, "1", code=4)
        assert "of somebody else" not in refused.stderr
    assert runs(trial) == 1


def test_in_mongodb_as_well(
    trial: Project, mongo_server: MongoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database is shared: whoever can write there must not decide what runs here."""
    runs_of = tmp_path / "edited"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, (name, edit) in enumerate(EDITS.items()):
        shutil.rmtree(runs_of, ignore_errors=True)
        copy = Project(runs_of / "project")
        shutil.copytree(trial.folder, copy.folder)
        edit(copy)
        url = with_database(mongo_server.url, f"edited{number}")
        if name == "content":
            sent(trial, url)
            with mongo_server.client() as client:
                database = client.get_database(f"edited{number}")
                for file in database["fs.files"].find():
                    chunks = {"files_id": file["_id"]}
                    database["fs.chunks"].update_many(
                        chunks, {"$set": {"data": b"raise SystemExit('of somebody else')"}}
                    )
        else:
            sent(copy, url)
        with pytest.raises(RefusedError):
            rerun(1, store=url)


def sent(trial: Project, url: str) -> None:
    """Send the runs of a project to a database, as `anew sync` does."""
    store = open_run_folders(url)
    for moved in to_observer(trial.store, url, lambda: store.observer(keep_number=True), lambda uid: False):
        assert moved.what != "failed", moved


def test_ones_own_run_needs_no_word_wherever_it_was_and_whatever_host_it_is(
    trial: Project, mongo_server: MongoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trial.folder / "late.py").write_text("def factor(): return 'today'\n")
    url = with_database(mongo_server.url, "own")
    anew(trial, "sync", str(trial.folder / "runs"), url)
    assert json.loads(anew(trial, "--store", url, "rerun", "1", "--json").stdout)["verdict"] == "identical"
    back = str(tmp_path / "back")
    anew(trial, "sync", url, back)
    assert json.loads(anew(trial, "--store", back, "rerun", "1", "--json").stdout)["verdict"] == "identical"
    # another node of a cluster, with the same home
    (tmp_path / "sitecustomize.py").write_text("import socket; socket.gethostname = lambda: 'another'")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    assert json.loads(anew(trial, "rerun", "1", "--json", env={"PYTHONPATH": path}).stdout)["verdict"] == "identical"


def test_a_run_of_ones_own_that_was_killed_needs_no_word(trial: Project) -> None:
    trial.write("""
    import os, signal
    @experiment.main
    def main(*, run: Run):
        run.input("data.csv")
        run.log({"x": 1})
        if not os.environ.get("GO_ON"):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    trial.run(code=-9)
    assert trial.record(2).inputs
    anew(trial, "rerun", "2", env={"GO_ON": "1"})


@pytest.mark.long
def test_trust_holds_for_what_it_was_given_for_and_says_what_changed_since(trial: Project, tmp_path: Path) -> None:
    other = {"XDG_STATE_HOME": str(tmp_path / "somebody")}
    assert "this changed" not in anew(trial, "rerun", "1", code=4, env=other).stderr
    anew(trial, "rerun", "1", "--trust", env=other)
    anew(trial, "rerun", "1", env=other)
    EDITS["source added"](trial)
    EDITS["override"](trial)
    EDITS["variable"](trial)
    refused = anew(trial, "rerun", "1", code=4, env=other).stderr
    assert "Since you trusted it, this changed:" in refused
    assert "source    other.py is new" in refused
    assert "override  lr=0.75 is new" in refused
    assert "override  lr=0.25 is gone" in refused
    assert "variable  CUDA_HINT changed: other" in refused
    told = anew(trial, "rerun", "1", "--trust", env=other).stderr
    assert "source    other.py is new" in told
    anew(trial, "rerun", "1", env=other)
    # by whoever recorded it, as well
    refused = anew(trial, "rerun", "1", code=4).stderr
    assert "--trust" in refused


def test_what_an_environment_would_be_rebuilt_with_is_trusted_like_the_rest(trial: Project, tmp_path: Path) -> None:
    other = {"XDG_STATE_HOME": str(tmp_path / "somebody")}
    anew(trial, "rerun", "1", "--trust", env=other)
    set_in("environment", "executable", to=str(tmp_path / "python"))(trial)
    for words in ([], ["--env", "recorded"]):
        refused = anew(trial, "rerun", "1", *words, code=4, env=other).stderr
        assert "executable changed" in refused


def test_what_was_added_to_ones_own_record_is_named(trial: Project) -> None:
    EDITS["source replaced"](trial)
    EDITS["input added"](trial)
    refused = anew(trial, "rerun", "1", code=4).stderr
    assert "Since you recorded it, this changed:" in refused
    assert "input     other.csv is new" in refused


def test_trust_is_keyed_on_nothing_that_a_record_says_of_itself(trial: Project, tmp_path: Path) -> None:
    other = {"XDG_STATE_HOME": str(tmp_path / "somebody")}
    anew(trial, "rerun", "1", "--trust", env=other)
    trial.run("lr=0.5")
    number = max(run.id or 0 for run in trial.store.find())
    path = trial.store.layout.run(number).record
    data = serial.unseal(path.read_bytes())
    path.chmod(0o644)
    first = trial.record(1)
    path.write_bytes(serial.seal({**data, "uid": first.uid, "origin_mark": first.origin_mark}))
    anew(trial, "rerun", str(number), code=4, env=other)


def test_an_entry_of_an_earlier_version_needs_a_word_a_record_without_any_does_not(trial: Project) -> None:
    entry("u", lambda line: line.pop("om"))(trial)
    refused = anew(trial, "rerun", "1", code=4).stderr
    assert "input     data.csv is new" in refused
    anew(trial, "rerun", "1", "--trust")
    trial.write("@experiment.main\ndef main(*, run: Run): return 1\n", name="plain.py")
    trial.run("anew.inputs.notice=false", name="plain.py")
    anew(trial, "rerun", "last")


def test_no_two_records_that_run_something_else_look_the_same(trial: Project) -> None:
    record = trial.record(1)
    provenance = record.provenance
    others = [
        replace(record, config={"a": {"b": 1}}),
        replace(record, config={"a.b": 1}),
        replace(record, overrides=("a=1", "b=1", "a=1")),
        replace(record, overrides=("b=1", "b=1", "a=1")),
        replace(record, overrides=("a=1",), provenance=replace(provenance, settings=())),
        replace(record, overrides=(), provenance=replace(provenance, settings=("a=1",))),
    ]
    seen = [basis.digest_of(basis.of_run(each)) for each in others]
    assert len(set(seen)) == len(others)
    for one, other in itertools.permutations(others, 2):
        assert basis.changes(basis.of_run(one), basis.of_run(other))
    assert basis.changes(basis.of_run(record), basis.of_run(record)) == []


def test_an_entry_is_known_again_by_its_file_alone() -> None:
    file = {"path": "a", "sha256": "b", "size": 1, "mode": 0o644, "kept": True, "link": None}
    for body in ({"f": file}, {"f": [file, file]}):
        marked = {**body, "om": marks.entry_mark("uid", "u", body)}
        assert marks.is_own_entry("uid", "u", {**marked, "t": 1.0, "q": 2, "further": 3})
        assert not marks.is_own_entry("other", "u", marked)
        assert not marks.is_own_entry("uid", "s", marked)
    for key in file:
        assert not marks.is_own_entry("uid", "u", {**marked, "f": [{**file, key: "x"}, file]})
