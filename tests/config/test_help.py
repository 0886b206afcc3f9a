"""What `--help` says beside Hydra's own text, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.scripts import Project

MAIN = '''
@experiment.main
def main(rate: float = 0.1, layers: list[int] = [1], *, run: Run):
    """Fit a model.

    And say how well.
    """
'''
SAID = ["-q, --quiet", "--store URL", "anew.KEY=VALUE", "-m KEY=A,B", "Fit a model.", "And say how well."]


@pytest.fixture
def fit(project: Path) -> Project:
    made = Project(project)
    made.write(MAIN)
    return made


def test_help_of_typed_parameters_tells_of_them_of_main_and_of_what_anew_takes(fit: Project) -> None:
    done = fit.run("--help")
    for text in (*SAID, "rate: float = 0.1", "layers: list[int] = [1]", "powered by Hydra"):
        assert text in done.stdout
    assert done.stderr == ""
    assert not fit.has_runs


def test_whoever_has_a_template_gets_that_on_stdout_and_nothing_else(fit: Project) -> None:
    done = fit.run("--help", "hydra.help.template=mine")
    assert done.stdout == "mine\n"
    assert all(text in done.stderr for text in SAID)


def test_an_app_of_hydras_prints_what_it_printed_and_tells_the_rest_on_stderr(project: Path) -> None:
    made = Project(project)
    made.write('@experiment.main(config_path=None)\ndef main(cfg):\n    """Fit a model."""\n')
    done = made.run("--help")
    assert "anew" not in done.stdout
    assert "Fit a model." in done.stderr
    assert "--store URL" in done.stderr


def test_help_asked_for_in_hydras_way_stays_hydras(fit: Project) -> None:
    assert "--store" not in fit.run("--hydra-help").stdout
