"""`anew.autolog()` and the setting `anew.autolog`: a run that notices what libraries do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anew.runner.errors import RunStateError
from anew.runner.lazy.modules import later
from anew.runner.run.current import current_run
from anew.runner.run.handle import Run
from anew.runner.settings import check_autolog

if TYPE_CHECKING:
    from anew.runner.autolog import watch
else:
    watch = later("anew.runner.autolog.watch")


class Autologged:
    """
    The part of a run that notices libraries, where that is wanted: by the setting, or by `autolog`.

    Args:
        wanted: What the setting says.
        run: The run.
    """

    def __init__(self, wanted: Sequence[str], run: Run) -> None:
        self._wanted = tuple(wanted)
        self._run = run
        self._begun: watch.Autolog | None = None

    def start(self) -> None:
        """Notice what is wanted so far."""
        asked.going_on.append(self)
        if wanted := (*self._wanted, *asked.wanted):
            self.begin(wanted)

    def begin(self, wanted: Sequence[str]) -> None:
        """Notice this from now on, in place of what was noticed so far."""
        if self._begun is not None:
            self._begun.stop()
        self._begun = watch.Autolog(wanted, self._run)
        self._begun.start()

    def stop(self) -> str | None:
        """Notice nothing any more."""
        if self in asked.going_on:
            asked.going_on.remove(self)
        if self._begun is not None:
            self._begun.stop()
        return None


class Asked:
    """What this process was asked to notice, and the runs that go on in it."""

    def __init__(self) -> None:
        self.wanted: tuple[str, ...] = ()
        self.going_on: list[Autologged] = []


asked = Asked()


def autolog(*libraries: str) -> None:
    """
    Have runs notice what libraries do: parameters of what is fitted or trained, scores, evaluations, epochs.

    From now on, in the run that is going on and in those that begin in this process; a second call takes the place of
    the first. The program's results stay what they are: nothing is fitted, scored or drawn for it. Fits inside a
    search, a cross-validation or a pipeline are parts of that. To be called in any thread; processes that are begun
    by spawn notice nothing.

    Args:
        libraries: "sklearn", "xgboost", "lightgbm", "keras", "torch"; none of them for all. With "models" estimators of
            scikit-learn that were fitted become artifacts.

    Raises:
        ConfigError: One of them is none.
    """
    wanted = check_autolog(libraries or ("all",), "anew.autolog()")
    asked.wanted = wanted
    if asked.going_on:
        asked.going_on[-1].begin(wanted)
        return
    try:
        run = current_run()
    except RunStateError:
        return  # one is yet to begin
    Autologged((), run).begin(wanted)
