"""The environment as text: as it is now, and decoded once while it stays so."""

from __future__ import annotations

import os

import pytest

from anew.runner.kernel.variables import variables


def test_variables_are_those_of_the_process_also_where_one_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = variables()
    assert before == dict(os.environ)
    assert variables() is before

    monkeypatch.setenv("ANEW_TEST_VARIABLE", "\udcff")
    assert variables()["ANEW_TEST_VARIABLE"] == "\udcff"
    monkeypatch.setenv("ANEW_TEST_VARIABLE", "x")
    assert variables() == dict(os.environ)
    monkeypatch.delenv("ANEW_TEST_VARIABLE")
    assert "ANEW_TEST_VARIABLE" not in variables()
    assert before == dict(os.environ)


def test_an_environment_that_is_a_plain_mapping_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"A": "b"})
    assert variables() == {"A": "b"}
