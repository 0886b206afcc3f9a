"""Stores that installed packages offer: found by scheme, explained when they cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.errors import ConfigError, MissingExtraError, StoreError
from anew.runner.store.locate import open_for_recording, open_store
from anew.runner.store.registry import OBSERVERS, STORES, offers
from tests.helpers.packages import install
from tests.helpers.stores import add_run, make_store

GROUP = "[anew.stores]\n"


def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, code: str, name: str = "elsewhere") -> None:
    install(tmp_path / f"site-{name}", name, GROUP + entry, code)
    monkeypatch.syspath_prepend(str(tmp_path / f"site-{name}"))


def test_ours_come_in_by_the_same_door(tmp_path: Path) -> None:
    assert {"file", "mongodb", "mongodb+srv"} <= offers(STORES).keys()
    for group in (STORES, OBSERVERS):
        for each in offers(group).values():
            if each.package == "anew":
                assert callable(each.load())
    assert open_store(f"file://{tmp_path}/runs", create=True).url == str(tmp_path / "runs")


def test_a_scheme_that_nobody_offers_lists_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, monkeypatch, "elsewhere = elsewhere:open_url", "def open_url(url, *, create): ...")
    with pytest.raises(StoreError, match=r"redis://.*elsewhere://, file://, mongodb://, mongodb\+srv://") as caught:
        open_store("redis://ada:secret@host/db")
    assert "secret" not in str(caught.value)


def test_what_the_package_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, "one = one:open_url [cloud]", "import no_such_library", "one")
    offer(tmp_path, monkeypatch, "two = two:open_url", "def open_url(url, *, create): import no_such_library", "two")
    with pytest.raises(MissingExtraError, match=r"no_such_library.*pip install 'one\[cloud\]'"):
        open_store("one://x")
    with pytest.raises(MissingExtraError, match=r"no_such_library.*pip install 'two'"):
        open_store("two://x")


def test_our_own_missing_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pymongo'] = None\n"
        "from anew.runner.cli import main; sys.exit(main(['--store', 'mongodb://127.0.0.1:1/x', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'anew[mongo]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_package_does_not_have_and_what_two_offer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, monkeypatch, "one = one:gone", "", "one")
    with pytest.raises(ConfigError, match="The package one offers 'one' at one:gone, which is not there"):
        open_store("one://x")
    offer(tmp_path, monkeypatch, "one = two:open_url", "", "two")
    with pytest.raises(ConfigError, match=r"Two packages offer 'one'.*pip uninstall"):
        open_store("one://x")


def test_a_folder_is_opened_without_a_look_at_what_is_installed(tmp_path: Path) -> None:
    """That costs some 50 ms, which a folder that is listed has no use for."""
    add_run(make_store(tmp_path / "runs"))
    code = (
        "import sys\nfrom anew.runner.cli import main\n"
        "assert main(['--store', sys.argv[1], 'list']) == 0\n"
        "assert 'importlib.metadata' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "runs"], capture_output=True, text=True, check=False)
    assert (done.returncode, "COMPLETED" in done.stdout) == (0, True), done.stderr


def test_a_run_is_not_recorded_where_runs_can_only_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class Seen:\n    def __init__(self, url, *, create): self.url = url\n"
    offer(tmp_path, monkeypatch, "seen = seen:Seen", code, "seen")
    with pytest.raises(StoreError, match="can be looked at"):
        open_for_recording("seen://x")
