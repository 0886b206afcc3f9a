"""The commands of all pages are ones that a shell takes as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHELL = re.compile(r"^```(?:console|bash|sh|shell)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """What is typed in the shell blocks of a page: the lines after a prompt, with those that go on from them."""
    typed = []
    for block in SHELL.findall(text):
        whole = block.replace("\\\n", " ")
        prompted = [line.removeprefix("$ ") for line in whole.splitlines() if line.startswith("$ ")]
        typed += prompted or [line for line in whole.splitlines() if line.strip()]
    return typed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_shell_takes_every_command_of_a_page(page: Path) -> None:
    for line in commands(page.read_text()):
        done = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|\$\([^)]*\)", "", line.partition("  #")[0])
        assert not re.search(r"=\S*[(*\[]", bare), f"a shell reads more in this than was meant: {line}"


# the table of search.md is of what Hydra is given, also in a file, and says that a shell wants quotes
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "search.md"], ids=lambda page: page.name)
def test_an_override_with_parentheses_is_quoted_in_the_text_too(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"`[\w.+~/]+=(?:range|interval|choice|glob|tag|int)\([^`]*`", text)


def test_what_no_shell_takes_is_found() -> None:
    assert commands("```console\n$ a b=range(5)\n6\n$ c \\\n  d\n```\n") == ["a b=range(5)", "c    d"]
