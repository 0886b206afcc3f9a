"""The example does what the README says of it, and leaves whole records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.places import ROOT

BIN = Path(sys.executable).parent

pytestmark = pytest.mark.slow


def train(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run the example's script in *folder*."""
    command = [sys.executable, "train.py", *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """A store with three runs of the example: two alike, and one of the other model."""
    folder = tmp_path_factory.mktemp("example") / "digits"
    shutil.copytree(ROOT / "examples/digits", folder, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    for overrides in (["epochs=3"], ["epochs=3"], ["model=mlp", "rate=0.003", "epochs=3"]):
        done = train(folder, *overrides)
        assert done.returncode == 0, done.stdout + done.stderr
    return FolderStore.open(folder / "runs")


def numbers(store: FolderStore, ref: str) -> dict[str, list[float | int]]:
    """Every series that does not measure the machine."""
    names = [name for name in store.get(ref).metrics if not name.startswith("system/")]
    return {name: list(store.metrics(ref, name).exact) for name in names}


def test_each_run_is_on_record_with_its_series_artifacts_and_result(store: FolderStore) -> None:
    records = [store.get(ref) for ref in ("1", "2", "3")]

    assert [record.status for record in records] == [Status.COMPLETED] * 3
    assert [record.choices["model"] for record in records] == ["logistic", "logistic", "mlp"]
    for record in records:
        assert record.experiment == "digits"
        assert {"train/loss", "train/acc", "test/acc"} <= set(record.metrics)
        assert record.metrics["test/acc"].count == 3
        assert record.result == record.metrics["test/acc"].last
        assert {artifact.path for artifact in record.artifacts} == {"model.joblib", "confusion.png"}


def test_the_same_seed_gives_the_same_numbers(store: FolderStore) -> None:
    assert numbers(store, "1") == numbers(store, "2")
    assert numbers(store, "1") != numbers(store, "3")


def test_the_stored_model_is_the_one_that_was_measured(store: FolderStore) -> None:
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    record = store.get("3")
    with store.open_object(digest(record, "model.joblib")) as file:
        model = joblib.load(file)
    images, digits = load_digits(return_X_y=True)
    _, x_test, _, y_test = train_test_split(
        images / 16, digits, test_size=record.config["test_share"], random_state=record.seed
    )

    assert model.score(x_test, y_test) == record.result


def test_the_picture_is_one(store: FolderStore) -> None:
    with store.open_object(digest(store.get("1"), "confusion.png")) as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def digest(record: RunRecord, name: str) -> str:
    """The SHA-256 of an artifact."""
    return next(artifact.sha256 for artifact in record.artifacts if artifact.path == name)


def test_the_script_fits_one_screen() -> None:
    assert len((ROOT / "examples/digits/train.py").read_text().splitlines()) < 60


def test_the_demo_shows_two_runs_what_differs_and_one_run_again(tmp_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        ["sh", "scripts/demo.sh", BIN, tmp_path / "demo"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    listed, _, rest = done.stdout.partition("$ anew list")[2].partition("$ anew diff")
    assert listed.count("COMPLETED") == 2
    assert "MLPClassifier" in rest
    assert "test/acc" in rest.partition("$ anew plot")[2]
    store = FolderStore.open(tmp_path / "demo")
    again = store.get("3")
    assert again.rerun_of is not None
    assert again.rerun_of.uid == store.get("2").uid
    assert again.verdict is not None
    assert again.verdict.verdict == "identical"
    assert len(store.numbers()) == 3
