"""Hugging Face's Trainer: `Trainer(..., callbacks=[AnewCallback()])`."""

from __future__ import annotations

import dataclasses
from typing import Any

from anew.integrations.runs import missing, numbers, plain, run_of
from anew.runner.run.handle import Run

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise missing("transformers", "transformers", error) from None

_MODEL = ("model_type", "num_labels", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


class AnewCallback(TrainerCallback):
    """
    Logs what a Trainer logs into a run, its arguments as the fact `training`, what the model is as `model`.

    Of a training in several processes the first logs.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.
        log_model: Whether the trained model becomes an artifact at the end.
    """

    def __init__(self, run: Run | None = None, *, name: str = "transformers", log_model: bool = False) -> None:
        self._given = run
        self._name = name
        self._log_model = log_model

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Put the arguments on record: those that are not what they are by default."""
        if not state.is_world_process_zero:
            return
        facts: dict[str, Any] = {"training": plain(_said(args))}
        config = getattr(model, "config", None)
        if config is not None:
            facts["model"] = {
                "class": type(model).__qualname__,
                **{name: plain(getattr(config, name)) for name in _MODEL if getattr(config, name, None) is not None},
            }
        self.run.info(facts)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        """Log metrics, those of an evaluation below `eval/`, all others below `train/`."""
        if state.is_world_process_zero and (found := numbers(logs or {})):
            self.run.log({_called(name): value for name, value in found.items()}, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Keep the model, where that is wanted."""
        if self._log_model and model is not None and state.is_world_process_zero:
            folder = self.run.dir / "model"
            model.save_pretrained(folder)
            self.run.log_artifact(folder, "model")


def _said(args: Any) -> dict[str, Any]:
    """Return the arguments that differ from their defaults, without keys of a hub."""
    found = {}
    for each in dataclasses.fields(args):
        value = getattr(args, each.name, None)
        if each.init and "token" not in each.name and value != each.default and not callable(value):
            found[each.name] = value
    return found


def _called(name: str) -> str:
    for kind in ("eval", "test"):
        if name.startswith(f"{kind}_"):
            return f"{kind}/{name.removeprefix(f'{kind}_')}"
    # what sums up the training as well, which is called train_loss: a series of its own
    return f"train/{name}"
