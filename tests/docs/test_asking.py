"""The page on what runs tell together: its program and commands run, and show what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from anew.runner.cli import main
from tests.helpers.places import ROOT
from tests.helpers.scripts import Project

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
PAGE = (ROOT / "docs" / "asking.md").read_text(encoding="utf-8")


def test_its_commands_run_and_show_what_it_says(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One store serves all questions: what is made by `repeat` is compared, drawn, followed and counted."""

    def anew(*words: str, code: int = 0) -> str:
        capfd.readouterr()
        assert main([*words]) == code, capfd.readouterr().err
        return capfd.readouterr().out

    trial = Project(project)
    (project / "train.py").write_text(re.findall(r"```python\n# train.py\n(.*?)```", PAGE, re.DOTALL)[0])
    (project / "week3.md").write_text(re.findall(r"````markdown\n(.*?)````", PAGE, re.DOTALL)[0])
    told: dict[str, str] = {}
    for line in re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE):
        program, *words = shlex.split(line, comments=True)
        if program == "python":
            trial.run(*words[1:])
        else:
            told[line] = anew(*words)
    store = trial.store
    assert [store.get(number).config["seed"] for number in range(1, 11)] == [0, 0, 1, 2, 3, 4, 1, 2, 3, 4]
    assert {store.get(number).config["lr"] for number in range(3, 7)} == {0.1}
    assert re.search(r"^Run 2 is better by \d\.\d points \(95 % .*, n = 5 \+ 5\)\.$", told[_of(told, "compare")], re.M)

    found = json.loads(anew("compare", "--by", "seed", "2", "1", "--json"))
    assert found["shown"]
    assert found["groups"][0]["runs"] == [2, 7, 8, 9, 10]
    assert found["welch"]["p"] < 0.05
    assert found["sentence"].startswith("Run 1 is smaller by")  # which result is better is not known

    # a repetition with the same seeds has been made before
    assert "done before" in trial_repeat(anew, capfd)

    timed = json.loads(told[_of(told, "--by time")])
    assert sum(timed["1"]["acc"]["count"]) == 50
    assert sum(timed["2"]["acc"]["nan"]) == 0

    banded = json.loads(anew("plot", "1-10", "acc", "--band", "--json"))
    assert len(banded) == 2
    for curve in banded.values():
        assert all(
            low <= mean <= high for low, mean, high in zip(curve["min"], curve["values"], curve["max"], strict=True)
        )
    anew("plot", "1-10", "acc", "--band", "--log", "--svg", "band.svg")
    assert ElementTree.parse("band.svg").getroot().tag.endswith("svg")
    for report in ("week3.html", "week3.frozen.md"):
        assert "0.3" in Path(report).read_text()
    assert "data:image" in Path("week3.html").read_text()
    assert Path("runs.png").read_bytes().startswith(b"\x89PNG")
    points = json.loads(anew("plot", "--x", "config.lr", "--y", "acc", "--json"))
    assert {row["config.lr"] for row in points} == {0.1, 0.3}

    usage = json.loads(anew("usage", "--compute", "--by", "sweep", "--prices", "wall=3600", "--json"))
    assert sum(row["runs"] for row in usage) == len(store.numbers())
    assert usage[0]["price"] == pytest.approx(usage[0]["wall_hours"] * 3600)
    with pytest.raises(AssertionError, match="is no price of an hour"):
        anew("usage", "--compute", "--prices", "cpu=-1")


def _of(told: dict[str, str], words: str) -> str:
    return next(line for line in told if words in line)


def trial_repeat(anew: object, capfd: pytest.CaptureFixture[str]) -> str:
    """Repeat what was repeated, and return what is said of it on stderr."""
    capfd.readouterr()
    assert main(["repeat", "1", "--seeds", "4", "anew.sweep.skip=done"]) == 0
    captured = capfd.readouterr()
    return captured.err + captured.out
