/** Parallel coordinates: an axis for each column, a line for each run, coloured by the last; drag along an axis to choose. */
import { axisOf, fitted, isWide, shade } from "./axes.js";
import { Canvas } from "./canvas.js";
import { value as asText, count } from "./format.js";
import { html, useState } from "./lib.js";
import { titleOf } from "./layout.js";
import { stroke } from "./scatter.js";
import { Button, ErrorBox, useAnswer } from "./ui.js";
import { query, select, selected } from "./view.js";

const [SIDE, TOP, BELOW] = [52, 34, 14];

/** @typedef {{ids: number[], columns: {name: string, type: string, values: any[]}[], axes: import("./axes.js").Axis[]}} Plan */
/** Chosen parts of axes, from 0 to 1, by column. @typedef {Record<string, [number, number]>} Brushes */

/** @param {{columns: string[], version: number, height?: number, actions?: any, q?: string}} props *q*: of which runs; else those of the view. */
export function Parallel({ columns, version, height = 260, actions, q = query.value }) {
  const { data, error } = useAnswer(columns.length ? "table" : null, { q, columns }, version);
  const [brushes, setBrushes] = useState(/** @type {Brushes} */ ({}));
  const title = columns.map(titleOf).join(" · ");
  if (error) return html`<figure class="chart wide"><figcaption>${title}<span class="actions">${actions}</span></figcaption><${ErrorBox} error=${error} /></figure>`;
  const plan = data && { ids: data.ids, columns: data.columns, axes: data.columns.map((/** @type {any} */ c) => axisOf(c.values, c.type, c.type === "number" && isWide(c.values))) };
  const kept = plan ? within(plan, brushes) : [];
  let wide = 0;
  /** @param {import("./canvas.js").Sheet} sheet */
  function draw(sheet) {
    wide = sheet.width;
    if (plan) drawn(sheet, plan, brushes, new Set(kept));
  }
  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
  function drag(from, to) {
    if (!plan) return;
    const at = Math.round(((from.x - SIDE) / Math.max(1, wide - 2 * SIDE)) * (plan.axes.length - 1));
    const name = plan.columns[Math.max(0, Math.min(at, plan.columns.length - 1))].name;
    const part = (/** @type {number} */ y) => 1 - (y - TOP) / (height - TOP - BELOW);
    setBrushes({ ...brushes, [name]: [Math.min(part(from.y), part(to.y)), Math.max(part(from.y), part(to.y))] });
  }
  const chosen = Object.keys(brushes).length > 0;
  const below = html`<p class="legend dim">${chosen ? html`${count(kept.length, "run")} within what is marked
      <${Button} kind="quiet" onClick=${() => select(kept)}>Select<//><${Button} kind="quiet" onClick=${() => setBrushes({})}>All<//>` : "Drag along an axis to choose runs."}</p>`;
  const rows = () => [["run", ...columns], ...(plan?.ids ?? []).map((/** @type {number} */ id, /** @type {number} */ at) => [id, ...(plan?.columns ?? []).map((/** @type {any} */ c) => asText(c.values[at]))])];
  return html`<${Canvas} title=${title} wide spoken=${`parallel coordinates of ${title}: ${kept.length} runs`} height=${height} draw=${draw} rows=${rows}
    actions=${actions} drag=${drag} below=${below} />`;
}

/** The runs inside all marks. @param {Plan} plan @param {Brushes} brushes */
function within({ ids, columns, axes }, brushes) {
  return ids.filter((_, at) =>
    columns.every((column, n) => {
      const mark = brushes[column.name];
      if (!mark) return true;
      const place = axes[n].at(column.values[at]);
      return place >= mark[0] && place <= mark[1];
    }),
  );
}

/** @param {import("./canvas.js").Sheet} sheet @param {Plan} plan @param {Brushes} brushes @param {Set<number>} kept */
function drawn({ ctx, width, height, ink }, { ids, columns, axes }, brushes, kept) {
  const high = height - TOP - BELOW;
  /** @param {number} n */
  const left = (n) => (axes.length === 1 ? width / 2 : SIDE + (n / (axes.length - 1)) * (width - 2 * SIDE));
  const last = axes.length - 1;
  ctx.lineJoin = "round";
  for (const bright of [false, true]) {
    for (let at = 0; at < ids.length; at += 1) {
      const chosen = kept.has(ids[at]) && (!selected.value.size || selected.value.has(ids[at]));
      if (chosen !== bright) continue;
      const part = axes[last].at(columns[last].values[at]);
      ctx.strokeStyle = chosen && Number.isFinite(part) ? shade(part) : ink.dim;
      ctx.globalAlpha = chosen ? Math.max(0.25, Math.min(0.9, 60 / ids.length)) : 0.12;
      ctx.lineWidth = chosen ? 1.5 : 1;
      ctx.beginPath();
      for (let n = 0; n < axes.length; n += 1) {
        const place = axes[n].at(columns[n].values[at]);
        const top = Number.isFinite(place) ? TOP + (1 - place) * high : TOP + high + 8;
        n ? ctx.lineTo(left(n), top) : ctx.moveTo(left(n), top);
      }
      ctx.stroke();
    }
  }
  ctx.globalAlpha = 1;
  axes.forEach((axis, n) => upright(ctx, axis, left(n), high, ink, titleOf(columns[n].name), brushes[columns[n].name], n, width / Math.max(2, axes.length)));
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {import("./axes.js").Axis} axis @param {number} left @param {number} high
 * @param {import("./canvas.js").Sheet["ink"]} ink @param {string} title @param {[number, number] | undefined} mark @param {number} n @param {number} room
 */
function upright(ctx, axis, left, high, ink, title, mark, n, room) {
  ctx.strokeStyle = ink.dim;
  ctx.lineWidth = 1;
  stroke(ctx, left, TOP, left, TOP + high);
  if (mark) {
    ctx.fillStyle = ink.accent;
    ctx.globalAlpha = 0.3;
    ctx.fillRect(left - 5, TOP + (1 - mark[1]) * high, 10, (mark[1] - mark[0]) * high);
    ctx.globalAlpha = 1;
  }
  ctx.fillStyle = ink.ink;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  ctx.fillText(fitted(ctx, title, room - 8), Math.max(left, 30), n % 2 ? 16 : 4);
  ctx.fillStyle = ink.dim;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const { at, text } of axis.ticks) {
    const top = TOP + (1 - at) * high;
    stroke(ctx, left - 3, top, left + 3, top);
    ctx.fillText(fitted(ctx, text, 46), left + 6, top);
  }
}
