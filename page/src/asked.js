/** What a view asks the server for, and what stands there until it has answered, or when it refuses. */
import { address, get } from "./api.js";
import { html, useEffect, useState } from "./lib.js";

/**
 * @template T
 * @typedef {object} Asked
 * @property {T | null} data The last answer; that of an earlier question is kept until the next one is here.
 * @property {import("./api.js").ApiError | null} error
 * @property {boolean} waiting
 * @property {() => void} again Ask once more.
 */

/**
 * Ask for *path* whenever it or its parameters change; null asks for nothing.
 * @template [T=any]
 * @param {string | null} path @param {import("./api.js").Params} [params]
 * @returns {Asked<T>}
 */
export function useAsked(path, params) {
  const [state, setState] = useState(() => nothing(path));
  const [turn, setTurn] = useState(0);
  const url = path === null ? null : address(path, params);
  useEffect(() => {
    if (path === null) return undefined;
    const stopped = new AbortController();
    setState((held) => (held.path === path ? { ...held, waiting: true } : nothing(path)));
    get(path, params, stopped.signal).then(
      (data) => !stopped.signal.aborted && setState({ path, data, error: null, waiting: false }),
      (error) => !stopped.signal.aborted && setState({ path, data: null, error, waiting: false }),
    );
    return () => stopped.abort();
  }, [url, turn]);
  const current = state.path === path ? state : nothing(path);
  return { ...current, again: () => setTurn((held) => held + 1) };
}

/** @param {string | null} path @returns {{path: string | null, data: any, error: any, waiting: boolean}} */
function nothing(path) {
  return { path, data: null, error: null, waiting: path !== null };
}

/**
 * What was asked for, shown by *children* once it is here.
 * @param {{asked: Asked<any>, what: string, children: (data: any) => any}} props
 */
export function Shown({ asked, what, children }) {
  if (asked.error) return html`<${Refused} error=${asked.error} />`;
  if (asked.data === null) return html`<p class="waiting" role="status">Loading ${what}…</p>`;
  return children(asked.data);
}

/** What the server refused, and what would be right. @param {{error: {message: string, hint?: string}}} props */
export function Refused({ error }) {
  return html`<div class="refused" role="alert">
    <p>${error.message}</p>
    ${error.hint && html`<p class="hint">${error.hint}</p>`}
  </div>`;
}
