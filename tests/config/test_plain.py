"""Jobs made from one composition: each is what Hydra would have composed, to the last value and its type."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from omegaconf import DictConfig

from anew.runner.config.batch.plain import Templates, _value_of
from anew.runner.config.batch.sweeping import Sweeping
from tests.apps.hooks import run
from tests.config.test_alike import CONFIG as COMMON

CONFIG = COMMON + "of_deep: ${deep.a}\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    (folder / "model").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "model/mlp.yaml").write_text("{width: 3, depth: 1}")
    (folder / "model/cnn.yaml").write_text("{width: 5, of_i: '${i}'}")
    return folder


@dataclasses.dataclass
class Both:
    """How many jobs were made, of how many."""

    made: int = 0
    all: int = 0


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    """Has every job made in both ways, and compared."""
    counts = Both()
    compose, made = Sweeping._compose, Templates.made

    def compared(self: Sweeping, index: int, overrides: Sequence[str]) -> None:
        counts.all += 1
        with monkeypatch.context() as patch:
            patch.setattr(Templates, "made", lambda self, words: None)
            compose(self, index, overrides)
        composed = self._planned[index]
        quick = made(self._composing.templates, composed.overrides)
        # the first of its kind has only just been learnt: what it comes to has to be the same as well
        if quick is not None:
            counts.made += 1
            assert _typed(quick.config) == _typed(composed.config)
            assert quick.config is not composed.config

    monkeypatch.setattr(Sweeping, "_compose", compared)
    return counts


def _typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, _typed(item)) for key, item in value.items()]
    return [_typed(item) for item in value] if isinstance(value, list) else (type(value), value)


def _main(cfg: DictConfig) -> None:
    return


def _swept(tmp_path: Path, main: Callable[..., Any], *words: str, **given: Any) -> None:
    run(tmp_path / "runs", main, "-m", *words, **given)


MADE = [
    ("i=range(4)", "flag=true,false"),
    ("lr=1,2,0.5,1e-3,5e2",),  # what reads of_lr is composed, see below
    ("deep.a.c=[1],[2]", "i=1,2"),
    ("name=a,b,a_b,'a b','it\\'s',x/y.csv,v1.2", "i=1"),
    ("+new=1,2", "++i=3,4"),
    ("model=mlp,cnn", "model.width=1,2"),
    ("i=1,2", "+deep.e=x,y", "never=1,null,2"),
]


@pytest.mark.parametrize("words", MADE, ids=" ".join)
def test_what_is_made_is_what_is_composed(tmp_path: Path, conf: Path, both: Both, words: tuple[str, ...]) -> None:
    _swept(tmp_path, _main, *words, config_path=str(conf), config_name="config")

    assert both.made == (0 if words[0].startswith("lr") else both.made)
    assert both.made or words[0].startswith("lr")


@pytest.mark.parametrize(
    ("words", "config"),
    [
        (("lr=1,2",), "lr: 0\nof_lr: ${lr}"),
        (("lr=1,2",), "lr: 0\nof_lr: x-${lr}-y"),
        (("a.b=1,2",), "a: {b: 0}\nof_a: ${a}"),
        (("a.b=1,2",), "a: {b: 0, c: '${.b}'}"),
        (("a.b=1,2",), "a: {b: 0}\nkey: b\nc: ${a.${key}}"),
        (("a.b=1,2",), "a: {b: 0}\nc: ${a[b]}"),
        (("i=1,2",), "i: 0\nwhen: ${now:%f}"),
        (("i=1,2",), "i: 0\nname: ${hydra:job.override_dirname}"),
        (("i=1,2",), "i: 0\nc: ${oc.select:i}"),
        (("i=1,2",), "i: 0\nc: \\${i}"),
        (("i=${j},${k}",), "i: 0\nj: 3\nk: 4"),
        (("i=nan,inf",), "i: 0"),
        (("i=null,???",), "i: 0"),
        (("i=[1],{a:2}",), "i: 0"),
        (("i=1 ,2",), "i: 0"),
    ],
)
def test_what_depends_on_a_value_is_composed(tmp_path: Path, both: Both, words: tuple[str, ...], config: str) -> None:
    (tmp_path / "config.yaml").write_text(config)
    _swept(tmp_path, _main, *words, config_path=str(tmp_path), config_name="config")

    assert both.all == 2
    assert both.made == (2 if words == ("i=1 ,2",) else 0)


def test_defaults_lists_that_depend_on_a_choice_are_composed_for_each(tmp_path: Path, conf: Path, both: Both) -> None:
    (conf / "config.yaml").write_text("defaults: [{model: mlp}, {sub@deep: '${model}'}, _self_]\ni: 0\n")
    (conf / "sub").mkdir()
    (conf / "sub/mlp.yaml").write_text("kind: one")
    (conf / "sub/cnn.yaml").write_text("kind: two")
    _swept(tmp_path, _main, "model=mlp,cnn", "i=1,2,3", config_path=str(conf), config_name="config")

    # what the file of cnn holds refers to i
    assert (both.all, both.made) == (6, 3)


def test_of_a_signature_only_what_nobody_checks_is_made(tmp_path: Path, both: Both) -> None:
    def main(
        x: int = 0,
        y: float = 0.0,
        word: str = "",
        kind: Literal["a", "b"] = "a",
        where: Path = Path(),
        some: Annotated[int, "any"] = 1,
        either: int | str = 1,
    ) -> None:
        return

    for words, made in {
        ("x=range(3)", "y=1,0.5", "word=a,b"): 12,
        ("kind=a,b",): 0,
        ("where=a,b",): 0,
        ("either=1,a",): 0,
    }.items():
        both.made = 0
        _swept(tmp_path, main, *words)
        assert both.made == made, words


@dataclasses.dataclass
class Checked:
    x: int = 0

    def __post_init__(self) -> None:
        assert self.x < 5


@dataclasses.dataclass
class Inner:
    n: int = 1
    f: float = 1.0


@dataclasses.dataclass
class Plain:
    x: int = 0
    inner: Inner = dataclasses.field(default_factory=Inner)


def test_of_classes_only_what_nobody_checks_is_made(tmp_path: Path, both: Both) -> None:
    def plain(cfg: Plain) -> None:
        return

    def checked(cfg: Checked) -> None:
        return

    _swept(tmp_path, plain, "x=1,2", "inner.f=1,0.25")
    assert both.all == 4
    assert both.made in (0, 4)
    both.made = 0
    _swept(tmp_path, checked, "x=1,2")
    assert both.made == 0


def test_what_hydra_refuses_is_refused(tmp_path: Path, conf: Path) -> None:
    def main(x: int = 0) -> None:
        return

    with pytest.raises(Exception, match="'abc'"):
        _swept(tmp_path, main, "x=1,2,abc")
    with pytest.raises(Exception, match="nope"):
        _swept(tmp_path, _main, "i=1,2", "nope=1", config_path=str(conf), config_name="config")


def test_words_are_read_as_hydra_reads_them() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    rng = random.Random(0)
    alphabet = "0123456789.eE+-_truefalsnx/ 'a,:"
    parser = OverridesParser.create()
    for _ in range(400):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 6)))
        found = _value_of(f"k.l={text}")
        if found is None:
            continue
        parsed = parser.parse_override(f"k.l={text}")
        assert not parsed.is_sweep_override()
        assert (type(found.value), found.value) == (type(parsed.value()), parsed.value()), text


def test_a_sweep_of_thousands_is_planned_from_a_few_compositions(
    tmp_path: Path, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from anew.runner.config.batch import planning
    from anew.runner.config.compose.loader import Loader

    composed: list[Any] = []
    load = Loader.load_sweep_config
    monkeypatch.setattr(Loader, "load_sweep_config", lambda *given: composed.append(given) or load(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(Sweeping, "launch", lambda self, jobs, initial_job_idx: [])
    monkeypatch.setattr(Sweeping, "_launch_rest", lambda self: None)
    monkeypatch.setattr(planning, "_PATIENCE_S", 0.0)
    _swept(tmp_path, _main, "i=range(3000)", "flag=true,false", config_path=str(conf), config_name="config")

    assert len(composed) == 1
    assert "of 6000 jobs planned" in capsys.readouterr().err
