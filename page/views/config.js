/** A run's configuration as a tree: searched, and with what differs from the default or from another run marked. */
import { value as asText } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { set } from "../src/state.js";
import { Button, useAnswer } from "../src/ui.js";
import { Answer } from "./parts.js";
import { rows } from "./tree.js";

/** @typedef {import("./tree.js").Row} Row */

/** So many rows are drawn; a JSON file may have any number. */
const MOST = 2000;
const SIGNS = /** @type {Record<string, [string, string]>} */ ({
  added: ["+", "only here"],
  removed: ["−", "only there"],
  changed: ["≠", "differs"],
});

/** @param {{id: string | number, params: URLSearchParams}} props *params*: `with` is what it is compared with. */
export function ConfigView({ id, params }) {
  const other = params.get("with") ?? "";
  const answer = useAnswer(`runs/${encodeURIComponent(id)}/config`, { with: other });
  return html`<${Answer} of=${answer} what="the configuration">${(/** @type {any} */ data) => html`<${Tree}
    tree=${data.tree} differences=${data.differences ?? null}
    tools=${html`<${Beside} other=${other} names=${[["", "nothing"], ["default", "the defaults"]]} />`} />`}<//>`;
}

/**
 * A choice of what something is shown beside: one of some words, or a run.
 * @param {{other: string, names: [string, string][], param?: string, label?: string}} props
 */
export function Beside({ other, names, param = "with", label = "Compare with" }) {
  const isRun = !names.some(([value]) => value === other);
  const [asked, setAsked] = useState(isRun);
  const chosen = (/** @type {any} */ event) => {
    setAsked(event.target.value === "a run");
    if (event.target.value !== "a run") set({ [param]: event.target.value }, { replace: true });
  };
  const given = (/** @type {any} */ event) => {
    event.preventDefault();
    set({ [param]: new FormData(event.currentTarget).get("run")?.toString().trim() ?? null }, { replace: true });
  };
  return html`<form class="beside" onSubmit=${given}>
    <label>${label} <select value=${asked ? "a run" : other} onChange=${chosen}>
      ${names.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
      <option value="a run">a run …</option>
    </select></label>
    ${asked && html`<input name="run" required size="8" placeholder="number" aria-label="Run to compare with"
      value=${isRun ? other : ""} /><${Button} type="submit">Show<//>`}
  </form>`;
}

/**
 * A tree with a search.
 * @param {{tree: any, differences?: import("./tree.js").Difference[] | null, tools?: any, label?: string}} props
 */
export function Tree({ tree, differences = null, tools, label = "configuration" }) {
  const [sought, setSought] = useState("");
  const [only, setOnly] = useState(false);
  const [closed, setClosed] = useState(/** @type {Set<string>} */ (new Set()));
  const shown = rows(tree, { closed, sought, only: only && differences !== null, differences });
  const toggle = (/** @type {string} */ key) => {
    const now = new Set(closed);
    if (!now.delete(key)) now.add(key);
    setClosed(now);
  };
  const n = differences?.length ?? 0;
  return html`<div class="tree panel">
    <div class="bar">
      <input type="search" placeholder="Search" aria-label=${`Search ${label}`} value=${sought}
        onInput=${(/** @type {any} */ event) => setSought(event.target.value)} />
      ${tools}
      ${differences && html`<label><input type="checkbox" checked=${only}
        onChange=${(/** @type {any} */ event) => setOnly(event.target.checked)} /> only what differs (${n})</label>`}
    </div>
    ${shown.length === 0
      ? html`<p class="dim">${sought ? "Nothing like this." : only ? "Nothing differs." : "It has no keys."}</p>`
      : html`<table class="tree-rows"><caption class="unseen">${label}</caption><tbody>${shown.slice(0, MOST).map(
          (row) => html`<${TreeRow} key=${row.key + (row.change ?? "")} row=${row} toggle=${toggle} />`,
        )}</tbody></table>`}
    ${shown.length > MOST && html`<p class="dim">${shown.length - MOST} more rows; search for them, or close branches.</p>`}
  </div>`;
}

/** @param {{row: Row, toggle: (key: string) => void}} props */
function TreeRow({ row, toggle }) {
  const sign = row.change && SIGNS[row.change];
  const name = html`<span style=${{ paddingLeft: `${row.depth * 18}px` }}>${
    row.branch
      ? html`<button type="button" class="twist" aria-expanded=${String(row.open)} onClick=${() => toggle(row.key)}>
          <span aria-hidden="true">${row.open ? "▾" : "▸"}</span> ${row.name}</button>`
      : html`<span class="leaf">${row.name}</span>`
  }</span>`;
  return html`<tr class=${row.change ?? ""}>
    <th scope="row" title=${row.key}>${name}</th>
    <td class="sign">${sign && html`<span title=${sign[1]} aria-label=${sign[1]} role="img">${sign[0]}</span>`}</td>
    <td>${!row.branch && row.value !== undefined && html`<${Value} value=${row.value} />`}
      ${row.was !== undefined && html`<span class="was">${row.change === "removed" ? "" : "was "}<${Value} value=${row.was} /></span>`}</td>
  </tr>`;
}

/** A value with its kind told by colour. @param {{value: any}} props */
export function Value({ value }) {
  const kind = value === null ? "null" : typeof value;
  const text = value === null ? "null" : value === "" ? '""' : asText(value);
  return html`<code class=${`value ${kind}`}>${text}</code>`;
}
