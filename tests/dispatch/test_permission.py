"""What a store says of observers is built for one's own runs, or on one's word, and then only what is an observer."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anew.runner.dispatch.permission import LeftAloneError, permitted_spec
from anew.runner.dispatch.specs import read_specs
from anew.runner.errors import ConfigError
from anew.runner.store import marks
from anew.runner.store.folder import FolderStore
from anew.runner.store.stream import RunSource
from tests.helpers.packages import install
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store

ANEW = "import sys; from anew.runner.cli import main; sys.exit(main(sys.argv[1:]))"
WEBHOOK = "anew.observers.webhook.WebhookObserver"


@pytest.fixture
def store(project: Path) -> FolderStore:
    """Somebody else's runs, with the project that they came with."""
    made = make_store(project / "runs")
    add_run(made, config={"url": "https://example.invalid", "trick": "${oc.env:AWS_SECRET_ACCESS_KEY}"})
    return made


@pytest.fixture
def received() -> Iterator[tuple[str, list[str]]]:
    """A server that notes what it is asked for."""
    asked: list[str] = []

    class Noting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def name_observer(store: FolderStore, spec: dict[str, Any], name: str = "x", number: int = 1) -> None:
    """Have a run name an observer, as somebody writes it by hand who has not this user's key."""
    layout = store.layout.run(number)
    layout.observers.mkdir(exist_ok=True)
    (layout.observers / f"{name}.json").write_text(json.dumps(spec))


def anew(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ANEW, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", **env},
        timeout=60,
        check=False,
    )


def hostile(kind: str, folder: Path, url: str) -> dict[str, Any]:
    """Return what a hostile record says of an observer; each would leave a trace when it is built."""
    (folder / "evil").mkdir(exist_ok=True)
    (folder / "evil" / "trace.pth").write_text(f"import pathlib; pathlib.Path({str(folder / 'ran')!r}).touch()\n")
    if kind == "pickle":
        code = f"c__builtin__\neval\n(S'__import__(\"pathlib\").Path({str(folder / 'ran')!r}).touch()'\ntR."
        (folder / "evil" / "frame.pkl").write_bytes(code.replace("c__builtin__", "cbuiltins").encode())
    ran = str(folder / "ran")
    found: dict[str, dict[str, Any]] = {
        "site": {"_target_": "site.addsitedir", "sitedir": str(folder / "evil")},
        "pickle": {"_target_": "pandas.read_pickle", "filepath_or_buffer": str(folder / "evil" / "frame.pkl")},
        "write": {
            "_target_": "pathlib.Path.write_text",
            "_args_": [{"_target_": "pathlib.Path", "_args_": [ran]}, "x"],
        },
        "by way of ours": {
            "_target_": "anew.observers.export.Path.write_text",
            "_args_": [{"_target_": "pathlib.Path", "_args_": [ran]}, "x"],
        },
        "inside of ours": {
            "_target_": "anew.observers.console.ConsoleObserver",
            "stream": {"_target_": "site.addsitedir", "sitedir": str(folder / "evil")},
        },
        "retrieve": {"_target_": "urllib.request.urlretrieve", "url": f"{url}/fetched", "filename": ran},
        "environment": {"_target_": WEBHOOK, "url": f"{url}/${{oc.env:AWS_SECRET_ACCESS_KEY}}"},
        "by way of the configuration": {"_target_": WEBHOOK, "url": f"{url}/${{trick}}"},
    }
    return found[kind]


KINDS = (
    "site",
    "pickle",
    "write",
    "by way of ours",
    "inside of ours",
    "retrieve",
    "environment",
    "by way of the configuration",
)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("command", ["check", "sync"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_store_names_is_run(
    store: FolderStore, received: tuple[str, list[str]], kind: str, command: str, trust: bool
) -> None:
    """A cloned repository with a folder `runs/` is enough; a word for it does not make a function an observer."""
    url, asked = received
    project = store.root.parent
    name_observer(store, hostile(kind, project, url))
    done = anew(project, command, *(["--trust"] if trust else []))
    told = done.stdout + done.stderr
    assert not (project / "ran").exists(), told
    assert not asked, told
    assert "wJalrXUtnFEMI" not in told
    assert "Traceback" not in told
    if not trust:
        [line] = [line for line in told.splitlines() if "left alone" in line or "--trust" in line]
        assert f"anew {command}" in line
        assert "--trust" in line
    elif kind in ("environment", "by way of the configuration"):
        assert "anew.observers.x" in told
    else:
        assert "left alone" in told
        assert "anew.observers.x._target_=" in told
    assert done.returncode == {"sync": 1}.get(command, 2 if trust and "environment" in kind else done.returncode)


def test_a_check_of_somebody_elses_store_is_no_failure(store: FolderStore) -> None:
    name_observer(store, {"_target_": "site.addsitedir", "sitedir": "/nowhere"})
    done = anew(store.root.parent, "check", "--json")
    assert done.returncode == 0
    [told] = json.loads(done.stdout)["observers"]
    assert (told["name"], told["where"], told["error"]) == ("x", "", None)
    assert "site.addsitedir" in told["left_alone"]


SCRIPT = """\
@experiment.main
def main(n: int = 3, *, run: Run):
    for step in range(n):
        run.log({"loss": 1.0}, step=step)
"""


def test_what_is_on_record_of_ones_own_run_is_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Project(project)
    trial.write(SCRIPT)
    monkeypatch.setenv("OUT", str(project / "exported"))
    trial.run("anew/observers=[files,export]", "anew.observers.export.dir=${oc.env:OUT}")
    layout = trial.store.layout.run(1)
    record = RunSource(layout, 1).record
    spec = permitted_spec(layout, read_specs(layout)["export"], record, again="anew sync 1")
    assert spec["dir"] == str(project / "exported")
    assert spec["_target_"] == "anew.observers.export.ExportObserver"
    done = anew(project, "check")
    assert "left alone" not in done.stdout + done.stderr


@pytest.mark.parametrize("changed", ["spec", "name", "record", "run", "nothing of it marked"])
def test_what_was_changed_since_is_not(project: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    trial = Project(project)
    trial.write(SCRIPT)
    trial.run("anew/observers=[files,export]", f"anew.observers.export.dir={project / 'exported'}")
    layout = trial.store.layout.run(1)
    path, name = layout.observers / "export.json", "export"
    told = json.loads(path.read_text())
    if changed == "spec":
        path.write_text(json.dumps({**told, "dir": "/elsewhere"}))
    elif changed == "name":
        path, name = path.rename(path.with_name("other.json")), "other"
    elif changed == "run":
        # what one run was to be sent to is no configuration of the next, though both are one's own
        trial.run()
        layout = trial.store.layout.run(2)
        layout.observers.mkdir(exist_ok=True)
        path.rename(layout.observers / path.name)
    elif changed == "nothing of it marked":
        del told["origin_mark"]
        path.write_text(json.dumps(told))
    else:
        monkeypatch.setattr(marks, "is_own", lambda start: "observer" in start)
    record = RunSource(layout, 1).record
    with pytest.raises(LeftAloneError, match="anew sync 1 --trust"):
        permitted_spec(layout, read_specs(layout)[name], record, again="anew sync 1")
    assert permitted_spec(layout, read_specs(layout)[name], record, again="anew sync 1", trusted=True)


def test_a_class_of_ones_own_project_goes_on_but_not_what_it_imports(project: Path) -> None:
    (project / "mine.py").write_text(
        "import os\nclass Mine:\n    def handle(self, event): pass\n    def close(self): pass\n"
    )
    trial = Project(project)
    trial.write(SCRIPT)
    trial.run("anew.observers.a._target_=mine.Mine", "anew.observers.b._target_=mine.os.getcwd", "n=1")
    layout = trial.store.layout.run(1)
    record = RunSource(layout, 1).record
    specs = read_specs(layout)
    assert permitted_spec(layout, specs["a"], record, again="anew sync 1")["_target_"] == "mine.Mine"
    with pytest.raises(LeftAloneError, match=r"anew sync 1 anew\.observers\.b\._target_=mine\.os\.getcwd"):
        permitted_spec(layout, specs["b"], record, again="anew sync 1")
    typed = {"_target_": "mine.os.getcwd"}
    assert permitted_spec(layout, specs["b"], record, again="anew sync 1", typed=typed) == typed


def test_an_installed_package_offers_observers_by_path_and_by_name(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class Theirs:\n    def handle(self, event): pass\n    def close(self): pass\n"
    install(tmp_path / "site", "theirs", "[anew.observers]\ntheirs.old.Theirs = theirs:Theirs\n", code)
    name_observer(store, {"_target_": "theirs.Theirs"}, "path")
    name_observer(store, {"_target_": "theirs.old.Theirs"}, "name")
    layout = store.layout.run(1)
    record = RunSource(layout, 1).record
    for spec in read_specs(layout).values():
        with pytest.raises(LeftAloneError, match="none of anew's"):
            permitted_spec(layout, spec, record, again="anew sync 1", trusted=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for spec in read_specs(layout).values():
        built = permitted_spec(layout, spec, record, again="anew sync 1", trusted=True)
        assert built == {"_target_": "theirs.Theirs"}


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}",
        "${ oc.env : HOME }",
        "a${oc.env:HOME,x}b",
        "${oc.env:${name}}",
        "\\${url}${oc.env:HOME}",
        "${now:%Y}",
        "${trick}",
        "${oc.select:trick}",
    ],
)
def test_of_a_strangers_record_nothing_is_computed(store: FolderStore, text: str) -> None:
    layout = store.layout.run(1)
    record = RunSource(layout, 1).record
    name_observer(store, {"_target_": WEBHOOK, "url": text, "nested": {"in": [text]}})
    with pytest.raises(ConfigError):
        permitted_spec(layout, read_specs(layout)["x"], record, again="anew sync 1", trusted=True)
    name_observer(store, {"_target_": WEBHOOK, "url": "${url}"})
    found = permitted_spec(layout, read_specs(layout)["x"], record, again="anew sync 1", trusted=True)
    assert found["url"] == "https://example.invalid"


# --- one's own, from anywhere -------------------------------------------------------------------------------------

OWN = """\
from pathlib import Path

from helping import line

print("being imported")


class Own:
    def __init__(self, path="own.txt"):
        self.path = Path(path)

    def handle(self, event):
        if Path(__file__).with_name("down").exists():
            raise ConnectionError("away")
        with self.path.open("a") as file:
            file.write(line(event))

    def close(self):
        pass
"""
OWN_TARGET = "anew.observers.own._target_=own.Own"


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script `anew`, which has not the working directory on its path, as `python -m anew` has."""
    words = (str(Path(sys.executable).with_name("anew")), *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def beside(project: Path) -> Project:
    """A script in a folder of its project, an observer beside it, and one run that the observer has nothing of."""
    scripts = project / "scripts"
    scripts.mkdir()
    (scripts / "own.py").write_text(OWN)
    (scripts / "helping.py").write_text("def line(event):\n    return f'{type(event).__name__}\\n'\n")
    (scripts / "down").touch()
    trial = Project(project)
    trial.write(SCRIPT, "scripts/train.py")
    trial.run(OWN_TARGET, name="scripts/train.py")
    return trial


@pytest.mark.parametrize("words", [("check",), ("check", OWN_TARGET), ("check", OWN_TARGET, "--json")])
def test_check_builds_ones_own_observer_beside_the_script(beside: Project, words: tuple[str, ...]) -> None:
    done = command(beside.folder, *words)
    assert done.returncode == 0
    assert "can be built" in done.stdout
    assert "being imported" not in done.stdout


def test_check_finds_ones_own_observer_without_a_store(project: Path) -> None:
    (project / "own.py").write_text("class Own:\n    def handle(self, event): pass\n    def close(self): pass\n")
    assert "can be built" in command(project, "check", OWN_TARGET).stdout


@pytest.mark.parametrize("typed", [(), (OWN_TARGET,)])
def test_sync_goes_on_with_ones_own_observer_from_anywhere(
    beside: Project, tmp_path: Path, typed: tuple[str, ...]
) -> None:
    (beside.folder / "scripts" / "down").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = command(elsewhere, "--store", str(beside.folder / "runs"), "sync", "1", *typed)
    assert "events delivered" in done.stdout
    assert not list(elsewhere.iterdir())
    assert (beside.folder / "own.txt").read_text().splitlines()[-1] == "RunEnded"


def test_no_module_is_looked_for_where_a_strangers_record_says(
    beside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside.folder / "scripts" / "down").unlink()
    monkeypatch.setenv("XDG_STATE_HOME", str(beside.folder / "somebody-else"))
    for words in (("sync", "1"), ("sync", "1", "--trust"), ("sync", "1", OWN_TARGET), ("check",), ("check", "--trust")):
        done = command(beside.folder, *words)
        assert "being imported" not in done.stdout + done.stderr
    assert not (beside.folder / "own.txt").exists()
