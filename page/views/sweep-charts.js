/** Small charts of a sweep as SVG: importance of parameters, how a search learned, what it weighed against each other. */
import { number } from "../src/format.js";
import { html, useEffect, useRef, useState } from "../src/lib.js";
import { go } from "../src/state.js";
import { runPath } from "./parts.js";
import { learning, valueOf } from "./sweep-facts.js";

/** @typedef {import("./sweep-facts.js").Job} Job */
/** @typedef {{x: number, y: number, job: Job, chosen?: boolean}} Point */

const HEIGHT = 240;
const EDGE = { left: 58, right: 14, top: 12, bottom: 34 };

/** Which parameter mattered how much, as bars. @param {{importance: {key: string, share: number}[]}} props */
export function Importance({ importance }) {
  const sorted = [...importance].sort((one, other) => other.share - one.share);
  const most = Math.max(...sorted.map((each) => each.share), 1e-9);
  return html`<table class="importance"><caption class="unseen">Importance of parameters</caption><tbody>${sorted.map(
    ({ key, share }) => html`<tr><th scope="row">${key}</th>
      <td><i aria-hidden="true" style=${{ width: `${(100 * share) / most}%` }}></i></td>
      <td class="number">${(100 * share).toFixed(share < 0.01 ? 1 : 0)} %</td></tr>`,
  )}</tbody></table>`;
}

/** Each job's value in order, and the best so far as a line. @param {{jobs: Job[], aim: any}} props */
export function Learning({ jobs, aim }) {
  const points = learning(jobs, aim);
  if (points.length < 2) return html`<p class="dim">Not enough jobs have ended.</p>`;
  return html`<${Plot} label=${`${aim.name} by job, and the best so far`} x="job" y=${aim.name}
    points=${points.map(({ job, value, best }) => ({ x: job.index, y: value, job, chosen: value === best }))}
    steps=${points.map(({ job, best }) => ({ x: job.index, y: best }))} />`;
}

/** Two aims beside each other; those that no other job beats stand out. @param {{jobs: Job[], aims: any[], best: number[]}} props */
export function Pareto({ jobs, aims: [one, other], best }) {
  const points = jobs
    .filter((job) => job.status === "COMPLETED")
    .map((job) => ({ x: valueOf(job, one), y: valueOf(job, other), job, chosen: best.includes(job.index) }))
    .filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  const front = points.filter((point) => point.chosen).sort((a, b) => a.x - b.x);
  if (!points.length) return html`<p class="dim">No job has ended.</p>`;
  return html`<${Plot} label=${`${one.name} and ${other.name} of each job; the filled ones are beaten by none`} x=${one.name}
    y=${other.name} points=${points} line=${front} />`;
}

/** Round numbers between two ends. @param {number} low @param {number} high @param {number} most */
export function ticks(low, high, most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return found;
}

/** @param {number[]} values @returns {[number, number]} */
function range(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - pad, high + pad];
}

/**
 * Points, of which each leads to its run; a line, or one in steps.
 * @param {{label: string, x: string, y: string, points: Point[], line?: {x: number, y: number}[], steps?: {x: number, y: number}[]}} props
 */
function Plot({ label, x, y, points, line, steps }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(box);
  const [left, right] = range(points.map((point) => point.x));
  const [low, high] = range(points.map((point) => point.y));
  const inner = Math.max(width - EDGE.left - EDGE.right, 10);
  const tall = HEIGHT - EDGE.top - EDGE.bottom;
  const px = (/** @type {number} */ at) => EDGE.left + ((at - left) / (right - left)) * inner;
  const py = (/** @type {number} */ at) => EDGE.top + tall - ((at - low) / (high - low)) * tall;
  const path = line ? joined(line.map((p) => [px(p.x), py(p.y)])) : steps ? stepped(steps.map((p) => [px(p.x), py(p.y)])) : null;
  return html`<figure class="plot" ref=${box}><svg role="img" aria-label=${label} width=${width} height=${HEIGHT}>
    ${ticks(low, high, 5).map((at) => html`<g><line class="grid" x1=${EDGE.left} x2=${width - EDGE.right} y1=${py(at)} y2=${py(at)} />
      <text x=${EDGE.left - 6} y=${py(at) + 4} text-anchor="end">${number(Number(at.toPrecision(6)))}</text></g>`)}
    ${ticks(left, right, Math.max(2, Math.floor(inner / 90))).filter((at) => x !== "job" || Number.isInteger(at)).map(
      (at) => html`<text x=${px(at)} y=${HEIGHT - EDGE.bottom + 16} text-anchor="middle">${number(Number(at.toPrecision(6)))}</text>`,
    )}
    <text class="axis" x=${EDGE.left + inner / 2} y=${HEIGHT - 3} text-anchor="middle">${x}</text>
    <text class="axis" x="12" y=${EDGE.top + tall / 2} text-anchor="middle" transform=${`rotate(-90 12 ${EDGE.top + tall / 2})`}>${y}</text>
    ${path && html`<path class="best" d=${path} />`}
    ${points.map((point) => html`<circle class=${point.chosen ? "chosen" : ""} cx=${px(point.x)} cy=${py(point.y)} r="4.5"
      onClick=${() => point.job.run && go(runPath(point.job.run))}>
      <title>${`job ${point.job.index}, run ${point.job.run}: ${x} ${number(point.x)}, ${y} ${number(point.y)}`}</title></circle>`)}
  </svg></figure>`;
}

/** @param {number[][]} places */
function joined(places) {
  return places.map(([x, y], at) => `${at ? "L" : "M"}${x},${y}`).join("");
}

/** @param {number[][]} places */
function stepped(places) {
  return places.map(([x, y], at) => (at ? `H${x}V${y}` : `M${x},${y}`)).join("");
}

/** The width of an element, as it is now. @param {{current: HTMLElement | null}} box */
function useWidth(box) {
  const [width, setWidth] = useState(560);
  useEffect(() => {
    if (!box.current) return undefined;
    const watching = new ResizeObserver(([entry]) => entry && setWidth(Math.max(220, Math.floor(entry.contentRect.width))));
    watching.observe(box.current);
    return () => watching.disconnect();
  }, []);
  return width;
}
