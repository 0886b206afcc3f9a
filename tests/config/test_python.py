"""Running from Python: composed and run as by Hydra, quickly, and with the process left as it was."""

from __future__ import annotations

import copy
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from anew.runner.config import app
from anew.runner.config.compose import quick
from anew.runner.config.main import ComposedJob, run_app, task_spec
from anew.runner.errors import ConfigError, StoreError
from tests.apps.hooks import Hooks, run
from tests.helpers.places import APPS
from tests.helpers.releases import ANOTHER_BASE, HYDRA_1_4, NEWEST_BASE, register_resolver


@dataclass
class Options:
    a: int = 1
    b: str = "x"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A configuration folder with a group."""
    folder = tmp_path / "conf"
    (folder / "db").mkdir(parents=True)
    (folder / "config.yaml").write_text("defaults:\n  - db: small\n  - _self_\nn: 1\nm: ${n}\n")
    (folder / "db" / "small.yaml").write_text("size: 1\n")
    (folder / "db" / "large.yaml").write_text("size: 1000\n")
    return folder


def job_of(cfg: Any) -> Any:
    """Return a copy of Hydra's part as main sees it, less what depends on the place."""
    hydra = OmegaConf.to_container(HydraConfig.get())
    assert isinstance(hydra, dict)
    hydra["runtime"]["output_dir"] = hydra["run"]["dir"] = ""
    return hydra, copy.deepcopy(cfg), getattr(OmegaConf.get_type(cfg), "__name__", None), OmegaConf.is_struct(cfg)


# --- the same as Hydra -----------------------------------------------------------------------------------------------

LINES: list[list[str]] = [
    [],
    ["lr=0.5", "n=3"],
    ["hydra.job.name=other", "lr=2"],
    ["hydra.job.config.override_dirname.exclude_keys=[n]", "lr=2", "n=1"],
    ["+hydra.job.env_copy=[HOME]"],
    ["hydra.verbose=true"],
    ["hydra.output_subdir=null", "names={a: 1}"],
    ["names.b=2"],
    ["~names"],
]


@pytest.mark.parametrize("line", LINES, ids=[" ".join(line) or "nothing" for line in LINES])
def test_the_quick_composition_and_the_quick_job_are_what_hydra_makes(
    tmp_path: Path, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What main, `HydraConfig` and the files in `.hydra` hold is equal to the last key, by both ways."""
    seen: list[Any] = []

    def main(lr: float = 0.1, n: int = 2, names: dict[str, int] = {}, *, run: Any) -> None:  # noqa: B006
        seen.append(job_of(OmegaConf.select(HydraConfig.get(), "..")))  # type: ignore[arg-type]  # the whole of it

    run(tmp_path / "quick", main, *line)
    monkeypatch.setattr(quick, "is_plain", lambda overrides: False)
    monkeypatch.setattr(app, "run_here", _hydras_runner)
    run(tmp_path / "hydra", main, *line)

    for one, other in zip(seen[0][0].items(), seen[1][0].items(), strict=True):
        assert one == other
    assert seen[0][2:] == seen[1][2:]
    files = [sorted((tmp_path / way / "1/files").rglob("*.yaml")) for way in ("quick", "hydra")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    for mine, theirs in zip(*files, strict=True):
        assert mine.read_text().replace("/quick/", "/hydra/") == theirs.read_text()


def _hydras_runner(task: Any, cfg: DictConfig, callbacks: Any, _saved: Any) -> Any:
    from hydra.core.utils import run_job
    from hydra.types import HydraContext

    loader: Any = GlobalHydra.instance().config_loader()
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    return run_job(task, cfg, "hydra.run.dir", None, context)


def test_the_quick_composition_knows_a_group_that_was_stored_since(tmp_path: Path) -> None:
    def main(lr: float = 0.1, *, run: Any) -> Any:
        return HydraConfig.get().job_logging["version"]

    run(tmp_path, main)
    store = ConfigStore.instance()
    store.store(group="hydra/job_logging", name="odd", node={"version": 1, "root": None})
    try:
        result, hooks = run(tmp_path, main, "hydra/job_logging=odd")
        assert result == 1
        assert "hydra/job_logging=odd" in hooks.job.overrides
    finally:
        del store.repo["hydra"]["job_logging"]["odd.yaml"]


def test_yaml_changed_between_two_runs_is_read_again(conf: Path, tmp_path: Path) -> None:
    def main(cfg: DictConfig) -> Any:
        return cfg.n

    given = {"config_path": str(conf), "config_name": "config"}
    first, _ = run(tmp_path, main, **given)
    (conf / "config.yaml").write_text("n: 2\n")
    second, _ = run(tmp_path, main, **given)

    assert (first, second) == (1, 2)


# --- what the record gets --------------------------------------------------------------------------------------------


def test_a_job_carries_the_configuration_in_every_form_that_the_record_keeps(conf: Path, tmp_path: Path) -> None:
    def main(cfg: DictConfig) -> None: ...

    line = ["db=large", "n=5", "hydra.job.name=x", "anew.note=hello"]
    _, hooks = run(tmp_path, main, *line, config_path=str(conf), config_name="config")

    job = hooks.job
    assert job.config == {"db": {"size": 1000}, "n": 5, "m": 5}
    assert job.unresolved == "db:\n  size: 1000\n'n': 5\nm: ${n}\n"
    assert job.overrides == ("db=large", "n=5", "hydra.job.name=x")
    assert job.choices == {"db": "large"}
    assert job.settings["note"] == "hello"
    assert job.views["config.yaml"] == "db:\n  size: 1000\n'n': 5\nm: 5\n"
    assert job.views["overrides.yaml"] == "- db=large\n- n=5\n"
    assert "name: x" in job.views["hydra.yaml"]
    assert job.provenance.config_name == "config"
    assert job.provenance.sources == ("hydra: pkg://hydra.conf", f"main: file://{conf}", "schema: structured://")
    assert job.provenance.hydra_dir == str(tmp_path / "1" / "files")
    assert (job.multirun, job.job_num) == (False, None)


def test_what_cannot_be_resolved_is_recorded_as_it_is_written(tmp_path: Path) -> None:
    """Hydra resolves when main asks; a value that main never asks for must not stop the run."""
    register_resolver("give_object", lambda: [object], replace=True)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(
        "ok: ${n}\nn: 1\nnever: ${no.such}\nlist: [1, '${none:1}', {a: '???', b: '${oc.env:NO_SUCH_VARIABLE}'}]\n"
        "path: a\nobject: ${give_object:}\nempty: null\nneeded: ???\n"
    )

    def main(cfg: DictConfig) -> Any:
        return cfg.ok

    result, hooks = run(tmp_path / "runs", main, config_path=str(tmp_path / "conf"), config_name="config")

    OmegaConf.clear_resolver("give_object")
    assert result == 1
    assert hooks.job.config["ok"] == 1
    assert hooks.job.config["never"] == "${no.such}"
    assert hooks.job.config["list"] == [1, "${none:1}", {"a": "???", "b": "${oc.env:NO_SUCH_VARIABLE}"}]
    assert (hooks.job.config["empty"], hooks.job.config["needed"]) == (None, "???")


def test_the_jobs_of_a_sweep_carry_their_own_overrides_and_index(conf: Path, tmp_path: Path) -> None:
    def main(cfg: DictConfig) -> Any:
        return cfg.n * cfg.db.size

    line = ["-m", "n=1,2", "db=small", "hydra.job.name=x", "anew.tags=[a]"]
    result, hooks = run(tmp_path, main, *line, config_path=str(conf), config_name="config")

    assert result == [1, 2]
    assert [job.overrides for job in hooks.jobs] == [
        ("hydra.job.name=x", "n=1", "db=small"),
        ("hydra.job.name=x", "n=2", "db=small"),
    ]
    assert [job.job_num for job in hooks.jobs] == [0, 1]
    assert [job.settings["tags"] for job in hooks.jobs] == [["a"], ["a"]]
    assert hooks.log == ["sweep", ("claim", True, 0), "execute", ("claim", True, 1), "execute"]
    assert [job.provenance.hydra_dir for job in hooks.jobs] == [str(tmp_path / n / "files") for n in "12"]


# --- the process is left as it was -----------------------------------------------------------------------------------


@pytest.fixture
def state() -> Iterator[Any]:
    """Hydra in use by someone else, and nothing of theirs changed in the end."""
    folder = APPS / "groups" / "conf"
    with initialize_config_dir(str(folder), **ANOTHER_BASE):
        before = GlobalHydra.instance().hydra
        instances = {kind: kind.instance() for kind in (Plugins, *Singleton.get_state()["instances"])}
        yield
        assert GlobalHydra.instance().hydra is before
        assert compose("config").db.driver == "mysql"
        assert all(kind.instance() is instances[kind] for kind in instances)


def test_a_run_inside_another_app_of_hydra_leaves_it_its_state(state: Any, tmp_path: Path) -> None:
    def main(lr: float = 0.1) -> Any:
        return HydraConfig.get().job.name, HydraConfig.get().runtime.version_base

    result, _ = run(tmp_path, main)

    assert result == ("test_python", NEWEST_BASE)
    assert not HydraConfig.initialized()


def test_a_run_inside_main_of_another_run(tmp_path: Path) -> None:
    def inner(x: int = 1) -> Any:
        return x, HydraConfig.get().overrides.task[0]

    def outer(cfg: DictConfig) -> Any:
        within, _ = run(tmp_path / "inner", inner, "-m", f"x={cfg.x},7")
        return within, HydraConfig.get().overrides.task[0], HydraConfig.get().sweep.subdir

    result, _ = run(tmp_path / "outer", outer, "-m", "+x=3,4")

    folders = [str(tmp_path / "outer" / n / "files") for n in "12"]
    assert result == [
        ([(3, "x=3"), (7, "x=7")], "+x=3", folders[0]),
        ([(4, "x=4"), (7, "x=7")], "+x=4", folders[1]),
    ]


def test_handlers_do_not_pile_up_and_the_root_logger_is_put_back(tmp_path: Path) -> None:
    def main(x: int = 1) -> None:
        logging.getLogger("mine").info("said %s", x)

    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    opened = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for index in range(5):
        run(tmp_path / str(index), main)

    assert (root.handlers, root.level) == (before, level)
    if opened:
        assert len(os.listdir("/proc/self/fd")) <= opened
    assert "said 1" in (tmp_path / "4/1/files/test_python.log").read_text()


def test_runs_from_several_threads_wait_for_each_other(tmp_path: Path) -> None:
    inside: list[int] = []

    def main(x: int = 1) -> int:
        inside.append(x)
        assert HydraConfig.get().overrides.task == [f"x={x}"]
        assert inside == [x]
        inside.remove(x)
        return x

    results: dict[int, Any] = {}

    def work(x: int) -> None:
        results[x] = run(tmp_path / str(x), main, f"x={x}")[0]

    threads = [threading.Thread(target=work, args=(x,)) for x in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {x: x for x in range(8)}


def test_what_main_raises_is_raised_as_it_is_and_the_next_run_works(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failure = LookupError("mine")

    def main(x: int = 1) -> int:
        if x == 1:
            raise failure
        return x

    with pytest.raises(LookupError) as raised:
        run(tmp_path, main)

    assert raised.value is failure
    assert run(tmp_path, main, "x=2")[0] == 2
    assert capfd.readouterr() == ("", "")


def test_an_exit_in_main_passes(tmp_path: Path) -> None:
    def main(x: int = 1) -> None:
        sys.exit(3)

    with pytest.raises(SystemExit, match="3"):
        run(tmp_path, main)


@pytest.mark.parametrize("line", [["--no-such-flag"], ["x=["], ["--cfg", "nothing"]])
def test_arguments_that_cannot_be_read_are_an_error_and_not_an_exit(tmp_path: Path, line: list[str]) -> None:
    def main(x: int = 1) -> None: ...

    with pytest.raises(ConfigError, match="cannot be read"):
        run(tmp_path, main, *line)


def test_chdir_and_environment_are_those_of_the_job_while_it_runs(tmp_path: Path) -> None:
    def main(cfg: DictConfig) -> Any:
        return Path.cwd(), os.environ.get("COLOUR")

    before = Path.cwd()
    result, _ = run(tmp_path, main, "hydra.job.chdir=true", "+hydra.job.env_set.COLOUR=red")

    assert result == (tmp_path / "1" / "files", "red")
    assert (Path.cwd(), os.environ.get("COLOUR")) == (before, None)


# --- hooks that fail -------------------------------------------------------------------------------------------------


class Refusing(Hooks):
    """Fails at one of its steps."""

    def __init__(self, root: Path, step: str, error: Exception) -> None:
        super().__init__(root)
        self.step, self.error = step, error

    def claim(self, settings: Any, multirun: bool, job_num: int | None) -> Path:
        if self.step == "claim":
            raise self.error
        return super().claim(settings, multirun, job_num)

    def execute(self, job: ComposedJob) -> Any:
        if self.step == "execute":
            raise self.error
        return super().execute(job)


@pytest.mark.parametrize("step", ["claim", "execute"])
@pytest.mark.parametrize("line", [[], ["-m", "x=1,2"]])
@pytest.mark.parametrize("error", [StoreError("full"), RuntimeError("a fault")])
def test_what_a_hook_raises_stops_everything_and_comes_out_as_it_is(
    tmp_path: Path, step: str, line: list[str], error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    def main(x: int = 1) -> None: ...

    hooks = Refusing(tmp_path, step, error)
    for interactive in (True, False):
        with pytest.raises(type(error)) as raised:
            run_app(task_spec(main), line, hooks, interactive=interactive)
        assert raised.value is error

    assert hooks.jobs == []
    assert "Traceback" not in capfd.readouterr().err


def test_a_place_claimed_for_a_job_that_cannot_begin_is_given_up(tmp_path: Path) -> None:
    def main(x: int = 1) -> None: ...

    (tmp_path / "file").touch()
    hooks = Hooks(tmp_path)
    with pytest.raises(ConfigError, match="file"):
        run_app(task_spec(main), [f"hydra.run.dir={tmp_path}/file/x"], hooks, interactive=True)

    assert hooks.log == [("claim", False, None), "abandon"]


# --- where an app lies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["", "pkg"])
def test_a_config_path_of_an_imported_module_starts_at_its_file(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "code" / package
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "config.yaml").write_text("n: 6\n")
    name = f"module_{package or 'alone'}"
    (folder / f"{name}.py").write_text("def main(cfg):\n    return cfg.n\n")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    module = __import__(f"{package}.{name}" if package else name, fromlist=["main"])

    result, hooks = run(tmp_path, module.main, config_path="conf", config_name="config")

    assert result == 6
    assert f"main: file://{folder / 'conf'}" in hooks.job.provenance.sources


def test_a_function_in_no_file_starts_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("n: 6\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def main(cfg):\n    return cfg.n", "<cell 1>", "exec"), names)

    assert run(tmp_path / "runs", names["main"], config_path="conf", config_name="config")[0] == 6


def test_decorating_a_main_imports_no_hydra() -> None:
    program = """
        import sys
        from anew.runner.config.main import task_spec
        def main(lr: float = 0.1, *, run): ...
        task_spec(main)
        print([name for name in ("hydra", "omegaconf", "yaml", "numpy", "antlr4") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(command, text=True, capture_output=True, check=True).stdout == "[]\n"


def test_the_hydra_that_is_composed_for_a_run_is_in_run_mode(tmp_path: Path) -> None:
    def main(x: int = 1) -> Any:
        return HydraConfig.get().mode, list(HydraConfig.get().overrides.hydra)

    assert run(tmp_path, main)[0] == (RunMode.RUN, [] if HYDRA_1_4 else ["hydra.mode=RUN"])
