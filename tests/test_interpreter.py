"""
What an interpreter can change under us: the tests here, and those marked the same elsewhere, are run on every Python.

`make pythons-near` runs them on the other Pythons that are found; what a version changed is tried here on any of them.
"""

from __future__ import annotations

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import hydra._internal.utils
import pytest

from anew import Experiment

pytestmark = pytest.mark.interpreter


# --- the command line's parser ---------------------------------------------------------------------------------------


@pytest.fixture
def curious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have argparse look into the help of every option that is added, as it does since Python 3.14."""
    add: Any = argparse._ActionsContainer.add_argument

    def add_argument(self: Any, *names: Any, **options: Any) -> Any:
        assert "%" not in (options.get("help") or "")
        return add(self, *names, **options)

    monkeypatch.setattr(argparse._ActionsContainer, "add_argument", add_argument)


@pytest.mark.usefixtures("curious", "project")
def test_an_argparse_that_looks_into_every_help_does_not_stop_a_command() -> None:
    """Of `--shell-completion`, Hydra gives an object that is no text: Python 3.14 raises `badly formed help string`."""
    experiment = Experiment("trial")

    @experiment.main
    def main(lr: float = 0.1) -> float:
        return lr

    assert main.run("lr=0.5").result == 0.5


@pytest.mark.usefixtures("curious", "project")
@pytest.mark.parametrize(
    "line", [["--help", "hydra.help.template=$FLAGS_HELP"], ["--hydra-help"]], ids=["app", "hydra"]
)
def test_help_tells_of_every_option_as_ever(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment("trial")
    monkeypatch.setattr("sys.argv", ["train.py", *line])

    @experiment.main
    def main(lr: float = 0.1) -> float:
        return lr

    with redirect_stdout(io.StringIO()) as told, pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 0
    assert "--shell-completion,-sc : Install or Uninstall shell completion:\n    Bash - Install:" in told.getvalue()
    assert "--multirun,-m : Run multiple jobs" in told.getvalue()


@pytest.mark.usefixtures("project")
def test_the_argparse_of_others_is_as_it_was(tmp_path: Path) -> None:
    """Neither the module nor its parser is changed, not even while main runs: main may have a parser of its own."""
    before = dict(vars(argparse)), dict(vars(argparse._ActionsContainer)), dict(vars(argparse.ArgumentParser))
    seen: list[Any] = []
    experiment = Experiment("trial")

    @experiment.main
    def main(lr: float = 0.1) -> None:
        seen.append((dict(vars(argparse)), dict(vars(argparse._ActionsContainer)), dict(vars(argparse.ArgumentParser))))
        seen.append(hydra._internal.utils.argparse)

    main.run()

    assert seen == [before, argparse]
