# ruff: noqa: UP007, UP045, RUF013  # every way to write a type is a case
"""Main's typed parameters are its configuration: checked before anything is written, and given as the real types."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# as what users write is

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from omegaconf import MISSING, DictConfig

from anew.runner.config.main import task_spec
from anew.runner.errors import ConfigError
from anew.runner.run.handle import Run
from tests.apps.hooks import run

Main = Callable[..., Any]


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Optimizer:
    name: str = "sgd"
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    mode: Literal["min", "max"] = "min"


@dataclass
class Plain:
    lr: float = 0.1
    where: Path = Path("data")
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    needed: int = MISSING


Rate = NewType("Rate", float)


def one(annotation: Any, *default: Any) -> Main:
    """Return a main with one parameter `x` of a type, which returns it."""

    def main(x=None):  # the annotation is put in below
        return x

    main.__annotations__ = {"x": annotation}
    main.__defaults__ = default
    return main


VALUES = [
    (int, "x=3", 3),
    (float, "x=3", 3.0),
    (float, "x=1e-3", 0.001),
    (bool, "x=true", True),
    (str, "x=3", "3"),
    (str, "x='a b'", "a b"),
    (Path, "x=data/file.csv", Path("data/file.csv")),
    (Colour, "x=BLUE", Colour.BLUE),
    (Any, "x={a:[1,b]}", {"a": [1, "b"]}),
    (object, "x=3", 3),
    (list[int], "x=[1,2]", [1, 2]),
    (list, "x=[1,a]", [1, "a"]),
    (Sequence[float], "x=[1,2]", [1.0, 2.0]),
    (list[list[int]], "x=[[1],[2,3]]", [[1], [2, 3]]),
    (list[Path], "x=[a,b]", [Path("a"), Path("b")]),
    (tuple[int, ...], "x=[1,2]", (1, 2)),
    (tuple, "x=[1,a]", (1, "a")),
    (tuple[int, str], "x=[1,2]", (1, "2")),
    (list[tuple[int, int]], "x=[[1,2]]", [(1, 2)]),
    (dict[str, float], "x={a:1}", {"a": 1.0}),
    (Mapping[str, tuple[int, ...]], "x={a:[1]}", {"a": (1,)}),
    (dict[int, str], "x={1:a}", {1: "a"}),
    (dict, "x={a:1}", {"a": 1}),
    (Optional[int], "x=null", None),
    (int | None, "x=4", 4),
    (Optional[Path], "x=a", Path("a")),
    (Optional[tuple[int, ...]], "x=[1]", (1,)),
    (Optional[Optimizer], "x=null", None),
    (Union[int, str], "x=a", "a"),
    (int | list[int], "x=[1,2]", [1, 2]),
    (int | list[int], "x=7", 7),
    (float | Literal["auto"], "x=auto", "auto"),
    (float | Literal["auto"], "x=2", 2.0),
    (str | list[str] | None, "x=[a]", ["a"]),
    (Literal["a", "b"], "x=b", "b"),
    (Literal[1, 2], "x=2", 2),
    (Optional[Literal["a"]], "x=null", None),
    (Literal["a", 1], "x=1", 1),
    (Literal[Colour.RED], "x=RED", Colour.RED),
    (Annotated[int, "positive"], "x=1", 1),
    (Rate, "x=1", 1.0),
]


@pytest.mark.parametrize(("annotation", "override", "value"), VALUES, ids=[f"{a} {o}" for a, o, _ in VALUES])
def test_a_value_reaches_main_as_the_type_it_asked_for(
    tmp_path: Path, annotation: Any, override: str, value: Any
) -> None:
    result, _ = run(tmp_path, one(annotation, *([None] if annotation is Any else [])), override)

    assert result == value
    assert type(result) is type(value)


WRONG = [
    (int, "x=abc", "abc"),
    (int, "x=1.5", "1.5"),
    (float, "x=abc", "abc"),
    (bool, "x=maybe", "maybe"),
    (Colour, "x=GREEN", "RED, BLUE"),
    (list[int], "x=[1,a]", "'a'"),
    (list[int], "x=3", "3"),
    (list[list[int]], "x=[[a]]", "'a'"),
    (tuple[int, ...], "x=[a]", "'a'"),
    (tuple[int, str], "x=[1]", "a list of 2"),
    (tuple[int, str], "x=[a,b]", "a whole number"),
    (dict[str, float], "x={a:b}", "'b'"),
    (Literal["a", "b"], "x=c", "one of: a, b"),
    (list[Literal["a"]], "x=[a,c]", "x[1] is 'c'"),
    (float | Literal["auto"], "x=manual", "a number (float) or one of: auto"),
    (int | list[int], "x=[a]", "a list of a whole number"),
    (int, "x=null", "not Optional"),
    (Optimizer, "x.lr=fast", "fast"),
    (Optimizer, "x.mode=mean", "x.mode is 'mean'; it takes one of: min, max"),
    (Optimizer, "x.nme=adam", "x.name"),
    (Optimizer, "x.betas=[1]", "a list of 2"),
]


@pytest.mark.parametrize(("annotation", "override", "told"), WRONG, ids=[f"{a} {o}" for a, o, _ in WRONG])
def test_a_value_of_the_wrong_type_is_refused_before_a_run_is_claimed(
    tmp_path: Path, annotation: Any, override: str, told: str
) -> None:
    default = (Optimizer(),) if annotation is Optimizer else ()
    with pytest.raises(ConfigError) as refused:
        run(tmp_path / "runs", one(annotation, *default), override)

    assert told in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_defaults_are_those_of_the_function_and_each_run_has_its_own(tmp_path: Path) -> None:
    def main(
        lr: float = 0.1,
        layers: list[int] = [64],  # noqa: B006  # what users write
        where: Path = Path("a"),
        pair: tuple[int, str] = (1, "b"),
        many: tuple[Path, ...] = (Path("p"),),
        colour: Colour = Colour.RED,
        opt: Optimizer = Optimizer(name="adam"),  # noqa: B008  # what users write
        given: int = None,  # type: ignore[assignment]  # what users write
        untyped=3,
        names=("a",),
        *,
        run: Run,
    ) -> Any:
        layers.append(1)
        return lr, layers, where, pair, many, colour, opt, given, untyped, names, run

    first, _ = run(tmp_path, main)
    again, hooks = run(tmp_path, main)

    assert first == again
    assert first == (
        0.1,
        [64, 1],
        Path("a"),
        (1, "b"),
        (Path("p"),),
        Colour.RED,
        Optimizer(name="adam"),
        None,
        3,
        ("a",),
        1,
    )
    assert type(first[6]) is Optimizer
    assert hooks.job.config["opt"] == {"name": "adam", "lr": 0.1, "betas": [0.9, 0.99], "mode": "min"}
    assert hooks.job.config["colour"] == "RED"
    assert hooks.job.config["where"] == "a"


def test_a_dataclass_reaches_main_as_an_instance_and_its_fields_are_keys(tmp_path: Path) -> None:
    def main(n: int, opt: Optimizer, plain: Plain = Plain(needed=1)) -> Any:  # noqa: B008  # what users write
        return opt, plain

    (opt, plain), _ = run(tmp_path, main, "n=1", "opt={name: adam}", "plain.sizes=[3]")

    assert opt == Optimizer(name="adam")
    assert plain == Plain(sizes=[3], needed=1)
    assert type(opt) is Optimizer
    assert type(plain) is Plain


def test_what_must_be_given_and_is_not_is_named_with_the_command_to_type(tmp_path: Path) -> None:
    def main(lr: float, plain: Plain = Plain(), n: int = 3) -> None: ...  # noqa: B008  # what users write

    with pytest.raises(ConfigError, match=r"lr=, plain.needed= are needed: python test_signature.py lr=VALUE"):
        run(tmp_path / "runs", main)
    with pytest.raises(ConfigError, match=r"plain.needed= is needed"):
        run(tmp_path / "runs", main, "lr=1")

    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("override", ["lrr=1", "+lrr=1", "++lrr=1"])
def test_an_unknown_parameter_is_refused_with_the_nearest_name(tmp_path: Path, override: str) -> None:
    def main(lr: float = 0.1, layers: int = 2) -> None: ...

    with pytest.raises(ConfigError, match=r"has no parameter 'lrr'. Did you mean lr\? It has: lr, layers"):
        run(tmp_path / "runs", main, override)

    assert not (tmp_path / "runs").exists()


def test_a_default_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    def main(lr: float = "fast") -> None: ...  # type: ignore[assignment]

    with pytest.raises(ConfigError, match="'fast'"):
        run(tmp_path / "runs", main)


def test_interpolations_in_a_signature_resolve(tmp_path: Path) -> None:
    def main(width: int = 3, depth: int = 2) -> Any:
        return width * depth

    assert run(tmp_path, main, "depth=${width}")[0] == 9


# --- which parameter is what -----------------------------------------------------------------------------------------


def form(main: Main, **given: Any) -> Any:
    spec = task_spec(main, **given)
    return spec.form, spec.roles.config, spec.roles.run


def test_parameters_have_the_roles_that_the_contract_gives_them() -> None:
    def cfg_only(cfg): ...
    def other_name(_c: DictConfig): ...
    def with_run(config: Any, run): ...
    def run_first(the_run: Run, cfg): ...
    def typed(lr: float, run: Run): ...
    def default_first(cfg=None, *, run): ...
    def run_alone(run): ...
    def nothing(): ...
    def dataclass_first(opt: Optimizer): ...
    def more(cfg, extra=1, *args, **kwargs): ...

    assert form(cfg_only) == ("cfg", "cfg", None)
    assert form(other_name) == ("cfg", "_c", None)
    assert form(with_run) == ("cfg+run", "config", "run")
    assert form(run_first) == ("cfg+run", "cfg", "the_run")
    assert form(typed) == ("signature", None, "run")
    assert form(default_first) == ("signature", None, "run")
    assert form(default_first, config_name="x") == ("cfg+run", "cfg", "run")
    assert form(typed, config_path="conf") == ("cfg+run", "lr", "run")
    assert form(run_alone) == ("none", None, "run")
    assert form(nothing) == ("none", None, None)
    assert form(dataclass_first) == ("cfg", "opt", None)
    assert form(more) == ("cfg", "cfg", None)


def test_a_decorator_between_may_name_its_parameter_otherwise(tmp_path: Path) -> None:
    import functools

    def traced(function: Main) -> Main:
        @functools.wraps(function)
        def wrapper(anything: Any) -> Any:
            return function(anything)

        return wrapper

    @traced
    def main(cfg: DictConfig) -> Any:
        return cfg.a

    assert run(tmp_path, main, "+a=1")[0] == 1


REFUSED: list[tuple[str, str]] = [
    ("def main(x): ...\nmain = 3", "it is no function"),
    ("async def main(cfg): ...", "async"),
    ("def main(cfg): yield 1", "generator"),
    ("def main(x: float, y): ...", "'y' has neither a type nor a default"),
    ("def main(x: float, *args): ...", "no names to become keys"),
    ("def main(x: float, **kwargs): ...", "no names to become keys"),
    ("def main(x: float, /): ...", "positional-only"),
    ("def main(cfg, y): ...", "'y' has no value to be given"),
    ("def main(x: float, hydra: int = 1): ...", "'hydra' of a parameter is taken"),
    ("def main(x: float, anew: int = 1): ...", "'anew' of a parameter is taken"),
    ("def main(x: float, defaults: int = 1): ...", "'defaults' of a parameter is taken"),
    ("def main(x: float, run: int = 1): ...", "that name gets the run"),
    ("def main(x: set = set()): ...", "a list has"),
    ("def main(x: complex = 1j): ...", "complex is no type"),
    ("def main(x=object()): ...", "object"),
    ("def main(x: 'NoSuchName' = 1): ...", "'NoSuchName' of 'x' names nothing"),
    ("def main(x: dict[list, int] = {}): ...", "keys of a type"),
    ("from typing import Callable\ndef main(x: Callable[[], int]): ...", "no type of a value"),
    (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    x: complex = 1j\ndef main(a: int, c: C): ...",
        "field 'x' of C",
    ),
    ("class Model:\n    model_fields = {}\ndef main(a: int, m: Model): ...", "pydantic"),
    ("from anew import Run\ndef main(a: Run, b: Run): ...", "two parameters are annotated Run"),
]


@pytest.mark.parametrize(("source", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_a_main_that_cannot_have_a_configuration_is_refused_at_decoration(
    tmp_path: Path, source: str, told: str
) -> None:
    script = tmp_path / "train.py"
    script.write_text(source)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, script, "exec", dont_inherit=True), names)

    with pytest.raises(ConfigError) as refused:
        task_spec(names["main"])

    assert told in str(refused.value)
    assert str(script) in str(refused.value) or "3 cannot" in str(refused.value)


def test_annotations_written_as_text_are_found_where_they_are_defined(tmp_path: Path) -> None:
    @dataclass
    class Local:
        n: int = 1

    def main(local: Local = Local(), x: float | None = None, *, handle: Run) -> Any:  # noqa: B008
        return local, x, handle

    assert isinstance(main.__annotations__["local"], str)
    assert run(tmp_path, main, "local.n=2", "x=1")[0] == (Local(2), 1.0, 1)


# --- a class as configuration ----------------------------------------------------------------------------------------


def test_a_class_gives_an_instance_where_main_asks_for_one_and_a_dict_config_elsewhere(tmp_path: Path) -> None:
    def wants(cfg: Plain, run: Run) -> Any:
        return cfg

    def takes(cfg, run):
        return cfg

    wanted, hooks = run(tmp_path, wants, "needed=3", "lr=2", config=Plain)
    assert wanted == Plain(lr=2.0, needed=3)
    assert type(wanted) is Plain
    assert hooks.job.config == {"lr": 2.0, "where": "data", "sizes": [1, 2], "needed": 3}

    taken, _ = run(tmp_path, takes, "lr=2", config=Plain(lr=1, needed=5))
    assert isinstance(taken, DictConfig)
    assert (taken.lr, taken.needed) == (2.0, 5)

    alone, _ = run(tmp_path, wants, "needed=4")
    assert alone == Plain(needed=4)


def test_a_class_with_types_beyond_omegaconf_works_too(tmp_path: Path) -> None:
    def main(cfg: Optimizer) -> Any:
        return cfg

    assert run(tmp_path, main, "mode=max", "betas=[1,2]")[0] == Optimizer(mode="max", betas=(1.0, 2.0))
    with pytest.raises(ConfigError, match="mode is 'mean'; it takes one of: min, max"):
        run(tmp_path / "runs", main, "mode=mean")


@pytest.mark.parametrize(("override", "told"), [("lr=x", "Float"), ("lrr=1", "Did you mean lr"), ("lr=1", "needed=")])
def test_a_class_checks_before_a_run_is_claimed(tmp_path: Path, override: str, told: str) -> None:
    def main(cfg) -> None: ...

    with pytest.raises(ConfigError, match=told):
        run(tmp_path / "runs", main, override, config=Plain)

    assert not (tmp_path / "runs").exists()


@dataclass
class Inner:
    name: str = "sgd"


@dataclass(slots=True)
class Outer:
    lr: float = 0.1
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lrr=1", r"Did you mean lr\? The configuration has: lr, inner"),
        ("inner.nme=x", r"Did you mean inner.name\? inner has: name"),
        ("+lrr=1", r"Outer has no field 'lrr'.*Did you mean lr\? It has: lr, inner"),
        ("+inner.nme=x", r"Inner has no field 'nme' \(given as inner.nme;.*Did you mean inner.name\? It has: name"),
    ],
)
def test_an_instance_has_no_place_for_another_key_and_the_nearest_is_named(
    tmp_path: Path, override: str, told: str
) -> None:
    def wants(cfg: Outer) -> Any:
        return cfg

    with pytest.raises(ConfigError, match=told) as caught:
        run(tmp_path / "runs", wants, override)

    assert "append to your config" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_dict_config_shows_a_further_key(tmp_path: Path) -> None:
    def takes(cfg):
        return cfg

    assert run(tmp_path, takes, "+inner.more=1", config=Outer)[0].inner.more == 1


def test_a_class_is_the_schema_of_yaml_files(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    (conf / "size").mkdir(parents=True)
    (conf / "config.yaml").write_text("defaults:\n  - size: big\n  - _self_\nlr: 3\nhydra:\n  job:\n    name: x\n")
    (conf / "size" / "big.yaml").write_text("# @package _global_\nsizes: [100]\n")
    (conf / "wrong.yaml").write_text("lr: fast\n")
    (conf / "unknown.yaml").write_text("lrr: 1\n")

    def main(cfg: Plain) -> Any:
        return cfg

    given = {"config": Plain, "config_path": str(conf)}
    assert run(tmp_path, main, "needed=1", config_name="config", **given)[0] == Plain(lr=3.0, sizes=[100], needed=1)
    with pytest.raises(ConfigError, match="'fast'"):
        run(tmp_path, main, config_name="wrong", **given)
    with pytest.raises(ConfigError, match="lrr"):
        run(tmp_path, main, config_name="unknown", **given)


def test_a_config_that_is_no_class_is_refused() -> None:
    def main(cfg) -> None: ...

    for given in (3, {"a": 1}, "conf/config.yaml", dict):
        with pytest.raises(ConfigError, match="is no dataclass"):
            task_spec(main, config=given)
