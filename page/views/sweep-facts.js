/** What a sweep's jobs say together: points to draw, the best so far, what no other job beats. Nothing here draws. */
import { asNumber, plain } from "../src/format.js";

/** @typedef {{index: number, status: string, run: number | null, overrides: string[], result: any, metrics?: Record<string, any>}} Job */

/**
 * What a search minimizes or maximizes, by name; without a name it is what main returned.
 * @param {any} sweep
 * @returns {{name: string, key: string | null, at: number, several: boolean, maximize: boolean}[]}
 */
export function aims(sweep) {
  const directions = sweep.search?.directions ?? (sweep.direction ? [sweep.direction] : []);
  const typed = namesTyped(sweep.overrides ?? []);
  return directions.map((/** @type {string} */ direction, /** @type {number} */ at) => {
    const key = typed[at] ?? nameByValue(sweep, at);
    return {
      name: key ?? (directions.length > 1 ? `value ${at + 1}` : "result"),
      key,
      at,
      several: directions.length > 1,
      maximize: String(direction).toLowerCase().startsWith("max"),
    };
  });
}

/** The names in `hydra.sweeper.value=[loss,size]`. @param {string[]} overrides @returns {string[]} */
function namesTyped(overrides) {
  const given = overrides.map((word) => /^hydra\.sweeper\.value=(.*)$/.exec(word)?.[1]).find(Boolean);
  return given ? given.replace(/^\[|\]$/g, "").split(",").map((each) => each.trim().replace(/^(['"])(.*)\1$/, "$2")) : [];
}

/**
 * The name may stand in the configuration only: then it is that of what the best job came to.
 * @param {any} sweep @param {number} at @returns {string | null}
 */
function nameByValue(sweep, at) {
  const best = sweep.search?.best?.[0];
  const job = best && sweep.jobs?.find((/** @type {Job} */ each) => each.index === best.index);
  if (!job) return null;
  const result = plain(job.result);
  const among = { ...job.metrics, ...(result !== null && typeof result === "object" && !Array.isArray(result) ? result : {}) };
  return Object.keys(among).find((name) => asNumber(among[name]) === asNumber(best.values?.[at])) ?? null;
}

/**
 * What a job came to in one aim; NaN if it came to nothing.
 * @param {Job} job @param {{key: string | null, at: number, several: boolean}} aim
 * @returns {number}
 */
export function valueOf(job, { key, at, several }) {
  const result = plain(job.result);
  if (key !== null) {
    const found = result !== null && typeof result === "object" && key in result ? result[key] : job.metrics?.[key];
    return found === undefined || found === null ? NaN : asNumber(found);
  }
  if (Array.isArray(result)) return asNumber(result[several ? at : 0]);
  return result === null || result === undefined ? NaN : asNumber(result);
}

/**
 * How the search learned: every job in order with the best up to it.
 * @param {Job[]} jobs @param {any} aim
 * @returns {{job: Job, value: number, best: number}[]}
 */
export function learning(jobs, aim) {
  let best = NaN;
  return jobs
    .filter((job) => job.status === "COMPLETED" && Number.isFinite(valueOf(job, aim)))
    .sort((one, other) => one.index - other.index)
    .map((job) => {
      const value = valueOf(job, aim);
      if (Number.isNaN(best) || (aim.maximize ? value > best : value < best)) best = value;
      return { job, value, best };
    });
}

/** The part of a job's overrides that says which values it had. @param {Job} job @param {string[]} swept */
export function sweptValues(job, swept) {
  /** @type {Record<string, string>} */
  const all = Object.fromEntries(job.overrides.map((word) => {
    const at = word.indexOf("=");
    return [word.slice(0, at).replace(/^\+*/, ""), word.slice(at + 1)];
  }));
  return swept.map((key) => all[key] ?? "");
}

/** Keys that jobs have in their overrides with more than one value. @param {Job[]} jobs */
export function varying(jobs) {
  /** @type {Map<string, Set<string>>} */
  const seen = new Map();
  for (const job of jobs) {
    for (const word of job.overrides) {
      const at = word.indexOf("=");
      const key = word.slice(0, at).replace(/^\+*/, "");
      if (at > 0) seen.set(key, (seen.get(key) ?? new Set()).add(word.slice(at + 1)));
    }
  }
  return [...seen].filter(([, values]) => values.size > 1).map(([key]) => key);
}
