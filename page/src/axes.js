/** Axes for the charts that uPlot has none of: numbers, logarithms, texts. */
import { asNumber, brief, duration, number, time, value as asText } from "./format.js";

/**
 * @typedef {object} Axis
 * @property {(value: any) => number} at Where a value stands, from 0 to 1; NaN where it has no place.
 * @property {{at: number, text: string}[]} ticks
 * @property {(at: number) => any} back The value of a place, for numbers.
 * @property {boolean} numeric
 */

/** So many texts have a place of their own; more are counted by rank. */
const TEXTS = 24;

/** @param {any[]} values @param {string} type as /api/table says @param {boolean} [log] @param {number} [ticks] @returns {Axis} */
export function axisOf(values, type, log = false, ticks = 5) {
  if (type === "text" || type === "list" || type === "bool") return texts(values);
  const numbers = values.map(asNumber).filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!numbers.length) return { at: () => NaN, ticks: [], back: () => NaN, numeric: true };
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of numbers) [least, greatest] = [Math.min(least, value), Math.max(greatest, value)];
  const show = type === "time" ? (/** @type {number} */ v) => time(v).slice(5, 16) : type === "duration" ? duration : number;
  return log ? logarithmic(least, greatest, show) : linear(least, greatest, ticks, show);
}

/** Whether values, all above 0, lie so far apart that only their logarithms can be told apart. @param {any[]} values */
export function isWide(values) {
  const numbers = values.map(asNumber).filter(Number.isFinite);
  const least = Math.min(...numbers);
  return numbers.length > 1 && least > 0 && Math.max(...numbers) / least >= 50;
}

/** @param {number} least @param {number} greatest @param {number} ticks @param {(value: number) => string} show @returns {Axis} */
function linear(least, greatest, ticks, show) {
  const pad = (greatest - least) * 0.04 || Math.abs(least) * 0.1 || 0.5;
  const [from, to] = [least - pad, greatest + pad];
  /** @param {any} value */
  const at = (value) => (asNumber(value) - from) / (to - from);
  return { at, back: (place) => from + place * (to - from), numeric: true, ticks: steps(from, to, ticks).map((value) => ({ at: at(value), text: show(value) })) };
}

/** @param {number} from @param {number} to @param {number} most @returns {number[]} */
export function steps(from, to, most) {
  const rough = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let n = Math.ceil(from / step); n * step <= to; n += 1) found.push(Number((n * step).toPrecision(12)));
  return found;
}

/** @param {number} least @param {number} greatest @param {(value: number) => string} show @returns {Axis} */
function logarithmic(least, greatest, show) {
  const [from, to] = least === greatest ? [Math.log10(least / 2), Math.log10(least * 2)] : [Math.log10(least), Math.log10(greatest)];
  const pad = (to - from) * 0.04;
  const [low, high] = [from - pad, to + pad];
  /** @param {any} value */
  const at = (value) => (Math.log10(asNumber(value)) - low) / (high - low);
  const powers = [];
  for (let n = Math.ceil(low); n <= high; n += 1) powers.push(10 ** n);
  const shown = powers.length >= 2 ? powers : [least, greatest];
  const text = show === number ? brief : show;
  return { at, back: (place) => 10 ** (low + place * (high - low)), numeric: true, ticks: shown.map((value) => ({ at: at(value), text: text(value) })) };
}

/** @param {any[]} values @returns {Axis} */
function texts(values) {
  const names = [...new Set(values.map((value) => asText(value)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const ranks = new Map(names.map((name, at) => [name, names.length === 1 ? 0.5 : 0.05 + (0.9 * at) / (names.length - 1)]));
  const stride = Math.ceil(names.length / TEXTS);
  const ticks = names.filter((_, at) => at % stride === 0).map((name) => ({ at: ranks.get(name) ?? 0, text: name || "none" }));
  return { at: (value) => ranks.get(asText(value)) ?? NaN, ticks, back: () => NaN, numeric: false };
}

/** From the least to the greatest as a colour that all eyes can order. @param {number} part from 0 to 1 */
export function shade(part) {
  const stops = [[68, 58, 131], [49, 104, 142], [33, 145, 140], [94, 190, 98], [226, 190, 38]];
  const place = Math.max(0, Math.min(0.9999, part)) * (stops.length - 1);
  const at = Math.floor(place);
  const mixed = stops[at].map((value, n) => Math.round(value + (stops[at + 1][n] - value) * (place - at)));
  return `rgb(${mixed.join(",")})`;
}

/** A text no wider than *wide*. @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} wide */
export function fitted(ctx, text, wide) {
  if (ctx.measureText(text).width <= wide) return text;
  let long = text.length;
  while (long > 1 && ctx.measureText(`${text.slice(0, long)}…`).width > wide) long -= 1;
  return `${text.slice(0, long)}…`;
}
