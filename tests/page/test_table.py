"""What is done with the table of runs and its charts: by keys, by the mouse, and kept in the address."""

from __future__ import annotations

import json
from collections.abc import Callable

from anew.runner.store.folder import FolderStore
from tests.helpers.waiting import until
from tests.page.driving import View
from tests.page.stores import Kinds

Look = Callable[..., View]
# what is downloaded is held where it can be looked at
CAUGHT = """
window.__caught = [];
URL.createObjectURL = (blob) => (window.__caught.push(blob), "#");
HTMLAnchorElement.prototype.click = function () { window.__named = this.download; };
"""
CANVASES = "[...document.querySelectorAll('.charts .chart')].map(e => !!e.querySelector('canvas, svg'))"


def press(view: View, *keys: str) -> None:
    """Press keys where the table has the focus."""
    view.page.evaluate("document.querySelector('.grid').focus()")
    for key in keys:
        view.key(key)


def test_runs_are_selected_tagged_noted_deleted_and_restored_by_keys(look: Look, kinds: Kinds) -> None:
    store = FolderStore.open(kinds.store)
    view = look("runs?q=sweep+%3D%3D+1&sort=id")
    view.wait_for(".rows .row")
    first, second, third = store.matching("sweep == 1", sort="id")[:3]
    press(view, "j", "x", "j", "X")
    assert f"sel={second}-{third}" in view.page.evaluate("location.hash")
    press(view, "Escape", "k", "t")
    view.page.type("from keys, <b>")
    view.page.press_enter()
    view.wait_for_text("from keys", ".rows")
    press(view, "n")
    view.page.type("a note <i>")
    view.page.press_enter()
    view.wait_for_text("a note <i>", ".rows")
    # it is shown before it is written
    until(lambda: store.get(second).note == "a note <i>")
    assert set(store.get(second).tags) == {"from keys", "<b>"}
    press(view, "x", "Delete")
    view.click("Delete 1 run", "dialog button")
    view.wait_for_text("11 runs", ".total")
    view.click("Undo")
    view.wait_for_text("12 runs", ".total")
    press(view, "x", "Delete")
    view.click("Delete 1 run", "dialog button")
    view.wait_for_text("11 runs", ".total")
    assert second not in store.numbers()
    view.click("Trash")
    view.wait_for(f"[aria-label='select run {second}']")
    view.click(f"select run {second}", ".rows input")
    view.click("Restore")
    view.wait_for_text("restored", ".saying")
    assert second in store.numbers()
    assert first in store.numbers()


def test_a_view_is_grouped_sorted_saved_by_a_name_and_had_again(look: Look, kinds: Kinds) -> None:
    view = look("runs?q=sweep+%3D%3D+1&group=config.width&agg=loss")
    view.wait_for(".groups tbody tr")
    rows = {text.split()[0]: text.split()[1] for text in view.texts(".groups tbody tr")}
    assert rows == {"8": "6", "16": "6"}
    assert all("±" in text for text in view.texts(".groups tbody tr"))
    view.click("Views")
    view.fill("Name of the view", "by-width")
    view.click("Save")
    view.wait_for_text("View by-width is saved", ".saying")
    view.go("runs?sort=id")
    view.wait_for(".rows .row")
    view.click("loss", ".heads button")
    view.page.wait_for("location.hash.includes('sort=loss')", "the order of a head that was clicked")
    view.wait_for("[data-column=loss][aria-sort=ascending]")
    view.click("Views")
    view.click("by-width")
    view.wait_for(".groups tbody tr")
    assert "group=config.width" in view.page.evaluate("location.hash")
    assert "sort=" not in view.page.evaluate("location.hash")


def test_charts_of_every_kind_are_drawn_zoomed_and_downloaded(look: Look, kinds: Kinds) -> None:
    charts = "c:loss;s:config.lr,loss;p:config.lr,config.width,loss;h:loss"
    view = look(f"runs?q=sweep+%3D%3D+1&sort=id&charts={charts}", height=2200)
    view.page.wait_for(f"(all => all.length === 4 && all.every(Boolean))({CANVASES})", "four charts")
    view.page.evaluate(CAUGHT)
    for kind, begins in (("SVG", "<svg"), ("CSV", "run,step,loss"), ("PNG", "\x89PNG")):
        view.click("download loss")
        view.click(kind)
        view.page.wait_for("__caught.length", f"a file {kind}")
        text = view.page.evaluate(
            "__caught.pop().arrayBuffer().then(b => String.fromCharCode(...new Uint8Array(b).slice(0, 4000)))"
        )
        assert begins in text[:400], (kind, text[:400])
        assert view.page.evaluate("__named") == f"loss.{kind.lower()}"
    over = "document.querySelector('.charts .u-over').getBoundingClientRect().toJSON()"
    box = view.page.evaluate(
        f"(() => {{ document.querySelector('.charts .u-over').scrollIntoView(); return {over}; }})()"
    )
    y = box["y"] + box["height"] / 2

    def mouse(kind: str, part: float, buttons: int) -> None:
        x = box["x"] + part * box["width"]
        view.page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)
        view.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    mouse("mouseMoved", 0.2, 0)
    mouse("mousePressed", 0.2, 1)
    for part in (0.3, 0.5, 0.6):
        mouse("mouseMoved", part, 1)
    mouse("mouseReleased", 0.6, 0)
    zoom = view.page.wait_for("new URLSearchParams(location.hash.split('?')[1]).get('zoom')", "a zoom in the address")
    begin, end = map(float, zoom.split(","))
    assert 1 < begin < 4 < end < 9, json.dumps(zoom)
    view.wait_for_text("all", ".charts figcaption")
    view.click("all", ".charts figcaption button")
    view.page.wait_for("!location.hash.includes('zoom=')", "all of it")
