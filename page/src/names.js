/** Which metrics runs have, for charts that name none. */
import { useAnswer } from "./ui.js";

/** Of machine and time: last, and only where they are asked for. */
const BESIDE = /^(system|time)\//;

/**
 * The metrics of runs, those of most runs first as the server lists them; null until that is known.
 * @param {number[]} runs @param {number} [version] asked again when this changes
 * @returns {{names: string[] | null, beside: string[], error: any}}
 */
export function useMetrics(runs, version = 0) {
  const { data, error } = useAnswer(runs.length ? "columns" : null, { q: `id in [${runs.join(", ")}]` }, version);
  if (!runs.length) return { names: [], beside: [], error: null };
  if (!data) return { names: null, beside: [], error };
  const all = data.columns.filter((/** @type {any} */ c) => c.kind === "metric").map((/** @type {any} */ c) => c.name.replace(/^metric\./, ""));
  return { names: all.filter((/** @type {string} */ n) => !BESIDE.test(n)), beside: all.filter((/** @type {string} */ n) => BESIDE.test(n)), error };
}
