/** What the keyboard does, and what filters look like. */
import { html, signal } from "./lib.js";
import { Dialog } from "./ui.js";

export const helping = signal(false);

const KEYS = [
  ["/", "to the filter"],
  ["j k", "down, up (also the arrows, Page Up, Page Down, Home, End)"],
  ["x", "select the run; with Shift all from the last one"],
  ["Enter", "open the run"],
  ["c", "compare the selected runs"],
  ["t n", "edit tags, note"],
  ["Delete", "put into the trash, after a question"],
  ["b", "show or hide the charts"],
  ["Escape", "select nothing"],
  ["?", "this help"],
];
const HEADS = [
  ["Shift ← →", "narrower, wider"],
  ["Alt ← →", "move the column"],
  ["p", "pin it at the left"],
  ["Delete", "hide it"],
];
const FILTERS = ["loss < 0.1", "config.lr == 0.01 and not tag == broken", "status == lost or started > 2h", "loss.min < 0.05", 'model.name ~ "^m"', "has(result.acc)"];

export function Help() {
  if (!helping.value) return null;
  return html`<${Dialog} title="Keys and filters" close=${() => (helping.value = false)}>
    <${Keys} rows=${KEYS} />
    <h3>On the head of a column</h3>
    <${Keys} rows=${HEADS} />
    <h3>On a chart</h3>
    <${Keys} rows=${[["drag", "zoom; twice pressed: all of it"], ["+ - ← → 0", "zoom and move with the keyboard"]]} />
    <h3>Filters</h3>
    <ul class="samples">${FILTERS.map((filter) => html`<li><code>${filter}</code></li>`)}</ul>
  <//>`;
}

/** @param {{rows: string[][]}} props */
function Keys({ rows }) {
  return html`<dl class="keys">${rows.map(([keys, what]) => html`<dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>`;
}
