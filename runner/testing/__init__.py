"""
What every observer and every store has to do, as tests for pytest, for those who write one.

    from anew.runner.testing import ObserverContract

    class TestMine(ObserverContract):
        def make_observer(self):
            return Mine(self.folder / "mine.jsonl")

        def points(self, uid):
            ...  # what the sink holds, if it can be read back

    from anew.runner.testing import RunStoreContract

    class TestMyStore(RunStoreContract):
        def make_store(self, runs, folder):
            ...  # a store that holds the runs which are recorded in `runs`

Every test of an observer makes its instances by `make_observer`; all of one test deliver to the same sink. `folder` is
a fresh folder for each test.
"""

from __future__ import annotations

from importlib.util import find_spec

from anew.runner.errors import MissingExtraError

if find_spec("pytest") is None:
    raise MissingExtraError("anew.runner.testing is for tests with pytest: pip install pytest", extra="pytest")

import pytest

pytest.register_assert_rewrite("anew.runner.testing.contract", "anew.runner.testing.stores")

from anew.runner.testing.contract import ObserverContract  # noqa: E402  # after what goes before
from anew.runner.testing.sample import Sample, sample_run  # noqa: E402
from anew.runner.testing.stores import RunStoreContract  # noqa: E402

__all__ = ["ObserverContract", "RunStoreContract", "Sample", "sample_run"]
