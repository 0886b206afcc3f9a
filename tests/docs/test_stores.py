"""The page on stores: the one that it builds is opened by its scheme, is read by commands, and passes the suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.store.locate import open_store
from anew.runner.testing import sample_run
from anew.runner.testing.sample import write_down
from tests.helpers.packages import install
from tests.helpers.places import ROOT

PAGE = (ROOT / "docs" / "stores.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
ENTRIES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0].replace('"', "").replace("project.entry-points.", "")


def test_the_store_on_the_page_is_opened_by_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "tinystore", ENTRIES, BLOCKS["tinystore.py"])
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    sample = sample_run(tmp_path / "runs")
    write_down(sample)
    url = f"tiny://{tmp_path}/tiny"
    store = open_store(url, create=True)
    store.keep(sample.store, 1)  # type: ignore[attr-defined]  # the page's own

    assert open_store(url).get("last").uid == sample.record.uid
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from anew.runner.cli import main; sys.exit(main(sys.argv[2:]))"
    )
    for words, code, said in (
        (["list"], 0, "COMPLETED"),
        (["show", "1"], 0, "COMPLETED"),
        (["logs", "1"], 0, "epoch 2"),
        (["metrics", "1", "loss"], 0, "loss"),
        (["diff", "1", "1"], 0, ""),
        (["tag", "1", "late"], 2, "can be looked at"),
        (["rerun", "1"], 2, "can be looked at"),
        (["check"], 2, "can be looked at"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "site"), "--store", url, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def test_the_store_on_the_page_passes_the_suite(project: Path) -> None:
    for name, text in BLOCKS.items():
        (project / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tinystore.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
