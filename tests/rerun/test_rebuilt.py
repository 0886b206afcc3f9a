"""Environments as on record: built by the real uv, without a network, out of wheels that are made here."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner.errors import MissingExtraError
from anew.runner.format.redact import REDACTED
from anew.runner.records import EnvironmentFacts
from anew.runner.rerun.rebuilt import EnvironmentUnavailableError, Rebuilt, cannot_rebuild, rebuilt
from tests.helpers.waiting import until
from tests.helpers.wheelhouse import tiny_wheel, wheelhouse

NEEDED = (
    "antlr4-python3-runtime",
    "click",
    "hydra-core",
    "markdown-it-py",
    "mdurl",
    "numpy",
    "omegaconf",
    "packaging",
    "platformdirs",
    "plotext",
    "psutil",
    "Pygments",
    "PyYAML",
    "rich",
)
SHA = "0123456789abcdef0123456789abcdef01234567"
BUILD = """\
import json, sys
from pathlib import Path
from anew.runner.records import EnvironmentFacts
from anew.runner.rerun.rebuilt import rebuilt
facts, cache = EnvironmentFacts(**json.loads(sys.argv[1])), Path(sys.argv[2])
print("built" if rebuilt(facts, cache, say=lambda line: print(line, flush=True)).built else "there already")
"""
# Waits before it installs anything until it is let go; its process becomes the real one.
WAITING_UV = """\
#!/bin/sh
case "$*" in *" pip "*)
    echo $$ >> "{folder}/waiting"
    while [ ! -e "{folder}/go" ]; do PATH=/usr/bin:/bin sleep 0.02; done
esac
exec "{uv}" "$@"
"""
# A build backend that needs nothing: the repository has the wheel.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "3"
"""
BACKEND = """\
import shutil
def build_wheel(folder, *_):
    shutil.copy("tiny-3-py3-none-any.whl", folder)
    return "tiny-3-py3-none-any.whl"
"""

OVERRIDE = """\
[project]
name = "project"
version = "1"
requires-python = ">=4"
[tool.uv]
override-dependencies = ["tiny==2.0"]
"""


@pytest.fixture(scope="module")
def uv() -> str:
    """The real uv."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    return found or pytest.fail("these tests need uv: pip install 'anew[test]'")


@pytest.fixture(scope="module")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, uv: str, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that uv can find: a folder with two versions of `tiny`. The network is off, PATH holds uv and git only."""
    for name in os.environ:
        if name.startswith("UV_"):
            monkeypatch.delenv(name)
    wheels, programs = tmp_path / "wheels", tmp_path / "bin"
    for version in ("1.0", "2.0"):
        tiny_wheel(wheels, "tiny", version, f"version = {version!r}")
    programs.mkdir()
    for program in (uv, shutil.which("git")):
        assert program, "these tests need git"
        (programs / Path(program).name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    return wheels


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache, ungewöhnlich"


@pytest.fixture
def waiting(tmp_path: Path, uv: str) -> Iterator[Path]:
    """A uv on PATH that waits before it installs until the file `go` is in this folder; `waiting` has its processes."""
    folder = tmp_path / "signs"
    folder.mkdir()
    program = tmp_path / "bin" / "uv"
    program.unlink()
    program.write_text(WAITING_UV.format(folder=folder, uv=uv))
    program.chmod(0o755)
    yield folder
    (folder / "go").touch()


def facts(packages: dict[str, str] | None = None, **other: Any) -> EnvironmentFacts:
    """The running Python, with `tiny` unless it is said what with."""
    known = {"python": platform.python_version(), "implementation": platform.python_implementation()}
    return EnvironmentFacts(packages={"tiny": "1.0"} if packages is None else packages, **(known | other))


def make(asked: EnvironmentFacts, cache: Path) -> tuple[Rebuilt, list[str]]:
    """Build; return what came of it and what was said."""
    said: list[str] = []
    return rebuilt(asked, cache, say=said.append), said


def in_it(made: Rebuilt, code: str, cwd: Path) -> Any:
    """What an expression is worth in an environment, after its imports."""
    *imports, value = code.split("; ")
    program = "; ".join((*imports, f"import json; print(json.dumps({value}))"))
    done = subprocess.run([made.python, "-c", program], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def installed(made: Rebuilt, cwd: Path) -> dict[str, str]:
    """The distributions of an environment."""
    return dict(
        in_it(made, "from importlib import metadata; [(d.name, d.version) for d in metadata.distributions()]", cwd)
    )


@contextmanager
def building(asked: EnvironmentFacts, cache: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Build in a process of its own, which is gone at the end."""
    text = json.dumps(
        {"python": asked.python, "implementation": asked.implementation, "packages": dict(asked.packages)}
    )
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, text, cache],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def kept(cache: Path) -> list[str]:
    """What lies among the environments, without locks."""
    return sorted(path.name for path in (cache / "environments").iterdir() if path.suffix != ".lock")


# --- what is built ----------------------------------------------------------------------------------------------


def test_an_environment_has_what_is_on_record_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    made, said = make(facts(), cache)

    assert (made.built, made.missing) == (True, ())
    assert made.python.is_relative_to(cache)
    assert installed(made, tmp_path) == {"tiny": "1.0"}
    assert in_it(made, "import tiny; tiny.version", tmp_path) == "1.0"
    assert in_it(made, "import platform; platform.python_version()", tmp_path) == platform.python_version()
    assert said == [
        f"building an environment of 1 package with Python {platform.python_version()} (kept for next time) ..."
    ]


def test_what_anew_needs_can_be_rebuilt_and_todays_anew_runs_in_it(cache: Path, wheels: Path, tmp_path: Path) -> None:
    wheelhouse(wheels, NEEDED)
    asked = {name: metadata.version(name) for name in NEEDED}

    made, _ = make(facts({**asked, "anew": "0.0.1"}, origins={"anew": "editable file:///home/ada/anew"}), cache)

    assert made.missing == ()
    assert installed(made, tmp_path) == asked
    ours = ("anew", "anew.runner.experiment", "anew.observers", "anew.configs", "hydra_plugins.anew")
    files = in_it(
        made, f"from importlib import import_module; [import_module(name).__file__ for name in {ours}]", tmp_path
    )
    assert all(Path(file).is_relative_to(made.python.parent.parent / "anew-link") for file in files), files
    command = [str(made.python), "-c", "from anew.runner.cli import main; main()", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert anew.__version__ in done.stdout


def test_an_environment_is_used_again_and_without_uv(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = make(facts({"tiny": "1.0"}), cache)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "uv", None)

    again, said = make(facts({"Tiny": "1.0", "anew": "7"}), cache)

    assert (again.python, again.built, said) == (first.python, False, [])


def test_another_list_makes_another_environment(cache: Path, tmp_path: Path) -> None:
    one, _ = make(facts({"tiny": "1.0"}), cache)
    two, _ = make(facts({"tiny": "2.0"}), cache)
    none, _ = make(facts({}), cache)

    assert len({one.python, two.python, none.python}) == 3
    assert [installed(made, tmp_path) for made in (one, two, none)] == [{"tiny": "1.0"}, {"tiny": "2.0"}, {}]


def test_what_a_project_tells_uv_to_install_instead_is_not_heeded(
    cache: Path, project: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uv pip install` would take the override."""
    (project / "pyproject.toml").write_text(OVERRIDE)
    monkeypatch.setenv("UV_VENV_SEED", "1")
    for name in ("pip", "setuptools", "wheel"):
        tiny_wheel(wheels, name, "99", "")

    assert installed(make(facts(), cache)[0], project) == {"tiny": "1.0"}


def test_distributions_that_came_from_no_index_come_from_where_they_came(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a b"
    wheel = tiny_wheel(odd, "local", "1", "")
    repository = tmp_path / "repository"
    tiny_wheel(repository, "tiny", "3", "version = '3'")
    (repository / "pyproject.toml").write_text(PYPROJECT)
    (repository / "backend.py").write_text(BACKEND)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Have a wheel"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")  # git's own scripts need more than git
    origins = {"local": wheel.as_uri(), "tiny": f"git+{repository.as_uri()}@{done.stdout.strip()}"}

    made, _ = make(facts({"local": "1", "tiny": "3"}, origins=origins), cache)

    assert made.missing == ()
    assert installed(made, tmp_path) == {"local": "1", "tiny": "3"}


def test_todays_anew_is_linked_anew_when_it_is_elsewhere(cache: Path, tmp_path: Path) -> None:
    """The environment stays; what was importable through the older links stays too, for a run that is going on."""
    made, _ = make(facts(), cache)
    code = "import anew.runner.format.ids; __import__('os').path.realpath(anew.runner.format.ids.__file__)"
    before = in_it(made, code, tmp_path)
    unneeded = shutil.ignore_patterns("__pycache__")
    for package in ("anew", "anew.runner", "anew.observers", "anew.configs"):
        folder = import_module(package).__path__[0]
        shutil.copytree(folder, tmp_path / "elsewhere" / package.replace(".", "/"), ignore=unneeded, dirs_exist_ok=True)

    with building(facts(), cache, PYTHONPATH=str(tmp_path / "elsewhere")) as process:
        out, err = process.communicate()

    assert (out, err) == ("there already\n", "")
    assert in_it(made, code, tmp_path) == os.path.realpath(tmp_path / "elsewhere/anew/runner/format/ids.py") != before


# --- which Python -----------------------------------------------------------------------------------------------


def test_a_python_that_is_not_there_is_named_and_not_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    with pytest.raises(EnvironmentUnavailableError) as caught:
        make(facts(python="3.9.1"), cache)

    assert str(caught.value) == (
        "Python 3.9.1, which the run's environment had, cannot be found on this machine. "
        "To let uv fetch it: UV_PYTHON_DOWNLOADS=automatic, or use today's environment: --env current"
    )
    assert kept(cache) == []


def test_a_python_of_another_kind_is_another_python(cache: Path) -> None:
    with pytest.raises(
        EnvironmentUnavailableError, match=r"^PyPy 3\.10\.13, which the run's environment had, cannot be"
    ):
        make(facts(python="3.10.13", implementation="PyPy"), cache)


@pytest.mark.parametrize("where", ["on record", "on PATH"])
def test_the_python_is_found_where_it_was_or_where_uv_looks(
    where: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = sys.executable if where == "on record" else ""
    if where == "on PATH":
        base = Path(sys._base_executable)  # type: ignore[attr-defined]
        (tmp_path / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}").symlink_to(base)
    monkeypatch.setattr(sys, "executable", "")

    made, _ = make(facts({}, executable=executable), cache)

    assert in_it(made, "import platform; platform.python_version()", tmp_path) == platform.python_version()


def test_an_environment_whose_python_is_gone_is_built_again(cache: Path, tmp_path: Path) -> None:
    made, _ = make(facts(), cache)
    made.python.unlink()
    made.python.symlink_to(tmp_path / "upgraded")

    again, _ = make(facts(), cache)

    assert (again.python, again.built) == (made.python, True)
    assert installed(again, tmp_path) == {"tiny": "1.0"}


# --- what cannot be built ---------------------------------------------------------------------------------------


def test_a_version_that_cannot_be_had_is_named_as_uv_names_it(cache: Path) -> None:
    with pytest.raises(EnvironmentUnavailableError) as caught:
        make(facts({"tiny": "1.0", "huge": "9.1"}), cache)

    message = str(caught.value)
    assert message.startswith("The environment cannot be rebuilt; uv says:\n")
    assert "huge==9.1" in message
    assert "--env current" in message
    assert len(message.splitlines()) <= 8
    assert kept(cache) == []


def test_secrets_stay_out_of_messages(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    url = "https://ada:hunter22@127.0.0.1:9/far-1-py3-none-any.whl?token=hunter22"
    with pytest.raises(EnvironmentUnavailableError, match="far") as caught:
        make(facts({"far": "1"}, origins={"far": url}), cache)

    assert "hunter22" not in str(caught.value)


def test_without_uv_the_message_names_the_extra(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "uv", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[uv\]'.*--env current"):
        make(facts(), cache)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EnvironmentUnavailableError, match=r"Cannot keep an environment in '.*file.*--env current"):
        make(facts(), tmp_path / "file")


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("editable file:///home/ada/lost", "was installed in place from file:///home/ada/lost, whose state"),
        ("file://{here}", "came from the folder '{here}', whose state then is not on record"),
        ("file://{here}/lost-1-py3-none-any.whl", "came from '{here}/lost-1-py3-none-any.whl', which is gone"),
        (f"git+file://{{here}}/lost@{SHA}", "came from '{here}/lost', which is gone"),
        (f"hg+https://example.invalid/lost@{SHA}", "and uv reads no repositories but git's"),
        (f"https://example.invalid/lost.whl?token={REDACTED}", "an address that is not on record in full"),
    ],
)
def test_what_cannot_be_rebuilt_is_known_at_once_and_left_out(
    origin: str, reason: str, cache: Path, tmp_path: Path
) -> None:
    asked = facts({"lost": "1", "tiny": "1.0"}, origins={"lost": origin.format(here=tmp_path)})

    (sentence,) = cannot_rebuild(asked)
    made, _ = make(asked, cache)

    assert sentence.startswith("lost 1 ")
    assert reason.format(here=tmp_path) in sentence
    assert made.missing == (sentence,)
    assert installed(made, tmp_path) == {"tiny": "1.0"}


@pytest.mark.parametrize("text", ["?", "1.0 --index-url=http://127.0.0.1", "1\n-r /etc/passwd"])
def test_a_name_or_a_version_that_is_none_is_left_out(text: str) -> None:
    (version,) = cannot_rebuild(facts({"odd": text}))
    (name,) = cannot_rebuild(facts({text: "1"}, origins={text: "https://example.invalid/odd-1-py3-none-any.whl"}))

    assert version.endswith("has a version that cannot be asked for.")
    assert name.endswith("has a name that cannot be asked for.")


@pytest.mark.parametrize("login", ["", f"{REDACTED}@", f"ada:{REDACTED}@"])
def test_an_address_whose_login_was_redacted_can_be_asked_for(login: str) -> None:
    assert cannot_rebuild(facts({"odd": "1"}, origins={"odd": f"git+https://{login}example.invalid/x@{SHA}"})) == ()


# --- more than one, and less than a whole one -------------------------------------------------------------------


def test_two_at_once_build_once(cache: Path, waiting: Path) -> None:
    with building(facts(), cache) as one:
        until((waiting / "waiting").exists)
        with building(facts(), cache) as two:
            assert two.stdout is not None
            assert two.stdout.readline() == "waiting for another process, which is building the same environment ...\n"
            (waiting / "go").touch()
            outs = one.communicate()[0].splitlines()[-1], two.communicate()[0].splitlines()[-1]

    assert outs == ("built", "there already")
    assert len((waiting / "waiting").read_text().splitlines()) == 1


def test_killed_half_way_it_is_built_by_the_next(cache: Path, waiting: Path, tmp_path: Path) -> None:
    """Although the uv of the killed one goes on, and does its work when the next has begun with its own."""
    with building(facts(), cache) as process:
        until((waiting / "waiting").exists)
        process.kill()
    (half,) = kept(cache)
    orphan = int((waiting / "waiting").read_text())
    assert not is_gone(orphan)
    (waiting / "go").touch()

    made, _ = make(facts(), cache)
    until(lambda: is_gone(orphan))

    assert made.built
    assert installed(made, tmp_path) == {"tiny": "1.0"}
    assert made.python.parent.parent.name != half
    assert not make(facts(), cache)[0].built
    assert kept(cache) == [made.python.parent.parent.name]


def test_half_an_environment_is_none(cache: Path, tmp_path: Path) -> None:
    made, _ = make(facts(), cache)
    folder = made.python.parent.parent
    shutil.rmtree(folder)
    (folder / "lib").mkdir(parents=True)
    left = folder.with_name(f"{folder.name}-left")
    left.mkdir()

    again, _ = make(facts(), cache)

    assert again.built
    assert installed(again, tmp_path) == {"tiny": "1.0"}
    assert kept(cache) == [folder.name]


def test_interrupted_it_ends_uv_and_leaves_nothing(cache: Path, waiting: Path) -> None:
    with building(facts(), cache) as process:
        until((waiting / "waiting").exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert "KeyboardInterrupt" in err
    until(lambda: is_gone(int((waiting / "waiting").read_text())))
    assert kept(cache) == []
    (waiting / "go").touch()
    assert make(facts(), cache)[0].built
