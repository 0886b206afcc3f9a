/** From the server's series to curves that can be drawn: smoothed, grouped, with what came since. */
import { value as asText } from "./format.js";

/**
 * @typedef {object} Series What /api/series gives of one metric of one run.
 * @property {number} run @property {string} name @property {(number | null)[]} x @property {(number | null)[]} min
 * @property {(number | null)[]} max @property {(number | null)[]} mean @property {number} nan @property {number} points
 * @property {boolean} whole
 */

/**
 * @typedef {object} Curve
 * @property {string} key @property {string} label @property {number} rank Of its colour.
 * @property {Float64Array} x @property {Float64Array} y NaN where there is nothing.
 * @property {Float64Array | null} low @property {Float64Array | null} high Extremes, or the band of a group.
 * @property {Float64Array | null} raw Before smoothing.
 * @property {boolean} band Whether low and high are a standard deviation around a mean.
 * @property {number | null} run
 */

/** @param {(number | null)[]} list */
export function numbers(list) {
  const found = new Float64Array(list.length);
  for (let at = 0; at < list.length; at += 1) found[at] = list[at] ?? NaN;
  return found;
}

/** @param {Series} series @param {string} label @param {number} rank @param {number} smooth @returns {Curve} */
export function curveOf(series, label, rank, smooth) {
  const mean = numbers(series.mean);
  return {
    key: String(series.run),
    label,
    rank,
    x: numbers(series.x),
    y: smooth > 0 ? smoothed(mean, smooth) : mean,
    low: series.whole ? null : numbers(series.min),
    high: series.whole ? null : numbers(series.max),
    raw: smooth > 0 ? mean : null,
    band: false,
    run: series.run,
  };
}

/**
 * The exponential moving average of weight *weight*, without the pull to 0 that it begins with.
 * @param {Float64Array} values @param {number} weight in [0, 1)
 */
export function smoothed(values, weight) {
  const found = new Float64Array(values.length);
  let sum = 0;
  let seen = 0;
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (!Number.isFinite(value)) {
      found[at] = value;
      continue;
    }
    seen += 1;
    sum = sum * weight + (1 - weight) * value;
    found[at] = sum / (1 - weight ** seen);
  }
  return found;
}

/** Places of a group's curve, at most. */
const GRID = 400;

/**
 * The mean of curves with its standard deviation as a band, over the places that they have; a curve that has none at a
 * place counts there by the line between its neighbours, and not outside of where it begins and ends.
 * @param {Curve[]} curves @param {string} label @param {number} rank @returns {Curve}
 */
export function meanOf(curves, label, rank) {
  const x = grid(curves);
  const [y, low, high] = [new Float64Array(x.length), new Float64Array(x.length), new Float64Array(x.length)];
  const places = curves.map(() => 0);
  for (let at = 0; at < x.length; at += 1) {
    let [n, sum, squares] = [0, 0, 0];
    for (let c = 0; c < curves.length; c += 1) {
      const value = between(curves[c], x[at], places, c);
      if (!Number.isFinite(value)) continue;
      n += 1;
      const gone = value - sum / Math.max(1, n - 1);
      sum += value;
      squares += n > 1 ? gone * (value - sum / n) : 0;
    }
    const mean = n ? sum / n : NaN;
    const std = n > 1 ? Math.sqrt(Math.max(0, squares / (n - 1))) : 0;
    [y[at], low[at], high[at]] = [mean, mean - std, mean + std];
  }
  return { key: `group ${label}`, label: `${label} (${curves.length})`, rank, x, y, low, high, raw: null, band: true, run: null };
}

/** @param {Curve[]} curves */
function grid(curves) {
  const all = new Set();
  for (const curve of curves) for (const x of curve.x) all.add(x);
  const sorted = Float64Array.from(all).filter(Number.isFinite).sort();
  if (sorted.length <= GRID) return sorted;
  const stride = (sorted.length - 1) / (GRID - 1);
  return Float64Array.from({ length: GRID }, (_, at) => sorted[Math.round(at * stride)]);
}

/** The value of a curve at *x*; places[c] is how far it was read. @param {Curve} curve @param {number} x @param {number[]} places @param {number} c */
function between(curve, x, places, c) {
  const { x: xs, y: ys } = curve;
  let at = places[c];
  while (at < xs.length - 1 && xs[at + 1] <= x) at += 1;
  places[c] = at;
  if (!xs.length || x < xs[0] || x > xs[xs.length - 1]) return NaN;
  if (xs[at] === x || at === xs.length - 1) return ys[at];
  const part = (x - xs[at]) / (xs[at + 1] - xs[at]);
  return ys[at] + part * (ys[at + 1] - ys[at]);
}

/**
 * Add points that came; false where they do not follow the last, so that the series has to be asked for again.
 * @param {Series} series @param {(number | null)[]} x @param {(number | null)[]} y
 */
export function append(series, x, y) {
  let last = series.x.length ? series.x[series.x.length - 1] ?? -Infinity : -Infinity;
  for (let at = 0; at < x.length; at += 1) {
    const here = x[at];
    if (here === null || here < last) return false;
    series.x.push(here);
    series.min.push(y[at]);
    series.max.push(y[at]);
    series.mean.push(y[at]);
    series.points += 1;
    last = here;
  }
  return true;
}

/** What a curve is called: the run, and the values of *keys*. @param {number} run @param {string[]} keys @param {any[] | undefined} values */
export function labelOf(run, keys, values) {
  if (!keys.length || !values) return String(run);
  return `${run} · ${keys.map((key, at) => `${key.replace(/^config\./, "")} ${asText(values[at]) || "none"}`).join(", ")}`;
}

/** From the least to the greatest that is seen between *from* and *to*. @param {Curve[]} curves @param {number} from @param {number} to @param {boolean} log */
export function reach(curves, from, to, log) {
  let [least, greatest] = [Infinity, -Infinity];
  for (const { x, y, low, high, raw } of curves) {
    for (const values of [y, low, high, raw]) {
      if (!values) continue;
      for (let at = 0; at < x.length; at += 1) {
        const value = values[at];
        if (x[at] < from || x[at] > to || !Number.isFinite(value) || (log && value <= 0)) continue;
        if (value < least) least = value;
        if (value > greatest) greatest = value;
      }
    }
  }
  return least <= greatest ? [least, greatest] : null;
}

/** The first and the last place of all. @param {Curve[]} curves @param {boolean} log */
export function span(curves, log) {
  let [first, last] = [Infinity, -Infinity];
  for (const { x } of curves) {
    for (const place of x) {
      if (!Number.isFinite(place) || (log && place <= 0)) continue;
      if (place < first) first = place;
      if (place > last) last = place;
    }
  }
  return first <= last ? [first, last] : null;
}
