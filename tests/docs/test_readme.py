"""What the README says is so: its first screen runs, and nothing that there is goes unmentioned."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest

import anew
from anew.runner import errors
from anew.runner.cli.group import workbench
from anew.runner.run.handle import Run
from anew.runner.settings import Settings
from tests.helpers.places import ROOT
from tests.helpers.scripts import ANEW

README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
NARROW = ("commands.md", "files.md", "filters.md", "settings.md")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a console block, as words for subprocess."""
    for line in block.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        program = {"python": [sys.executable], "anew": ANEW}[words[0]]
        yield [*program, *words[1:]]


@pytest.mark.interpreter
def test_the_first_screen_runs(project: Path) -> None:
    (project / "train.py").write_text(blocks("python")[0])
    shown = []
    for words in commands(blocks("console")[0]):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        shown.append(done.stdout)
    listed = shown[2].splitlines()
    assert [line.split()[0] for line in listed] == ["run", "3", "2", "1"]
    assert "lr" in shown[3]
    assert "loss" in shown[4]


def test_the_first_screen_is_short() -> None:
    assert len(blocks("python")[0].strip().splitlines()) <= 20
    assert len(blocks("console")[0].strip().splitlines()) <= 20


def test_the_example_of_reading_from_python_runs(project: Path) -> None:
    (project / "train.py").write_text(blocks("python")[0])
    subprocess.run([sys.executable, "train.py", "-q"], check=True, timeout=60)
    code = next(block for block in blocks("python") if "open_store" in block)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    number, result, *_ = done.stdout.split()
    assert number == "1"
    assert float(result) < 1e-9


def settings(cls: Any, prefix: str = "anew") -> Iterator[str]:
    """Every key of the settings, in dotted form."""
    for name, kind in get_type_hints(cls).items():
        if is_dataclass(kind):
            yield from settings(kind, f"{prefix}.{name}")
        elif name in {item.name for item in fields(cls)}:
            yield f"{prefix}.{name}"


# whether "files" is among the observers is what `keep` says
@pytest.mark.parametrize("key", sorted(set(settings(Settings)) - {"anew.keep"}))
def test_every_setting_is_mentioned(key: str) -> None:
    assert f"`{key}`" in SETTINGS


@pytest.mark.parametrize("name", workbench.list_commands(click.Context(workbench)))
def test_every_command_is_mentioned(name: str) -> None:
    assert re.search(rf"anew {name}\b", COMMANDS)


def test_every_exit_code_is_mentioned() -> None:
    table = COMMANDS.partition("| exit code |")[2]
    named = {int(number) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for number in row.split(",")}
    assert named == {code for name, code in vars(errors).items() if name.startswith("EXIT_")}


def test_no_line_is_longer_than_120_characters() -> None:
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / name for name in NARROW)):
        assert max(map(len, path.read_text().splitlines())) <= 120, path


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_page_is_led_to(page: str) -> None:
    assert f"(docs/{page})" in README


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(Run) if not name.startswith("_")])
def test_everything_a_run_can_do_is_mentioned(name: str) -> None:
    assert f"run.{name}" in README


@pytest.mark.parametrize("name", anew.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(anew, name) is not None


def test_the_settings_shipped_are_the_defaults() -> None:
    import yaml

    shipped = yaml.safe_load((ROOT / "configs/anew/default.yaml").read_text())
    assert Settings.from_mapping({**shipped, "observers": {"files": {"keep": True}}}) == Settings()


def test_the_changelog_has_the_version_or_what_is_to_come() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{anew.__version__}]" in text or "## [Unreleased]" in text


def test_no_line_of_the_changelog_stands_there_twice() -> None:
    """Merges that keep both sides of it leave some."""
    lines = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith(("- ", "## "))]
    assert sorted(lines) == sorted(set(lines))


def test_the_files_to_touch_are_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:runner|observers|configs|tests|docs|src)/[\w./]+)`", page)
    assert len(named) > 20
    for name in named:
        assert (ROOT / name).exists() or "NAME" in name or "FACT" in name, name
