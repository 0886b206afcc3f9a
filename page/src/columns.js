/** The sheet of columns: which are shown, in which order, which stay at the left. */
import { html, useState } from "./lib.js";
import { choose, chosen, change, FACTS, hide, plain, shift, titleOf } from "./layout.js";
import { set } from "./state.js";
import { Button, ErrorBox, Menu, Spinner, useAnswer } from "./ui.js";
import { columns, query } from "./view.js";

const SHOWN_MOST = 80;

export function Columns() {
  return html`<${Menu} label="Columns" title="Choose columns" align="right">${() => html`<${Sheet} />`}<//>`;
}

function Sheet() {
  const [looked, setLooked] = useState("");
  const { data, error } = useAnswer("columns", { q: query.value });
  const here = new Set(chosen.value.map((c) => c.name));
  const found = others(data?.columns ?? [], here, looked);
  return html`<div class="picker">
    <input type="search" aria-label="Find a column" placeholder="Find a column" value=${looked}
      onInput=${(/** @type {any} */ event) => setLooked(event.currentTarget.value)} />
    <ul class="order" aria-label="Shown columns">${chosen.value.filter((c) => isLooked(c.name, looked)).map((c) => html`<${Shown} key=${c.name} column=${c} />`)}</ul>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${!data && !error && html`<${Spinner} />`}
    <ul aria-label="More columns">${found.slice(0, SHOWN_MOST).map(
      ({ name, kind }) => html`<li key=${name}><label><input type="checkbox" checked=${false}
        onChange=${() => choose([...chosen.value, plain(name)])} /> <span>${name}</span></label><span class="dim">${kind}</span></li>`,
    )}</ul>
    ${found.length > SHOWN_MOST && html`<p class="dim">${`and ${found.length - SHOWN_MOST} more: type a part of the name`}</p>`}
    ${columns.value && html`<${Button} onClick=${() => set({ cols: null }, { replace: true })}>As they come by themselves<//>`}
  </div>`;
}

/**
 * Columns that are not shown and have *looked* in their names; those that vary first.
 * @param {{name: string, kind: string, varying: boolean}[]} all @param {Set<string>} here @param {string} looked
 */
function others(all, here, looked) {
  const facts = Object.keys(FACTS).map((name) => ({ name, kind: "fact", varying: true }));
  const known = new Set(facts.map((c) => c.name));
  return [...all.filter((c) => !known.has(c.name)), ...facts]
    .filter((c) => !here.has(c.name) && isLooked(c.name, looked))
    .sort((a, b) => Number(b.varying) - Number(a.varying));
}

/** Whether *looked* stands in a column's name, or in what stands above it. @param {string} name @param {string} looked */
function isLooked(name, looked) {
  return `${name} ${titleOf(name)}`.toLowerCase().includes(looked.toLowerCase());
}

/** @param {{column: import("./view.js").Column}} props */
function Shown({ column }) {
  const { name, pinned } = column;
  const title = name === titleOf(name) ? name : `${titleOf(name)} (${name})`;
  return html`<li>
    <label><input type="checkbox" checked=${true} disabled=${name === "id"} onChange=${() => hide(name)} /> <span>${name in FACTS ? titleOf(name) : title}</span></label>
    <span class="moves">
      <${Button} kind="quiet" label=${`pin ${name}`} title="Keep at the left" pressed=${pinned} onClick=${() => change(name, { pinned: !pinned })}>⇤<//>
      <${Button} kind="quiet" label=${`move ${name} left`} onClick=${() => shift(name, -1)}>↑<//>
      <${Button} kind="quiet" label=${`move ${name} right`} onClick=${() => shift(name, 1)}>↓<//>
    </span>
  </li>`;
}
