"""What annotations of a main may be: what cannot be evaluated, what comes further down, aliases, type parameters."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import Project, anew

pytestmark = pytest.mark.interpreter

LATE = pytest.mark.skipif(sys.version_info < (3, 14), reason="before Python 3.14 the script itself fails there")
ALIASES = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no type aliases before 3.12")
HOW = pytest.mark.parametrize(
    "first", ["from __future__ import annotations", pytest.param("", marks=LATE)], ids=["text", "late"]
)


def script(trial: Project, text: str, first: str = "") -> None:
    """Write a script that decorates a main, and calls it at its end."""
    (trial.folder / "train.py").write_text(f"""{first}
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Optional
import xml
from anew import Experiment, Run
experiment = Experiment("trial")
{text}
if __name__ == "__main__":
    main()
""")


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


# --- what cannot be evaluated ----------------------------------------------------------------------------------------


@HOW
@pytest.mark.parametrize("annotation", ["xml.dom.pulldom.PullDOM | None", '"Result" | None', "1 / 0", "xml.Nope[int]"])
def test_an_annotation_that_the_configuration_does_not_need_may_raise_anything(
    trial: Project, annotation: str, first: str
) -> None:
    script(
        trial,
        f"""
@experiment.main
def main(rate: float = 0.1, n: "int" = 1, *, run: Run | None) -> {annotation}:
    run.log({{"rate": rate}})
    return rate, n
""",
        first,
    )
    trial.run("rate=2", "n=3")
    assert trial.record().result == (2.0, 3)


@HOW
@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        ("xml.dom.pulldom.PullDOM | None", "'xml.dom.pulldom.PullDOM | None' of 'x' raises AttributeError when it is"),
        ('"float" | None', "of 'x' raises TypeError when it is evaluated: unsupported operand"),
        ("1 / 0", "'1 / 0' of 'x' raises ZeroDivisionError when it is evaluated: division by zero. Mend it"),
    ],
)
def test_one_that_it_needs_is_refused_with_what_it_raises(
    trial: Project, annotation: str, told: str, first: str
) -> None:
    script(trial, f"@experiment.main\ndef main(rate: float = 0.1, x: {annotation} = None): ...", first)
    said = trial.run(code=2).stderr
    assert told in said
    assert "Traceback" not in said


@HOW
def test_a_field_whose_annotation_raises_is_refused_with_what_it_raises(trial: Project, first: str) -> None:
    script(
        trial,
        """
@dataclass
class Config:
    rate: xml.Nope = 0.1
@experiment.main(config=Config)
def main(cfg): ...
""",
        first,
    )
    said = trial.run(code=2).stderr
    assert "a field of Config has an annotation that raises AttributeError" in said
    assert "Traceback" not in said


@HOW
def test_the_run_may_be_annotated_with_what_type_checkers_alone_import(trial: Project, first: str) -> None:
    script(
        trial,
        """
if TYPE_CHECKING:
    from anew import Run as Handle
    import anew
@experiment.main
def main(rate: float = 0.1, *, handle: anew.Run | None):
    handle.log({"rate": rate})
    return rate
""",
        first,
    )
    trial.run()
    assert trial.record().result == 0.1


# --- what comes further down -----------------------------------------------------------------------------------------

BELOW = """
@dataclass
class Later:
    x: int = 1
    more: Optional[Deep] = None
@dataclass
class Deep:
    y: int = 2
"""


@HOW
def test_a_class_below_main_is_what_it_would_be_above(trial: Project, first: str) -> None:
    script(
        trial,
        f"@experiment.main\ndef main(cfg: Later, run: Run):\n    return type(cfg).__name__, cfg.x\n{BELOW}",
        first,
    )
    trial.run("x=3")
    assert trial.record().result == ("Later", 3)
    assert "The configuration has: x, more." in trial.run("z=3", code=2).stderr


@HOW
def test_types_of_parameters_and_fields_may_be_below_main(trial: Project, first: str) -> None:
    script(
        trial,
        f"""
@dataclass
class Config:
    deep: Deep
    rate: float = 0.1
def made():
    @dataclass
    class Local:
        z: int = 3
    @experiment.main
    def main(config: Config = None, local: Local = Local(), many: list[Later] = [], *, run: Run):
        return config, local.z, [each.x for each in many]
    return main
main = made()
{BELOW}""",
        first,
    )
    trial.run("local.z=4", "many=[{x: 5}]")
    assert trial.record().result == (None, 4, [5])


def test_text_inside_of_an_annotation_is_found_too(trial: Project) -> None:
    script(
        trial,
        f"""
@experiment.main
def main(rates: list["float"] = [1], later: Optional["Later"] = None, *, run: "Run"):
    return rates, later
{BELOW.replace("[Deep]", "['Deep']")}""",
    )
    trial.run("rates=[2]")
    assert repr(trial.record().result) == "([2.0], None)"


def test_the_plain_function_runs_whatever_its_annotations_name(trial: Project) -> None:
    script(
        trial,
        """
@experiment.main
def main(rate: Missing = 0.1):
    print("plain", rate)
main(2)
""",
        "from __future__ import annotations",
    )
    done = trial.run(code=2)
    assert done.stdout == "plain 2\n"
    assert "'Missing' of 'rate' names nothing that is defined there. Import it." in done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="annotations are evaluated late since Python 3.14")
def test_a_rerun_says_how_late_annotations_are_had_on_an_older_python(trial: Project) -> None:
    """What ran on Python 3.14 does not have to be one that can be defined before it."""
    flag = trial.folder.parent / "older"
    script(
        trial,
        f"""
if __import__("os").path.exists({str(flag)!r}):
    del Run
@experiment.main
def main(rate: float = 0.1, *, run: Run): ...
""",
    )
    trial.run()
    flag.touch()
    said = anew(trial, "rerun", "1", code=2).stderr
    assert "before it, a script with such ones begins with: from __future__ import annotations" in said
    assert "name 'Run' is not defined" in said


# --- aliases and type parameters -------------------------------------------------------------------------------------


@ALIASES
@pytest.mark.parametrize("first", ["from __future__ import annotations", ""], ids=["text", "plain"])
def test_a_type_alias_is_what_it_stands_for(trial: Project, first: str) -> None:
    script(
        trial,
        """
type Rate = float
type Again = Rate
type Mode = Literal["a", "b"]
type Several[T] = list[T]
type Turned[A, B] = dict[B, A]
type Same[T] = T
type Down = Later | None
type Handle = Run
@dataclass
class Config:
    rate: Again = 1
    many: Several[Rate] | None = None
    either: int | Rate = 2
@experiment.main
def main(rate: Rate = 1, mode: Optional[Mode] = None, several: Several[int] = [], turned: Turned[Rate, str] = {},
         same: Same[float] = 2, inside: list[Rate] = [], config: Config = Config(), down: Down = None, *,
         handle: Handle):
    return rate, mode, several, turned, same, inside, [config.rate, config.many, config.either]
@dataclass
class Later:
    x: int = 1
""",
        first,
    )
    trial.run("mode=b", "several=[1]", "turned.a=1", "inside=[3]", "config.many=[1]", "config.either=2.5")
    result = trial.record().result
    assert repr(result) == repr((1.0, "b", [1], {"a": 1.0}, 2.0, [3.0], [1.0, [1.0], 2.5]))
    assert "it takes one of: a, b" in trial.run("mode=c", code=2).stderr


@ALIASES
def test_an_alias_of_a_class_is_a_configuration(trial: Project) -> None:
    script(
        trial,
        f"type Config = Later\n@experiment.main\ndef main(cfg: Config):\n    return type(cfg).__name__, cfg.x\n"
        f"{BELOW.replace('[Deep]', '[Any]')}",
    )
    trial.run("x=3")
    assert trial.record().result == ("Later", 3)


@ALIASES
@pytest.mark.parametrize(
    ("alias", "told"),
    [
        ("type Bad = dict[str, Bad] | int", "the type of its parameter 'x' contains itself"),
        ("type Bad = xml.Nope", "raises AttributeError when it is evaluated: module 'xml' has no attribute 'Nope'"),
        ("type Bad = Missing", "'Bad' of 'x' names nothing that is defined there"),
    ],
)
def test_an_alias_that_stands_for_nothing_is_refused(trial: Project, alias: str, told: str) -> None:
    script(trial, f"{alias}\n@experiment.main\ndef main(x: Bad = 1): ...")
    said = trial.run(code=2).stderr
    assert told in said
    assert "Traceback" not in said


@ALIASES
def test_a_type_parameter_is_what_it_is_bound_to(trial: Project) -> None:
    script(trial, "@experiment.main\ndef main[T: float](x: T = 1, xs: list[T] = []): return x, xs")
    trial.run("x=3", "xs=[1]")
    assert repr(trial.record().result) == "(3.0, [1.0])"
    script(trial, "@experiment.main\ndef main[T](x: T = 1): return x")
    assert "T is a type parameter that may be anything. Give it a bound: [T: float]" in trial.run(code=2).stderr
