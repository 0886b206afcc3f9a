/** The head of the table: a click sorts; a drag moves a column, or makes it wider at its edge; the keyboard does both. */
import { follow } from "./drag.js";
import { html, signal } from "./lib.js";
import { change, covered, held, hide, move, NARROWEST, placed, shift, sortBy, sortedBy, wide } from "./layout.js";
import { total } from "./rows.js";
import { selected } from "./view.js";

/** The column before which the dragged one would go. */
const target = signal(/** @type {{name: string, before: string | null} | null} */ (null));

/** @param {{everything: () => void}} props */
export function Head({ everything }) {
  const some = selected.value.size > 0;
  const part = some && selected.value.size < (total.value ?? 0);
  return html`<div class="heads" role="rowgroup"><div class="row head" role="row" aria-rowindex="1" style=${{ width: `${wide.value}px` }}>
    <div class="cell box" role="columnheader" aria-colindex="1"><input type="checkbox" checked=${some} indeterminate=${part} tabindex="-1"
      aria-label=${some ? "select none" : "select all"} title=${some ? "Select none" : "Select all that the filter finds"} onClick=${everything} /></div>
    ${placed.value.map((column, place) => html`<${One} key=${column.name} column=${column} place=${place + 2} />`)}
  </div></div>`;
}

/** @param {{column: import("./layout.js").Placed, place: number}} props */
function One({ column, place }) {
  const { name, title, pinned, width, left, numeric } = column;
  const sorted = sortedBy(name);
  const marked = target.value?.before === name ? " target" : "";
  return html`<div class=${`cell${pinned ? " pinned" : ""}${numeric ? " number" : ""}${marked}`} role="columnheader" aria-colindex=${place} aria-sort=${sorted}
    data-column=${name} style=${{ width: `${width}px`, left: pinned ? `${left}px` : "auto", paddingLeft: covered(column) }}>
    <button type="button" class="sort" tabindex="-1" title=${`${name}: press to sort, drag to move`} onClick=${() => sortBy(name)}
      onPointerDown=${(/** @type {PointerEvent} */ event) => drag(event, name)} onKeyDown=${(/** @type {KeyboardEvent} */ event) => keys(event, column)}>
      <span class="name">${title}</span>${sorted && html`<span aria-hidden="true">${sorted === "ascending" ? " ↑" : " ↓"}</span>`}</button>
    <i class="edge" onPointerDown=${(/** @type {PointerEvent} */ event) => stretch(event, column)}></i>
  </div>`;
}

/** Shift and an arrow: wider, narrower; Alt and an arrow: moved; Delete: hidden. @param {KeyboardEvent} event @param {import("./layout.js").Placed} column */
function keys(event, { name, width, pinned }) {
  const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (step && event.shiftKey) change(name, { width: Math.max(NARROWEST, width + step * 16) });
  else if (step && event.altKey) shift(name, step);
  else if (event.key === "Delete") hide(name);
  else if (event.key === "p") change(name, { pinned: !pinned });
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** @param {PointerEvent} event @param {import("./layout.js").Placed} column */
function stretch(event, { name, width }) {
  event.preventDefault();
  event.stopPropagation();
  follow(
    event,
    (by) => (held.value = { name, width: Math.max(NARROWEST, width + by) }),
    () => {
      const last = held.value;
      held.value = null;
      if (last) change(name, { width: last.width });
    },
  );
}

/** @param {PointerEvent} event @param {string} name */
function drag(event, name) {
  const head = /** @type {HTMLElement} */ (event.currentTarget).closest(".head");
  if (event.button !== 0 || !head) return;
  let moved = false;
  follow(
    event,
    (by, x) => {
      moved ||= Math.abs(by) > 6;
      if (moved) target.value = { name, before: under(head, x) };
    },
    () => {
      const last = target.value;
      target.value = null;
      if (!moved) return;
      swallowClick();
      if (last) move(name, last.before);
    },
  );
}

/** The click that follows a drag would sort; it comes at once, or not at all. */
function swallowClick() {
  const stop = new AbortController();
  addEventListener("click", (click) => (click.stopPropagation(), click.preventDefault()), { capture: true, signal: stop.signal });
  setTimeout(() => stop.abort());
}

/** The column before which x is. @param {Element} head @param {number} x @returns {string | null} */
function under(head, x) {
  for (const one of head.querySelectorAll("[data-column]")) {
    const { left, right } = one.getBoundingClientRect();
    if (x < (left + right) / 2) return one.getAttribute("data-column");
  }
  return null;
}
