/** Asking the server: JSON both ways, errors as one kind, and the live stream. */

/** What the server refused, with what it says about it. `start` and `end` are places in the filter that was sent. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, hint?: string, start?: number, end?: number}} [about]
   */
  constructor(message, about = {}) {
    super(message);
    this.name = "ApiError";
    this.status = about.status ?? 0;
    this.hint = about.hint;
    this.start = about.start;
    this.end = about.end;
  }
}

/** @typedef {Record<string, string | number | boolean | null | undefined | (string | number)[]>} Params */

/**
 * A path below /api with its parameters; those that are null, undefined or "" are left out, lists are joined by commas.
 * @param {string} path
 * @param {Params} [params]
 */
export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    query.set(name, Array.isArray(value) ? value.map(quoted).join(",") : String(value));
  }
  const text = query.toString();
  return `/api/${path}${text ? `?${text}` : ""}`;
}

/** Names may hold commas; then they are quoted as in CSV. @param {string | number} item */
function quoted(item) {
  const text = String(item);
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Ask, and return the answer. Throws ApiError; or the AbortError of *signal*.
 * @param {string} path @param {Params} [params] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, params, signal) {
  return answered(address(path, params), { signal });
}

/**
 * Have something written. Throws ApiError; or the AbortError of *signal*.
 * @param {string} path @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function post(path, body = {}, signal) {
  const headers = { "Content-Type": "application/json" };
  return answered(address(path), { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** @param {string} url @param {RequestInit} options */
async function answered(url, options) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer.", { hint: "Is `anew ui` still running in its terminal?" });
  }
  const body = await response.json().catch((error) => {
    // given up while the answer was on its way: that is no answer
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (response.ok) return body;
  const said = body?.error ?? {};
  throw new ApiError(said.message ?? `The server answered ${response.status}.`, { ...said, status: response.status });
}

/**
 * @typedef {object} Live
 * @property {(data: any) => void} [rows] Rows that changed: {rows, gone, total}.
 * @property {(data: any) => void} [points] Points that came: {series: [{run, name, x, y}]}.
 * @property {(data: any) => void} [output] A run's output grew: {run, size}.
 * @property {(data: any) => void} [indexing] {done, total}.
 * @property {(cursor: string) => void} [cursor] Where the stream is now.
 * @property {(up: boolean) => void} [state] The stream was connected, or was lost and is tried again.
 */

/**
 * Listen from where answers ended, which their *cursors* say together; returns what ends it. While nobody looks at the tab it is closed, since a browser allows six
 * connections to a server for all tabs together; it goes on from where it was.
 * @param {string[]} cursors @param {{runs?: (string | number)[], names?: string[]}} what @param {Live} handlers
 * @returns {() => void}
 */
export function live(cursors, what, handlers) {
  /** @type {EventSource | null} */
  let source = null;
  let here = cursors;
  const kinds = /** @type {const} */ (["rows", "points", "output", "indexing"]);
  function open() {
    source = new EventSource(address("live", { cursor: here, ...what }));
    source.onopen = () => handlers.state?.(true);
    source.onerror = () => handlers.state?.(false);
    for (const kind of kinds) source.addEventListener(kind, (event) => take(kind, event));
  }
  /** @param {typeof kinds[number]} kind @param {MessageEvent} event */
  function take(kind, event) {
    if (event.lastEventId) {
      here = [event.lastEventId];
      handlers.cursor?.(event.lastEventId);
    }
    handlers[kind]?.(JSON.parse(event.data));
  }
  function close() {
    source?.close();
    source = null;
  }
  function looked() {
    if (document.hidden) close();
    else if (!source) open();
  }
  document.addEventListener("visibilitychange", looked);
  looked();
  return () => {
    document.removeEventListener("visibilitychange", looked);
    close();
  };
}
