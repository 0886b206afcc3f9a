/** Anything against anything: a point for each run that the filter finds, coloured by a third. */
import { axisOf, fitted, isWide, shade } from "./axes.js";
import { Canvas } from "./canvas.js";
import { value as asText } from "./format.js";
import { html } from "./lib.js";
import { titleOf } from "./layout.js";
import { go } from "./state.js";
import { ErrorBox, useAnswer } from "./ui.js";
import { query, selected } from "./view.js";

const [LEFT, RIGHT, TOP, BELOW] = [62, 14, 10, 34];
const NEAR = 9;

/** @param {{x: string, y: string, colour: string, version: number, height?: number, actions?: any}} props */
export function Scatter({ x, y, colour, version, height = 236, actions }) {
  const { data, error } = useAnswer("table", { q: query.value, columns: [x, y, ...(colour ? [colour] : [])] }, version);
  if (error) return html`<figure class="chart"><figcaption>${titleOf(y)} by ${titleOf(x)}<span class="actions">${actions}</span></figcaption><${ErrorBox} error=${error} /></figure>`;
  const [xs, ys, cs] = data?.columns ?? [];
  const found = data ? { ids: data.ids, xs, ys, cs } : null;
  const plan = found && planned(found);
  const title = `${titleOf(y)} by ${titleOf(x)}${colour ? `, colour ${titleOf(colour)}` : ""}`;
  let places = /** @type {{id: number, left: number, top: number}[]} */ ([]);
  /** @param {import("./canvas.js").Sheet} sheet */
  function draw(sheet) {
    if (found && plan) places = drawn(sheet, found, plan, [titleOf(x), titleOf(y)]);
  }
  /** @param {number} px @param {number} py */
  const under = (px, py) => {
    let [best, far] = [/** @type {typeof places[0] | null} */ (null), NEAR];
    for (const one of places) {
      const gone = Math.hypot(one.left - px, one.top - py);
      if (gone < far) [best, far] = [one, gone];
    }
    return best;
  };
  /** @param {number} px @param {number} py */
  const pick = (px, py) => {
    const one = under(px, py);
    if (!one || !found) return null;
    const at = found.ids.indexOf(one.id);
    const lines = [`${titleOf(x)} ${asText(xs.values[at])}`, `${titleOf(y)} ${asText(ys.values[at])}`, ...(cs ? [`${titleOf(colour)} ${asText(cs.values[at])}`] : [])];
    return { left: one.left, top: one.top, text: html`<b>${`run ${one.id}`}</b>${lines.map((line) => html`<br /><span>${line}</span>`)}` };
  };
  const rows = () => [["run", x, y, ...(cs ? [colour] : [])], ...(found?.ids ?? []).map((/** @type {number} */ id, /** @type {number} */ at) => [id, ...[xs, ys, ...(cs ? [cs] : [])].map((c) => asText(c.values[at]))])];
  return html`<${Canvas} title=${title} spoken=${`${title}: ${plan?.count ?? 0} runs`} height=${height} draw=${draw} rows=${rows} actions=${actions} pick=${pick}
    press=${(/** @type {number} */ px, /** @type {number} */ py) => { const one = under(px, py); if (one) go(`run/${one.id}`); }} />`;
}

/** @typedef {{ids: number[], xs: any, ys: any, cs: any}} Found */

/** @param {Found} found */
function planned({ ids, xs, ys, cs }) {
  const x = axisOf(xs.values, xs.type, xs.type === "number" && isWide(xs.values));
  const y = axisOf(ys.values, ys.type, ys.type === "number" && isWide(ys.values));
  const colour = cs ? axisOf(cs.values, cs.type, cs.type === "number" && isWide(cs.values)) : null;
  const count = ids.filter((_, at) => Number.isFinite(x.at(xs.values[at])) && Number.isFinite(y.at(ys.values[at]))).length;
  return { x, y, colour, count };
}

/** @param {import("./canvas.js").Sheet} sheet @param {Found} found @param {ReturnType<typeof planned>} plan @param {string[]} titles */
function drawn({ ctx, width, height, ink, lines }, { ids, xs, ys, cs }, plan, titles) {
  const box = { left: LEFT, top: TOP, width: width - LEFT - RIGHT, height: height - TOP - BELOW };
  frame(ctx, box, plan.x, plan.y, ink, titles);
  const places = [];
  for (let at = 0; at < ids.length; at += 1) {
    const left = box.left + plan.x.at(xs.values[at]) * box.width;
    const top = box.top + (1 - plan.y.at(ys.values[at])) * box.height;
    if (!Number.isFinite(left) || !Number.isFinite(top)) continue;
    const part = plan.colour && cs ? plan.colour.at(cs.values[at]) : NaN;
    const chosen = selected.value.has(ids[at]);
    ctx.fillStyle = Number.isFinite(part) ? shade(part) : cs ? ink.dim : lines[0];
    ctx.globalAlpha = chosen || !selected.value.size ? 0.85 : 0.35;
    ctx.beginPath();
    ctx.arc(left, top, chosen ? 5 : ids.length > 500 ? 2.5 : 4, 0, 2 * Math.PI);
    ctx.fill();
    if (chosen) {
      ctx.strokeStyle = ink.ink;
      ctx.lineWidth = 1.5;
      ctx.stroke();
    }
    places.push({ id: ids[at], left, top });
  }
  ctx.globalAlpha = 1;
  return places;
}

/**
 * Grid, ticks and titles around a box.
 * @param {CanvasRenderingContext2D} ctx @param {import("./paint.js").Box} box @param {import("./axes.js").Axis} x @param {import("./axes.js").Axis} y
 * @param {import("./canvas.js").Sheet["ink"]} ink @param {string[]} titles
 */
export function frame(ctx, box, x, y, ink, [across, up]) {
  ctx.strokeStyle = ink.line;
  ctx.fillStyle = ink.dim;
  ctx.lineWidth = 1;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  let free = -Infinity;
  for (const { at, text } of x.ticks) {
    const left = Math.round(box.left + at * box.width) + 0.5;
    stroke(ctx, left, box.top, left, box.top + box.height);
    const half = ctx.measureText(text).width / 2;
    if (left - half < free) continue;
    ctx.fillText(text, left, box.top + box.height + 5);
    free = left + half + 8;
  }
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const { at, text } of y.ticks) {
    const top = Math.round(box.top + (1 - at) * box.height) + 0.5;
    stroke(ctx, box.left, top, box.left + box.width, top);
    ctx.fillText(fitted(ctx, text, box.left - 10), box.left - 6, top);
  }
  ctx.fillStyle = ink.ink;
  ctx.textBaseline = "top";
  ctx.textAlign = "right";
  ctx.fillText(across, box.left + box.width, box.top + box.height + 19);
  ctx.textAlign = "left";
  ctx.fillText(fitted(ctx, up, box.width), box.left + 4, box.top + 2);
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
export function stroke(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
