"""Figures, pictures, texts, tables and histograms of a run: what is kept, what is refused, and who shows it."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anew.runner.attached.media import MediaSummary
from anew.runner.errors import AnewError, MissingExtraError, ValueRefusedError
from anew.runner.run import media
from tests.helpers.needs import needs
from tests.helpers.scripts import Project, anew


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


ALL = """
import numpy as np

class Figure:
    def savefig(self, file, format):
        file.write(b"\\x89PNG drawn as " + format.encode())

@experiment.main
def main(lr: float = 0.1, *, run: Run):
    run.log_figure(Figure(), "curve")
    for step in range(3):
        run.log_histogram(np.arange(4) * lr * step, "w", step=step)
        run.log_text(f"epoch {step}", "notes/epoch", step=step)
    run.log_table([{"a": 1, "b": 0.1}, {"a": 2, "c": "x,y"}], "rows")
    if os.fork() == 0:
        run.log_histogram([1, 2], "w")
        run.log_text("of a child", "from/child")
        os._exit(0)
    os.wait()
"""


def test_what_is_logged_lies_in_the_store_with_its_step_and_is_shown(trial: Project) -> None:
    trial.write(ALL)
    trial.run("anew.system.enabled=false")
    record, store = trial.record(), trial.store
    content = {file.path: store.objects.path(file.sha256).read_bytes() for file in record.artifacts}
    assert content == {
        "curve.png": b"\x89PNG drawn as png",
        "notes/epoch/0.txt": b"epoch 0",
        "notes/epoch/1.txt": b"epoch 1",
        "notes/epoch/2.txt": b"epoch 2",
        "rows.csv": b'a,b,c\n1,0.1,\n2,,"x,y"\n',
        "from/child.txt": b"of a child",
    }
    assert record.media == {
        "curve": MediaSummary(kind="figure", count=1, path="curve.png"),
        "w": MediaSummary(kind="histogram", count=4, step=3),
        "notes/epoch": MediaSummary(kind="text", count=3, step=2, path="notes/epoch/2.txt"),
        "rows": MediaSummary(kind="table", count=1, path="rows.csv"),
        "from/child": MediaSummary(kind="text", count=1, path="from/child.txt"),
    }
    shown = anew(trial, "show", "1").stdout
    assert "3 texts, the last at step 2: notes/epoch/2.txt" in shown
    assert "notes/epoch/1.txt" not in shown
    assert "notes/epoch/1.txt" in anew(trial, "show", "1", "--full").stdout
    assert json.loads(anew(trial, "show", "1", "--json").stdout)["media"]["w"]["count"] == 4
    bins = json.loads(anew(trial, "metrics", "1", "w", "--json").stdout)["w"]
    assert bins["steps"] == [0, 1, 2, 3]
    assert all(len(edges) == len(counts) + 1 for edges, counts in zip(bins["edges"], bins["counts"], strict=True))
    assert "greatest" in anew(trial, "metrics", "1", "w").stdout
    assert "run 1:mean" in anew(trial, "plot", "1", "w").stdout
    assert "has bins" in anew(trial, "metrics", "1", "w", "--csv", code=2).stderr


def test_a_re_run_compares_histograms_and_pieces_step_by_step(trial: Project) -> None:
    trial.write(ALL)
    trial.run("anew.system.enabled=false")
    assert "identical" in anew(trial, "rerun", "1").stdout
    first = json.loads(anew(trial, "rerun", "1", "lr=0.2", "--json").stdout)["first_difference"]
    assert (first["what"], first["name"], first["step"]) == ("histogram", "w", 1)


def test_the_first_value_that_is_not_finite_is_named_at_once_with_its_step(trial: Project) -> None:
    trial.write("""
    import numpy as np

    @experiment.main
    def main(run: Run):
        run.log({"loss": 1.0, "acc": 0.5})
        run.log({"loss": float("nan"), "acc": np.float32("inf")}, step=7)
        run.log({"loss": float("nan"), "late": 1e999}, step=8)
        run.log_histogram([1.0, float("nan")], "w", step=9)
        run.log_histogram([1.0, float("nan")], "w", step=10)
        print("said before", file=sys.stderr)
        if os.fork() == 0:
            run.log({"loss": float("nan")})
            os._exit(0)
        os.wait()
    """)
    said = [line for line in trial.run().stderr.splitlines() if "finite" in line or "said before" in line]
    assert said == [
        "anew: at step 7 loss is NaN, acc is Infinity: the first of their values that are not finite.",
        "anew: at step 8 late is Infinity: its first value that is not finite.",
        "anew: at step 9 w is NaN: its first value that is not finite.",
        "said before",
    ]
    shown = anew(trial, "show", "1").stdout
    assert "warning: at step 7 loss is NaN" in shown
    assert "warning: at step 9 w is NaN" in shown


def test_a_secret_stays_out_of_logged_texts(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(run: Run):
        run.log_text(f"token {os.environ['MY_API_KEY']} used", "note")
    """)
    trial.run(env={"MY_API_KEY": "s3cr3t-of-mine-77"})
    (file,) = trial.record().artifacts
    assert trial.store.objects.path(file.sha256).read_bytes() == b"token <redacted> used"


# --- pictures -------------------------------------------------------------------------------------------------------


def picture(given: Any) -> Any:
    from PIL import Image

    with Image.open(io.BytesIO(media.image(given).data)) as opened:
        opened.load()
        return opened


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (np.zeros((2, 3), np.uint8), "L"),
        (np.zeros((2, 3, 1), np.uint8), "L"),
        (np.zeros((2, 3, 3), np.uint8), "RGB"),
        (np.ones((2, 3, 4)), "RGBA"),
        (np.ones((2, 3), np.float16), "L"),
        (np.ones((2, 3), bool), "L"),
    ],
)
def test_pictures_of_each_shape_and_type_are_kept(array: Any, mode: str) -> None:
    found = picture(array)
    assert (found.mode, found.size) == (mode, (3, 2))
    assert {*np.asarray(found).ravel().tolist()} == {255 if array.any() else 0}


def test_pictures_of_pillow_are_kept_and_those_that_png_cannot_hold_converted() -> None:
    from PIL import Image

    assert picture(Image.new("P", (4, 5))).mode == "P"
    assert picture(Image.new("CMYK", (4, 5))).mode == "RGB"


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 8, 9)), r"shape \(3, 8, 9\).*np.moveaxis\(array, 0, -1\)"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((0, 5)), r"shape \(0, 5\)"),
        (np.zeros((4, 4), np.int64), r"array of int64.*astype\('uint8'\)"),
        (np.full((2, 2), 255.0), r"from 255 to 255.*array / 255"),
        (np.full((2, 2), np.nan), "no NaN"),
        (np.full((2, 2), -0.1), "0 to 1"),
        ("cat.png", "got 'cat.png'"),
        (None, "got None"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_would_be_right(array: Any, says: str) -> None:
    with pytest.raises(ValueRefusedError, match=says):
        media.image(array)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[image\]'"):
        media.image(np.zeros((2, 2)))


# --- figures, texts and tables --------------------------------------------------------------------------------------


def test_a_figure_of_matplotlib_is_the_same_each_time() -> None:
    figure = needs("matplotlib.figure", "matplotlib").Figure()
    axes = figure.subplots()
    axes.plot([1, 2, 3])
    once = media.figure(figure)
    assert (once.ending, once.data[:4]) == (".png", b"\x89PNG")
    assert media.figure(axes) == once


def test_a_figure_of_plotly_is_a_page_that_is_the_same_each_time() -> None:
    figure = needs("plotly.graph_objects", "plotly").Figure()
    once = media.figure(figure)
    assert once.ending == ".html"
    assert media.figure(figure) == once


def test_a_frame_of_pandas_is_kept_with_an_index_that_says_something() -> None:
    pandas = needs("pandas")
    assert media.table(pandas.DataFrame({"a": [1, 2]})).data == b"a\n1\n2\n"
    assert media.table(pandas.DataFrame({"a": [1, 2]}, index=["x", "y"])).data == b",a\nx,1\ny,2\n"


class Broken:
    def savefig(self, file: object, format: str) -> None:
        raise RuntimeError("no canvas")


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (media.figure, 5, r"run.log_figure got 5.*savefig"),
        (media.figure, Broken(), "could not write .*RuntimeError: no canvas"),
        (media.text, 5, r"run.log_text got 5"),
        (media.table, [], "no rows"),
        (media.table, "text", "got 'text'"),
        (media.table, [{"a": 1}, 2], "got 2"),
    ],
)
def test_what_is_something_else_is_refused(make: Any, given: Any, says: str) -> None:
    with pytest.raises(ValueRefusedError, match=says):
        make(given)


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_a_name_is_a_text(name: Any) -> None:
    with pytest.raises(ValueRefusedError, match=r"run.log_text got .* as the name"):
        media.series_name(name, "log_text")


@pytest.mark.parametrize("name", ["../x", "/x", "a\0b", " a"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(AnewError, match="cannot name an artifact"):
        media.series_name(name, "log_text")


@pytest.mark.parametrize("step", [math.nan, 0.5, "a", 2**64, True])
def test_a_step_is_a_whole_number(step: Any) -> None:
    with pytest.raises(ValueRefusedError, match=r"run.log_text kept nothing: its step"):
        media.step_of(step, "log_text")


def test_an_ending_that_was_given_is_not_doubled() -> None:
    assert media.path_of("a.png", None, ".png") == "a.png"
    assert media.path_of("a.png", -3, ".png") == "a/-3.png"


# --- histograms -----------------------------------------------------------------------------------------------------


def test_a_histogram_has_the_counts_and_the_edges_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    found = media.histogram(values, 20)
    counts, edges = np.histogram(values, bins=20)
    assert list(found.counts) == counts.tolist()
    assert np.allclose(found.edges, edges, rtol=1e-14, atol=0)
    assert (found.low, found.high, found.size) == (values.min(), values.max(), 1000)
    assert math.isclose(found.mean, values.mean(), rel_tol=1e-12)
    assert math.isclose(found.std, values.std(), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("values", "size", "nans", "infinities"),
    [
        ([5, 5, 5], 3, 0, 0),
        ([math.nan, math.inf, -math.inf], 3, 1, 2),
        ([1.7e308, -1.7e308, math.nan], 3, 1, 0),
        ([5e-324, 1e-320], 2, 0, 0),
        (np.arange(6).reshape(2, 3), 6, 0, 0),
        ([True, False], 2, 0, 0),
        ([2**70, 1], 2, 0, 0),
    ],
)
def test_no_value_is_lost_from_a_histogram(values: Any, size: int, nans: int, infinities: int) -> None:
    found = media.histogram(values, 8)
    assert (found.size, found.nans, found.infinities) == (size, nans, infinities)
    assert all(map(math.isfinite, (*found.edges, found.mean, found.std)))
    assert [*found.edges] == sorted(found.edges)


@pytest.mark.parametrize(
    ("values", "bins", "says"),
    [([], 8, "no values"), (["a"], 8, "numbers"), ("abc", 8, "got 'abc'"), ([1j], 8, "complex"), ([1], 0, "bins=0")],
)
def test_what_cannot_be_counted_is_refused(values: Any, bins: int, says: str) -> None:
    with pytest.raises(ValueRefusedError, match=says):
        media.histogram(values, bins)


@pytest.mark.torch
def test_tensors_are_taken_wherever_they_are() -> None:
    torch = needs("torch", "torch==2.13.0")
    assert media.histogram(torch.ones(3, requires_grad=True), 4).size == 3
    assert media.histogram(torch.ones(3, dtype=torch.bfloat16), 4).mean == 1
    assert picture(torch.ones(2, 3)).size == (3, 2)
