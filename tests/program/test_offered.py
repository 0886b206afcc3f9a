"""What a program of any language is offered: `$ANEW_METRICS`, `$ANEW_RUN_DIR`; and `--artifacts`."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.errors import ConfigError
from anew.runner.format.metric_lines import written_in
from anew.runner.program.words import asked
from tests.helpers.scripts import Project, anew

FIT = """\
#!/bin/bash
for i in 1 2 3; do echo "loss=0.$i step=$i" > "$ANEW_METRICS"; done
echo '{"step": 4, "loss": 0.4, "phase": "fit", "deep": {"a": 1}}' >> "$ANEW_METRICS"
echo 'acc=0.5' >> "$ANEW_METRICS"
echo 'acc=high' >> "$ANEW_METRICS"
printf 'acc=0.75' >> "$ANEW_METRICS"
echo left > "$ANEW_RUN_DIR/left.txt"
echo new > out/new.txt
exit $1
"""
PROGRAM = """\
import os
N = 2
with open(os.environ["ANEW_METRICS"], "a") as file:
    for i in range(N):
        print(f"x={i} step={i}", file=file)
with open(os.path.join(os.environ["ANEW_RUN_DIR"], "left.txt"), "w") as file:
    file.write("left")
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("offered")
    (folder / "out").mkdir()
    (folder / "out" / "old.txt").write_text("old")
    for name, text in (("pyproject.toml", ""), ("fit.sh", FIT), ("train.py", PROGRAM)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return Project(folder)


def _points(trial: Project, name: str) -> tuple[list[int], list[float]]:
    series = trial.store.metrics("last", name)
    return [int(step) for step in series.steps], [float(value) for value in series.values]


@pytest.mark.parametrize("code", [0, 3])
def test_a_script_writes_metrics_and_leaves_files(trial: Project, code: int) -> None:
    anew(trial, "run", "--artifacts", "out/*.txt", "--artifacts=no/**", "--", "./fit.sh", str(code), code=code)
    record = trial.record()
    assert _points(trial, "loss") == ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])
    assert _points(trial, "acc") == ([0, 1], [0.5, 0.75])
    assert _points(trial, "deep/a") == ([4], [1])
    assert {each.path for each in record.artifacts} == {"left.txt", "out/new.txt"}
    assert any("'acc=high' was not logged" in each for each in record.warnings)
    assert "bash" in record.info["interpreter"]["version"]
    assert record.info["interpreter"]["path"].endswith("/bash")
    (trial.folder / "out" / "new.txt").unlink()
    if not code:
        assert "identical" in anew(trial, "rerun", str(record.id)).stdout


def test_so_does_a_program_in_python(trial: Project) -> None:
    anew(trial, "run", "train.py", "N=3")
    assert _points(trial, "x") == ([0, 1, 2], [0, 1, 2])
    assert [each.path for each in trial.record().artifacts] == ["left.txt"]
    assert "identical" in anew(trial, "rerun", "last").stdout


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loss=0.2 step=3", ({"loss": 0.2}, 3)),
        ("loss=1e-3, acc: 2", ({"loss": 0.001, "acc": 2}, None)),
        ('{"epoch": 3, "loss": null}', ({"loss": None}, 3)),
        ("loss", None),
        ("[1]", None),
        ("{", None),
        ("step=3", None),
    ],
)
def test_what_a_line_says(line: str, found: object) -> None:
    assert written_in(line) == found


def test_artifacts_takes_a_pattern(tmp_path: Path) -> None:
    assert asked(["--artifacts", "a/*", "t.py", "x=1"]).overrides == ("x=1", "anew.artifacts=['a/*']")
    with pytest.raises(ConfigError, match="--artifacts takes a pattern"):
        asked(["--artifacts"])


def test_a_flag_is_no_module() -> None:
    with pytest.raises(ConfigError, match="anew run --help"):
        asked(["-m", "--help"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rm", "was removed"),
        ("rm $M && mkdir", "was replaced by a folder"),
        ("rm $M && touch", "was replaced by a file"),
    ],
)
def test_a_pipe_that_is_none_any_more_is_said(trial: Project, words: str, said: str) -> None:
    anew(trial, "run", "--", "sh", "-c", f'M="$ANEW_METRICS"; {words} "$M"')
    assert any(f"ANEW_METRICS {said}" in each for each in trial.record().warnings)
