"""The node `anew`: set in every place that Hydra knows, seen by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.main import run_app, task_spec
from anew.runner.errors import ConfigError
from anew.runner.settings import Settings
from tests.apps.hooks import Hooks, run


def main(cfg: DictConfig) -> Any:
    hydra = HydraConfig.get()
    return (
        OmegaConf.to_container(cfg),
        list(hydra.overrides.task),
        hydra.job.override_dirname,
        dict(hydra.runtime.choices),
    )


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "config.yaml").write_text("n: 1\n")
    return folder


def settings(conf: Path, *line: str, name: str = "config") -> Settings:
    """Run, and return the settings of the run."""
    _, hooks = run(conf.parent / "runs", main, *line, config_path=str(conf), config_name=name)
    return Settings.from_mapping(hooks.job.settings)


def test_the_file_that_ships_says_what_the_settings_are_by_default(tmp_path: Path) -> None:
    _, hooks = run(tmp_path, main)

    assert Settings.from_mapping(hooks.job.settings) == Settings()
    assert set(hooks.job.settings) == set(Settings.__dataclass_fields__) - {"keep"}
    assert set(hooks.job.settings["observers"]) == {"files"}
    for name in ("output", "system", "source", "inputs", "environment"):
        assert set(hooks.job.settings[name]) == set(getattr(Settings(), name).__dataclass_fields__)


@pytest.mark.parametrize("form", ["anew.quiet=true", "+anew.quiet=true", "++anew.quiet=true"])
def test_the_command_line_sets_a_setting_with_or_without_a_plus(conf: Path, form: str) -> None:
    assert settings(conf, form, "anew.system.interval_s=2", "anew.tags=[a,b]") == Settings(
        quiet=True, tags=("a", "b"), system=type(Settings().system)(interval_s=2.0)
    )


def test_the_users_own_node_wins_over_ours_and_the_command_line_over_it(conf: Path) -> None:
    (conf / "config.yaml").write_text("n: 1\nanew:\n  quiet: true\n  note: mine\n  source: {max_files: 7}\n")

    found = settings(conf, "anew.note=typed")

    assert (found.quiet, found.note, found.source.max_files, found.source.enabled) == (True, "typed", 7, True)


def test_a_group_of_the_users_may_set_settings_in_a_sweep(conf: Path) -> None:
    (conf / "mode").mkdir()
    (conf / "mode" / "a.yaml").write_text("# @package _global_\nanew: {note: in a}\n")
    (conf / "mode" / "b.yaml").write_text("# @package _global_\nanew: {note: in b}\n")

    _, hooks = run(conf.parent / "runs", main, "-m", "+mode=a,b", config_path=str(conf), config_name="config")

    assert [job.settings["note"] for job in hooks.jobs] == ["in a", "in b"]


def test_a_project_has_its_own_defaults_in_its_anew_folder(conf: Path) -> None:
    (conf / "anew").mkdir()
    (conf / "anew" / "default.yaml").write_text("heartbeat_s: 3\n")
    (conf / "anew" / "quiet.yaml").write_text("quiet: true\n")
    (conf / "listed.yaml").write_text("defaults:\n  - anew: quiet\n  - _self_\nanew:\n  note: ${n}\nn: 4\n")

    assert settings(conf, "anew.durability_ms=0") == Settings(heartbeat_s=3.0, durability_ms=0)
    assert settings(conf, "+anew=quiet") == Settings(heartbeat_s=3.0, quiet=True)
    assert settings(conf, name="listed") == Settings(heartbeat_s=3.0, quiet=True, note="4")


APP = Path(__file__).stem  # what Hydra calls an app of this file


@pytest.mark.parametrize("line", [["n=2"], ["-m", "n=2"]], ids=["run", "sweep"])
def test_main_and_hydra_see_nothing_of_it(conf: Path, line: list[str]) -> None:
    (conf / "config.yaml").write_text("n: 1\nanew:\n  quiet: true\n")

    result, hooks = run(conf.parent, main, *line, "anew.note=x", config_path=str(conf), config_name="config")

    [seen] = result if isinstance(result, list) else [result]
    cfg, overrides, dirname, choices = seen
    assert cfg == {"n": 2}
    assert overrides == ["n=2"]
    assert dirname == "n=2"
    assert not any(choice.startswith("anew") for choice in choices)
    assert hooks.job.config == {"n": 2}
    if hooks.job.output is not None:  # a job of a sweep has its files once somebody asks for them
        hooks.job.output.make()
    files = sorted(conf.parent.rglob(".hydra/*.yaml"))
    assert [path.stem for path in files if path.stem != "multirun"] == ["config", "hydra", "overrides"]
    assert "anew" not in hooks.job.views.get("config.yaml", "")
    written = "".join(path.read_text() for path in files)
    assert "anew" not in without_places(written.replace("${anew.job_dir:", ""), conf.parent)


def without_places(text: str, folder: Path) -> str:
    """Text without the paths in it: a clone of this repository may well lie in a folder of that name."""
    for path in (str(folder), str(Path.cwd()), APP):
        text = text.replace(path, "")
    return text


def test_a_typed_main_has_settings_too(tmp_path: Path) -> None:
    def typed(lr: float = 0.1) -> None: ...

    _, hooks = run(tmp_path, typed, "anew.quiet=true")

    assert hooks.job.settings["quiet"] is True


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("anew.quite=true", "Did you mean anew.quiet?"),
        ("anew.output.mod=fd", "Did you mean anew.output.mode?"),
        ("anew.durability_ms=soon", "a whole number"),
        ("anew.output.mode=none", "fd, sys, off"),
        ("anew=nothing", "Could not override 'anew'"),
        ("+anew=nothing", "Could not find 'anew/nothing'"),
        ("anew.note=[", "cannot be read"),
        ("anew.note=a,b", "would sweep over a setting"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_before_anything_is_recorded(conf: Path, override: str, told: str) -> None:
    class Checking(Hooks):
        def claim(self, settings: Any, multirun: bool, job_num: int | None) -> Path:
            Settings.from_mapping(settings)
            return super().claim(settings, multirun, job_num)

        def sweep(self, settings: Any) -> Any:
            Settings.from_mapping(settings)
            return super().sweep(settings)

    spec = task_spec(main, config_path=str(conf), config_name="config")
    for line in ([override], ["-m", override, "n=1,2"]):
        hooks = Checking(conf.parent / "runs")
        with pytest.raises(ConfigError) as refused:
            run_app(spec, line, hooks, interactive=True)
        assert told in str(refused.value)
        assert hooks.log == []


@pytest.mark.parametrize("line", ["--cfg job", "--cfg all", "--help", "--info defaults", "--info config"])
def test_what_is_shown_is_the_users_own_configuration(
    conf: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (conf / "config.yaml").write_text("n: 1\nanew:\n  quiet: true\n")
    spec = task_spec(main, config_path=str(conf), config_name="config")

    hooks = Hooks(conf.parent / "runs")
    run_app(spec, [*line.split(), "anew.note=x", "n=2"], hooks, interactive=True)

    shown = capsys.readouterr().out
    assert "anew" not in without_places(shown, conf.parent)
    assert hooks.log == []
