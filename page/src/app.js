/** The shell: tabs at the top, the view that the address names, and what is said at the foot. */
import { get } from "./api.js";
import { count } from "./format.js";
import { html, render, useEffect, useState } from "./lib.js";
import { whyNotLoaded } from "./outdated.js";
import { VIEWS, viewOf } from "./registry.js";
import { link, parts, place, said, store } from "./state.js";
import { ThemeSwitch } from "./theme.js";
import { Button, Empty, ErrorBox, Spinner } from "./ui.js";

/** Loaded views, so that going back to one shows it at once. @type {Map<string, any>} */
const loaded = new Map();

function Shell() {
  const [error, setError] = useState(/** @type {any} */ (null));
  const ask = () => get("store").then((facts) => (store.value = facts), setError);
  useEffect(() => {
    ask();
  }, []);
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <${Header} />
    <main id="main" tabindex="-1">
      ${error ? html`<${ErrorBox} error=${error} again=${() => (setError(null), ask())} />` : html`<${Current} />`}
    </main>
    <${Saying} />`;
}

/** The address is the view's, so a link to an anchor must not change it. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Header() {
  const facts = store.value;
  const here = parts.value[0];
  return html`<header class="top">
    <a class="brand" href=${link("runs")}>Anew</a>
    <nav aria-label="Views">${VIEWS.filter((view) => view.tab).map((view) => {
      const current = view.path === here || view.also?.includes(here);
      return html`<a href=${link(view.path)} aria-current=${current ? "page" : undefined}>${view.tab}</a>`;
    })}</nav>
    <span class="store" title=${facts?.store}>${facts && html`<bdi>${facts.store}</bdi>`}</span>
    ${facts?.read_only && html`<span class="badge" title="Nothing can be changed here">read-only</span>`}
    ${facts?.indexing && html`<${Indexing} of=${facts.indexing} />`}
    <${ThemeSwitch} />
  </header>`;
}

/** @param {{of: {done: number, total: number}}} props */
function Indexing({ of }) {
  return html`<span class="badge" role="status">read ${of.done.toLocaleString("en")} of ${count(of.total, "run")}</span>`;
}

/** The view of the address; while its module comes, the last one stays. */
function Current() {
  const [path, ...args] = parts.value;
  const view = viewOf(path);
  const [round, setRound] = useState(0);
  const [error, setError] = useState(/** @type {string | null} */ (null)); // the path of what did not load
  useEffect(() => {
    document.title = view ? `${[view.title, ...args].join(" ")} · Anew` : "Anew";
    if (!view || loaded.has(path)) return;
    setError(null);
    view.load().then(
      (module) => (loaded.set(path, module.default), setRound(round + 1)),
      () => setError(path),
    );
  }, [path, args.join("/")]);
  if (!view) return html`<${Nowhere} path=${path} />`;
  if (error === path) return html`<${ErrorBox} error=${whyNotLoaded(`The view ${view.title}`)} again=${() => location.reload()} />`;
  const View = loaded.get(path);
  if (!View) return html`<${Spinner} />`;
  return html`<${View} key=${path} args=${args} params=${place.value.params} />`;
}

/** @param {{path: string}} props */
function Nowhere({ path }) {
  return html`<${Empty} title="There is no such page">
    <p>${"The address says "}<code>${path}</code>. ${"The runs are "}<a href=${link("runs")}>here</a>.</p>
  <//>`;
}

/** What was done, or went wrong, for a while. */
function Saying() {
  const now = said.value;
  return html`<div class="saying" role="status" aria-live="polite">${
    now && html`<p class=${now.error ? "bad" : ""}>${now.text}${
      now.undo && html`<${Button} kind="quiet" onClick=${() => (now.undo?.(), (said.value = null))}>Undo<//>`
    }</p>`
  }</div>`;
}

const root = document.getElementById("page");
if (root) {
  root.textContent = "";
  render(html`<${Shell} />`, root);
}
