"""Accelerate: `Accelerator(log_with=AnewTracker("fit"))`, then `accelerator.log({"loss": loss}, step=step)`."""

from __future__ import annotations

from typing import Any

from anew.integrations.runs import missing, numbers, plain, run_of
from anew.runner.run.handle import Run

try:
    from accelerate.tracking import GeneralTracker, on_main_process
except ModuleNotFoundError as error:
    raise missing("accelerate", "accelerate", error) from None


class AnewTracker(GeneralTracker):
    """
    Logs what an Accelerator logs into a run; the configuration of `init_trackers` is the fact `configuration`.

    Of a training in several processes the main one logs.

    Args:
        run_name: The experiment of a new run.
        run: The run; None for the one that is going on, or else for a new one.
    """

    name = "anew"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, run_name: str = "accelerate", run: Run | None = None, **more: Any) -> None:
        super().__init__()
        self.run_name = run_name
        self._given = run

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self.run_name)
        return self._given

    @property
    def tracker(self) -> Run:
        """The same, as Accelerate calls it."""
        return self.run

    @on_main_process
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Put a configuration on record."""
        self.run.info({"configuration": plain(values)})

    @on_main_process
    def log(self, values: dict[str, Any], step: int | None = None, **more: Any) -> None:
        """Log metrics."""
        if found := numbers(values):
            self.run.log(found, step)

    @on_main_process
    def finish(self) -> None:
        """Leave the run to what began it."""
