"""What every test stands on: an environment that is nobody's, and a project of its own when it asks for one."""

from __future__ import annotations

import compileall
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import anew
from tests.helpers.filled import filled_store

# the time that an example takes is the machine's, and says nothing of what is tested
settings.register_profile("anew", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anew")

FOREIGN_PREFIXES = ("ANEW_", "GIT_", "HYDRA_", "XDG_")
OWN = ("ANEW_POSIX_ONLY",)  # how the tests are run
FOREIGN = ("COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONWARNINGS")
GIT_CONFIG = """\
[user]
    name = Nobody
    email = nobody@example.invalid
[init]
    defaultBranch = main
"""


@pytest.fixture(scope="session", autouse=True)
def signals() -> None:
    """Hear Ctrl-C as from a terminal: a shell has what it starts in the background, and all its children, ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def machine() -> Iterator[None]:
    """Leave the machine as it was: a test that is run by root can take `/dev/null` from everybody else."""
    yield
    assert os.stat(os.devnull).st_mode & 0o666 == 0o666, "this test, or one beside it, changed who may use /dev/null"


@pytest.fixture(scope="session", autouse=True)
def compiled() -> Iterator[None]:
    """
    Compile the package once, and have no process of a test keep what it compiles itself.

    Some thousand processes would each compile all of it else; and of a module that a test changes within a second, to
    one as long, Python would take the compiled one for it.
    """
    compileall.compile_dir(Path(anew.__file__).parents[1] if is_ours() else Path(anew.__file__).parent, quiet=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield


def is_ours() -> bool:
    """Whether the package lies in a folder of its own, and not among all that is installed."""
    return Path(anew.__file__).parents[1].name != "site-packages"


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    A home folder for this test process and its children, so that nobody's own files are read or written.

    Caches lie beside it, and it has to be at the end as it was at the beginning: whoever uses anew did not ask for
    files in their home.
    """
    base = tmp_path_factory.mktemp("nobody")
    folder = base / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text(GIT_CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name not in OWN and (name.startswith(FOREIGN_PREFIXES) or name in FOREIGN):
                patch.delenv(name)
        patch.setenv("HOME", str(folder))
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(base / kind.lower()))
        patch.setenv("IPYTHONDIR", str(base / "ipython"))  # of kernels that run a notebook: theirs, wherever they start
        yield folder
    strays = sorted(path.name for path in folder.iterdir() if path.name != ".gitconfig")
    assert not strays, f"the tests left something in the home folder: {strays}"


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A store with some of everything, to be copied; made once for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "filled"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            (folder / "project").mkdir()
            filled_store(folder / "project")
            (folder / "done").touch()
    return folder / "project" / "runs"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, and the working directory: a folder with a pyproject.toml, so that `runs/` comes to lie in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    return folder
