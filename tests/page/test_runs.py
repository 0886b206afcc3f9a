"""The table of runs and what stands beside it, as they are seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anew.runner.store import packing
from tests.helpers.browser import Browser
from tests.helpers.stores import add_run, make_store
from tests.page.driving import Served, View, serving
from tests.page.stores import Kinds

Look = Callable[..., View]
# of each cell: its column, whether what is in it begins left of where the cell is free, whether it is cut, and how
CUT = """
(() => {
  const grid = document.querySelector(".grid");
  const heads = [...grid.querySelectorAll(".head .cell")];
  const fixed = heads.filter((h) => /box|pinned/.test(h.className));
  const pinned = Math.max(...fixed.map((h) => h.getBoundingClientRect().right));
  const cells = [...grid.querySelectorAll(".rows .row:first-child .cell:not(.box):not(.pinned)")];
  return cells.map((cell, n) => {
    const text = cell.firstElementChild;
    if (!text?.innerText) return null;
    const { left, right, width } = text.getBoundingClientRect();
    const head = heads.find((h) => h.ariaColIndex === cell.ariaColIndex);
    return {
      name: head.dataset.column, number: cell.classList.contains("number"), headed: head.classList.contains("number"),
      begins: left - Math.max(pinned, cell.getBoundingClientRect().left), room: width,
      hidden: right <= pinned, whole: text.scrollWidth <= text.clientWidth + 1,
      mark: getComputedStyle(text).textOverflow,
    };
  }).filter(Boolean);
})()
"""
# the curves come when they are let
HOLD = """
(() => {
  const asked = window.fetch;
  const held = new Promise((done) => (window.__let = () => (window.fetch = asked, done())));
  const ask = (...rest) => asked(...rest);
  window.fetch = (...rest) => (String(rest[0]).includes("/api/series") ? held.then(() => ask(...rest)) : ask(...rest));
})()
"""
HOVER = """
(() => {
  const over = document.querySelector(".charts .u-over");
  const { left, top, width, height } = over.getBoundingClientRect();
  const place = { clientX: left + width / 2, clientY: top + height / 2, bubbles: true };
  for (const type of ["mouseenter", "mousemove"]) over.dispatchEvent(new MouseEvent(type, place));
})()
"""
BOXES = (
    "[...document.querySelectorAll('CSS')].map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.top, r.width])"
)


def test_numbers_are_whole_and_nothing_is_cut_where_it_begins(look: Look, kinds: Kinds) -> None:
    view = look("runs?q=experiment+%3D%3D+fit&sort=id")
    view.wait_for(".rows .row .cell.number")
    cells = view.page.evaluate(CUT)
    assert {"duration", "loss"} <= {cell["name"] for cell in cells if cell["number"]}
    assert all(cell["whole"] for cell in cells if cell["number"] or cell["name"] == "started")
    assert [cell["name"] for cell in cells if cell["number"] != cell["headed"]] == []
    view.page.resize(700, 900)
    for left in range(0, 600, 43):
        view.page.evaluate(f"document.querySelector('.grid').scrollLeft = {left}")
        view.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for cell in view.page.evaluate(CUT):
            assert cell["hidden"] or cell["begins"] >= 0 or cell["room"] == 0, (left, cell)
            assert cell["whole"] or cell["mark"] == "ellipsis", (left, cell)


def test_charts_come_with_a_selection_and_the_edge_beside_them_is_moved(look: Look, kinds: Kinds) -> None:
    view = look("runs?sort=id")
    view.wait_for(".rows .row")
    whole = view.page.evaluate("document.querySelector('.runs').clientWidth")
    assert view.count(".charts") == 0
    assert view.page.evaluate("document.querySelector('.grid').offsetWidth") >= whole - 2
    view.page.evaluate(HOLD)
    view.click(f"select run {kinds.full}", ".rows input")
    view.click(f"select run {kinds.other}", ".rows input")
    view.wait_for_text("Loading", ".charts .chart")
    assert "no points" not in view.text(".charts")
    view.page.evaluate("__let()")
    view.wait_for(".charts .chart .legend li")
    view.page.evaluate(HOVER)
    view.wait_for(".tip.values")
    told = view.texts(".tip.values > div")
    assert told[0].startswith("step ")
    assert sorted(text.split()[1] for text in told[1:]) == [str(kinds.full), str(kinds.other)]
    inside = "[...document.querySelectorAll('.tip.values > div:last-child')].every((e) => e.contains(AT))"
    at = "document.elementFromPoint(e.getBoundingClientRect().left + 3, e.getBoundingClientRect().top + 3)"
    view.page.evaluate("document.querySelector('.tip.values').style.pointerEvents = 'auto'")
    assert view.page.evaluate(inside.replace("AT", at)), "the values are hidden by something"
    box = "document.querySelector('.heads input')"
    assert view.page.evaluate(f"[{box}.indeterminate, {box}.checked]") == [True, True]
    table = view.page.evaluate("document.querySelector('.grid').offsetWidth")
    assert 0.45 * whole < table < 0.52 * whole
    view.page.evaluate("document.querySelector('[role=separator]').focus()")
    for _ in range(5):
        view.key("ArrowLeft")
    assert "split=40" in view.page.evaluate("location.hash")
    assert view.page.evaluate("document.querySelector('[role=separator]').ariaValueNow") == "40"
    left = view.page.evaluate("document.querySelector('.grid').offsetWidth")
    assert left < table - 0.08 * whole
    drag = "document.querySelector('[role=separator]').getBoundingClientRect()"
    x, y = view.page.evaluate(f"[{drag}.left + 6, {drag}.top + 60]")
    view.page.evaluate(
        f"""for (const [type, x] of [["pointerdown", {x}], ["pointermove", {x + 100}], ["pointerup", {x + 100}]])
        document.querySelector("[role=separator]").dispatchEvent(
          new PointerEvent(type, {{clientX: x, clientY: {y}, button: 0, bubbles: true, cancelable: true}}))"""
    )
    view.page.wait_for(f"document.querySelector('.grid').offsetWidth >= {left + 85}", "a wider table")
    kept = view.run("src/view.js", "m => m.current()")
    assert int(kept["split"]) > 40
    view.click("Clear")
    view.page.wait_for("!document.querySelector('.charts')", "the table alone")
    view.click("Charts")
    view.wait_for(".charts")


def test_columns_are_chosen_from_a_list_below_its_search(look: Look, kinds: Kinds) -> None:
    view = look("runs")
    view.wait_for(".rows .row")
    view.click("Columns")
    view.wait_for(".picker .order li")
    ((left, top, width),) = view.page.evaluate(BOXES.replace("CSS", ".picker input[type=search]"))
    for list_left, list_top, list_width in view.page.evaluate(BOXES.replace("CSS", ".picker ul")):
        assert (list_left, list_width) == (left, width)
        assert list_top > top
    names = ".picker .order label span"
    cut = f"[...document.querySelectorAll('{names}')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    assert "Experiment" in " ".join(view.texts(names)) or "Started" in view.texts(names)
    assert view.page.evaluate(cut) == 0
    view.fill("Find a column", "clip")
    assert any("clip" in text for text in view.texts(".picker ul[aria-label='More columns'] li"))
    assert all("clip" in text for text in view.texts(".picker li"))


def test_a_mistake_in_the_filter_is_said_where_it_moves_nothing(look: Look, kinds: Kinds) -> None:
    view = look("runs")
    view.wait_for(".rows .row")
    place = "document.querySelector('.grid').getBoundingClientRect().top"
    before = view.page.evaluate(place)
    view.fill("Filter", "lr ==")
    view.page.press_enter()
    view.wait_for(".mistake")
    assert view.text(".mistake").startswith("^")
    assert view.page.evaluate(place) == before
    view.click("clear the filter")
    view.page.wait_for("!document.querySelector('.mistake')", "no mistake")


def test_a_part_that_an_update_has_brought_is_told_as_that(look: Look, kinds: Kinds) -> None:
    """The server knows the files that were there when it started."""
    view = look("runs")
    view.run(
        "src/registry.js",
        "m => { m.VIEWS.push({path: 'later', title: 'Later', load: () => import('/page/views/later.js')}) }",
    )
    view.go("later")
    view.wait_for_text("anew was updated: start anew ui again.", ".error")
    view.go("runs")
    view.wait_for(".rows .row")


def test_a_page_that_does_not_start_says_so(served: Served) -> None:
    view = served.open("runs", without="/page/src/state.js")
    view.wait_for_text("The page did not start: a part of it did not come.", "#page [role=alert]")
    view.page.close()


def test_what_a_damaged_pack_held_is_said_above_the_rows(browser: Browser, tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    for _ in range(2):
        add_run(store)
    [pack] = packing.pack(store, [1]).packs
    Path(pack).chmod(0o644)
    Path(pack).write_bytes(b"nonsense")
    with serving(store.root, browser) as served:
        view = served.open("runs")
        view.wait_for(".rows .row")
        view.wait_for_text(f"{pack!r} is no pack of runs, or damaged", ".left-out")
        assert "anew check" in view.text(".left-out")
        assert view.axe() == []
        view.close()
