/** Runs grouped by keys: how many there are of each, and the mean and standard deviation of their metrics. */
import { number, value as asText, asNumber, count } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { titleOf } from "./layout.js";
import { onRows } from "./rows.js";
import { set } from "./state.js";
import { Button, ErrorBox, Menu, Spinner, useAnswer } from "./ui.js";
import { aggregates, group, query, select, selected, writeNames } from "./view.js";

/** @typedef {{by: Record<string, any>, n: number, runs: number[], metrics: Record<string, any>}} Group */

const SHOWN_MOST = 500;

/** The button that chooses what to group by. */
export function GroupBy() {
  const now = group.value;
  const label = now.length ? `Group: ${now.map(titleOf).join(", ")}` : "Group";
  return html`<${Menu} label=${label} title="Group runs by keys of their configuration" align="right">${() => html`<${Sheet} />`}<//>`;
}

function Sheet() {
  const [looked, setLooked] = useState("");
  const { data, error } = useAnswer("columns", { q: query.value });
  if (error) return html`<${ErrorBox} error=${error} />`;
  if (!data) return html`<${Spinner} />`;
  const now = group.value;
  const names = data.columns.filter((/** @type {any} */ c) => c.kind !== "metric").map((/** @type {any} */ c) => c.name);
  const metrics = data.columns.filter((/** @type {any} */ c) => c.kind === "metric").map((/** @type {any} */ c) => c.name);
  return html`<div class="picker">
    <input type="search" aria-label="Find a key" placeholder="Find a key" value=${looked} onInput=${(/** @type {any} */ event) => setLooked(event.currentTarget.value)} />
    <${Boxes} title="By" names=${[...now, ...names.filter((/** @type {string} */ n) => !now.includes(n))]} chosen=${now} looked=${looked}
      change=${(/** @type {string[]} */ list) => set({ group: writeNames(list) || null })} />
    <${Boxes} title="Of" names=${metrics} chosen=${aggregates.value} looked=${looked}
      change=${(/** @type {string[]} */ list) => set({ agg: writeNames(list) || null }, { replace: true })} />
    ${now.length > 0 && html`<${Button} onClick=${() => set({ group: null, agg: null })}>No groups<//>`}
  </div>`;
}

/** @param {{title: string, names: string[], chosen: string[], looked: string, change: (list: string[]) => void}} props */
function Boxes({ title, names, chosen, looked, change }) {
  const found = names.filter((name) => name.toLowerCase().includes(looked.toLowerCase())).slice(0, 60);
  return html`<fieldset><legend>${title}</legend><ul>${found.map((name) => {
    const on = chosen.includes(name);
    return html`<li key=${name}><label><input type="checkbox" checked=${on}
      onChange=${() => change(on ? chosen.filter((one) => one !== name) : [...chosen, name])} /> <span>${name}</span></label></li>`;
  })}</ul></fieldset>`;
}

/** The groups, in place of the runs. */
export function Groups() {
  const [order, setOrder] = useState(/** @type {{name: string, down: boolean} | null} */ (null));
  const [round, setRound] = useState(0);
  const { data, error, again } = useAnswer("groups", {
    q: query.value,
    by: group.value,
    metrics: aggregates.value.length ? aggregates.value : null,
  }, round);
  useEffect(() => news(() => setRound((was) => was + 1)), []);
  if (error) return html`<${ErrorBox} error=${error} again=${again} />`;
  if (!data) return html`<${Spinner} />`;
  const groups = sorted(data.groups, order);
  /** @param {string} name @param {string} title @param {boolean} [right] */
  const head = (name, title, right) => html`<th scope="col" class=${right ? "number" : ""}
    aria-sort=${order?.name === name ? (order.down ? "descending" : "ascending") : undefined}>
    <button type="button" class="sort" title=${name} onClick=${() => setOrder({ name, down: order?.name === name && !order.down })}>${title}${
      order?.name === name ? (order.down ? " ↓" : " ↑") : ""
    }</button></th>`;
  return html`<div class="groups scroll" tabindex="0" role="region" aria-label="Groups"><table class="small">
    <caption class="unseen">Groups of runs</caption>
    <thead><tr><td class="box"></td>${data.by.map((/** @type {string} */ name) => head(name, titleOf(name)))}${head("n", "n", true)}
      ${data.metrics.map((/** @type {string} */ name) => head(name, titleOf(name), true))}</tr></thead>
    <tbody>${groups.slice(0, SHOWN_MOST).map((one) => html`<${OneGroup} one=${one} by=${data.by} metrics=${data.metrics} />`)}</tbody>
  </table>${groups.length > SHOWN_MOST && html`<p class="dim">${`The first ${SHOWN_MOST} of ${count(groups.length, "group")}.`}</p>`}</div>`;
}

/** Tell when runs have changed, at most every two seconds. @param {() => void} tell */
function news(tell) {
  let soon = 0;
  const changed = () => {
    soon ||= window.setTimeout(() => ((soon = 0), tell()), 2000);
  };
  onRows.add(changed);
  return () => {
    onRows.delete(changed);
    clearTimeout(soon);
  };
}

/** @param {{one: Group, by: string[], metrics: string[]}} props */
function OneGroup({ one, by, metrics }) {
  const all = one.runs.every((id) => selected.value.has(id));
  const named = by.map((key) => `${titleOf(key)} ${asText(one.by[key])}`).join(", ");
  function flip() {
    const ids = new Set(selected.value);
    for (const id of one.runs) all ? ids.delete(id) : ids.add(id);
    select(ids);
  }
  return html`<tr class=${all ? "chosen" : ""}>
    <td class="box"><input type="checkbox" aria-label=${`select ${named}`} checked=${all} onClick=${flip} /></td>
    ${by.map((key) => html`<td>${asText(one.by[key]) || html`<span class="dim">none</span>`}</td>`)}
    <td class="number">${one.n}</td>
    ${metrics.map((name) => html`<td class="number"><${Spread} of=${one.metrics[name]} /></td>`)}
  </tr>`;
}

/** Mean and standard deviation. @param {{of: any}} props */
function Spread({ of }) {
  if (!of || of.mean === null || of.mean === undefined) return html`<span class="dim">none</span>`;
  const std = of.std === null || of.std === undefined ? "" : ` ± ${number(Number(asNumber(of.std).toPrecision(2)))}`;
  return html`<span title=${`from ${asText(of.min)} to ${asText(of.max)}`}>${number(asNumber(of.mean))}${std && html`<span class="dim">${std}</span>`}</span>`;
}

/** @param {Group[]} groups @param {{name: string, down: boolean} | null} order */
function sorted(groups, order) {
  if (!order) return groups;
  const { name, down } = order;
  /** @param {Group} one */
  const key = (one) => (name === "n" ? one.n : name in one.by ? one.by[name] : one.metrics[name]?.mean);
  return [...groups].sort((a, b) => compare(key(a), key(b)) * (down ? -1 : 1));
}

/** @param {any} a @param {any} b */
function compare(a, b) {
  const [x, y] = [asNumber(a), asNumber(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return asText(a).localeCompare(asText(b));
}
