/** Small parts that the pages of a run, of comparisons and of sweeps share. */
import { value as asText } from "../src/format.js";
import { html } from "../src/lib.js";
import { link } from "../src/state.js";
import { ErrorBox, Spinner } from "../src/ui.js";

/**
 * What was asked for by `useAnswer`, shown by *children* once it is here; till then that it is on its way.
 * @param {{of: {data: any, error: any, loading: boolean, again: () => void}, what: string, children: (data: any) => any}} props
 */
export function Answer({ of, what, children }) {
  if (of.error) return html`<${ErrorBox} error=${of.error} again=${of.again} />`;
  if (of.data === null) return html`<${Spinner} what=${`Loading ${what}`} />`;
  return children(of.data);
}

/** Names with values; those without a value are left out. @param {{rows: [string, any][], label?: string}} props */
export function Facts({ rows, label }) {
  const there = rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  if (!there.length) return null;
  return html`<dl class="facts" aria-label=${label}>${there.map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${shownFact(value)}</dd></div>`,
  )}</dl>`;
}

/** @param {any} value */
function shownFact(value) {
  return typeof value === "object" && value !== null && "type" in value && "props" in value ? value : asText(value);
}

/** A run by its number, as a link to its page. @param {{id: string | number, part?: string, children?: any}} props */
export function RunLink({ id, part, children }) {
  return html`<a href=${link(runPath(id, part))}>${children ?? `run ${id}`}</a>`;
}

/** @param {string | number} id @param {string} [part] */
export function runPath(id, part) {
  return `run/${encodeURIComponent(id)}${part ? `/${part}` : ""}`;
}

/** A verdict of a re-run, by sign, colour and word. @param {{verdict: string}} props */
export function Verdict({ verdict }) {
  const sign = { identical: "=", close: "≈", different: "≠" }[verdict] ?? "·";
  return html`<span class=${`verdict ${verdict.replace(/\W.*/, "")}`}><span aria-hidden="true">${sign}</span> ${verdict}</span>`;
}

/** Whether two values that JSON can hold are the same. @param {any} one @param {any} other */
export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A word as a shell takes it, for commands to copy. @param {string} word */
export function quoted(word) {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
