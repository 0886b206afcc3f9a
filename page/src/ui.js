/** Parts that every view uses. Each is a function of its properties; texts in them are shown as texts. */
import { get } from "./api.js";
import { html, useEffect, useId, useRef, useState } from "./lib.js";
import { count, value as asText } from "./format.js";
import { say } from "./state.js";

/** @typedef {import("./lib.js").Children} Children */

/**
 * A button. *kind*: "plain" (default), "main" (the one that does it), "danger", "quiet" (without a border).
 * @param {{kind?: string, title?: string, label?: string, onClick?: (event: MouseEvent) => void, disabled?: boolean,
 *   busy?: boolean, pressed?: boolean, type?: "button" | "submit", class?: string, children?: Children}} props
 */
export function Button({ kind = "plain", title, label, onClick, disabled, busy, pressed, type, class: more, children }) {
  return html`<button type=${type ?? "button"} class=${`button ${kind} ${more ?? ""}`} title=${title}
    aria-label=${label} aria-pressed=${pressed === undefined ? undefined : String(pressed)} aria-busy=${busy ? "true" : undefined}
    disabled=${disabled || busy} onClick=${onClick}>${children}</button>`;
}

/**
 * A part of a page with a heading; *actions* stand at its right.
 * @param {{title?: Children, actions?: Children, level?: 2 | 3, class?: string, children?: Children}} props
 */
export function Panel({ title, actions, level = 2, class: more = "", children }) {
  const id = useId();
  const heading = title && html`<${`h${level}`} id=${id}>${title}</>`;
  return html`<section class=${`panel ${more}`} aria-labelledby=${title ? id : undefined}>
    ${(title || actions) && html`<header>${heading}<div class="actions">${actions}</div></header>`}
    ${children}
  </section>`;
}

/**
 * A small table: all rows are there. For thousands of rows see table.js.
 * @param {{columns: {name: string, title?: Children, number?: boolean, show?: (row: any) => Children}[], rows: any[],
 *   caption: string, empty?: Children}} props
 */
export function Table({ columns, rows, caption, empty = "Nothing." }) {
  if (!rows.length) return html`<p class="dim">${empty}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table class="small">
    <caption class="unseen">${caption}</caption>
    <thead><tr>${columns.map((c) => html`<th scope="col" class=${c.number ? "number" : ""}>${c.title ?? c.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${columns.map(
      (c) => html`<td class=${c.number ? "number" : ""}>${c.show ? c.show(row) : asText(row[c.name])}</td>`,
    )}</tr>`)}</tbody>
  </table></div>`;
}

/** Lines of text as they are, numbered if wanted. @param {{text: string, label: string, numbered?: boolean}} props */
export function CodeText({ text, label, numbered = false }) {
  if (!numbered) return html`<pre class="code" tabindex="0" aria-label=${label} role="region">${text}</pre>`;
  const lines = text.replace(/\n$/, "").split("\n");
  return html`<pre class="code numbered" tabindex="0" aria-label=${label} role="region">${lines.map(
    (line, at) => html`<span class="line" data-n=${at + 1}>${line}${"\n"}</span>`,
  )}</pre>`;
}

/** A unified diff, coloured; what is said by colour is said by + and - as well. @param {{text: string, label: string}} props */
export function Diff({ text, label }) {
  const lines = text.replace(/\n$/, "").split("\n");
  return html`<pre class="code diff" tabindex="0" aria-label=${label} role="region">${lines.map(
    (line) => html`<span class=${`line ${diffKind(line)}`}>${line}${"\n"}</span>`,
  )}</pre>`;
}

/** @param {string} line */
function diffKind(line) {
  if (/^(\+\+\+|---|diff |index )/.test(line)) return "head";
  if (line.startsWith("@@")) return "hunk";
  return line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
}

/** Says that something is on its way. @param {{what?: string}} props */
export function Spinner({ what = "Loading" }) {
  return html`<p class="spinner" role="status">${what}…</p>`;
}

/** What went wrong, and what to do. @param {{error: any, again?: () => void}} props */
export function ErrorBox({ error, again }) {
  return html`<div class="error" role="alert">
    <p>${error.message ?? String(error)}</p>
    ${error.hint && html`<p class="hint">${error.hint}</p>`}
    ${again && html`<${Button} onClick=${again}>Try again<//>`}
  </div>`;
}

/** A place where nothing is yet, saying how something comes there. @param {{title: string, children?: Children}} props */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

const MARKS = /** @type {Record<string, string>} */ ({
  COMPLETED: "✓",
  FAILED: "✕",
  LOST: "?",
  RUNNING: "▸",
  INTERRUPTED: "‖",
  QUEUED: "…",
  PRUNED: "✂",
  TIMEOUT: "⏱",
});

/** A run's status, by sign, colour and word. @param {{status: string}} props */
export function Status({ status }) {
  const word = status.toLowerCase();
  return html`<span class=${`status ${word}`}><span aria-hidden="true">${MARKS[status] ?? "·"}</span> ${word}</span>`;
}

/** @param {{text: string, remove?: () => void}} props */
export function Tag({ text, remove }) {
  return html`<span class="tag">${text}${
    remove && html`<button type="button" aria-label=${`remove tag ${text}`} onClick=${remove}>×</button>`
  }</span>`;
}

/** A command to type, with a button that copies it. @param {{command: string, what?: string}} props */
export function Command({ command, what }) {
  async function copy() {
    try {
      await navigator.clipboard.writeText(command);
      say("Copied.");
    } catch {
      say("This browser does not let the page copy. Select the line, please.", { error: true });
    }
  }
  return html`<div class="command">${what && html`<span class="dim">${what}</span>`}<code>${command}</code>
    <${Button} kind="quiet" label=${`copy ${command}`} onClick=${copy}>copy<//></div>`;
}

/**
 * A window over the page; Escape closes it. *close* is called with what was decided.
 * @param {{title: string, close: () => void, actions?: Children, class?: string, children?: Children}} props
 */
export function Dialog({ title, close, actions, class: more = "", children }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return html`<dialog ref=${ref} class=${more} aria-labelledby=${id} onClose=${close}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === ref.current && close()}>
    <header><h2 id=${id}>${title}</h2><${Button} kind="quiet" label="close" onClick=${close}>×<//></header>
    <div class="body">${children}</div>
    ${actions && html`<footer>${actions}</footer>`}
  </dialog>`;
}

/**
 * A button that opens a small sheet below it; a click elsewhere or Escape closes it.
 * @param {{label: Children, title?: string, name?: string, kind?: string, align?: "left" | "right",
 *   children: (close: () => void) => Children}} props
 */
export function Menu({ label, title, name, kind, align = "left", children }) {
  const [open, setOpen] = useState(false);
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return undefined;
    /** @param {Event} event */
    function outside(event) {
      if (!root.current?.contains(/** @type {globalThis.Node} */ (event.target))) close();
    }
    /** @param {KeyboardEvent} event */
    function escape(event) {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      root.current?.querySelector("button")?.focus();
    }
    document.addEventListener("pointerdown", outside);
    root.current?.addEventListener("keydown", escape);
    const node = root.current;
    return () => {
      document.removeEventListener("pointerdown", outside);
      node?.removeEventListener("keydown", escape);
    };
  }, [open]);
  return html`<div class="menu" ref=${root}>
    <button type="button" class=${`button ${kind ?? "plain"}`} title=${title} aria-label=${name} aria-expanded=${String(open)}
      onClick=${() => setOpen(!open)}>${label}</button>
    ${open && html`<div class=${`sheet ${align}`}>${children(close)}</div>`}
  </div>`;
}

/**
 * Ask the server while a view is shown, again when *path* or *params* change.
 * @param {string | null} path null asks nothing @param {import("./api.js").Params} [params]
 * @param {number} [version] when this changes, too
 * @returns {{data: any, error: any, loading: boolean, again: () => void}} `data` is the last answer, until the next is there.
 */
export function useAnswer(path, params = {}, version = 0) {
  const [held, setHeld] = useState(/** @type {{data: any, error: any, of: string}} */ ({ data: null, error: null, of: "" }));
  const [round, setRound] = useState(0);
  const key = JSON.stringify([path, params, round, version]);
  useEffect(() => {
    if (path === null) return undefined;
    const stop = new AbortController();
    get(path, params, stop.signal).then(
      (data) => setHeld({ data, error: null, of: key }),
      (error) => error.name !== "AbortError" && setHeld((was) => ({ ...was, error, of: key })),
    );
    return () => stop.abort();
  }, [key]);
  return { data: held.data, error: held.error, loading: path !== null && held.of !== key, again: () => setRound(round + 1) };
}

/** So much of a long list is shown; what is further down is found by its name. */
const SHOWN_MOST = 50;

/**
 * The first of many, or of those whose names have what was typed; with the field to type in where there are more.
 * @template T @param {T[]} all @param {(one: T) => string} nameOf @param {string} what they are, as one of them is called
 * @param {{total: number, path: string, read: (data: any) => T[]} | null} [beyond] where the server has still more
 * @returns {{shown: T[], field: Children}}
 */
export function useNarrowed(all, nameOf, what, beyond = null) {
  const [looked, setLooked] = useState("");
  const answer = useAnswer(beyond && looked ? beyond.path : null, { q: looked, limit: SHOWN_MOST });
  if (!beyond && all.length <= SHOWN_MOST) return { shown: all, field: null };
  const text = looked.toLowerCase();
  const asked = beyond && looked && answer.data ? answer.data : null;
  const found = asked ? beyond?.read(asked) ?? [] : all.filter((one) => nameOf(one).toLowerCase().includes(text));
  const total = asked?.total ?? (beyond && !looked ? beyond.total : found.length);
  const shown = found.slice(0, SHOWN_MOST);
  const said = total === shown.length ? count(total, what) : `the first ${shown.length} of ${count(total, what)}`;
  return {
    shown,
    field: html`<div class="narrowing"><input type="search" aria-label=${`Find a ${what}`} placeholder=${`Find a ${what}`} value=${looked}
      onInput=${(/** @type {any} */ event) => setLooked(event.currentTarget.value)} /><span class="dim" role="status">${said}</span></div>`,
  };
}
