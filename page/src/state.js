/**
 * Where the page is, which is all in the fragment of its address: `#/runs?q=loss<1&sort=-started`.
 *
 * So a link is a view, and going back is going back. What is not worth a link (the theme, open panels) is in `kept`.
 */
import { computed, signal } from "./lib.js";

/** @typedef {{path: string, params: URLSearchParams}} Place */

/** @param {string} hash @returns {Place} */
export function read(hash) {
  const text = hash.replace(/^#\/?/, "");
  const at = text.indexOf("?");
  const path = at < 0 ? text : text.slice(0, at);
  return { path: path || "runs", params: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}

/** `anew ui` may be opened as /?q=FILTER; then it goes on as #/runs?q=FILTER. */
function arrive() {
  if (location.search.length > 1) {
    const hash = location.hash || `#/runs${location.search}`;
    history.replaceState(null, "", `/${hash}`);
  }
  return read(location.hash);
}

/** Where the page is. To go elsewhere: `go`, `set`. */
export const place = signal(arrive());
addEventListener("hashchange", () => {
  place.value = read(location.hash);
});

/** The path in parts: `run/12` is ["run", "12"]. */
export const parts = computed(() => place.value.path.split("/").map(decodeURIComponent));

/**
 * The address of a place, for a link. Parameters that are null, undefined or "" are left out.
 * @param {string} path @param {Record<string, string | number | null | undefined>} [params]
 */
export function link(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  return hashOf(path, query);
}

/** @param {string} path @param {URLSearchParams} params */
function hashOf(path, params) {
  const text = params.toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Go to another place. @param {string} path @param {Record<string, string | number | null | undefined>} [params] */
export function go(path, params) {
  location.hash = link(path, params);
}

/**
 * Change parameters of where we are; null takes one out. *replace*: without a step to go back to.
 * @param {Record<string, string | number | null | undefined>} changes @param {{replace?: boolean}} [how]
 */
export function set(changes, how = {}) {
  const { path, params } = place.value;
  const query = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  const hash = hashOf(path, query);
  if (hash === hashOf(path, params)) return;
  history[how.replace ? "replaceState" : "pushState"](null, "", hash);
  place.value = read(hash);
}

/** A parameter of where we are, or *otherwise*. Follows the address, where it is read in a view. */
export function param(/** @type {string} */ name, otherwise = "") {
  return place.value.params.get(name) ?? otherwise;
}

/**
 * What this browser keeps, such as the theme; where it may keep nothing, it lasts as long as the page.
 * @param {string} name @param {string} otherwise
 */
export function kept(name, otherwise) {
  const key = `anew-${name}`;
  /** @type {string | null} */
  let found = null;
  try {
    found = localStorage.getItem(key);
  } catch {
    // a frame of a notebook, or a browser that keeps nothing
  }
  const held = signal(found ?? otherwise);
  return {
    /** @returns {string} */
    get value() {
      return held.value;
    },
    set value(/** @type {string} */ value) {
      held.value = value;
      try {
        localStorage.setItem(key, value);
      } catch {
        // as above
      }
    },
  };
}

/**
 * @typedef {object} StoreFacts
 * @property {string} version @property {string} store @property {boolean} read_only @property {boolean} allow_rerun
 * @property {number} runs @property {string[]} experiments @property {string | null} cursor
 * @property {{done: number, total: number} | null} indexing
 */

/** What /api/store says; null until it has answered. */
export const store = signal(/** @type {StoreFacts | null} */ (null));

/** Whether anything may be written. */
export const writable = computed(() => store.value !== null && !store.value.read_only);

/** What is said at the foot for a while: {text, error}. */
export const said = signal(/** @type {{text: string, error: boolean, undo?: () => void} | null} */ (null));

let forgetting = 0;
/** Say something that needs no answer. @param {string} text @param {{error?: boolean, undo?: () => void}} [how] */
export function say(text, how = {}) {
  clearTimeout(forgetting);
  said.value = { text, error: how.error ?? false, undo: how.undo };
  forgetting = setTimeout(() => (said.value = null), how.undo ? 12000 : 6000);
}
