/** A chart of one metric: its curves with their legend, what the mouse points at, and downloads. */
import { get } from "./api.js";
import { COLOURS } from "./layout.js";
import { placeText, Plot } from "./curve.js";
import { curveOf, labelOf, meanOf, numbers } from "./curvedata.js";
import { asCsv, save, savePng, saveSvg } from "./download.js";
import { html, useMemo, useRef, useState } from "./lib.js";
import { useSeen, useSeries } from "./series.js";
import { say } from "./state.js";
import { Button, ErrorBox, Menu, Spinner } from "./ui.js";

/** @typedef {import("./curvedata.js").Curve} Curve */
/** @typedef {import("./series.js").Over} Over */

/**
 * How curves are shown; all of it but `values` and `groups` is in the address.
 * @typedef {object} Settings
 * @property {Over} over @property {number} smooth @property {boolean} logX @property {boolean} logY
 * @property {[number, number] | null} zoom @property {string[]} legend Keys that curves are named by.
 * @property {Map<number, any[]>} values Of those keys, by run.
 * @property {{name: string, runs: number[]}[] | null} groups Curves are the means of these.
 */

const IN_LEGEND = 12;
const HEIGHT = 200;

/**
 * @param {{name: string, runs: number[], settings: Settings, change: (zoom: [number, number] | null) => void,
 *   actions?: any, height?: number}} props
 */
export function CurveChart({ name, runs, settings, change, actions, height = HEIGHT }) {
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const made = useRef(/** @type {any} */ (null));
  const [bright, setBright] = useState(/** @type {string | null} */ (null));
  const [hidden, setHidden] = useState(/** @type {Set<string>} */ (new Set()));
  const seen = useSeen(root);
  const { over, zoom, logX, logY } = settings;
  const held = useSeries({ runs, name, over, zoom, buckets: 400, active: seen });
  const curves = useMemo(() => curvesOf(held, runs, settings), [held.version, runs, settings]);
  const shown = hidden.size ? curves.filter((curve) => !hidden.has(curve.key)) : curves;
  const log = { logX, logY };
  /** @param {string} key */
  const flip = (key) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };
  return html`<figure class="chart" ref=${root} aria-label=${`chart of ${name}`}>
    <figcaption><span class="name" title=${name}>${name}</span>
      <span class="actions">${zoom && html`<${Button} kind="quiet" title="Show all of it" onClick=${() => change(null)}>all<//>`}
      ${actions}${held.whole !== null && html`<${Downloads} name=${name} runs=${runs} over=${over} u=${() => made.current} curves=${shown} />`}</span></figcaption>
    ${held.error && html`<${ErrorBox} error=${held.error} />`}
    ${held.whole === null
      ? html`<div class="awaited" style=${{ minHeight: `${height}px` }}>${seen && html`<${Spinner} />`}</div>`
      : html`<${Plot} key=${`${over} ${logX} ${logY}`} name=${name} curves=${shown} over=${over} zoom=${zoom} ...${log} change=${change} bright=${bright} brighten=${setBright}
          height=${height} made=${(/** @type {any} */ u) => (made.current = u)} />
        <${Legend} curves=${curves} hidden=${hidden} flip=${flip} bright=${bright} brighten=${setBright} />`}
  </figure>`;
}

/** @param {import("./series.js").Held} held @param {number[]} runs @param {Settings} settings @returns {Curve[]} */
function curvesOf(held, runs, { smooth, legend, values, groups, zoom }) {
  const series = (zoom && held.fine) || held.whole || [];
  const ranks = new Map(runs.map((run, at) => [run, at]));
  const all = series.map((s) => curveOf(s, labelOf(s.run, legend, values.get(s.run)), ranks.get(s.run) ?? 0, smooth));
  if (!groups) return all;
  const by = new Map(all.map((curve) => [curve.run, curve]));
  return groups.flatMap(({ name, runs: members }, at) => {
    const some = members.flatMap((run) => by.get(run) ?? []);
    return some.length ? [meanOf(some, name, at)] : [];
  });
}

/** @param {{curves: Curve[], hidden: Set<string>, flip: (key: string) => void, bright: string | null, brighten: (key: string | null) => void}} props */
function Legend({ curves, hidden, flip, bright, brighten }) {
  if (!curves.length) return html`<p class="legend dim">no points</p>`;
  const more = curves.length - IN_LEGEND;
  return html`<ul class="legend">${curves.slice(0, IN_LEGEND).map((curve) => {
    const off = hidden.has(curve.key);
    return html`<li key=${curve.key}><button type="button" class=${curve.key === bright ? "bright" : ""} aria-pressed=${String(!off)} title=${off ? "Show it" : "Hide it"}
      onClick=${() => flip(curve.key)} onMouseEnter=${() => brighten(curve.key)} onMouseLeave=${() => brighten(null)}>
      <i class=${`swatch line${curve.rank % COLOURS}`}></i>${curve.label}</button></li>`;
  })}${more > 0 && html`<li class="dim">${`and ${more} more`}</li>`}</ul>`;
}

/** @param {{name: string, runs: number[], over: Over, u: () => any, curves: Curve[]}} props */
function Downloads({ name, runs, over, u, curves }) {
  const labels = curves.slice(0, IN_LEGEND).map((curve) => ({ text: curve.label, rank: curve.rank }));
  /** Every point, not those drawn. */
  async function csv() {
    try {
      const { series } = await get("series", { runs, names: [name], x: over, buckets: 10_000 });
      const rows = series.flatMap((/** @type {any} */ s) => {
        const [x, min, max, mean] = [s.x, s.min, s.max, s.mean].map(numbers);
        return Array.from(x, (place, at) => [s.run, place, mean[at], ...(s.whole ? ["", ""] : [min[at], max[at]])]);
      });
      save(`${name}.csv`, "text/csv", asCsv([["run", over, name, "min", "max"], ...rows]));
    } catch (error) {
      say(/** @type {Error} */ (error).message, { error: true });
    }
  }
  return html`<${Menu} label="↓" name=${`download ${name}`} title="Download" kind="quiet" align="right">${(/** @type {() => void} */ close) => html`
    <div class="choices">
      <button type="button" class="button quiet" onClick=${() => (close(), savePng(name, u().ctx.canvas, labels))}>PNG</button>
      <button type="button" class="button quiet" onClick=${() => (close(), saveSvg(name, u().ctx, () => u().batch(() => u().redraw()), labels))}>SVG</button>
      <button type="button" class="button quiet" onClick=${() => (close(), csv())}>CSV</button>
    </div>`}<//>`;
}

export { placeText };
