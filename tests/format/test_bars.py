"""Which lines of Keras and Lightning hold what an epoch came to."""

from __future__ import annotations

from anew.runner.format.metric_lines import Bars

KERAS = """\
Epoch 1/2
1/32 ━━━━━━━━━━━━━━━━━━━━ 3s 99ms/step - accuracy: 0.50 - loss: 0.93
32/32 ━━━━━━━━━━━━━━━━━━━━ 1s 2ms/step - accuracy: 0.91 - loss: 0.23
32/32 ━━━━━━━━━━━━━━━━━━━━ 1s 2ms/step - accuracy: 0.91 - loss: 0.23 - val_loss: 0.31
Epoch 2/2
32/32 [==============================] - 1s 2ms/step - loss: 1.5000e-02 - val_loss: nan
10/10 ━━━━━━━━━━━━━━━━━━━━ 0s 1ms/step
""".splitlines()
LIGHTNING = [
    "Epoch 0:  50%|█████     | 5/10 [00:00<00:00, 98.00it/s, v_num=0, train_loss=0.900]",
    "Epoch 0: 100%|██████████| 10/10 [00:00<00:00, 98.00it/s, v_num=0, train_loss=0.500]",
    "Epoch 0: 100%|██████████| 10/10 [00:00<00:00, 98.00it/s, v_num=0, train_loss=0.500, val_loss=0.6]",
    "\rEpoch 1: 100%|██████████| 9/10 [00:00<00:00]\rEpoch 1: 100%|██| 10/10 [00:01<00:00, 98it/s, v_num=0, a=2]",
    "Epoch 2: 100%|██████████| 10/10 [00:00<00:00, 98.00it/s, v_num=0]",
]


def _found(lines: list[str]) -> list[tuple[int | None, dict[str, float]]]:
    bars = Bars()
    found = [each for line in lines for each in bars.metrics_in(line)]
    return [(each.step, dict(each.values)) for each in (*found, *bars.rest())]


def test_an_epoch_of_keras_is_a_point() -> None:
    first, (step, last) = _found(KERAS)
    assert first == (1, {"accuracy": 0.91, "loss": 0.23, "val_loss": 0.31})
    assert step == 2
    assert last["loss"] == 0.015
    assert last["val_loss"] != last["val_loss"]


def test_an_epoch_of_lightning_is_a_point() -> None:
    assert _found(LIGHTNING) == [(0, {"train_loss": 0.5, "val_loss": 0.6}), (1, {"a": 2})]


def test_no_other_line_is_one() -> None:
    others = ["Epoch 3", "1/1 done - loss: 0.2", "Epoch 1/2 - loss: 0.3", "32/32 ━━ 1s - loss: high"]
    assert not _found(["32/32 ━━ 1s 2ms/step - loss: 0.2", *others])
