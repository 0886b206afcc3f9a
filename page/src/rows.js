/**
 * The rows of the table: a window of them at a time, from the server, which filters and sorts.
 *
 * Rows that are known stay until their news are there, so nothing flickers while runs go on.
 */
import { get } from "./api.js";
import { batch, signal } from "./lib.js";
import { store } from "./state.js";
import { listen } from "./stream.js";

/**
 * @typedef {object} Row
 * @property {number | null} id @property {string} uid @property {string | null} experiment @property {string} status
 * @property {number | null} started @property {number | null} duration @property {string[]} tags @property {string | null} note
 * @property {string | null} verdict @property {boolean} deleted @property {any[]} cells
 */

/** @typedef {{q: string, sort: string, columns: string[] | null, trash: boolean}} Question */

const CHUNK = 200;
/** News come at most this often, however many runs go on. */
const PAUSE_MS = 700;
const CHUNKS_KEPT = 40;

/** How many runs there are of the question; null before the first answer. */
export const total = signal(/** @type {number | null} */ (null));
/** The names of the cells' columns, as the server answered. */
export const names = signal(/** @type {string[]} */ ([]));
/** What the server refused of the question. */
export const refused = signal(/** @type {any} */ (null));
/** What of the store cannot be read as runs, a sentence each. */
export const leftOut = signal(/** @type {string[]} */ ([]));
/** Goes up when rows came. */
export const version = signal(0);
/** Whether the stream of news is connected. */
export const connected = signal(true);
/** Told of each change of runs: their rows as the stream sends them. @type {Set<(rows: any[], gone: number[]) => void>} */
export const onRows = new Set();

/** @type {Map<number, Row[]>} */
let chunks = new Map();
/** @type {Set<number>} */
let stale = new Set();
/** @type {Set<number>} */
const asked = new Set();
/** @type {Question} */
let question = { q: "", sort: "", columns: null, trash: false };
let round = 0;
/** @type {[number, number]} */
let looked = [0, CHUNK];
/** @type {ReturnType<typeof setTimeout> | null} */
let soon = null;
/** @type {string | null} */
let cursor = null;

/** @param {number} at @returns {Row | undefined} */
export function row(at) {
  return chunks.get(Math.floor(at / CHUNK))?.[at % CHUNK];
}

/** Rows that are here and follow each other from the first. @param {number} most */
export function firstRows(most) {
  /** @type {Row[]} */
  const found = [];
  for (let at = 0; at < most; at += 1) {
    const one = row(at);
    if (!one) break;
    found.push(one);
  }
  return found;
}

/** Ask something else; what was shown stays until the answer. @param {Question} next */
export function ask(next) {
  if (JSON.stringify(next) === JSON.stringify(question) && total.value !== null) return;
  question = next;
  round += 1;
  asked.clear();
  stale = new Set(chunks.keys());
  fetchChunk(Math.floor(looked[0] / CHUNK), true);
}

/** Say which rows are looked at. @param {number} from @param {number} to */
export function look(from, to) {
  looked = [from, to];
  for (let at = Math.floor(from / CHUNK); at <= Math.floor(Math.max(from, to - 1) / CHUNK); at += 1) {
    if (!chunks.has(at) || stale.has(at)) fetchChunk(at);
  }
}

/** @param {number} at @param {boolean} [anew] whether the answer takes the place of all that is known */
async function fetchChunk(at, anew = false) {
  if (asked.has(at)) return;
  asked.add(at);
  const mine = round;
  const { q, sort, columns, trash } = question;
  const params = { q, sort, offset: at * CHUNK, limit: CHUNK, columns, deleted: trash ? 1 : null };
  try {
    const answer = await get("runs", params);
    if (mine !== round) return;
    batch(() => take(at, answer, anew));
  } catch (error) {
    if (mine === round) batch(() => ((refused.value = error), (version.value += 1)));
  } finally {
    if (mine === round) asked.delete(at);
  }
}

/** @param {number} at @param {any} answer @param {boolean} anew */
function take(at, answer, anew) {
  if (anew) chunks = new Map();
  if (chunks.size > CHUNKS_KEPT) chunks.delete(/** @type {number} */ (chunks.keys().next().value));
  chunks.set(at, answer.rows);
  stale.delete(at);
  cursor = answer.cursor;
  refused.value = null;
  total.value = answer.total;
  leftOut.value = answer.left_out;
  if (names.value.join("\n") !== answer.columns.join("\n")) names.value = answer.columns;
  version.value += 1;
  if (anew) look(Math.min(looked[0], answer.total), Math.min(looked[1], answer.total));
}

/** Ask again for what is looked at, soon; at once when *now*. @param {boolean} [now] */
export function renew(now = false) {
  stale = new Set(chunks.keys());
  if (soon !== null && !now) return;
  if (soon !== null) clearTimeout(soon);
  soon = setTimeout(
    () => {
      soon = null;
      look(...looked);
    },
    now ? 0 : PAUSE_MS,
  );
}

/** Put an answer to an edit in its place, without waiting for the news. @param {any} changed a row without cells */
export function put(changed) {
  for (const rows of chunks.values()) {
    const at = rows.findIndex((one) => one.uid === changed.uid);
    if (at >= 0) rows[at] = { ...rows[at], ...changed, cells: rows[at].cells };
  }
  version.value += 1;
}

/** Listen to what changes, while the table is shown; returns what ends it. */
export function listenToRows() {
  return listen({
    cursor: cursor ?? store.value?.cursor,
    rows: ({ rows = [], gone = [] }) => {
      for (const told of onRows) told(rows, gone);
      renew();
    },
    indexing: (now) => {
      if (store.value) store.value = { ...store.value, indexing: now.done < now.total ? now : null };
      renew();
    },
    state: (up) => (connected.value = up),
  });
}
