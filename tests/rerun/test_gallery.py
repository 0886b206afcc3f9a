"""
Programs of the kinds that strangers write, on record, and everything around them is wrecked: the same comes out, or the
true reason is named. The table of what becomes of them is the body of a section of docs/rerun.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import anew
from anew.runner.rerun.report import RerunResult, verdict_words
from tests.helpers.places import PROGRAMS, ROOT

pytestmark = pytest.mark.long

PAGE = ROOT / "docs" / "rerun.md"
SECTION = "## What it has been tried on\n"
# one after the other
WRECKS = ("edited", "moved", "deleted")
IDENTICAL = "identical"
DIFFERENT = "different"


@dataclass(frozen=True)
class Row:
    """
    A program, and what its re-run is to say.

    Attributes:
        verdict: In words.
        cause: Kind and place of the first cause, as in "time elapsed.py:12"; what the place begins with will do.
        words: On the command line.
        libraries: What has to be installed; such programs take longer.
        variables: Of the recorded run alone.
        code: What the recorded run ends with.
    """

    name: str
    verdict: str = IDENTICAL
    cause: str = ""
    words: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    code: int = 0


ROWS = (
    Row("line_fit", words=("lr=0.2", "steps=7")),
    Row("pi_by_darts"),
    Row("yaml_groups", words=("model=large", "epochs=3")),
    Row("dataclass_schema", words=("scale=0.1",)),
    Row("csv_means"),
    Row("word_count"),
    Row("named_streams"),
    Row("game_of_life"),
    Row("saved_array"),
    Row("pickled_model"),
    Row("fails_the_same", code=1),
    Row("own_package"),
    Row("environment_value", variables=(("WHO", "Ada"),)),
    Row("text_generator"),
    Row("odd_numbers"),
    Row("folder_of_files"),
    Row("writes_results"),
    Row("prints_the_time"),
    Row("pool_of_workers"),
    Row("pool_of_threads"),
    Row("killed_midway", "identical as far as it got (3 points)", variables=(("KILL", "1"),), code=-9),
    Row("frames", libraries=("pandas",)),
    Row("classifier", libraries=("sklearn",)),
    Row("png_plot", libraries=("matplotlib",)),
    Row("elapsed_returned", DIFFERENT, "time elapsed_returned.py"),
    Row("speed_logged", DIFFERENT, "time speed_logged.py"),
    Row("dated_report", DIFFERENT, "time dated_report.py"),
    Row("timed_facts", DIFFERENT, "time timed_facts.py"),
    Row("as_many_as_it_can", DIFFERENT, "time as_many_as_it_can.py"),
    Row("fresh_generator", DIFFERENT, "unseeded fresh_generator.py"),
    Row("own_random", DIFFERENT, "unseeded own_random.py"),
    Row("named_by_uuid", DIFFERENT, "unseeded named_by_uuid.py"),
    Row("tokens", DIFFERENT, "unseeded tokens.py"),
    Row("seeded_by_the_clock", DIFFERENT, "unseeded seeded_by_the_clock.py"),
    Row("set_of_names", DIFFERENT, "hash set_of_names.py"),
    Row("hashed_buckets", DIFFERENT, "hash hashed_buckets.py"),
    Row("temporary_folder", DIFFERENT, "temporary temporary_folder.py"),
    Row("own_folder_inside", DIFFERENT, "place index.txt"),
    Row("gzipped", DIFFERENT, "time numbers.gz", variables=(("WAIT", "0"),)),
    Row("zipped", DIFFERENT, "time all.zip"),
    Row("pickled_time", DIFFERENT, "time pickled_time.py"),
    Row("object_returned", DIFFERENT, "unkept"),
    Row("data_outside", DIFFERENT, "input /", words=("data={outside}",)),
    Row("first_of_many", DIFFERENT, "order first_of_many.py"),
    Row("svg_plot", DIFFERENT, "made curve.svg", libraries=("matplotlib",)),
    Row("joblib_draws", DIFFERENT, "unseeded joblib_draws.py", libraries=("joblib", "numpy")),
)
QUICK = [row for row in ROWS if not row.libraries]
SLOW = [row for row in ROWS if row.libraries]


class Gallery:
    """Programs in a folder each, recorded, wrecked and run again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "runs"
        self.outside = folder / "outside.txt"
        self.outside.write_text("1 2 3\n")

    def try_all(self, rows: list[Row]) -> dict[str, tuple[str, RerunResult]]:
        """Return what was done to each program, and how it came out."""
        with ThreadPoolExecutor(2) as pool:
            numbers = dict(zip(rows, pool.map(self.record, rows), strict=True))
            for place, row in enumerate(rows):
                self.wreck(row, WRECKS[place % len(WRECKS)])
            self.outside.write_text("4 5 6\n")
            results = list(pool.map(self.again, numbers.values()))
        return {
            row.name: (WRECKS[place % len(WRECKS)], result)
            for place, (row, result) in enumerate(zip(rows, results, strict=True))
        }

    def record(self, row: Row) -> int:
        """Run a program as its author does; return the run's number."""
        project = self.folder / row.name
        for name in ("conf", "data", "tools"):
            shutil.copytree(PROGRAMS / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROGRAMS / f"{row.name}.py", project)
        (project / "pyproject.toml").touch()
        words = [word.format(outside=self.outside) for word in row.words]
        command = [sys.executable, f"{row.name}.py", *words, f"anew.tags=[{row.name}]", "anew.quiet=true"]
        variables = {**os.environ, "ANEW_STORE": str(self.store), **dict(row.variables)}
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == row.code, f"{row.name}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        (record,) = anew.open_store(self.store).find(f"tag == {row.name}")
        assert record.id is not None
        return record.id

    def wreck(self, row: Row, how: str) -> None:
        """Do to a project what becomes of projects."""
        project = self.folder / row.name
        if how == "deleted":
            shutil.rmtree(project)
        elif how == "moved":
            project.rename(project.with_name(f"{row.name}-old"))
        else:
            for path in project.rglob("*"):
                if path.is_file():
                    path.write_text("raise SystemExit('this is of today')\n")

    def again(self, number: int) -> RerunResult:
        """Run it again, in whatever environment this is."""
        silent = subprocess.DEVNULL
        return anew.rerun(number, store=self.store, stdout=silent, stderr=silent)


def table(results: dict[str, tuple[str, RerunResult]]) -> Iterator[str]:
    """Yield a line of the page's table for each program."""
    for row in ROWS:
        if row.name in results:
            how, result = results[row.name]
            text = (PROGRAMS / f"{row.name}.py").read_text().partition('"""')[2].partition('"""')[0].rstrip(".")
            yield f"| {text} | {how} | {verdict_words(result.judged)} | {_why(result)} |"


def _why(result: RerunResult) -> str:
    if not result.judged.reasons:
        return ""
    cause = result.judged.reasons[0]
    where = "the input" if cause.kind == "input" else cause.where
    return f"{cause.kind}{f': `{where}`' if where else ''}"


def _check(rows: list[Row], folder: Path) -> None:
    results = Gallery(folder).try_all(rows)
    lines = list(table(results))
    print("\n".join(lines))
    wrong = []
    for row in rows:
        judged = results[row.name][1].judged
        first = f"{judged.reasons[0].kind} {judged.reasons[0].where}" if judged.reasons else ""
        if verdict_words(judged) != row.verdict or not first.startswith(row.cause) or bool(first) != bool(row.cause):
            wrong.append(f"{row.name}: {verdict_words(judged)}, {judged.first_difference}, {judged.reasons}")
    assert not wrong, "\n".join(wrong)
    page = PAGE.read_text(encoding="utf-8").partition(SECTION)[2]
    missing = [line for line in lines if line not in page]
    assert not missing, f"docs/rerun.md does not say, under {SECTION.strip()!r}:\n" + "\n".join(missing)


def test_everyday_programs_come_out_the_same_or_the_true_reason_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "Eve")
    _check(QUICK, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("row", SLOW, ids=lambda row: row.name)
def test_programs_of_large_libraries_do_so_too(row: Row, tmp_path: Path) -> None:
    for library in row.libraries:
        pytest.importorskip(library)
    _check([row], tmp_path)
