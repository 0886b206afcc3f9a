/** The keyboard on the runs: as one reads mail. */
import { edit, leaving } from "./edit.js";
import { focusFilter } from "./filter.js";
import { helping } from "./help.js";
import { useEffect } from "./lib.js";
import { at } from "./layout.js";
import { row, total } from "./rows.js";
import { go, writable } from "./state.js";
import { open, pickUntil } from "./table.js";
import { flipBeside, select, selection, toggle, trash } from "./view.js";

const PAGE = 20;

/** @param {number} to */
function goRow(to) {
  at.value = Math.max(0, Math.min(to, (total.value ?? 1) - 1));
}

export function compare() {
  if (selection.value.length > 1) go("compare", { runs: selection.value.join(",") });
}

/** The runs that deleting is about: those selected, or that where the keyboard is. */
function concerned() {
  const id = row(at.value)?.id;
  return selection.value.length ? selection.value : id == null ? [] : [id];
}

/** @type {Record<string, (event: KeyboardEvent) => void>} */
const KEYS = {
  "/": focusFilter,
  j: () => goRow(at.value + 1),
  k: () => goRow(at.value - 1),
  ArrowDown: () => goRow(at.value + 1),
  ArrowUp: () => goRow(at.value - 1),
  PageDown: () => goRow(at.value + PAGE),
  PageUp: () => goRow(at.value - PAGE),
  Home: () => goRow(0),
  End: () => goRow((total.value ?? 1) - 1),
  x: () => {
    const id = row(at.value)?.id;
    if (id != null) toggle(id);
    anchor = at.value;
  },
  X: () => {
    const here = at.value;
    at.value = anchor;
    pickUntil(here);
    at.value = here;
  },
  c: compare,
  t: () => edit(row(at.value), "tags"),
  n: () => edit(row(at.value), "note"),
  b: flipBeside,
  Delete: () => {
    const runs = concerned();
    if (runs.length && writable.value && !trash.value) leaving.value = runs;
  },
  Enter: () => open(row(at.value)),
  Escape: () => select([]),
  "?": () => (helping.value = true),
};
/** Keys that mean something to buttons, links and other things that have the focus. */
const THEIRS = new Set(["Enter", "ArrowDown", "ArrowUp", "Home", "End", "PageUp", "PageDown", "Delete", "Escape"]);
let anchor = 0;

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const on = /** @type {HTMLElement} */ (event.target);
  if (on.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (THEIRS.has(event.key) && on !== document.body && !on.matches(".grid, main") && !on.closest(".rows")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}

/** Listen to the keyboard while the runs are shown. */
export function useKeys() {
  useEffect(() => {
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}
