/** One chart of curves: uPlot draws the axes and follows the mouse; the curves are drawn by paint.js. */
import uPlot from "../vendor/uplot.js";
import { reach, span } from "./curvedata.js";
import { brief, number, time, duration } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { mapping, nearest, paint, valuesAt } from "./paint.js";
import { colours } from "./theme.js";

/** @typedef {import("./curvedata.js").Curve} Curve */
/** @typedef {import("./series.js").Over} Over */
/** @typedef {import("./series.js").Zoom} Zoom */

/** So near the mouse has to come to a curve, in pixels. */
const NEAR = 24;
export const LINES = Array.from({ length: 10 }, (_, at) => `line-${at}`);

/**
 * What is drawn, and what draws it; kept from one drawing to the next, so that nothing is lost when points come.
 * @typedef {object} Drawing
 * @property {Curve[]} curves @property {Over} over @property {Zoom} zoom @property {boolean} logX @property {boolean} logY
 * @property {[number, number]} xs @property {[number, number]} ys @property {string | null} bright @property {string[]} lines
 * @property {(zoom: Zoom) => void} change @property {(what: Pointed | null) => void} point
 */

/** Where the cursor is, the values there, and the curve that it is near to. */
/** @typedef {{x: number, all: {curve: Curve, at: number}[], near: string | null, left: number, top: number, wide: number}} Pointed */

/** Over what, in words. @param {Over} over @param {number} value */
export function placeText(over, value) {
  if (over === "time") return time(value);
  if (over === "relative") return duration(value) || "0 s";
  return `step ${number(value)}`;
}

/** Ranges of both axes. @param {Drawing} d */
function range(d) {
  const all = span(d.curves, d.logX) ?? [0, 1];
  const [from, to] = d.zoom ?? all;
  const pad = from === to ? Math.abs(from) * 0.05 || 0.5 : 0;
  d.xs = d.logX && from <= 0 ? [all[0], Math.max(to, all[0] * 10)] : [d.logX && pad ? from / 2 : from - pad, to + pad];
  const [least, greatest] = reach(d.curves, d.xs[0], d.xs[1], d.logY) ?? (d.logY ? [0.1, 1] : [0, 1]);
  if (d.logY) d.ys = least === greatest ? [least / 2, least * 2] : [least / 1.1, greatest * 1.1];
  else {
    const more = (greatest - least) * 0.06 || Math.abs(least) * 0.1 || 0.5;
    d.ys = [least - more, greatest + more];
  }
}

/** @param {Drawing} d @param {number} width @param {number} height @param {HTMLElement} into */
function plot(d, width, height, into) {
  const { line, dim } = colours(["line", "dim"]);
  d.lines = Object.values(colours(LINES));
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const look = { stroke: dim, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  /** @type {(u: any, values: any[]) => string[]} */
  const short = (_, values) => values.map((value) => (value === null ? "" : number(value)));
  /** @type {(u: any, values: any[]) => string[]} */
  const powers = (_, values) => values.map((value) => (value === null ? "" : brief(value)));
  const xAxis = d.over === "time" ? {} : { values: d.over === "relative" ? spans : d.logX ? powers : short };
  return new uPlot(
    {
      width,
      height,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      scales: {
        x: { time: d.over === "time", range: () => d.xs, distr: d.logX ? 3 : 1 },
        y: { range: () => d.ys, distr: d.logY ? 3 : 1 },
      },
      axes: [
        { ...look, ...xAxis, size: 28, space: 60 },
        { ...look, values: d.logY ? powers : short, size: widest, space: 34 },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => (d.change(null), null) } },
      hooks: {
        draw: [(u) => drawCurves(u, d)],
        setSelect: [(u) => zoomed(u, d)],
        setCursor: [(u) => pointed(u, d)],
      },
    },
    dataOf(d),
    into,
  );
}

/** uPlot needs data to draw axes of. @param {Drawing} d @returns {any} */
const dataOf = (d) => [[...d.xs], [...d.ys]];

/** @type {(u: any, values: any[]) => string[]} */
const spans = (_, values) => values.map((value) => (value === null ? "" : value === 0 ? "0" : duration(value).replace(/\.0+ s$/, " s")));

/** As wide as the longest number needs. @param {any} _ @param {string[] | null} values */
const widest = (_, values) => Math.max(34, 16 + 6.6 * Math.max(0, ...(values ?? []).map((text) => text.length)));

/** @param {any} u */
function boxOf(u) {
  return u.bbox;
}

/** @param {any} u @param {Drawing} d */
function drawCurves(u, d) {
  const scales = { x: d.xs, y: d.ys, logX: d.logX, logY: d.logY };
  paint(u.ctx, boxOf(u), scales, d.curves, { lines: d.lines, bright: d.bright, ratio: devicePixelRatio });
}

/** @param {any} u @param {Drawing} d */
function zoomed(u, d) {
  const { left, width } = u.select;
  if (width < 4) return;
  const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  d.change([from, to]);
}

/** @param {any} u @param {Drawing} d */
function pointed(u, d) {
  const { left, top } = u.cursor;
  if (left === null || left < 0) return d.point(null);
  const box = { left: 0, top: 0, width: u.over.clientWidth, height: u.over.clientHeight };
  const to = mapping(box, { x: d.xs, y: d.ys, logX: d.logX, logY: d.logY });
  const near = nearest(d.curves, to, left, top, NEAR);
  const all = valuesAt(d.curves, to, left);
  if (!all.length) return d.point(null);
  const { curve, at } = near ?? all[0];
  const place = { left: left + u.over.offsetLeft, top: top + u.over.offsetTop, wide: box.width };
  return d.point({ x: curve.x[at], all, near: near?.curve.key ?? null, ...place });
}

/**
 * @param {{name: string, curves: Curve[], over: Over, zoom: Zoom, logX: boolean, logY: boolean, change: (zoom: Zoom) => void,
 *   bright: string | null, brighten: (key: string | null) => void, height?: number, made?: (u: any) => void}} props
 */
export function Plot({ name, curves, over, zoom, logX, logY, change, bright, brighten, height = 200, made }) {
  const ref = useRef(/** @type {HTMLDivElement | null} */ (null));
  const u = useRef(/** @type {any} */ (null));
  const drawing = useRef(/** @type {Drawing | null} */ (null));
  const [tip, setTip] = useState(/** @type {Pointed | null} */ (null));
  const told = useRef("");
  /** Each drawing tells where the cursor is; what is no news must not make it draw again. @param {Pointed | null} what */
  const point = (what) => {
    const news = what ? JSON.stringify([what.left, what.top, what.near, what.all.map(({ curve, at }) => [curve.key, curve.label, curve.y[at]])]) : "";
    if (news === told.current) return;
    told.current = news;
    setTip(what);
    brighten(what?.near ?? null);
  };
  const d = (drawing.current ??= /** @type {any} */ ({ lines: [], xs: [0, 1], ys: [0, 1] }));
  Object.assign(d, { curves, over, zoom, logX, logY, bright, change, point });
  range(d);
  useLayoutEffect(() => {
    const into = ref.current;
    if (!into) return undefined;
    const make = () => {
      u.current?.destroy();
      u.current = plot(d, into.clientWidth, height, into);
      made?.(u.current);
    };
    make();
    const watcher = new ResizeObserver(() => u.current?.setSize({ width: into.clientWidth, height }));
    watcher.observe(into);
    addEventListener("themechange", make);
    return () => {
      removeEventListener("themechange", make);
      watcher.disconnect();
      u.current?.destroy();
      u.current = null;
    };
  }, [over, logX, logY, height]);
  useEffect(() => u.current?.setData(dataOf(d)));
  return html`<div class="plot" tabindex="0" role="img" aria-label=${spoken(name, curves, d)} data-points=${curves.reduce((n, c) => n + c.x.length, 0)}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => keys(event, d)} onMouseLeave=${() => point(null)}>
    <div class="canvas" ref=${ref} style=${{ height: `${height}px` }}></div>
    ${tip && html`<${Tip} tip=${tip} over=${over} />`}
  </div>`;
}

/** The chart in words. @param {string} name @param {Curve[]} curves @param {Drawing} d */
function spoken(name, curves, d) {
  if (!curves.length) return `${name}: no points`;
  const what = curves.length === 1 ? `of run ${curves[0].label}` : `${curves.length} curves`;
  return `${name}, ${what}, from ${number(d.ys[0])} to ${number(d.ys[1])}, between ${placeText(d.over, d.xs[0])} and ${placeText(d.over, d.xs[1])}`;
}

/** @param {KeyboardEvent} event @param {Drawing} d */
function keys(event, d) {
  const [from, to] = d.xs;
  const wide = to - from;
  const steps = /** @type {Record<string, [number, number]>} */ ({
    "+": [from + wide / 4, to - wide / 4],
    "-": [from - wide / 2, to + wide / 2],
    ArrowLeft: [from - wide / 4, to - wide / 4],
    ArrowRight: [from + wide / 4, to + wide / 4],
  });
  if (event.key === "0") d.change(null);
  else if (event.key in steps) d.change(steps[event.key]);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Lines of the values at the cursor; more curves than this are told by their number. */
const TOLD = 10;

/** @param {{tip: Pointed, over: Over}} props */
function Tip({ tip: { x, all, near, left, top, wide }, over }) {
  const told = all.slice(0, TOLD);
  const missing = near !== null && !told.some(({ curve }) => curve.key === near) ? all.find(({ curve }) => curve.key === near) : undefined;
  if (missing) told[TOLD - 1] = missing;
  return html`<div class=${`tip values${left > wide / 2 ? " left" : ""}`} aria-hidden="true" style=${{ left: `${left}px`, top: `${top}px` }}>
    <div class="dim">${placeText(over, x)}</div>
    ${told.map(({ curve, at }) => html`<div key=${curve.key} class=${curve.key === near ? "near" : ""}><i class=${`swatch line${curve.rank % LINES.length}`}></i>
      <b>${number(curve.y[at])}</b>${spread(curve, at)}<span>${curve.label}</span></div>`)}
    ${all.length > told.length && html`<div class="dim">and ${all.length - told.length} more</div>`}</div>`;
}

/** What a bucket or a group reaches over. @param {Curve} curve @param {number} at */
function spread({ low, high }, at) {
  if (!low || !high || low[at] === high[at]) return null;
  return html`<span class="dim">${number(low[at])} … ${number(high[at])}</span>`;
}
