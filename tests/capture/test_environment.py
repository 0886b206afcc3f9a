"""The software around a run: as Python itself sees it, read once, and without secrets."""

from __future__ import annotations

import importlib.metadata
import json
import locale
import os
import platform
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import anew
from anew.runner.capture import environment
from anew.runner.capture.environment import capture_environment
from anew.runner.format.redact import REDACTED
from anew.runner.records import EnvironmentFacts
from anew.runner.settings import EnvironmentSettings


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that remembers distributions; every folder counts as old enough to be remembered."""
    monkeypatch.setattr(environment, "_TICK_NS", -(10**12))
    return tmp_path / "cache" / "environment.json"


def capture(memory: Path, *variables: str) -> EnvironmentFacts:
    return capture_environment(EnvironmentSettings(variables=variables), memory)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions, the only one on `sys.path`."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def install(site: Path, name: str, version: str, origin: Any = None, *, text: str | None = None) -> Path:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(text or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText: x\n")
    if origin is not None:
        (folder / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
    return folder


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- Python -----------------------------------------------------------------------------------------------------


def test_it_says_which_python_this_is(memory: Path) -> None:
    facts = capture(memory)
    assert facts.python == platform.python_version()
    assert facts.implementation == sys.implementation.name.replace("cpython", "CPython")
    assert (facts.executable, facts.prefix) == (sys.executable, sys.prefix)
    assert facts.anew == anew.__version__
    assert facts.encoding == sys.getfilesystemencoding()
    assert facts.locale == locale.setlocale(locale.LC_CTYPE)


# --- distributions ----------------------------------------------------------------------------------------------


def test_every_distribution_that_python_sees_is_on_record(memory: Path) -> None:
    seen: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        if found.metadata["Name"]:
            seen.setdefault(normal(found.metadata["Name"]), found.version)
    for facts in (capture(memory), capture(memory)):
        assert {normal(name): version for name, version in facts.packages.items()} == seen
    assert len(seen) > 20


@pytest.mark.parametrize("kind", ["folder of egg-info", "file of egg-info", "egg", "upper case"])
def test_old_forms_of_installation_are_seen_too(kind: str, memory: Path, site: Path) -> None:
    text = "Metadata-Version: 1.0\nName: Old.Thing\nVersion: 1.5\n"
    place = {
        "folder of egg-info": site / "Old.Thing.egg-info" / "PKG-INFO",
        "file of egg-info": site / "Old.Thing-1.5-py3.egg-info",
        "egg": site / "Old.Thing-1.5-py3.egg" / "EGG-INFO" / "PKG-INFO",
        "upper case": site / "Old.Thing-1.5.DIST-INFO" / "METADATA",
    }[kind]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    if kind == "egg":
        sys.path.append(str(place.parent.parent))
    assert [found.version for found in importlib.metadata.distributions()] == ["1.5"]
    assert capture(memory).packages == {"Old.Thing": "1.5"}


def test_the_first_on_the_path_counts_however_its_name_is_written(
    memory: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "My_Thing", "2.0")
    install(tmp_path / "other", "my-thing", "1.0", {"url": "file:///x", "dir_info": {"editable": True}})
    monkeypatch.setattr(sys, "path", [str(site), str(tmp_path / "other"), str(tmp_path / "missing"), str(site)])
    facts = capture(memory)
    assert (facts.packages, facts.origins) == ({"My_Thing": "2.0"}, {})


def test_names_are_in_order(memory: Path, site: Path) -> None:
    for name in ("zebra", "Ant", "bee"):
        install(site, name, "1")
    assert list(capture(memory).packages) == ["Ant", "bee", "zebra"]


@pytest.mark.parametrize("text", ["", "\n", "Name: only-a-name\n", "Metadata-Version: 2.1\n\nName: x\nVersion: 1\n"])
def test_a_distribution_without_name_or_version_is_passed_over(text: str, memory: Path, site: Path) -> None:
    (install(site, "broken", "1") / "METADATA").write_text(text)
    install(site, "sound", "1")
    (site / "empty-1.dist-info").mkdir()
    assert capture(memory).packages == {"sound": "1"}


def test_metadata_that_is_no_text_is_read_as_far_as_it_goes(memory: Path, site: Path) -> None:
    (install(site, "odd", "1") / "METADATA").write_bytes(b"Author: \xff\xfe\nName: odd\nVersion: 1\n")
    assert capture(memory).packages == {"odd": "1"}


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"url": "file:///home/me/lib", "dir_info": {"editable": True}}, "editable file:///home/me/lib"),
        ({"url": "file:///home/me/lib", "dir_info": {}}, "file:///home/me/lib"),
        (
            {"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://example.org/a.git@abc",
        ),
        (
            {"url": "https://me:hunter22@example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            f"git+https://me:{REDACTED}@example.org/a.git@abc",
        ),
        ({"url": "https://example.org/a.whl", "archive_info": {}}, "https://example.org/a.whl"),
    ],
)
def test_the_origin_of_what_came_from_no_index_is_on_record(origin: Any, said: str, memory: Path, site: Path) -> None:
    install(site, "from-afar", "1.0", origin)
    for facts in (capture(memory), capture(memory)):
        assert facts.origins == {"from-afar": said}


@pytest.mark.parametrize(
    "origin", ["", "{", "[]", "{}", '{"url": "x", "vcs_info": "git"}', '{"url": "x", "dir_info": 1}']
)
def test_a_damaged_note_of_the_origin_is_ignored(origin: str, memory: Path, site: Path) -> None:
    install(site, "thing", "1.0", origin)
    facts = capture(memory)
    assert (facts.packages, facts.origins) == ({"thing": "1.0"}, {})


# --- reading once -----------------------------------------------------------------------------------------------


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose distributions are read."""
    folders: list[str] = []
    scan = environment._scan

    def noted(path: str) -> Any:
        folders.append(path)
        return scan(path)

    monkeypatch.setattr(environment, "_scan", noted)
    return folders


def test_folders_that_did_not_change_are_not_read_again(memory: Path, site: Path, scanned: list[str]) -> None:
    install(site, "thing", "1.0")
    facts = capture(memory)
    written = memory.stat()
    assert scanned == [str(site)]
    assert capture(memory) == facts
    assert scanned == [str(site)]
    assert memory.stat() == written


def test_what_is_installed_upgraded_and_removed_later_is_noticed(memory: Path, site: Path) -> None:
    first = install(site, "thing", "1.0")
    assert capture(memory).packages == {"thing": "1.0"}
    first.rename(site / "thing-1.1.dist-info")
    (site / "thing-1.1.dist-info" / "METADATA").write_text("Name: thing\nVersion: 1.1\n")
    touch(site, 1)
    assert capture(memory).packages == {"thing": "1.1"}
    install(site, "more", "1.0")
    touch(site, 2)
    assert capture(memory).packages == {"more": "1.0", "thing": "1.1"}


def touch(folder: Path, seconds: int) -> None:
    """Let the folder have changed later than the clock's last tick."""
    os.utime(folder, (folder.stat().st_mtime + seconds,) * 2)


def test_a_folder_that_changed_this_instant_is_not_remembered(
    memory: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_TICK_NS", 10**10)
    install(site, "thing", "1.0")
    at = site.stat().st_mtime_ns
    assert capture(memory).packages == {"thing": "1.0"}
    install(site, "more", "1.0")
    os.utime(site, ns=(at, at))
    assert capture(memory).packages == {"more": "1.0", "thing": "1.0"}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        '{"SITE": null}',
        '{"SITE": {"state": STATE}}',
        '{"SITE": {"state": STATE, "found": null}}',
        '{"SITE": {"state": STATE, "found": [["thing"]]}}',
        '{"SITE": {"state": STATE, "found": [[1, 2, 3]]}}',
    ],
)
def test_a_damaged_memory_is_ignored_and_mended(
    damage: bytes | str, memory: Path, site: Path, scanned: list[str]
) -> None:
    install(site, "thing", "1.0")
    facts = capture(memory)
    if isinstance(damage, str):
        state = json.loads(memory.read_bytes())[str(site)]["state"]
        damage = damage.replace("SITE", str(site)).replace("STATE", json.dumps(state)).encode()
    memory.write_bytes(damage)
    assert capture(memory) == facts
    scanned.clear()
    assert capture(memory) == facts
    assert scanned == []


def test_a_memory_that_cannot_be_written_costs_only_time(memory: Path, site: Path) -> None:
    install(site, "thing", "1.0")
    memory.parent.write_text("a file in its place")
    assert capture(memory) == capture(memory)


def test_folders_that_are_gone_are_forgotten(
    memory: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(memory)
    site.rename(tmp_path / "gone")
    (tmp_path / "next").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "next")])
    capture(memory)
    assert list(json.loads(memory.read_bytes())) == [str(tmp_path / "next")]
    assert [path.name for path in memory.parent.iterdir()] == [memory.name]


# --- variables --------------------------------------------------------------------------------------------------


def test_variables_are_on_record_when_they_are_on_the_list(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name not in ("HOME", "PATH"):
            monkeypatch.delenv(name)
    listed = {"CUDA_VISIBLE_DEVICES": "0,1", "OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "0", "SLURM_JOB_ID": "7"}
    unlisted = {"EDITOR": "vi", "MY_DATA": "/data", "MY_OTHER": "x", "SLURM_JWT": "eyJ", "xCUDA_X": "1"}
    for name, value in (listed | unlisted).items():
        monkeypatch.setenv(name, value)
    assert capture(memory).variables == listed
    assert capture(memory, "MY_DATA").variables == listed | {"MY_DATA": "/data"}
    assert capture(memory, "MY_*").variables == listed | {"MY_DATA": "/data", "MY_OTHER": "x"}


def test_secrets_are_redacted_even_in_variables_on_the_list(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "0123456789")
    monkeypatch.setenv("TORCH_TOKEN", "0123456789")
    monkeypatch.setenv("CUDA_PROXY", "http://me:hunter22@proxy:80")
    variables = capture(memory, "MY_*").variables
    assert variables["MY_API_KEY"] == REDACTED
    assert variables["TORCH_TOKEN"] == REDACTED
    assert variables["CUDA_PROXY"] == f"http://me:{REDACTED}@proxy:80"


def test_thread_settings_are_on_record_also_when_they_are_not_set(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    threads = capture(memory).threads
    assert (threads["OMP_NUM_THREADS"], threads["MKL_NUM_THREADS"]) == ("3", None)
    assert "torch" not in threads
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 5))
    assert capture(memory).threads["torch"] == "5"
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    assert "torch" not in capture(memory).threads
