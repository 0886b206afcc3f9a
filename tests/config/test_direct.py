"""What is composed without Hydra is what Hydra composes, to the byte; what is unusual is left to Hydra."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.compose.based import made_base
from anew.runner.config.compose.yamltext import dump
from anew.runner.config.direct.base import keep_base, kept_base
from anew.runner.config.direct.command import understood
from anew.runner.config.direct.running import run as run_plain
from anew.runner.config.direct.words import read
from anew.runner.config.direct.yamlwritten import is_simple, written
from anew.runner.config.main import run_app, task_spec
from tests.apps.hooks import Hooks
from tests.helpers.releases import HYDRA_1_4

pytestmark = pytest.mark.skipif(HYDRA_1_4, reason="Hydra 1.4 composes each time")


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Inner:
    lr: float = 1
    names: list[str] = dataclasses.field(default_factory=lambda: ["a", "b"])
    sizes: dict[str, int] = dataclasses.field(default_factory=lambda: {"x": 1})


@dataclasses.dataclass
class Config:
    n: int = 1
    text: str = "word"
    flag: bool = False
    maybe: float | None = None
    any: Any = "x"
    colour: Colour = Colour.RED
    inner: Inner = dataclasses.field(default_factory=Inner)


def by_signature(  # type: ignore[no-untyped-def]  # one parameter has no type, as users have it
    n: int = 1,
    lr: float = 1e-05,
    text: str = "word",
    flag: bool = False,
    maybe: int | None = None,
    anything: Any = 3,
    unannotated="x",  # as users have it
    path: Path = Path("data/x.csv"),
    kind: Literal["a", "b"] = "a",
    layers: list[int] = [64, 32],  # noqa: B006  # as users have it
    pair: tuple[int, int] = (1, 2),
    colour: Colour = Colour.BLUE,
    inner: Inner = Inner(),  # noqa: B008  # as users have it
) -> Any:
    return locals()


def by_class(config: Config) -> Any:
    return config


def by_nodes(cfg: Any) -> Any:
    return OmegaConf.to_container(cfg), OmegaConf.get_type(cfg), OmegaConf.is_struct(cfg)


def by_nothing(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg), OmegaConf.get_type(cfg), OmegaConf.is_struct(cfg), OmegaConf.is_readonly(cfg)


FILE = """\
n: 1
lr: 0.1
text: word
flag: false
maybe: null
inner:
  lr: ${lr}
  names: [a, b c]
  home: ${oc.env:HOME}
"""
FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "signature": (by_signature, {}),
    "class": (by_class, {}),
    "nodes of a class": (by_nodes, {"config": Config}),
    "an instance": (by_class, {"config": Config(n=7, inner=Inner(lr=2))}),
    "nothing": (by_nothing, {}),
    "a file": (by_nothing, {"config_name": "config", "config_path": ""}),
}
NAMES = (
    "n lr text flag maybe anything any unannotated path kind layers pair colour inner inner.lr inner.names "
    "inner.sizes.x inner.sizes unknown n.x anew.note anew.seed anew.output.mode anew.nothing anew.tags anew.output "
    "inner.home seed hydra.verbose"
)
ODD = (
    "1 -2 007 1.5 1e3 1e-5 .5 1_000 true False null Null nan inf word a c RED BLUE a/b.csv /tmp/x a-b a_b [1,2] [] [a] "
    "[1,a] [1.5,null] {} {x:1} '' '1' 1,2 ${n} ??? a=b yes off y a,b [[1],[2]] range(3) 99999999999999999999 1e400 a:b "
    "a.b é 0x1 1e e1 - _ ~"
)
KEYS = NAMES.split()
VALUES = ODD.split()
VALUES += ["", '"a b"', "a b", "[1, 2]", " 1"]
words = st.builds(
    "{}{}={}".format,
    st.sampled_from(["", "", "", "", "", "", "+", "++", "~"]),
    st.sampled_from(KEYS),
    st.sampled_from(VALUES) | st.from_regex(r"[-+A-Za-z0-9_./,:\[\]]{1,6}", fullmatch=True),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which Hydra's part is kept."""
    folder = tmp_path_factory.mktemp("cache")
    base = made_base(None)
    assert base is not None
    keep_base(folder, None, base)
    return folder


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration folder without groups."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "config.yaml").write_text(FILE)
    return folder


def job_of(root: Path, run: Any) -> Any:
    """Return what a way of running makes of a command line: the job, and the files that it leaves."""
    hooks = Hooks(root)
    try:
        result = run(hooks)
    except Exception as error:
        return type(error).__name__
    made, output = hooks.job, hooks.job.output
    if output is not None:
        output.make()
        made = dataclasses.replace(made, views={**output.texts(), "config.yaml": dump(dict(made.config))})
    made = dataclasses.replace(made, call=len, is_plain=False, arguments={}, hydra_files=(), output=None)
    job = dataclasses.asdict(made)
    # the log of one that logs nothing is Hydra's alone
    left = [path for path in sorted(root.rglob("*.*")) if path.is_file() and path.stat().st_size]
    files = {str(path.relative_to(root)): path.read_text() for path in left}
    for path in root.rglob("*.*"):
        if path.is_file():
            path.unlink()
    text = repr((job, files, result, [type(each) for each in (result.values() if isinstance(result, dict) else ())]))
    return text.replace(str(root), "ROOT")


def hold(form: str, overrides: Sequence[str], cache: Path, conf: Path, root: Path) -> bool:
    """Hold a command line to what Hydra makes of it, where it is composed without; return whether it was."""
    main, given = FORMS[form]
    spec = task_spec(main, **{**given, **({"config_path": str(conf)} if "config_path" in given else {})})
    plain = understood(spec, overrides, cache)
    if plain is None:
        return False
    direct = job_of(root, lambda hooks: run_plain(spec, plain, hooks, interactive=True))
    hydras = job_of(root, lambda hooks: run_app(spec, overrides, hooks, interactive=True))
    assert direct == hydras
    return True


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(overrides=st.lists(words, max_size=3))
@example(overrides=[])
@example(overrides=["n=1", "n=2"])
def test_whatever_is_composed_without_hydra_is_what_hydra_composes(
    form: str, cache: Path, conf: Path, tmp_path_factory: pytest.TempPathFactory, overrides: list[str]
) -> None:
    hold(form, overrides, cache, conf, tmp_path_factory.mktemp("runs"))


PLAIN: Mapping[str, list[list[str]]] = {
    "signature": [
        [],
        ["n=2", "lr=3", "text=a/b.c", "flag=true", "maybe=4", "anything=1.5", "unannotated=y1", "path=/x/y"],
        ["maybe=null", "kind=b", "layers=[1,2,3]", "pair=[3,4]", "colour=RED", "inner.lr=2", "inner.names=[x]"],
        ["anew.note=word", "anew.tags=[a,b]", "anew.seed=3", "anew.output.mode=off", "layers=[]"],
    ],
    "class": [[], ["n=2", "inner.lr=0.5", "maybe=1", "any=null", "colour=BLUE"]],
    "nodes of a class": [[], ["n=2", "inner.sizes.x=3"]],
    "an instance": [[], ["inner.lr=3"]],
    "nothing": [[]],
    "a file": [[], ["n=2", "inner.lr=5", "text=x", "maybe=word"]],
}


@pytest.mark.parametrize("form", PLAIN)
def test_what_is_plain_is_composed_without_hydra(form: str, cache: Path, conf: Path, tmp_path: Path) -> None:
    for number, overrides in enumerate(PLAIN[form]):
        assert hold(form, overrides, cache, conf, tmp_path / str(number)), overrides


def test_an_odd_folder_is_written_as_yaml_has_it(cache: Path, conf: Path, tmp_path: Path) -> None:
    assert hold("signature", ["n=2"], cache, conf, tmp_path / ("it's: a #folder " * 8))


def test_what_hydra_alone_knows_is_left_to_it(cache: Path, conf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    for text in (
        "defaults: [_self_]\nn: 1\n",
        "hydra:\n  verbose: true\n",
        "anew:\n  note: x\n",
        "n: ${now:%Y}\n",
        "n: ${hydra:job.name}\n",
        "# @package foo\nn: 1\n",
        "[1, 2]\n",
    ):
        (folder / "config.yaml").write_text(text)
        assert understood(task_spec(by_nothing, config_name="config", config_path=str(folder)), [], cache) is None, text
    (folder / "config.yaml").write_text("n: 1\ndb: x\n")
    spec = task_spec(by_nothing, config_name="config", config_path=str(folder))
    assert understood(spec, ["db=y"], cache) is not None
    (folder / "db").mkdir()
    assert understood(spec, ["db=y"], cache) is None
    (folder / "anew").mkdir()
    assert understood(spec, [], cache) is None
    plain = task_spec(by_signature)
    for line in ("-m n=1,2", "--cfg job", "n=1,2", "hydra.verbose=true", "anew/observers=files", "~n", "+k=1", "n=x"):
        assert understood(plain, line.split(), cache) is None, line


def test_hydras_part_is_composed_again_when_what_it_is_made_of_has_changed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_base(cache, None) is not None
    assert kept_base(cache, "1.2") is None
    monkeypatch.syspath_prepend(str(tmp_path))
    assert kept_base(cache, None) is not None
    os.utime(tmp_path, (1, 1))
    (tmp_path / "hydra_plugins").mkdir()
    assert kept_base(cache, None) is None, "there may be plugins"
    monkeypatch.undo()
    [path] = (cache / "hydra").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"Powered", b"powered"))
    again = tmp_path / "cache"
    (again / "hydra").mkdir(parents=True)
    (again / "hydra" / path.name).write_bytes(path.read_bytes())
    assert kept_base(again, None) is None, "it is damaged"
    _, _, body = whole.partition(b"\n")
    stamps = json.loads(body)["stamps"]
    assert {Path(each[0]).name for each in stamps} >= {"version.py", "default.yaml", "site-packages", "hydra_plugins"}


@settings(max_examples=300)
@given(st.from_regex(r"(lr|a\.b_c)=[-+A-Za-z0-9_./,\[\]:$ ]{0,8}", fullmatch=True) | words)
def test_a_word_that_is_read_without_hydra_is_read_as_hydra_reads_it(word: str) -> None:
    found = read(word)
    if found is None:
        return
    override = OverridesParser.create().parse_override(word)
    value = override.value()
    assert (found.key, repr(found.value)) == (override.key_or_group, repr(value))
    assert not override.is_sweep_override()
    assert override.package is None


texts = st.text(max_size=8) | st.from_regex(r"[A-Za-z_/.0-9=,:@%~()\[\]+-]{1,8}", fullmatch=True)
leaves: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
leaves |= texts.filter(is_simple)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.filter(is_simple), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.dictionaries(texts.filter(is_simple), trees, max_size=3) | st.lists(texts.filter(is_simple), max_size=3))
@example({"x": 1e22, "y2": 1e-7, "z": [[1], [], {}, {"a": {"b": []}}]})
def test_yaml_is_written_as_the_library_writes_it(values: Any) -> None:
    assert written(values) == dump(values)


@pytest.mark.parametrize(
    "text", ["yes", "Yes", "no", "on", "null", "y", "N", "n", "nan", "Infinity", "1", "1e3", ".5", "~"]
)
def test_a_text_that_yaml_takes_for_something_else_is_quoted_or_left_to_the_library(text: str) -> None:
    if is_simple(text):
        assert written({text: [text]}) == dump({text: [text]})
    else:
        assert "'" in dump([text])
