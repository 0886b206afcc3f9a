/** The sheet that adds a chart: a kind, and of what. */
import { html, useState } from "./lib.js";
import { Button, Menu, useAnswer } from "./ui.js";
import { query } from "./view.js";

/** @typedef {import("./charts.js").Item} Item */

const KINDS = /** @type {[Item["kind"], string][]} */ ([["curve", "Curves"], ["scatter", "Scatter"], ["parallel", "Parallel coordinates"], ["histogram", "Histogram"]]);

/** @param {{metrics: string[], add: (item: Item) => void}} props */
export function AddChart({ metrics, add }) {
  return html`<${Menu} label="Add chart" align="right">${(/** @type {() => void} */ close) => html`<${Sheet} metrics=${metrics} add=${(/** @type {Item} */ item) => (close(), add(item))} />`}<//>`;
}

/** @param {{metrics: string[], add: (item: Item) => void}} props */
function Sheet({ metrics, add }) {
  const [kind, setKind] = useState(/** @type {Item["kind"]} */ ("scatter"));
  const [of, setOf] = useState(/** @type {string[]} */ ([]));
  const { data } = useAnswer("columns", { q: query.value });
  const all = (data?.columns ?? []).sort((/** @type {any} */ a, /** @type {any} */ b) => Number(b.varying) - Number(a.varying)).map((/** @type {any} */ c) => c.name);
  const names = kind === "curve" ? metrics : all;
  const parts = kind === "scatter" ? ["across", "up", "colour"] : kind === "parallel" ? [] : ["of"];
  const ready = kind === "parallel" ? of.length > 1 : kind === "scatter" ? Boolean(of[0] && of[1]) : Boolean(of[0]);
  /** @param {number} at @param {string} name */
  const put = (at, name) => setOf(Object.assign([...of], { [at]: name }));
  return html`<form class="add" onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), ready && add({ kind, of: of.filter(Boolean) }))}>
    <label>kind <select aria-label="kind of chart" value=${kind} onChange=${(/** @type {any} */ event) => (setKind(event.currentTarget.value), setOf([]))}>${KINDS.map(
      ([name, title]) => html`<option value=${name}>${title}</option>`,
    )}</select></label>
    ${parts.map((part, at) => html`<label>${part} <select aria-label=${part} value=${of[at] ?? ""} onChange=${(/** @type {any} */ event) => put(at, event.currentTarget.value)}>
      <option value="">${part === "colour" ? "none" : "choose"}</option>${names.map((/** @type {string} */ name) => html`<option value=${name}>${name}</option>`)}</select></label>`)}
    ${kind === "parallel" && html`<ul class="columns" aria-label="axes">${[...of, ...all.filter((/** @type {string} */ n) => !of.includes(n))].slice(0, 80).map((name) => {
      const on = of.includes(name);
      return html`<li key=${name}><label><input type="checkbox" checked=${on} onChange=${() => setOf(on ? of.filter((one) => one !== name) : [...of, name])} /> <span>${name}</span></label></li>`;
    })}</ul>`}
    <${Button} type="submit" kind="main" disabled=${!ready}>Add<//>
  </form>`;
}
