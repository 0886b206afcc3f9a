"""PyTorch: optimisers as they are made, and the learning rate as it is scheduled."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from anew.runner.autolog.patched import Numbered, Patches, number, plain

KIND = "torch"


def watch_torch(patches: Patches, module: ModuleType) -> None:
    """Notice optimisers, and the steps of what schedules their learning rates."""
    names = Numbered(50)

    def made(original: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        optimizer = given[0] if given else named["self"]
        if (name := names.name(type(optimizer).__qualname__)) is not None:
            groups = [
                {key: plain(value) for key, value in each.items() if key != "params"} for each in optimizer.param_groups
            ]
            facts = groups[0] if len(groups) == 1 else {"groups": groups}
            patches.keep(KIND, name, facts)

    def stepped(original: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        scheduler = given[0] if given else named["self"]
        rates = [number(each) for each in scheduler.get_last_lr()]
        found = {
            "lr" if index == 0 else f"lr_{index + 1}": each for index, each in enumerate(rates) if each is not None
        }
        patches.run.log(found, int(scheduler.last_epoch))

    if module.__name__ == "torch.optim":
        patches.wrap(module.Optimizer, "__init__", KIND, made)
    else:
        home = sys.modules["torch.optim.lr_scheduler"]
        base = vars(home).get("LRScheduler") or vars(home)["_LRScheduler"]
        for cls in (base, *(each for each in vars(home).values() if isinstance(each, type) and issubclass(each, base))):
            if "step" in vars(cls):
                patches.wrap(cls, "step", KIND, stepped)
