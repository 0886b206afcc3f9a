/** How the values of one column spread over the runs that the filter finds. */
import { axisOf, isWide } from "./axes.js";
import { Canvas } from "./canvas.js";
import { asNumber, number, value as asText, count } from "./format.js";
import { html } from "./lib.js";
import { titleOf } from "./layout.js";
import { frame } from "./scatter.js";
import { ErrorBox, useAnswer } from "./ui.js";
import { query, select } from "./view.js";

const [LEFT, RIGHT, TOP, BELOW] = [46, 12, 10, 34];
const MOST_BARS = 40;

/** @typedef {{from: number, to: number, text: string, ids: number[]}} Bar from and to are places on the axis, from 0 to 1. */

/** @param {{column: string, version: number, height?: number, actions?: any}} props */
export function Histogram({ column, version, height = 236, actions }) {
  const { data, error } = useAnswer("table", { q: query.value, columns: [column] }, version);
  const title = `${titleOf(column)}, how many runs`;
  if (error) return html`<figure class="chart"><figcaption>${title}<span class="actions">${actions}</span></figcaption><${ErrorBox} error=${error} /></figure>`;
  const plan = data && barsOf(data.ids, data.columns[0]);
  let width = 0;
  /** @param {import("./canvas.js").Sheet} sheet */
  function draw(sheet) {
    width = sheet.width;
    if (plan) drawn(sheet, plan, titleOf(column));
  }
  /** @param {number} px */
  const under = (px) => {
    const place = (px - LEFT) / Math.max(1, width - LEFT - RIGHT);
    return plan?.bars.find((/** @type {Bar} */ bar) => place >= bar.from && place < bar.to) ?? null;
  };
  /** @param {number} px @param {number} py */
  const pick = (px, py) => {
    const bar = under(px);
    return bar && { left: px, top: py, text: html`<b>${count(bar.ids.length, "run")}</b><br /><span>${bar.text}</span>` };
  };
  const rows = () => [["value", "runs"], ...(plan?.bars ?? []).map((/** @type {Bar} */ bar) => [bar.text, bar.ids.length])];
  return html`<${Canvas} title=${title} spoken=${`${title}: ${plan?.bars.length ?? 0} bars`} height=${height} draw=${draw} rows=${rows} actions=${actions} pick=${pick}
    press=${(/** @type {number} */ px) => { const bar = under(px); if (bar) select(bar.ids); }} />`;
}

/** @param {number[]} ids @param {{type: string, values: any[]}} column */
function barsOf(ids, { type, values }) {
  const axis = axisOf(values, type, type === "number" && isWide(values));
  const bars = axis.numeric ? ofNumbers(ids, values, axis) : ofTexts(ids, values, axis);
  return { axis, bars };
}

/** @param {number[]} ids @param {any[]} values @param {import("./axes.js").Axis} axis @returns {Bar[]} */
function ofNumbers(ids, values, axis) {
  const places = values.map((value) => axis.at(value));
  const there = places.filter(Number.isFinite);
  if (!there.length) return [];
  const [least, greatest] = [Math.min(...there), Math.max(...there)];
  const n = least === greatest ? 1 : Math.min(MOST_BARS, Math.max(6, Math.ceil(Math.sqrt(there.length) * 1.5)));
  const wide = (greatest - least) / n || 0.06;
  const first = least === greatest ? least - wide / 2 : least;
  return Array.from({ length: n }, (_, bar) => {
    const [from, to] = [first + bar * wide, first + (bar + 1) * wide];
    const inside = ids.filter((_, at) => places[at] >= from && (places[at] < to || (bar === n - 1 && places[at] <= greatest)));
    return { from, to, text: `${number(Number(asNumber(axis.back(from)).toPrecision(4)))} to ${number(Number(asNumber(axis.back(to)).toPrecision(4)))}`, ids: inside };
  });
}

/** @param {number[]} ids @param {any[]} values @param {import("./axes.js").Axis} axis @returns {Bar[]} */
function ofTexts(ids, values, axis) {
  /** @type {Map<string, number[]>} */
  const by = new Map();
  values.forEach((value, at) => by.set(asText(value), [...(by.get(asText(value)) ?? []), ids[at]]));
  const half = 0.4 / Math.max(1, by.size);
  return [...by].map(([text, inside]) => ({ from: axis.at(text) - half, to: axis.at(text) + half, text: text || "none", ids: inside }));
}

/** @param {import("./canvas.js").Sheet} sheet @param {{axis: import("./axes.js").Axis, bars: Bar[]}} plan @param {string} title */
function drawn({ ctx, width, height, ink, lines }, { axis, bars }, title) {
  const box = { left: LEFT, top: TOP, width: width - LEFT - RIGHT, height: height - TOP - BELOW };
  const most = Math.max(1, ...bars.map((bar) => bar.ids.length));
  const up = axisOf([0, most], "number", false, 4);
  const scale = { ...up, at: (/** @type {any} */ value) => value / (most * 1.08) };
  const ticks = up.ticks.filter(({ text }) => /^\d+$/.test(text)).map(({ text }) => ({ text, at: scale.at(Number(text)) }));
  frame(ctx, box, axis, { ...scale, ticks }, ink, [title, "runs"]);
  ctx.fillStyle = lines[0];
  for (const { from, to, ids } of bars) {
    const high = scale.at(ids.length) * box.height;
    ctx.fillRect(box.left + from * box.width + 0.5, box.top + box.height - high, Math.max(1, (to - from) * box.width - 1), high);
  }
}
