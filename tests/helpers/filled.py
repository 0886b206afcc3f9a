"""A store with some of everything that anew writes, recorded by real runs; made once, copied by whoever harms it."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from anew.runner.cli import main
from anew.runner.guard import shrinking
from anew.runner.store.curate import delete, note, purge, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.position import CursorFile
from tests.helpers.scripts import Project

RUN = """
@experiment.main
def main(lr: float = 0.1, fail: bool = False, *, run: Run) -> float:
    for step in range(20):
        run.log({"loss": lr * step, "big": 2**70}, step=step)
    print("printed\\n" * 20_000 if lr == 0.5 else "printed", flush=True)
    (run.dir / "model.bin").write_bytes(b"weights" * 100)
    run.log_artifact("model.bin")
    with open("data.csv") as file:
        run.info({"rows": len(file.read())})
    run.input("data.csv")
    if os.fork() == 0:
        anew.current_run().log({"child": 1.0})
        os._exit(0)
    os.wait()
    if fail:
        os.kill(os.getpid(), 9)
    return lr
"""


def filled_store(folder: Path) -> Path:
    """
    Make a project in *folder* and fill its store; return that.

    Runs 1 and 2 ended well, the first with an observer, a tag and a note; 3 was killed; 4 is in the trash and 5 was
    purged; the journal of 2 is compressed. Then come those of a sweep by two workers, of which one died, and of a
    search where Optuna is.
    """
    (folder / "pyproject.toml").touch()
    (folder / "data.csv").write_text("1,2\n" * 10)
    project = Project(folder)
    project.write(RUN)
    quiet = "anew.quiet=true"
    project.run("anew/observers=[files,export]", "anew.observers.export.dir=exported", quiet)
    project.run("lr=0.5", quiet)
    project.run("fail=true", quiet, code=-9)
    project.run("lr=0.3", quiet)
    project.run("lr=0.4", quiet)
    store = FolderStore.open(folder / "runs")
    tag(store, 1, ["paper"])
    note(store, 1, "seen")
    delete(store, 5)
    purge(store)
    delete(store, 4)
    CursorFile(store.layout.run(1), "export").set_aside("main", 3, "MetricsLogged", "refused")
    project.run("-m", "lr=0.1,0.2", "fail=true,false", "anew.sweep.workers=2", quiet, code=1)
    if has_optuna():
        project.run("-m", "hydra/sweeper=optuna", "lr=interval(0.1, 0.9)", "hydra.sweeper.n_trials=3", quiet)
    with patch.object(shrinking, "LONG_BYTES", 1):
        assert "main" in shrinking.shrink(str(store.layout.run(2).folder))
    assert main(["--store", str(store.root), "list"]) == 0
    return store.root


def has_optuna() -> bool:
    """Whether searches can be made here."""
    from importlib.util import find_spec

    return find_spec("optuna") is not None
