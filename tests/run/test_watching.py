"""Watching a torch model: its layers are named, and nothing of what it computes is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.needs import marked, needs
from tests.helpers.scripts import Project, anew

pytestmark = pytest.mark.long

TRAIN = """
@experiment.main
def main(watched: bool = True, bad: int = -1, *, run: Run):
    import copy, io, torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    if watched:
        anew.watch(model, every=2)
    twin = copy.deepcopy(model)
    torch.save(model, io.BytesIO())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        x = torch.randn(8, 3)
        if step == bad:
            x[0] = float("nan")
        optimizer.zero_grad()
        model(x).pow(2).mean().backward()
        optimizer.step()
        twin(x).sum().backward()
        with torch.no_grad():
            model(x)
    return sum(float(each.sum()) for each in model.parameters())
"""


@pytest.fixture
def trial(project: Path) -> Project:
    found = Project(project)
    found.write(TRAIN)
    return found


@pytest.mark.torch
@marked("torch", "torch==2.13.0")
def test_weights_and_gradients_are_logged_by_layer_and_the_model_learns_the_same(trial: Project) -> None:
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", "watched=false")
    watched, plain = trial.record(1), trial.record(2)
    layers = ("0.weight", "0.bias", "2.weight", "2.bias")
    assert watched.media.keys() == {f"{what}/{layer}" for what in ("weights", "gradients") for layer in layers}
    assert not plain.media
    assert watched.result == plain.result
    bins = json.loads(anew(trial, "metrics", "1", "gradients/0.weight", "--json").stdout)
    assert bins["gradients/0.weight"]["steps"] == [0, 2, 4]
    assert [sum(counts) for counts in bins["gradients/0.weight"]["counts"]] == [12, 12, 12]


@pytest.mark.torch
@marked("torch", "torch==2.13.0")
def test_the_layer_that_gets_nan_is_named_with_its_step(trial: Project) -> None:
    said = trial.run("bad=2").stderr
    assert "anew: at step 2 gradients/2.bias is NaN: its first value that is not finite." in said
    assert "gradients/0.weight is NaN" in said
    assert "at step 4 weights/0.weight is NaN" in anew(trial, "show", "1").stdout


@pytest.mark.torch
def test_what_cannot_be_watched_is_refused(trial: Project) -> None:
    needs("torch", "torch==2.13.0")
    trial.write("""
    import torch

    @experiment.main
    def main(what: str, *, run: Run):
        linear = torch.nn.Linear(1, 1)
        if what == "frozen":
            linear.requires_grad_(False)
        anew.watch({"frozen": linear, "number": 5, "every": linear}[what], every=0 if what == "every" else 1)
    """)
    for what, says in (
        ("frozen", "without parameters that learn"),
        ("number", "got a value of type int"),
        ("every", "every=0"),
    ):
        assert says in trial.run(f"what={what}", code=1).stderr
