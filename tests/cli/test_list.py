"""`anew list` in groups, in other forms and under a name, and `anew best`."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path

import pytest

import anew
from anew.runner import events as ev
from anew.runner.cli import main
from anew.runner.errors import AnewError, FilterError, MissingExtraError
from anew.runner.store import packing
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run, make_store

LOSSES = {"mlp": [0.5, 0.3, 0.4], "cnn": [0.2, math.nan]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").touch()
    store = make_store(folder / "runs")
    for model, losses in LOSSES.items():
        for seed, loss in enumerate(losses):
            config = {"model": model, "seed": seed, "lr": 0.1}
            add_run(store, config=config, metrics={"loss": [1.0, loss], "acc": [1 - loss]}, result=loss, note="a|b <i>")
    add_run(
        store, config={"model": "cnn", "seed": 2, "lr": 0.1}, metrics={"loss": [0.01]}, info={"text": f"{'a' * 60}!"}
    )
    store.add_event(store.look_up(6), ev.ToldToStop, asked=1)
    return folder


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def said(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main([*words]) == code
    captured = capfd.readouterr()
    return captured.out if code == 0 else captured.err


def test_groups_have_the_mean_and_the_spread_of_their_metrics(capfd: pytest.CaptureFixture[str]) -> None:
    groups = json.loads(said(capfd, "list", "not status == PRUNED", "--by", "config.model", "--json"))
    assert [group["by"] for group in groups] == [{"config.model": "cnn"}, {"config.model": "mlp"}]
    cnn, mlp = groups
    assert mlp["n"] == 3
    assert mlp["metrics"]["loss"] == pytest.approx(
        {"mean": 0.4, "std": statistics.stdev(LOSSES["mlp"]), "min": 0.3, "max": 0.5}
    )
    assert cnn["metrics"]["loss"] == {"mean": "NaN", "std": "NaN", "min": 0.2, "max": 0.2}
    assert mlp["metrics"]["result"]["mean"] == pytest.approx(0.4)

    alone = json.loads(said(capfd, "list", "--by", "model,config.seed", "--json", "--columns", "loss.min"))
    assert [group["n"] for group in alone] == [1] * 6
    assert alone[-1]["metrics"] == {"loss.min": {"mean": 0.5, "std": None, "min": 0.5, "max": 0.5}}

    shown = said(capfd, "list", "model == mlp", "--by", "config.model").splitlines()
    assert shown[0].split()[:6] == ["config.model", "n", "loss", "std", "min", "max"]
    assert shown[1].split()[:6] == ["mlp", "3", "0.4", "0.1", "0.3", "0.5"]
    rows = said(capfd, "list", "--by", "model", "--csv", "--sort", "loss").splitlines()
    assert rows[0].startswith("model,n,loss mean,loss std,loss min,loss max,")
    assert [row.split(",")[0] for row in rows[1:]] == ["mlp", "cnn"]  # a mean that is NaN comes last


def test_a_table_in_markdown_is_one_whatever_stands_in_a_cell(capfd: pytest.CaptureFixture[str]) -> None:
    lines = said(capfd, "list", "id <= 2", "--markdown", "--columns", "loss,note").splitlines()
    assert lines[0] == "| id | started | experiment | status | duration | loss | note |"
    assert lines[1] == "|" + " --- |" * 7
    assert lines[2].endswith(r"| 0.3 | a\|b \<i\> |")
    assert said(capfd, "list", "--by", "model", "--markdown").startswith("| model | n | loss mean |")


def test_a_question_is_asked_again_by_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    first = said(capfd, "list", "loss < 0.45", "--sort=-loss", "--columns", "id,loss", "--save", "good")
    assert said(capfd, "list", "@good") == first
    assert said(capfd, "list", "@good", "--sort", "loss") != first
    ids = [run["id"] for run in json.loads(said(capfd, "list", "@good and model == mlp", "--json"))]
    assert ids == [3, 2]
    assert [run.id for run in anew.open_store().find("not @good", sort="id")] == [1, 5]
    said(capfd, "list", "@good and model == cnn", "--save", "better")
    assert [run["id"] for run in json.loads(said(capfd, "list", "@better", "--json"))] == [6, 4]
    assert "side by side" not in said(capfd, "compare", "@better")
    assert "is part of itself" in said(capfd, "list", "@better", "--save", "better", code=2)
    assert "Did you mean @good?" in said(capfd, "list", "@god", code=2)
    assert "is no name for a question" in said(capfd, "list", "--save", "../x", code=2)
    assert said(capfd, "check", "--deep")  # what is saved is one of the store's files

    path = FolderStore.open(Path("runs")).layout.views / "good.json"
    path.write_bytes(path.read_bytes().replace(b"0.45", b"0.46"))
    assert "cannot be read" in said(capfd, "list", "@good", code=2)
    main(["check", "--deep"])
    assert "good.json" in capfd.readouterr().out
    path.unlink()


def test_the_best_runs_come_first_and_what_was_stopped_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert [run["id"] for run in json.loads(said(capfd, "best", "loss", "--json"))] == [4, 2, 3, 1]
    assert [run["id"] for run in json.loads(said(capfd, "best", "acc", "--json", "--limit", "1"))] == [4]
    assert [run["id"] for run in json.loads(said(capfd, "best", "loss", "model == mlp", "--max", "--json"))] == [
        1,
        3,
        2,
    ]
    assert json.loads(said(capfd, "best", "loss", "status == PRUNED", "--json"))[0]["id"] == 6
    assert said(capfd, "best", "loss").splitlines()[1].startswith("4 ")
    assert "Say it: anew best result --max, or --min" in said(capfd, "best", "result", code=2)
    assert "has 'los'" in said(capfd, "best", "los", "--min")


def test_a_table_has_columns_of_one_kind_each() -> None:
    store = anew.open_store()
    frame = store.table("loss < 9", sort="id", columns=["id", "config.model", "loss", "started"])
    assert list(frame.columns) == ["id", "config.model", "loss", "started"]
    assert [str(kind) for kind in frame.dtypes][2] == "float64"
    assert str(frame["started"].dtype).endswith("UTC]")

    polars = pytest.importorskip("polars")
    table = store.table(sort="id", kind="polars")
    assert table.schema["id"] == polars.Int64
    assert table.schema["config.lr"] == polars.Float64
    assert table.schema["tags"] == polars.List(polars.String)
    assert table["loss"].to_list()[:2] == [0.5, 0.3]

    arrow = store.table(sort="id", kind="arrow", points=["loss"], columns=["config.model"])
    assert arrow.column_names == ["id", "uid", "experiment", "metric", "step", "time_s", "value", "config.model"]
    assert arrow.column("value").to_pylist()[:4] == [1.0, 0.5, 1.0, 0.3]
    assert arrow.column("step").to_pylist()[:4] == [0, 1, 0, 1]
    assert str(arrow.schema.field("step").type) == "int64"
    with pytest.raises(AnewError, match=r"There is no table of kind 'panda'.*Did you mean 'pandas'"):
        store.table(kind="panda")


def test_without_a_library_a_table_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[polars\]'"):
        anew.open_store().table(kind="polars")


def test_a_pattern_without_end_is_refused_before_it_takes_a_second() -> None:
    began = time.process_time()
    with pytest.raises(FilterError, match=r"takes longer than 0\.3 s over the value 'aaaa"):
        anew.open_store().find("info.text ~ '(a|a)*$'")
    assert time.process_time() - began < 2


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """A store of one's own, which commands find."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return make_store(tmp_path / "runs")


def test_saved_questions_are_listed_and_removed(alone: FolderStore, capfd: pytest.CaptureFixture[str]) -> None:
    add_run(alone, metrics={"loss": [0.5]})
    assert "No questions are saved" in said(capfd, "list", "--saved")
    said(capfd, "list", "loss < 1", "--sort=-loss", "--save", "good")
    said(capfd, "list", "@good and tag == x", "--save", "better")
    listed = said(capfd, "list", "--saved")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["@better", "@good"]
    [_, good] = json.loads(said(capfd, "list", "--saved", "--json"))
    assert good == {"name": "good", "filter": "loss < 1", "sort": "-loss", "by": "", "columns": [], "error": None}
    assert "anew list 'loss < 1' --sort=-loss --save=good" in said(capfd, "list", "--forget", "@good")
    assert "@better" in said(capfd, "list", "--forget", "good", code=2)
    assert [each["name"] for each in json.loads(said(capfd, "list", "--saved", "--json"))] == ["better"]


def test_a_fact_has_one_column_however_it_is_named(alone: FolderStore, capfd: pytest.CaptureFixture[str]) -> None:
    for value in (0.5, 0.25):
        add_run(alone, metrics={"loss": [value]}, config={"lr": value})
    for name in ("loss", "metric.loss", "loss.last"):
        header = said(capfd, "best", name, "config.lr > 0").splitlines()[0].split()
        assert sum("loss" in column for column in header) == 1
        assert sum("lr" in column for column in header) == 1


def test_one_run_is_compared_with_nothing(alone: FolderStore, capfd: pytest.CaptureFixture[str]) -> None:
    add_run(alone)
    assert "anew compare 1 REF" in said(capfd, "compare", "1", code=2)


def test_lines_from_axis_to_axis_are_drawn_in_the_terminal(
    alone: FolderStore, capfd: pytest.CaptureFixture[str]
) -> None:
    for value in (0.5, 0.25):
        add_run(alone, metrics={"loss": [value]}, config={"lr": value, "optimizer": f"o{value}"})
    lines = said(capfd, "plot", "--parallel", "config.lr,config.optimizer,loss").splitlines()
    assert lines[-3:] == ["1: config.lr, 0.25 to 0.5", "2: config.optimizer, o0.25, o0.5", "3: loss, 0.25 to 0.5"]
    drawn = "".join(lines[:-3])
    assert any("\u2800" < letter <= "\u28ff" for letter in drawn)


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--by", "config.model,config.model"],
        ["list", "--by", "config.model,config.model", "--csv"],
        ["list", "--columns", "loss,loss", "--csv"],
        ["usage", "--by", "config.model,config.model"],
        ["usage", "--compute", "--by", "config.model,config.model"],
    ],
)
def test_a_name_that_is_given_twice_is_told_once(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, *words) == said(capfd, *(word.partition(",")[0] for word in words))


@pytest.mark.parametrize(("name", "value"), [("loss.first", 1.0), ("loss.at(0)", 1.0), ("loss.mean", 0.75)])
def test_what_stands_in_series_alone_can_be_asked_for_everywhere(
    name: str, value: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """Light records do not have it, so that each place has to look beside them."""
    filter = "config.model == mlp and config.seed == 0"
    [number] = json.loads(said(capfd, "list", filter, "--json"))
    [point] = json.loads(said(capfd, "plot", "--x", "config.seed", "--y", name, filter, "--json"))
    assert (point["run"], point[name]) == (number["id"], value)
    assert json.loads(said(capfd, "list", filter, "--by", name, "--json"))[0]["by"] == {name: value}
    assert json.loads(said(capfd, "usage", "--compute", filter, "--by", name, "--json"))[0]["by"] == {name: value}
    assert json.loads(said(capfd, "usage", filter, "--by", name, "--json"))["groups"][0]["by"] == {name: value}


@pytest.mark.parametrize("words", [["plot", "1", "loss"], ["plot", "--x", "seed", "--y", "loss"]])
def test_a_picture_needs_the_name_of_a_file(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().iterdir())
    assert "name a file, such as plot.png" in said(capfd, *words, "--png", "", code=2)
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("number", ["nan", "NaN", "-nan"])
def test_no_number_is_within_no_bounds(number: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert "is not a valid number" in said(capfd, "plot", "1", "loss", f"--smooth={number}", code=2)


def test_a_metric_that_is_nowhere_finite_is_not_offered_in_place_of_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "runs")
    for seed in (0, 1):
        add_run(store, config={"seed": seed, "lr": seed}, metrics={"odd": [math.nan], "acc": [0.5]})
    text = said(capfd, "compare", "--by", "seed", "1", "2", "--metric", "odd", "--store", str(store.root), code=2)
    assert "there are: acc. To compare one" in text


def damaged(store: FolderStore) -> str:
    """Add four runs, the first two in a pack which cannot be read any more; return that."""
    for count in range(4):
        add_run(store, metrics={"loss": [1.0 + count]})
    [pack] = packing.pack(store, [1, 2]).packs
    Path(pack).chmod(0o644)
    with open(pack, "r+b") as file:
        file.truncate(4096)
    return pack


FOUND = "status == COMPLETED"
ODD = ("show 2", "compare --by seed FOUND 3-4", "compare --by seed 3 4")


@pytest.mark.parametrize(
    "words",
    [
        "list", "list --by seed", "list --json", "best loss", "show 2", "show FOUND", "show --json tag:none",
        "logs 1-4",
        "metrics FOUND", "metrics FOUND loss --buckets 2", "plot FOUND loss --json", "plot --x loss --y loss --json",
        "plot --x loss --y loss FOUND --json", "compare FOUND", "compare --by seed FOUND 3-4", "diff 3-4",
        "compare --by seed 3 4",
        "compare --by seed 3 4 --metric loss", "get FOUND --source --to out",
        "tag FOUND +good", "note 3-4 odd", "comment 3-4 odd", "delete 3-4 --yes",
        "pack FOUND", "unpack FOUND", "sync FOUND", "usage", "usage FOUND --compute", "lineage 3", "verify tag:none",
        "rerun tag:none", "why tag:none 3", "report asked.md",
    ],
)  # fmt: skip
def test_what_a_damaged_pack_held_is_not_passed_over_in_silence(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = make_store(tmp_path / "runs")
    pack = damaged(store)
    (tmp_path / "asked.md").write_text("```anew\nlist\n```\n")
    code = main([*(FOUND if word == "FOUND" else word for word in words.split()), "--store", str(store.root)])
    assert code == (2 if words in ODD or "tag:none" in words else 0)
    text = " ".join(capfd.readouterr().err.split())
    assert text.count(f"'{pack}' is no pack of runs, or damaged") == 1
    assert "What it holds is not among the runs." in text


def test_packing_by_a_filter_from_python_says_so_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path / "runs")
    pack = damaged(store)
    assert store.pack(FOUND).runs == (3, 4)
    assert f"anew: {pack!r} is no pack of runs, or damaged" in " ".join(capfd.readouterr().err.split())


def test_runs_that_are_of_other_source_alone_are_named_beside_a_comparison(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that came into the project between two runs is enough, and the groups would be smaller without a word."""
    store = make_store(tmp_path / "runs")
    for lr in (1, 2):
        for seed in (0, 1):
            add_run(store, config={"seed": seed, "lr": lr}, metrics={"acc": [seed / lr]}, source={"train.py": ""})
    more = {"train.py": "", "notes.py": ""}
    add_run(store, config={"seed": 2, "lr": 1}, metrics={"acc": [0.5]}, source=more)
    words = ["compare", "--by", "seed", "--metric", "acc", "--store", str(store.root)]
    assert main([*words, "1", "3"]) == 0
    captured = capfd.readouterr()
    assert "Not with run 1, since their source files are others: 5. To have them too" in captured.err
    assert "Not with run 3" not in captured.err
    assert "n = 2 + 2" in captured.out
    assert main([*words, "config.lr == 1", "3"]) == 0
    captured = capfd.readouterr()
    assert "Not with" not in captured.err
    assert "n = 3 + 2" in captured.out


def test_groups_of_numbers_whose_sum_no_float_can_be_are_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "runs")
    for value in (1.7e308, 1.7e308, 10**400):
        add_run(store, metrics={"loss": [value], "acc": [1e300 if value == 10**400 else -1e300]})
    assert main(["list", "--by", "experiment", "--json", "--store", str(store.root)]) == 0
    [group] = json.loads(capfd.readouterr().out)
    assert group["metrics"]["loss"]["mean"] == "Infinity"
    assert group["metrics"]["acc"]["std"] == "NaN"
