/**
 * What of the runs is looked at: filter, sorting, columns, groups, selection, charts. All of it is in the address.
 *
 * `#/runs?q=…&sort=-started&cols=id*,status,config.lr~120&group=config.lr&sel=1-3,7&charts=…`
 */
import { computed } from "./lib.js";
import { place, set } from "./state.js";

/** @typedef {{name: string, pinned: boolean, width: number | null}} Column */

/** What of the address makes a view, and so is saved under a name; the selection and the zoom are not of it. */
export const PARTS = ["q", "sort", "cols", "group", "agg", "beside", "split", "charts", "x", "smooth", "log", "legend", "trash"];

/** @param {string} name */
const parameter = (name, otherwise = "") => computed(() => place.value.params.get(name) ?? otherwise);

export const query = parameter("q");
export const sort = parameter("sort");
const columnsText = parameter("cols");
const groupText = parameter("group");
const aggregatesText = parameter("agg");
const selectionText = parameter("sel");

/** Whether the runs in the trash are shown instead. */
export const trash = computed(() => place.value.params.get("trash") === "1");


/** The columns that were chosen, in their order; null: those that the server chooses. */
export const columns = computed(() => (columnsText.value ? columnsText.value.split(",").map(readColumn) : null));
/** The keys that runs are grouped by. */
export const group = computed(() => readNames(groupText.value));
/** The metrics of the groups; empty: those that the server chooses. */
export const aggregates = computed(() => readNames(aggregatesText.value));
/** The selected runs, in the order of their numbers. */
export const selection = computed(() => readIds(selectionText.value));
export const selected = computed(() => new Set(selection.value));

/** Whether the charts are shown beside the table: as was chosen, or else where there is something to draw. */
export const beside = computed(() => {
  const said = place.value.params.get("beside");
  return said === "no" ? false : said !== null || place.value.params.has("charts") || selection.value.length > 0;
});
/** Open or close the charts. */
export function flipBeside() {
  set({ beside: beside.value ? "no" : "yes" }, { replace: true });
}
/** The part of the width that the table has beside the charts, in percent. */
export const share = computed(() => Number(place.value.params.get("split")) || 50);

/** @param {string} text @returns {string[]} */
export function readNames(text) {
  return text ? text.split(",").map(decodeURIComponent) : [];
}

/** @param {string[]} names */
export function writeNames(names) {
  return names.map(encoded).join(",");
}

/** A name without any letter that means something in a list. @param {string} name */
function encoded(name) {
  return encodeURIComponent(name).replace(/[*~!'()]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
}

/** @param {string} text @returns {Column} */
function readColumn(text) {
  const [, name, star, width] = /^([^*~]*)(\*?)(?:~(\d+))?$/.exec(text) ?? [text, text, "", ""];
  return { name: decodeURIComponent(name), pinned: star === "*", width: width ? Number(width) : null };
}

/** @param {Column[]} list */
export function writeColumns(list) {
  return list.map((c) => `${encoded(c.name)}${c.pinned ? "*" : ""}${c.width ? `~${Math.round(c.width)}` : ""}`).join(",");
}

/** `1-3,7` @param {string} text @returns {number[]} */
export function readIds(text) {
  /** @type {number[]} */
  const ids = [];
  for (const part of text.split(",")) {
    const [from, to] = part.split("-").map(Number);
    if (!part || !Number.isInteger(from)) continue;
    for (let id = from; id <= Math.min(Number.isInteger(to) ? to : from, from + 100_000); id += 1) ids.push(id);
  }
  return ids;
}

/** @param {Iterable<number>} ids */
export function writeIds(ids) {
  const sorted = [...new Set(ids)].sort((a, b) => a - b);
  /** @type {string[]} */
  const parts = [];
  for (let at = 0; at < sorted.length; at += 1) {
    const from = sorted[at];
    while (sorted[at + 1] === sorted[at] + 1) at += 1;
    parts.push(sorted[at] === from ? String(from) : `${from}-${sorted[at]}`);
  }
  return parts.join(",");
}

/** @param {Iterable<number>} ids */
export function select(ids) {
  set({ sel: writeIds(ids) }, { replace: true });
}

/** @param {number} id */
export function toggle(id) {
  const now = new Set(selected.value);
  if (!now.delete(id)) now.add(id);
  select(now);
}

/** The view of now, to be saved by name. @returns {Record<string, string>} */
export function current() {
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of PARTS) {
    const value = place.value.params.get(name);
    if (value) found[name] = value;
  }
  return found;
}

/** Show a view that was saved. @param {Record<string, any>} saved */
export function show(saved) {
  /** @type {Record<string, string | null>} */
  const changes = { sel: null, zoom: null };
  for (const name of PARTS) changes[name] = typeof saved[name] === "string" ? saved[name] : null;
  set(changes);
}
