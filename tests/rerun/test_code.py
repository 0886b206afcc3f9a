"""Which code a re-run runs: in main, in every Python that it starts, in the project and out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rerun.test_rerun import Again


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    return Again(project)


CHILD = """
import subprocess
@experiment.main
def main(*, run: Run):
    code = "import fitting; print(fitting.VALUE)"
    where = {where}
    return subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True).stdout
"""


def package(folder: Path, value: str) -> None:
    (folder / "fitting").mkdir(parents=True, exist_ok=True)
    (folder / "fitting" / "__init__.py").write_text(f"VALUE = {value!r}\n")


@pytest.fixture
def installed(trial: Again, tmp_path: Path) -> dict[str, str]:
    """An installation in place: variables by which each Python begins as one with setuptools' finder does."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "finder.py").write_text(
        "import sys\n"
        "from importlib.util import spec_from_file_location\n"
        f"MAPPING = {{'fitting': {str(trial.folder / 'src' / 'fitting')!r}}}\n"
        "class Finder:\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        if name in MAPPING:\n"
        "            return spec_from_file_location(name, MAPPING[name] + '/__init__.py')\n"
        "sys.meta_path.append(Finder)\n"
    )
    package(trial.folder / "src", "then")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}


@pytest.mark.long
@pytest.mark.parametrize("hook", ["sitecustomize", "path"])
def test_a_child_imports_the_laid_out_project_and_not_the_installation_in_place(
    hook: str, trial: Again, installed: dict[str, str], tmp_path: Path
) -> None:
    lines = {
        "sitecustomize": "import finder\n",
        "path": f"import sys; sys.path.append({str(trial.folder / 'src')!r})\n",
    }
    (tmp_path / "site" / "sitecustomize.py").write_text(lines[hook])
    trial.write(CHILD.format(where="'/'"))
    trial.run(env=installed)
    assert trial.record(1).result == "then\n"
    package(trial.folder / "src", "today")
    assert trial.again("1", PYTHONPATH=installed["PYTHONPATH"])["verdict"] == "identical"
    # what the record of a re-run says of the path is what the run's says, so that it can be run again
    assert trial.again("2", PYTHONPATH=installed["PYTHONPATH"])["verdict"] == "identical"
    facts = [trial.record(number).environment for number in (1, 2, 3)]
    assert len({each.variables["PYTHONPATH"] for each in facts if each is not None}) == 1


@pytest.mark.long
@pytest.mark.parametrize("place", ["inside", "outside", "relative"])
def test_the_recorded_import_path_is_there_again_for_children(place: str, trial: Again, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" if place == "outside" else trial.folder / "lib2"
    package(folder, "then")
    trial.write(CHILD.format(where="None" if place == "relative" else "'/'"))
    told = "lib2" if place == "relative" else str(folder)
    known = os.environ.get("PYTHONPATH")
    trial.run(env={"PYTHONPATH": os.pathsep.join(filter(None, (told, known)))})
    assert trial.record(1).result == "then\n"
    if place != "outside":
        package(folder, "today")
    assert trial.again("1")["verdict"] == "identical"
    assert trial.again("2")["verdict"] == "identical"


@pytest.mark.parametrize("setting", ["exclude=[helper.py]", "max_total_bytes=1000"])
def test_a_module_that_is_not_on_record_is_said_before_main_starts_and_when_it_is_recorded(
    setting: str, trial: Again
) -> None:
    (trial.folder / "helper.py").write_text(f"VALUE = 1{'#' * 2000}\n")
    trial.write("""
    import helper
    @experiment.main
    def main(*, run: Run):
        return helper.VALUE
    """)
    assert "'helper.py' is code" in trial.run(f"anew.source.{setting}").stderr
    failed = trial.anew("rerun", "1", code=2)
    said = failed.stdout + failed.stderr
    assert "Not on record, so that whatever imports it will fail: helper.py" in said
    assert trial.anew("rerun", "1", "--strict", code=4)


def test_a_run_that_was_killed_beside_much_data_is_run_again_on_its_own_source(trial: Again) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=trial.folder, check=True)
    (trial.folder / "data").mkdir()
    for number in range(30):
        (trial.folder / "data" / f"{number}.json").write_text("1")
    (trial.folder / "zoo.py").write_text("VALUE = 'then'\n")
    trial.write("""
    import signal, zoo
    @experiment.main
    def main(*, run: Run):
        run.log({"loss": len(zoo.VALUE)})
        if zoo.VALUE == "then" and "KILL" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    trial.run("anew.source.max_files=20", code=-9, env={"KILL": "1"})
    (trial.folder / "zoo.py").write_text("VALUE = 'of today'\n")
    assert trial.again("1")["verdict"] == "identical"


MADE = {
    "cell": "exec(compile(CELL, '/tmp/ipykernel_7/5.py', 'exec'), globals())",
    "module": "import types; made = types.ModuleType('made'); sys.modules['made'] = made; exec(CELL, vars(made))",
    "file": "open('made.py', 'w').write(CELL); sys.path.insert(0, ''); import made",
}


@pytest.mark.parametrize("kind", MADE)
def test_a_main_function_of_a_notebook_is_said_to_be_lost_when_it_is_recorded(kind: str, trial: Again) -> None:
    cell = (
        "from anew import Experiment\nexperiment = Experiment('note')\n"
        "@experiment.main\ndef main(lr: float = 0.1): return lr\nmain.run()\n"
    )
    code = f"import sys; CELL = {cell!r}; {MADE[kind]}"
    done = subprocess.run([sys.executable, "-c", code], cwd=trial.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    is_lost = kind != "file"
    assert ("in no file" in done.stderr) == is_lost
    assert any("cannot be run again" in each for each in trial.record(1).warnings) == is_lost
    trial.anew("rerun", "1", code=2 if is_lost else 0)


@pytest.mark.long
@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("kind", ["module", "package", "in place"])
def test_code_from_a_folder_outside_of_the_project_is_source_too(
    kind: str, when: str, trial: Again, tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    package(folder, "then")
    if kind == "module":
        (folder / "fitting" / "__init__.py").rename(folder / "fitting.py")
        (folder / "fitting").rmdir()
    elif kind == "package":
        (folder / "fitting" / "part.py").write_text("VALUE = 'then'\n")
    files = list(folder.rglob("*.py"))
    lines = [f"sys.path.insert(0, {str(folder)!r})"] if kind != "in place" else []
    lines += ["import fitting.part, fitting" if kind == "package" else "import fitting"]
    imports = "; ".join(lines)
    trial.write(f"""
    {imports if when == "early" else ""}
    @experiment.main
    def main(*, run: Run):
        {imports}
        return [fitting.VALUE, getattr(fitting, "part", fitting).VALUE]
    """)
    env = {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
    env = env if kind == "in place" else {}
    trial.run(env=env)
    assert {str(path) for path in files} <= {file.path for file in trial.record(1).source.files}
    for path in files:
        path.write_text("VALUE = 'today'\n")
    shown = trial.again("1")
    assert shown["verdict"] == "identical"
    assert {str(path) for path in files} == set(shown["differences"]["elsewhere"])
    assert trial.again("1", "--strict")["verdict"] == "identical"
    shutil.rmtree(folder)
    assert trial.again("2")["verdict"] == "identical"


def git(folder: Path, *words: str) -> None:
    options = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.long
@pytest.mark.parametrize("when", ["early", "late"])
def test_a_library_installed_in_place_is_on_record_with_its_repository_and_is_put_back(
    when: str, trial: Again, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    package(library / "src", "then")
    git(library, "init", "--quiet")
    git(library, "add", ".")
    git(library, "commit", "--quiet", "-m", "then")
    file = library / "src" / "fitting" / "__init__.py"
    file.write_text("VALUE = 'then, edited'\nWORD = 'hunter2hunter2'\n")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"import site\nsite.addsitedir({str(site)!r})\n")
    (site / "__editable__.fitting.pth").write_text(f"{library / 'src'}\n")
    env: dict[str, Any] = {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}
    trial.write(f"""
    {"import fitting" if when == "early" else ""}
    @experiment.main
    def main(password: str = "", *, run: Run):
        import fitting
        return fitting.VALUE
    """)
    trial.run("password=hunter2hunter2", env=env)
    facts = trial.record(1).source.repositories[str(library)]
    assert (len(facts.commit or ""), facts.branch, facts.dirty) == (40, "main", True)
    assert "then, edited" in (facts.diff or "")
    assert "hunter2hunter2" not in (facts.diff or "")
    git(library, "commit", "--quiet", "-a", "-m", "more")
    file.write_text("VALUE = 'today'\n")
    given = ["1", "password=hunter2hunter2"]
    shown = trial.again(*given, **env)
    assert shown["verdict"] == "identical"
    entry = shown["differences"]["repositories"][str(library)]
    assert entry["recorded"] == f"{(facts.commit or '')[:12]} with changes"
    assert entry["recorded"] != entry["now"]
    assert entry["restored"]
    assert str(file) in shown["differences"]["elsewhere"]
    assert trial.again(*given, "--strict", **env)["verdict"] == "identical"
    assert trial.record(3).source.repositories == trial.record(1).source.repositories
    trial.anew("rerun", *given, "--strict", "--code", "current", code=4, **env)
