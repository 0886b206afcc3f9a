/** The filter: one line of the filter language, with completion below it and mistakes shown under their place. */
import { get } from "./api.js";
import { html, useEffect, useId, useRef, useState } from "./lib.js";
import { refused } from "./rows.js";
import { set } from "./state.js";
import { query } from "./view.js";

/** Asked for while one types, after so long a pause. */
const COMPLETE_MS = 90;
const APPLY_MS = 450;
/** A text that is in the midst of being written would only be refused; it is asked after a longer pause. */
const UNFINISHED_MS = 2000;

/** Whether a text ends where none can: in a name, after an operator, within quotes or brackets. @param {string} text */
export function isUnfinished(text) {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, "0");
  if (!bare.trim()) return false;
  if (/["']/.test(bare) || /(?:[<>=!~,([.+*/-]|\b(?:and|or|not|in))\s*$/i.test(bare)) return true;
  /** @param {RegExp} which */
  const number = (which) => bare.match(which)?.length ?? 0;
  if (number(/[([]/g) > number(/[)\]]/g)) return true;
  return /^[\s(]*(?:not\s+)?[\w./-]+\s*$/i.test(bare.split(/\b(?:and|or)\b/i).at(-1) ?? "");
}

/** @typedef {{from: number, to: number, options: {text: string, what: string}[]}} Completion */

/** Places are counted in letters by the server, in UTF-16 by the browser. @param {string} text @param {number} at */
const letters = (text, at) => [...text.slice(0, at)].length;
/** @param {string} text @param {number} at */
const units = (text, at) => [...text].slice(0, at).join("").length;

export function Filter() {
  const ref = useRef(/** @type {HTMLInputElement | null} */ (null));
  const list = useId();
  const [text, setText] = useState(query.value);
  const [found, setFound] = useState(/** @type {Completion | null} */ (null));
  const [at, setAt] = useState(-1);
  const timers = useRef({ complete: 0, apply: 0, round: 0 });
  useEffect(() => setText(query.value), [query.value]);

  /** @param {string} next */
  function apply(next) {
    clearTimeout(timers.current.apply);
    set({ q: next.trim() || null }, { replace: true });
  }
  /** @param {string} next */
  function typed(next) {
    setText(next);
    clearTimeout(timers.current.apply);
    timers.current.apply = window.setTimeout(() => apply(next), isUnfinished(next) ? UNFINISHED_MS : APPLY_MS);
    complete(next);
  }
  /** @param {string} next */
  function complete(next) {
    clearTimeout(timers.current.complete);
    const mine = (timers.current.round += 1);
    timers.current.complete = window.setTimeout(async () => {
      const place = ref.current?.selectionStart ?? next.length;
      const answer = await get("complete", { q: next || " ", at: letters(next, place) }).catch(() => null);
      if (mine !== timers.current.round) return;
      setFound(answer?.options.length ? answer : null);
      setAt(-1);
    }, COMPLETE_MS);
  }
  function close() {
    timers.current.round += 1;
    setFound(null);
    setAt(-1);
  }
  /** @param {{text: string}} option */
  function take(option) {
    if (!found || !ref.current) return;
    const [from, to] = [units(text, found.from), units(text, found.to)];
    const next = text.slice(0, from) + option.text + text.slice(to);
    const place = from + option.text.length;
    ref.current.value = next;
    ref.current.focus();
    ref.current.setSelectionRange(place, place);
    close();
    typed(next);
  }
  /** @param {KeyboardEvent} event */
  function keys(event) {
    const options = found?.options ?? [];
    if (event.key === "ArrowDown" && !options.length) complete(text);
    else if (event.key === "ArrowDown") setAt((at + 1) % options.length);
    else if (event.key === "ArrowUp" && options.length) setAt((at - 1 + options.length) % options.length);
    else if (event.key === "Tab" && !event.shiftKey && options.length) take(options[Math.max(at, 0)]);
    else if (event.key === "Enter") at >= 0 ? take(options[at]) : (close(), apply(text));
    else if (event.key === "Escape" && options.length) close();
    else if (event.key === "Escape") ref.current?.blur();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  const open = found !== null;
  return html`<div class="filter" role="search">
    <input id="filter" ref=${ref} type="text" role="combobox" aria-label="Filter" aria-autocomplete="list" aria-controls=${list}
      aria-expanded=${String(open)} aria-activedescendant=${at >= 0 ? `${list}-${at}` : undefined} aria-invalid=${refused.value ? "true" : undefined}
      placeholder="Filter: loss < 0.1 and tag == paper" spellcheck=${false} autocomplete="off" autocapitalize="off" value=${text}
      onInput=${(/** @type {any} */ event) => typed(event.currentTarget.value)} onKeyDown=${keys} onBlur=${() => setTimeout(close, 120)}
      onFocus=${(/** @type {any} */ event) => !event.currentTarget.value && complete("")} />
    ${text && html`<button type="button" class="clear" aria-label="clear the filter" onClick=${() => (setText(""), apply(""))}>×</button>`}
    ${!open && html`<${Mistake} text=${text} scrolled=${ref.current?.scrollLeft ?? 0} />`}
    <ul id=${list} class="options" role="listbox" aria-label="Completions" hidden=${!open}>${found?.options.map(
      (option, place) => html`<li id=${`${list}-${place}`} role="option" aria-selected=${String(place === at)}
        onPointerDown=${(/** @type {Event} */ event) => (event.preventDefault(), take(option))}><code>${option.text}</code><span>${option.what}</span></li>`,
    )}</ul>
  </div>`;
}

/** What is wrong with the filter, under where it is. @param {{text: string, scrolled: number}} props */
function Mistake({ text, scrolled }) {
  const error = refused.value;
  if (!error) return null;
  const start = error.start ?? null;
  const wide = Math.max(1, (error.end ?? (start ?? 0) + 1) - (start ?? 0));
  return html`<div class="mistake" role="alert">
    ${start !== null && start <= text.length && html`<span class="caret" aria-hidden="true"
      style=${{ marginLeft: `calc(${start}ch - ${scrolled}px)` }}>${"^".repeat(Math.min(wide, Math.max(1, text.length - start)))}</span>`}
    <span>${error.message}${error.hint ? ` ${error.hint}` : ""}</span>
  </div>`;
}

/** Put the focus where one filters. */
export function focusFilter() {
  const node = /** @type {HTMLInputElement | null} */ (document.getElementById("filter"));
  node?.focus();
  node?.select();
}
