/**
 * The one live stream of the page, for all who listen: a browser allows a server six connections, all tabs together.
 *
 * Who listens to points asks for the series first, and gives the cursor of the answer with the subscription: the stream
 * goes on from there, so that no point falls into a gap.
 */
import { live } from "./api.js";

/**
 * @typedef {object} Listener
 * @property {(number | string)[]} [runs] Whose points and output are wanted.
 * @property {string[]} [names] Which metrics of them.
 * @property {string | null} [cursor] Where the answer ended that this goes on from.
 * @property {(data: any) => void} [rows] @property {(data: any) => void} [points] @property {(data: any) => void} [output]
 * @property {(data: any) => void} [indexing] @property {(up: boolean) => void} [state]
 */

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {(() => void) | null} */
let end = null;
let wanted = "";
/** Where the stream is, and where answers ended that it has not told of since. @type {string[]} */
let cursors = [];
let soon = 0;

/** @param {Listener} listener @returns {() => void} what ends it */
export function listen(listener) {
  listeners.add(listener);
  if (listener.cursor) cursors.push(listener.cursor);
  later();
  return () => {
    listeners.delete(listener);
    later();
  };
}

/** Several come and go together when a view changes. */
function later() {
  clearTimeout(soon);
  soon = window.setTimeout(renew, 20);
}

function renew() {
  if (!listeners.size) {
    end?.();
    end = null;
    wanted = "";
    cursors = [];
    return;
  }
  const runs = [...new Set([...listeners].flatMap((one) => one.runs ?? []))].sort();
  const names = [...new Set([...listeners].flatMap((one) => one.names ?? []))].sort();
  const next = JSON.stringify([runs, names]);
  if (end && next === wanted) return;
  wanted = next;
  end?.();
  end = live([...cursors], { runs, names }, {
    rows: (data) => tell("rows", data),
    points: (data) => tell("points", data),
    output: (data) => tell("output", data),
    indexing: (data) => tell("indexing", data),
    state: (up) => tell("state", up),
    cursor: (cursor) => (cursors = [cursor]),
  });
}

/** @param {"rows" | "points" | "output" | "indexing" | "state"} kind @param {any} data */
function tell(kind, data) {
  for (const listener of [...listeners]) listener[kind]?.(data);
}
