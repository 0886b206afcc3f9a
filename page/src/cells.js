/** What stands in a cell of the table. */
import { NoteCell, TagsCell } from "./edit.js";
import { ago, duration, time, value as asText } from "./format.js";
import { html } from "./lib.js";
import { names } from "./rows.js";
import { link } from "./state.js";
import { Status } from "./ui.js";
import { isNumeric } from "./widths.js";

/** @typedef {import("./rows.js").Row} Row */

const FACTS = /** @type {Record<string, (row: Row) => any>} */ ({
  id: (row) => (row.id === null ? html`<span class="dim">${row.uid || "damaged"}</span>` : html`<a href=${link(`run/${row.id}`)} tabindex="-1">${row.id}</a>`),
  status: (row) => html`<${Status} status=${row.status} />`,
  experiment: (row) => row.experiment && html`<span class="experiment"><i class=${`dot hue${hue(row.experiment)}`}></i>${row.experiment}</span>`,
  started: (row) => html`<span title=${ago(row.started)}>${time(row.started)}</span>`,
  duration: (row) => html`<span>${duration(row.duration)}</span>`,
  verdict: (row) => row.verdict && html`<span class=${`verdict ${row.verdict}`}>${row.verdict}</span>`,
  tag: (row) => html`<${TagsCell} row=${row} />`,
  note: (row) => html`<${NoteCell} row=${row} />`,
});

/** @param {Row} row @param {string} name */
export function show(row, name) {
  if (name in FACTS) return FACTS[name](row);
  return html`<span>${asText(cell(row, name))}</span>`;
}

/** @param {Row} row @param {string} name */
export function cell(row, name) {
  const at = names.value.indexOf(name);
  return at < 0 ? null : row.cells[at];
}

/** Numbers stand at the right. @param {Row} row @param {string} name */
export function isNumber(row, name) {
  if (name in FACTS) return name === "duration";
  return isNumeric(cell(row, name));
}

/** The text of a cell, for its title where it does not fit. @param {Row} row @param {string} name */
export function titled(row, name) {
  if (name === "note") return row.note ?? "";
  return name in FACTS ? undefined : asText(cell(row, name));
}

/** One of eight, the same for the same name. @param {string} text */
function hue(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum % 8;
}
