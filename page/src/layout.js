/** Which columns the table shows, how wide, in which order; and which runs the charts show, in which colours. */
import { computed, signal } from "./lib.js";
import { firstRows, names, version } from "./rows.js";
import { set, store } from "./state.js";
import { numeric, PADDING, textWidth } from "./widths.js";
import { columns, selection, sort, writeColumns } from "./view.js";

/** @typedef {import("./view.js").Column} Column */
/** @typedef {{name: string, title: string, pinned: boolean, width: number, left: number, numeric: boolean}} Placed */

/** What each row has besides its cells, by the name that filters and sorting use. */
export const FACTS = /** @type {Record<string, {title: string, width: number}>} */ ({
  id: { title: "Run", width: 72 },
  status: { title: "Status", width: 116 },
  experiment: { title: "Experiment", width: 120 },
  started: { title: "Started", width: 156 },
  duration: { title: "Duration", width: 88 },
  verdict: { title: "Verdict", width: 90 },
  tag: { title: "Tags", width: 150 },
  note: { title: "Note", width: 220 },
});
/** The box for selecting. */
export const BOX = 38;
export const NARROWEST = 48;
/** With less room than this, nothing of a cell is shown. */
const LEGIBLE = 34;
/** What says how a column is sorted. */
const ARROW = 16;
const A_TIME = "0000-00-00 00:00:00";
/** Without a selection the charts show this many of the first rows. */
export const CHARTED_AT_FIRST = 10;
const CHARTED_MOST = 2000;

/** Names of the columns to ask for; null: the server chooses. */
export const wanted = computed(() => columns.value?.map((c) => c.name).filter((name) => !(name in FACTS)) ?? null);

/** The columns as they are chosen, or as they come by themselves. */
export const chosen = computed(() => {
  if (columns.value) return columns.value.some((c) => c.name === "id") ? columns.value : [plain("id", true), ...columns.value];
  const several = (store.value?.experiments.length ?? 0) > 1;
  const first = ["status", ...(several ? ["experiment"] : []), "started", "duration"];
  const own = names.value.filter((name) => !(name in FACTS));
  const verdict = names.value.includes("verdict") ? ["verdict"] : [];
  return [plain("id", true), ...[...first, ...own, ...verdict, "tag", "note"].map((name) => plain(name))];
});

/** The width of a column while its edge is held: it is in the address only when it is let go. */
export const held = signal(/** @type {{name: string, width: number} | null} */ (null));

/** The columns where they stand: the pinned ones first, `left` in pixels after the box. */
export const placed = computed(() => {
  const all = [...chosen.value.filter((c) => c.pinned), ...chosen.value.filter((c) => !c.pinned)];
  let left = BOX;
  return all.map((c) => {
    const width = held.value?.name === c.name ? held.value.width : c.width ?? usual(c.name);
    const one = { name: c.name, title: titleOf(c.name), pinned: c.pinned, width, left, numeric: isNumberColumn(c.name) };
    left += width;
    return one;
  });
});

export const wide = computed(() => placed.value.reduce((sum, c) => sum + c.width, BOX));

/** How far the table is scrolled sideways. */
export const scrolled = signal(0);

/**
 * The left padding of a column that lies in part under the pinned ones, so that what stands in it is cut at its end and
 * never at its beginning: a number without its first digits is another number. Undefined for all others.
 * @param {Placed} column
 */
export function covered({ pinned, left, width }) {
  if (pinned || !scrolled.value) return undefined;
  const edge = placed.value.reduce((sum, c) => sum + (c.pinned ? c.width : 0), BOX) + scrolled.value;
  if (edge <= left || left + width <= edge) return undefined;
  return `${left + width - edge < LEGIBLE ? width : edge - left + 8}px`;
}

/** Whether a column's values stand at the right, its head over them. @param {string} name */
function isNumberColumn(name) {
  return name === "duration" || numeric.value.has(name);
}

/** @param {string} name @param {boolean} [pinned] @returns {Column} */
export function plain(name, pinned = false) {
  return { name, pinned, width: null };
}

/** What stands above a column: `config.lr` is `lr`. @param {string} name */
export function titleOf(name) {
  return FACTS[name]?.title ?? name.replace(/^(config|metric|result|info)\./, "");
}

/** @param {string} name */
function usual(name) {
  const title = textWidth(titleOf(name)) + PADDING + ARROW;
  if (name === "started") return Math.max(FACTS.started.width, textWidth(A_TIME) + PADDING);
  return FACTS[name]?.width ?? Math.min(220, Math.max(84, title, numeric.value.get(name) ?? 0));
}

/** @param {Column[]} list */
export function choose(list) {
  set({ cols: list.length ? writeColumns(list) : null }, { replace: true });
}

/** @param {string} name @param {Partial<Column>} changes */
export function change(name, changes) {
  choose(chosen.value.map((c) => (c.name === name ? { ...c, ...changes } : c)));
}

/** @param {string} name */
export function hide(name) {
  choose(chosen.value.filter((c) => c.name !== name));
}

/** Put a column before another, or last. @param {string} name @param {string | null} before */
export function move(name, before) {
  const one = chosen.value.find((c) => c.name === name);
  if (!one || name === before) return;
  const rest = chosen.value.filter((c) => c.name !== name);
  const at = before === null ? rest.length : rest.findIndex((c) => c.name === before);
  choose([...rest.slice(0, at), one, ...rest.slice(at)]);
}

/** One place to the left (-1) or right (1), as the columns stand. @param {string} name @param {number} by */
export function shift(name, by) {
  const order = placed.value.map((c) => c.name);
  const at = order.indexOf(name);
  const to = at + by;
  if (to < 0 || to >= order.length) return;
  move(name, by < 0 ? order[to] : order[to + 1] ?? null);
}

/** Up, down, as it comes. @param {string} name */
export function sortBy(name) {
  const now = sort.value;
  const next = now === name ? `-${name}` : now === `-${name}` ? null : name;
  set({ sort: next }, { replace: true });
}

/** Whether a column is sorted by. @param {string} name @returns {"ascending" | "descending" | undefined} */
export function sortedBy(name) {
  return sort.value === name ? "ascending" : sort.value === `-${name}` ? "descending" : undefined;
}

/** The row that the keyboard is at. */
export const at = signal(0);

/** Runs of the charts: those that are selected, or else the first of the table. */
export const charted = computed(() => {
  if (selection.value.length) return selection.value.slice(0, CHARTED_MOST);
  version.value;
  return firstRows(CHARTED_AT_FIRST).flatMap((row) => (row.id === null ? [] : [row.id]));
});

const ranks = computed(() => new Map(charted.value.map((id, at) => [id, at])));
/** Curves in other dashes come after so many. */
export const COLOURS = 10;

/** The colour of a run in the charts, as a number; null: it is not there. @param {number | null} id */
export function rankOf(id) {
  return id === null ? null : ranks.value.get(id) ?? null;
}
