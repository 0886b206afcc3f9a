"""Jobs of a sweep that are run without Hydra's job runner are what Hydra makes of them, to the byte."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.utils import get_original_cwd, to_absolute_path
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.batch import composing, sweeping
from anew.runner.config.batch.alike import JobAlike
from anew.runner.config.batch.packed import unpack
from anew.runner.config.hooks import ComposedJob, Ticket
from anew.runner.config.main import run_app, task_spec
from anew.runner.config.private import nodes
from tests.apps.hooks import Hooks
from tests.helpers.releases import HYDRA_1_4

pytestmark = pytest.mark.skipif(HYDRA_1_4, reason="Hydra 1.4 is asked for each job")

_TIME = re.compile(r"(?m)^\[[-0-9 :,]+\]")
CONFIG = """
defaults: [{model: mlp}, _self_]
lr: 0.1
i: 0
flag: false
name: plain
never: null
deep: {a: {b: 1.5, c: [1, 2]}, d: text}
path: ${deep.d}/${oc.env:HOME,x}
of_lr: ${lr}
"""


@dataclasses.dataclass
class Inner:
    f: float = 1.0


@dataclasses.dataclass
class Config:
    i: int = 0
    lr: float = 0.5
    name: str = "x"
    inner: Inner = dataclasses.field(default_factory=Inner)


def _seen(cfg: Any) -> list[Any]:
    """Return all that main can see of its job."""
    hydra: Any = HydraConfig.get()
    whole: Any = OmegaConf.select(hydra, "..")
    output = Path(hydra.runtime.output_dir)
    logging.getLogger("of.main").info("job %s", hydra.job.num)
    copied: Any = Singleton.get_state()["instances"][HydraConfig]
    return [
        *_of(cfg),
        *_of(whole),
        repr(copied.cfg.hydra),
        OmegaConf.is_readonly(hydra),
        hydra.job.num + 1,
        os.getcwd(),
        get_original_cwd(),
        to_absolute_path("x"),
        {path.name: path.read_text() for path in sorted(output.glob(".hydra/*"))},
        [
            (isinstance(each, logging.FileHandler), each.formatter and each.formatter._fmt)
            for each in logging.getLogger().handlers
        ],
        logging.getLogger().level,
        os.environ.get("OF_JOB"),
    ]


def _of(cfg: Any) -> list[Any]:
    if not isinstance(cfg, DictConfig):
        return [repr(cfg)]
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False, enum_to_str=True)
    flags = OmegaConf.is_struct(cfg), OmegaConf.is_readonly(cfg), OmegaConf.get_type(cfg)
    return [repr(OmegaConf.to_container(cfg)), repr(resolved), flags, _types(cfg)]


def _types(cfg: DictConfig) -> Any:
    """Return what each value is declared as, and by what kind of node."""
    below = {key: nodes.child(cfg, key) for key in cfg}
    return {
        key: _types(node)
        if isinstance(node, DictConfig) and nodes.is_open(node)
        else (type(node), nodes.hint(cfg, key))
        for key, node in below.items()
    }


def by_nodes(cfg: DictConfig) -> Any:
    return _seen(cfg)


def by_class(cfg: Config) -> Any:
    return _seen(cfg)


def by_signature(i: int = 0, lr: float = 0.5, name: str = "x", layers: list[int] = [1]) -> Any:  # noqa: B006
    return _seen([i, lr, name, layers])


def silent(cfg: DictConfig) -> Any:
    return [repr(OmegaConf.to_container(cfg, resolve=True)), os.getcwd()]


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "model").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "model/mlp.yaml").write_text("{width: 3, depth: 1}")
    (folder / "model/cnn.yaml").write_text("{width: 5, of_i: '${i}'}")
    return folder


def _swept(
    main: Callable[..., Any], words: Sequence[str], root: Path, given: Mapping[str, Any]
) -> tuple[list[Any], int]:
    """Return all that is seen of the jobs of a sweep, by main and on record; and how many Hydra did not run."""
    alike = []
    packed = sweeping.Sweeping._ticket

    def ticket(self: Any, index: int) -> Any:
        found = packed(self, index)
        alike.append(isinstance(found, Ticket) and isinstance(unpack(found.packed), JobAlike))
        return found

    hooks = Hooks(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping.Sweeping, "_ticket", ticket)
        results = run_app(task_spec(main, **given), ["-m", *words], hooks, interactive=True)
    told = [_told(job, root) for job in hooks.jobs]
    files = {
        str(path.relative_to(root)): _TIME.sub("", path.read_text())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    return [results, told, {name: text for name, text in files.items() if text}], sum(alike)


def _told(job: ComposedJob, root: Path) -> dict[str, Any]:
    """Return what the record has of a job, and all the files, whether somebody has asked for them or not."""
    views = job.views
    if job.output is not None:
        job.output.make()
        texts = job.output.texts()
        views = {**texts, "config.yaml": views.get("config.yaml", "")}
    return {
        **{name: getattr(job, name) for name in ("config", "unresolved", "overrides", "choices", "settings")},
        **{name: getattr(job, name) for name in ("provenance", "multirun", "job_num", "notes")},
        "files": [str(each) for each in job.hydra_files],
        "arguments": [repr(each) for each in job.arguments.values()],
        "views": {name: text for name, text in views.items() if name != "config.yaml"},
    }


def hold(main: Any, words: Sequence[str], root: Path, **given: Any) -> int:
    """Hold jobs to what Hydra's steps make of them; return how many of them did without."""
    seen, alike = _swept(main, words, root / "quick", given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composing, "alike", lambda *words: None)
        hydras, none = _swept(main, words, root / "hydra", given)
    assert none == 0
    assert repr(seen).replace("/quick", "/hydra") == repr(hydras)
    return alike


USUAL = (
    ("i=range(3)", 3),
    ("i=1,2 lr=0.5,3", 4),
    ("lr=1,2", 2),
    ("deep.a.c=[1],[2] i=1,2", 4),
    ("+new=1,2 ++i=3,4", 4),
    ("+deep.e=x,y never=1,null,2", 6),
    ("model=mlp,cnn i=1,2", 4),
    ("model=mlp,cnn", 2),
    ("i=1,2 ~flag", 2),
    ("name=\"'a b',x/y.csv\"", 2),
    ("i=1,2 hydra.job.name=other", 2),
    ("i=1,2 hydra.job.config.override_dirname.kv_sep=-", 2),
    ("i=1,2 hydra.sweeper.max_batch_size=1", 2),
    ("name='${now:%Y}','${hydra:job.num}' i=1,2", 4),
    ("name='${hydra:job.override_dirname}' i=1,2", 2),
    ("name='${hydra:sweep.subdir}','${hydra:sweep.dir}' i=1,2", 4),
    ("name='${oc.env:HOME}' i=1,2", 2),
    ("i=1,2 hydra.run.dir=elsewhere", 2),
    ("i=1,2 hydra.mode=MULTIRUN", 2),
)
UNUSUAL = (
    "i=1,2 hydra.job.chdir=true",
    "i=1,2 hydra.verbose=true",
    "i=1,2 hydra.verbose=[of]",
    "i=1,2 hydra/job_logging=none",
    "i=1,2 hydra/job_logging=disabled",
    "i=1,2 hydra.job_logging.root.level=WARNING",
    "i=1,2 hydra.output_subdir=null",
    "i=1,2 hydra.output_subdir=there",
    "i=1,2 hydra.sweep.subdir='${hydra.job.override_dirname}'",
    "i=1,2 hydra.sweep.subdir='job-${i}'",
    "i=1,2 +hydra.job.env_set.OF_JOB='${hydra.job.num}'",
    "i=1,2 hydra.job.env_copy=[HOME]",
    "i=1,2 hydra.job.name='x${i}'",
    "i=1,2 +hydra.callbacks.mine._target_=hydra.experimental.callback.Callback",
    "i=1,2 hydra.run.dir='http://me:word@host/x'",
)


@pytest.mark.parametrize(("words", "count"), USUAL, ids=[words for words, _ in USUAL])
def test_a_usual_job_is_what_hydra_makes_of_it(words: str, count: int, tmp_path: Path, conf: Path) -> None:
    where = {"config_path": str(conf), "config_name": "config"}
    assert hold(by_nodes, shlex.split(words), tmp_path, **where) == count


@pytest.mark.parametrize("words", UNUSUAL)
def test_an_unusual_job_is_left_to_hydra(words: str, tmp_path: Path, conf: Path) -> None:
    where = {"config_path": str(conf), "config_name": "config"}
    assert hold(by_nodes, shlex.split(words), tmp_path, **where) == 0


def test_a_job_in_a_folder_of_its_own_is_left_to_hydra(tmp_path: Path, conf: Path) -> None:
    where = {"config_path": str(conf), "config_name": "config"}
    assert hold(by_nodes, ["i=1,2", f"hydra.sweep.dir={tmp_path}/out"], tmp_path, **where) == 0


@pytest.mark.parametrize("main", [by_class, by_signature])
@pytest.mark.parametrize("words", ["i=range(3)", "i=1,2 lr=3,0.25", "name=a,b", "i=1"])
def test_so_is_one_whose_main_has_types(main: Any, words: str, tmp_path: Path) -> None:
    assert hold(main, words.split(), tmp_path) > 0


@pytest.mark.filterwarnings("ignore:(?s).*version_base")
def test_a_class_of_nodes_and_version_bases(tmp_path: Path) -> None:
    assert hold(by_nodes, ["i=1,2", "inner.f=3,0.5"], tmp_path / "1", config=Config) == 4
    assert hold(by_nodes, ["i=1,2"], tmp_path / "2", config=Config, version_base="1.3") == 2
    assert hold(by_nodes, ["i=1,2"], tmp_path / "3", config=Config, version_base="1.1") == 0, "it changes the folder"


def test_what_a_file_sweeps_over(tmp_path: Path, conf: Path) -> None:
    (conf / "swept.yaml").write_text(
        "defaults: [config, _self_]\nhydra: {sweeper: {params: {i: '1,2', model: 'mlp,cnn'}}}\n"
    )
    assert hold(by_nodes, ["deep.d=x"], tmp_path, config_path=str(conf), config_name="swept") == 4


def test_what_nobody_asks_for_is_not_made(tmp_path: Path, conf: Path) -> None:
    where: dict[str, Any] = {"config_path": str(conf), "config_name": "config"}
    hooks = Hooks(tmp_path / "runs")
    run_app(task_spec(silent, **where), ["-m", "i=1,2"], hooks, interactive=True)

    assert [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and "sweeps" not in path.parts] == []
    assert hold(silent, ["i=1,2", "lr=1,2"], tmp_path / "held", **where) == 4


def test_a_job_that_cannot_begin_fails_by_what_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: Path
) -> None:
    def main(i: int = 0, name: str = "x") -> Any:
        return i

    monkeypatch.delenv("NOT_THERE", raising=False)
    hooks = Hooks(tmp_path / "runs")
    run_app(task_spec(main), ["-m", "i=1,2", "name=${oc.env:NOT_THERE}"], hooks, interactive=True)

    assert [job.overrides for job in hooks.jobs] == [
        ("i=1", "name=${oc.env:NOT_THERE}"),
        ("i=2", "name=${oc.env:NOT_THERE}"),
    ]
    assert not any(job.is_plain for job in hooks.jobs)


KEYS = "i lr flag name never deep.a.b deep.d model.width new deep.new of_lr path"
VALUES = "1 -2 0.5 1e3 true null word a/b 'x.y' [1,2] {x:1} ${i} nan ???"
words = st.builds(
    "{}{}={}".format,
    st.sampled_from(["", "", "", "+", "++"]),
    st.sampled_from(KEYS.split()),
    st.lists(
        st.sampled_from(VALUES.split()) | st.from_regex(r"[-+A-Za-z0-9_./]{1,4}", fullmatch=True),
        min_size=1,
        max_size=2,
    ).map(",".join),
)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(line=st.lists(words, min_size=1, max_size=3))
def test_whatever_is_run_without_hydra_is_what_hydra_makes_of_it(
    line: list[str], tmp_path_factory: pytest.TempPathFactory, conf: Path
) -> None:
    where = {"config_path": str(conf), "config_name": "config"}
    root = tmp_path_factory.mktemp("runs")
    try:
        _swept(by_nodes, line, root / "tried", where)
    except Exception:
        return
    hold(by_nodes, line, root, **where)
