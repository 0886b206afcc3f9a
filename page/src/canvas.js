/** A canvas that is as wide as its place, drawn anew when its place, its colours or its data change; with downloads. */
import { asCsv, save, savePng, saveSvg } from "./download.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { colours } from "./theme.js";
import { Menu } from "./ui.js";

/**
 * @typedef {object} Sheet What one draws on, in CSS pixels.
 * @property {CanvasRenderingContext2D} ctx @property {number} width @property {number} height
 * @property {{ink: string, dim: string, line: string, accent: string, panel: string}} ink @property {string[]} lines
 */

export const LINE_NAMES = Array.from({ length: 10 }, (_, at) => `line-${at}`);

/**
 * A chart on a canvas. *draw* may return what `pick` gives for a place: {key, title} of what is there.
 * @param {{title: string, spoken: string, height: number, draw: (sheet: Sheet) => void, rows: () => any[][], actions?: any, wide?: boolean,
 *   pick?: (x: number, y: number) => {left: number, top: number, text: any} | null, press?: (x: number, y: number) => void,
 *   drag?: (from: {x: number, y: number}, to: {x: number, y: number}) => void, below?: any, children?: any}} props
 */
export function Canvas({ title, spoken, height, draw, rows, actions, wide, pick, press, drag, below, children }) {
  const ref = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [tip, setTip] = useState(/** @type {{left: number, top: number, text: any} | null} */ (null));
  const start = useRef(/** @type {{x: number, y: number} | null} */ (null));
  const paint = () => ref.current && painted(ref.current, height, draw);
  const latest = useRef(paint);
  latest.current = paint;
  useEffect(() => void paint());
  useLayoutEffect(() => {
    const again = () => latest.current();
    const watcher = new ResizeObserver(again);
    if (ref.current?.parentElement) watcher.observe(ref.current.parentElement);
    addEventListener("themechange", again);
    return () => (watcher.disconnect(), removeEventListener("themechange", again));
  }, []);
  /** @param {MouseEvent} event */
  const place = (event) => ({ x: event.offsetX, y: event.offsetY });
  const context = () => /** @type {CanvasRenderingContext2D} */ (ref.current?.getContext("2d"));
  return html`<figure class=${`chart${wide ? " wide" : ""}`} aria-label=${`chart of ${title}`}>
    <figcaption><span class="name" title=${title}>${title}</span><span class="actions">${actions}
      <${Menu} label="↓" name=${`download ${title}`} title="Download" kind="quiet" align="right">${(/** @type {() => void} */ close) => html`<div class="choices">
        <button type="button" class="button quiet" onClick=${() => (close(), ref.current && savePng(title, ref.current))}>PNG</button>
        <button type="button" class="button quiet" onClick=${() => (close(), saveSvg(title, context(), paint))}>SVG</button>
        <button type="button" class="button quiet" onClick=${() => (close(), save(`${title}.csv`, "text/csv", asCsv(rows())))}>CSV</button>
      </div>`}<//></span></figcaption>
    ${children}
    <div class="drawn"><canvas ref=${ref} role="img" aria-label=${spoken} style=${{ height: `${height}px` }}
      onMouseMove=${(/** @type {MouseEvent} */ event) => setTip(pick?.(event.offsetX, event.offsetY) ?? null)} onMouseLeave=${() => setTip(null)}
      onMouseDown=${(/** @type {MouseEvent} */ event) => (start.current = place(event))}
      onMouseUp=${(/** @type {MouseEvent} */ event) => released(start.current, place(event), press, drag)}></canvas>
      ${tip && html`<div class=${`tip${tip.left > 200 ? " left" : ""}`} aria-hidden="true" style=${{ left: `${tip.left}px`, top: `${tip.top}px` }}>${tip.text}</div>`}</div>
    ${below}
  </figure>`;
}

/** @param {{x: number, y: number} | null} from @param {{x: number, y: number}} to @param {any} press @param {any} drag */
function released(from, to, press, drag) {
  if (!from) return;
  if (drag && Math.hypot(from.x - to.x, from.y - to.y) > 5) drag(from, to);
  else press?.(to.x, to.y);
}

/** @param {HTMLCanvasElement} canvas @param {number} height @param {(sheet: Sheet) => void} draw */
function painted(canvas, height, draw) {
  const width = canvas.parentElement?.clientWidth ?? 0;
  const ctx = canvas.getContext("2d");
  if (!width || !ctx) return;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const ink = colours(["ink", "dim", "line", "accent", "panel"]);
  draw({ ctx, width, height, ink, lines: Object.values(colours(LINE_NAMES)) });
}
