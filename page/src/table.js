/**
 * The table of runs. Only the rows that are seen are drawn, so its length costs nothing.
 *
 * Browsers allow some 33 million pixels of height; beyond TALLEST the bar's position is scaled.
 */
import { cell, isNumber, show, titled } from "./cells.js";
import { Head } from "./head.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { at, covered, placed, rankOf, scrolled, wide } from "./layout.js";
import { firstRows, look, row, total, version } from "./rows.js";
import { get } from "./api.js";
import { go, say } from "./state.js";
import { beside, query, select, selected, toggle, trash } from "./view.js";

/** @typedef {import("./rows.js").Row} Row */

export const ROW = 30;
const TALLEST = 15_000_000;
const MORE = 8;

/** The first row that is seen, of where the bar is. @param {number} top @param {number} high @param {number} rows */
function offsetOf(top, high, rows) {
  const full = rows * ROW;
  if (full <= TALLEST) return top;
  return (top / (TALLEST - high)) * (full - high);
}

export function RunsTable() {
  const ref = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [seen, setSeen] = useState({ top: 0, high: 600 });
  const rows = total.value ?? 0;
  version.value;
  const offset = offsetOf(seen.top, seen.high, rows);
  const from = Math.max(0, Math.min(Math.floor(offset / ROW) - MORE, rows - 1));
  const to = Math.min(rows, Math.ceil((offset + seen.high) / ROW) + MORE);
  useLayoutEffect(() => {
    const node = ref.current;
    if (!node) return undefined;
    const measure = () => setSeen((was) => (was.high === node.clientHeight ? was : { top: node.scrollTop, high: node.clientHeight }));
    const watcher = new ResizeObserver(measure);
    watcher.observe(node);
    scrolled.value = node.scrollLeft;
    return () => watcher.disconnect();
  }, []);
  useEffect(() => look(from, to), [from, to]);
  useFollowing(ref, rows);
  const shift = seen.top - offset;
  const drawn = [];
  for (let n = from; n < to; n += 1) drawn.push(html`<${OneRow} key=${row(n)?.uid || n} n=${n} top=${n * ROW + shift} />`);
  return html`<div class="grid" role="grid" aria-label="Runs" aria-rowcount=${rows + 1} aria-colcount=${placed.value.length + 1}
    aria-multiselectable="true" aria-activedescendant=${rows ? `row-${at.value}` : undefined} tabindex="0" ref=${ref}
    onScroll=${(/** @type {any} */ event) => {
      scrolled.value = event.currentTarget.scrollLeft;
      setSeen({ top: event.currentTarget.scrollTop, high: event.currentTarget.clientHeight });
    }}>
    <${Head} everything=${everything} />
    <div class="rows" role="rowgroup" style=${{ height: `${Math.min(rows * ROW, TALLEST)}px`, width: `${wide.value}px` }}>${drawn}</div>
  </div>`;
}

/** Keep the row of the keyboard in sight. @param {{current: HTMLDivElement | null}} ref @param {number} rows */
function useFollowing(ref, rows) {
  const first = useRef(true);
  const here = at.value;
  useEffect(() => {
    const node = ref.current;
    if (first.current || !node) {
      first.current = false;
      return;
    }
    const full = rows * ROW;
    const bar = full > TALLEST ? (TALLEST - node.clientHeight) / (full - node.clientHeight) : 1;
    const top = here * ROW;
    const offset = offsetOf(node.scrollTop, node.clientHeight, rows);
    if (top < offset) node.scrollTop = top * bar;
    else if (top + ROW * 2 > offset + node.clientHeight) node.scrollTop = (top + ROW * 2 - node.clientHeight) * bar;
  }, [here]);
}

/** @param {{n: number, top: number}} props */
function OneRow({ n, top }) {
  version.value;
  const found = row(n);
  const chosen = found?.id != null && selected.value.has(found.id);
  const state = `row${chosen ? " chosen" : ""}${n === at.value ? " at" : ""}${found ? "" : " waiting"}`;
  return html`<div class=${state} role="row" id=${`row-${n}`} aria-rowindex=${n + 2} aria-selected=${String(chosen)}
    style=${{ transform: `translateY(${top}px)`, width: `${wide.value}px` }}
    onClick=${() => (at.value = n)} onDblClick=${() => open(found)}>
    <div class="cell box" role="gridcell" aria-colindex="1">${found && html`<${Box} row=${found} n=${n} chosen=${chosen} />`}</div>
    ${placed.value.map((column, place) => html`<${Cell} key=${column.name} row=${found} column=${column} place=${place + 2} />`)}
  </div>`;
}

/** @param {{row: Row | undefined, column: import("./layout.js").Placed, place: number}} props */
function Cell({ row, column, place }) {
  const { name, pinned, width, left } = column;
  const kind = `cell${pinned ? " pinned" : ""}${row && isNumber(row, name) ? " number" : ""}`;
  return html`<div class=${kind} role="gridcell" aria-colindex=${place} title=${row && titled(row, name)}
    style=${{ width: `${width}px`, left: pinned ? `${left}px` : "auto", paddingLeft: covered(column) }}>${row && show(row, name)}</div>`;
}

/** @param {{row: Row, n: number, chosen: boolean}} props */
function Box({ row, n, chosen }) {
  const rank = beside.value ? rankOf(row.id) : null;
  return html`<input type="checkbox" tabindex="-1" aria-label=${`select run ${row.id}`} checked=${chosen} disabled=${row.id === null}
      onClick=${(/** @type {MouseEvent} */ event) => picked(event, row, n)} />
    <i class=${rank === null ? "swatch none" : `swatch line${rank % 10}`}></i>`;
}

/** A click with Shift takes all from the row that the keyboard is at. @param {MouseEvent} event @param {Row} row @param {number} n */
function picked(event, row, n) {
  event.stopPropagation();
  if (event.shiftKey) pickUntil(n);
  else if (row.id !== null) toggle(row.id);
  at.value = n;
}

/** Select every row from where the keyboard is to row *n*. @param {number} n */
export function pickUntil(n) {
  const [low, high] = at.value < n ? [at.value, n] : [n, at.value];
  const ids = new Set(selected.value);
  for (let one = low; one <= high; one += 1) {
    const id = row(one)?.id;
    if (id != null) ids.add(id);
  }
  select(ids);
}

/** Select all runs that the filter finds, or none. */
async function everything() {
  if (selected.value.size) return select([]);
  const known = firstRows(total.value ?? 0);
  if (known.length === total.value) return select(known.flatMap((one) => (one.id === null ? [] : [one.id])));
  try {
    if (trash.value) {
      const { rows } = await get("runs", { q: query.value, deleted: 1, limit: 2000 });
      return select(rows.map((/** @type {Row} */ one) => one.id));
    }
    const { ids } = await get("table", { q: query.value, columns: "id" });
    select(ids);
  } catch (error) {
    say(/** @type {Error} */ (error).message, { error: true });
  }
}

/** Go to a run's page. @param {Row | undefined} found */
export function open(found) {
  if (found?.id != null) go(`run/${found.id}`);
}

export { cell };
