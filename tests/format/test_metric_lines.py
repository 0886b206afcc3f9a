"""Which printed lines hold metrics, and which do not."""

from __future__ import annotations

import pytest

from anew.runner.format.metric_lines import metrics_in, pattern_of


def _found(line: str, *patterns: str) -> list[tuple[dict[str, float], int | None]]:
    return [(dict(each.values), each.step) for each in metrics_in(line, [pattern_of(text) for text in patterns])]


@pytest.mark.parametrize(
    ("line", "pattern", "found"),
    [
        ("accuracy: 0.5", r"acc=accuracy: (\S+)", [({"acc": 0.5}, None)]),
        ("accuracy: 3", r"acc=accuracy: (\S+)", [({"acc": 3}, None)]),
        ("accuracy: high", r"acc=accuracy: (\S+)", []),
        ("at 7 it is 0.5", r"acc=at (?P<step>\d+) it is (\S+)", [({"acc": 0.5}, 7)]),
        ("0.5 at 7", r"acc=(?P<value>\S+) at (?P<step>\d+)", [({"acc": 0.5}, 7)]),
        ("a=1 a=2", r"x=a=(\d)", [({"x": 1}, None), ({"x": 2}, None)]),
        ("loss nan", r"loss=loss (\S+)", [({"loss": pytest.approx(float("nan"), nan_ok=True)}, None)]),
        ("a" * 20_000 + "1", r"x=(1)", []),
    ],
)
def test_a_pattern_finds_numbers(line: str, pattern: str, found: object) -> None:
    assert _found(line, pattern) == found


@pytest.mark.parametrize(
    ("line", "values", "step"),
    [
        ("step: 3 loss: 0.2 acc=0.5", {"loss": 0.2, "acc": 0.5}, 3),
        ("Epoch: 3, Loss: 2e-1 | lr = .1", {"Loss": 0.2, "lr": 0.1}, 3),
        ("epoch=1 - step=10 - loss=-1.5", {"epoch": 1, "loss": -1.5}, 10),
        ("  iter: 4 val/loss: inf", {"val/loss": float("inf")}, 4),
        ('{"step": 2, "loss": 0.5}', {"loss": 0.5}, 2),
        ('{"loss": 0.5, "n": 3}', {"loss": 0.5, "n": 3}, None),
    ],
)
def test_lines_of_names_and_numbers_are_metrics(line: str, values: dict[str, float], step: int | None) -> None:
    assert _found(line, "auto") == [(values, step)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "port: 8080",
        "Loss: 0.2",
        "step: 3",
        "Done at step: 3 loss: 0.2",
        "step: 3 loss: 0.2 so far",
        "step: 3 loss: 0.2s",
        "step: 3 time: 12:30",
        "step: 3 version: 1.2.3",
        "Note: in step: 3 we found 12 files",
        "step: 1.5 loss: 2",
        "step: 1 loss: 2 loss: 3",
        '{"step": 2, "name": "x"}',
        '{"step": 2, "done": true}',
        '{"step": 2}',
        "[1, 2]",
        "{step: 2, loss: 3}",
        "{}",
    ],
)
def test_anything_else_is_not(line: str) -> None:
    assert _found(line, "auto") == []


@pytest.mark.parametrize("text", ["acc", "acc=", "=(x)", "acc=accuracy", r"acc=(?P<step>\d+)", "acc=(", "Auto", ""])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|PATTERN"):
        pattern_of(text)
