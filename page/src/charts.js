/** The charts beside the table: which, in which order, and how; all of it is in the address. */
import { CurveChart } from "./curvechart.js";
import { AddChart } from "./addchart.js";
import { Histogram } from "./histogram.js";
import { CHARTED_AT_FIRST, charted, titleOf } from "./layout.js";
import { html, signal, useEffect, useMemo } from "./lib.js";
import { useMetrics } from "./names.js";
import { Parallel } from "./parallel.js";
import { onRows } from "./rows.js";
import { Scatter } from "./scatter.js";
import { readShown, Settings, writeShown } from "./settings.js";
import { place, set } from "./state.js";
import { value as asText } from "./format.js";
import { Button, ErrorBox, Menu, Spinner, useAnswer } from "./ui.js";
import { group, query, readNames, selection, writeNames } from "./view.js";

/** @typedef {{kind: "curve" | "scatter" | "parallel" | "histogram", of: string[]}} Item */

const LETTERS = /** @type {Record<string, Item["kind"]>} */ ({ c: "curve", s: "scatter", p: "parallel", h: "histogram" });
/** More at once make a browser slow; further ones can be added by name. */
const MOST = 24;

/** Goes up when charts over all runs are out of date. */
const stale = signal(0);

/** @param {string} text `c:loss;s:config.lr,loss` @returns {Item[]} */
function readItems(text) {
  return text.split(";").flatMap((part) => {
    const kind = LETTERS[part[0]];
    return kind ? [{ kind, of: readNames(part.slice(2)) }] : [];
  });
}

/** @param {Item[]} items */
function writeItems(items) {
  return items.map(({ kind, of }) => `${kind[0]}:${writeNames(of)}`).join(";") || "none";
}

export function Charts() {
  const runs = charted.value;
  useStale();
  const { names, beside, error } = useMetrics(runs, stale.value);
  const params = place.value.params;
  const shown = readShown(params);
  const settings = useSettings(runs, params.toString());
  const text = params.get("charts");
  const items = text === null ? (names ?? []).slice(0, MOST).map((name) => ({ kind: /** @type {const} */ ("curve"), of: [name] })) : readItems(text);
  /** @param {Item[]} next */
  const arrange = (next) => set({ charts: writeItems(next) }, { replace: true });
  /** @param {Partial<typeof shown>} changes */
  const change = (changes) => set(writeShown(changes, shown), { replace: true });
  const keys = useKeys();
  return html`<section class="charts" aria-label="Charts">
    <${Settings} shown=${shown} change=${change} keys=${keys} more=${html`
      <${AddChart} metrics=${[...(names ?? []), ...beside]} add=${(/** @type {Item} */ item) => arrange([...items, item])} />
      ${text !== null && html`<${Button} kind="quiet" title="A chart for each metric" onClick=${() => set({ charts: null }, { replace: true })}>Reset<//>`}`} />
    <p class="dim of">${said(runs)}</p>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${runs.length > 0 && names === null && !error && html`<${Spinner} />`}
    ${names?.length === 0 && text === null && html`<p class="dim">${runs.length ? "These runs have logged no metric." : "No run to draw."}</p>`}
    <div class="charts-grid">${items.map((item, at) => html`<${Chart} key=${`${item.kind} ${item.of.join(" ")}`} item=${item} runs=${runs} settings=${settings}
      zoom=${(/** @type {any} */ zoom) => change({ zoom })} actions=${html`<${Arranging} items=${items} at=${at} arrange=${arrange} />`} />`)}</div>
  </section>`;
}

/** @param {number[]} runs */
function said(runs) {
  if (selection.value.length) return `${runs.length === 1 ? "1 selected run" : `${runs.length} selected runs`}${group.value.length ? ", mean and standard deviation by group" : ""}`;
  return runs.length ? `The first ${Math.min(runs.length, CHARTED_AT_FIRST)} of the table; select runs to choose.` : "";
}

/** Charts over all runs follow these, at most every three seconds. */
function useStale() {
  useEffect(() => {
    let soon = 0;
    const changed = () => {
      soon ||= window.setTimeout(() => ((soon = 0), (stale.value += 1)), 3000);
    };
    onRows.add(changed);
    return () => (onRows.delete(changed), clearTimeout(soon));
  }, []);
}

/** @param {number[]} runs @param {string} address @returns {import("./curvechart.js").Settings} */
function useSettings(runs, address) {
  const shown = useMemo(() => readShown(place.value.params), [address]);
  const by = group.value;
  const own = `id in [${runs.join(", ")}]`;
  const legend = useAnswer(shown.legend.length && runs.length ? "table" : null, { q: own, columns: shown.legend });
  const grouped = useAnswer(by.length && runs.length ? "groups" : null, { q: own, by }, stale.value);
  return useMemo(() => {
    const values = new Map((legend.data?.ids ?? []).map((/** @type {number} */ id, /** @type {number} */ at) => [id, legend.data.columns.map((/** @type {any} */ c) => c.values[at])]));
    const groups = by.length && grouped.data ? grouped.data.groups.map((/** @type {any} */ one) => ({ name: by.map((key) => `${titleOf(key)} ${asText(one.by[key]) || "none"}`).join(", "), runs: one.runs })) : null;
    return { ...shown, values, groups };
  }, [shown, legend.data, grouped.data, by.join("\n")]);
}

/** What curves can be named by: keys that vary first. */
function useKeys() {
  const { data } = useAnswer("columns", { q: query.value });
  return useMemo(() => {
    const found = (data?.columns ?? []).filter((/** @type {any} */ c) => c.kind !== "metric" && c.kind !== "fact").sort((/** @type {any} */ a, /** @type {any} */ b) => Number(b.varying) - Number(a.varying));
    return [...found.map((/** @type {any} */ c) => c.name), "experiment", "seed", "note"];
  }, [data]);
}

/** @param {{item: Item, runs: number[], settings: import("./curvechart.js").Settings, zoom: (zoom: any) => void, actions: any}} props */
function Chart({ item: { kind, of }, runs, settings, zoom, actions }) {
  const version = stale.value;
  if (kind === "curve") return html`<${CurveChart} name=${of[0]} runs=${runs} settings=${settings} change=${zoom} actions=${actions} />`;
  if (kind === "scatter") return html`<${Scatter} x=${of[0]} y=${of[1]} colour=${of[2] ?? ""} version=${version} actions=${actions} />`;
  if (kind === "parallel") return html`<${Parallel} columns=${of} version=${version} actions=${actions} />`;
  return html`<${Histogram} column=${of[0]} version=${version} actions=${actions} />`;
}

/** @param {{items: Item[], at: number, arrange: (items: Item[]) => void}} props */
function Arranging({ items, at, arrange }) {
  /** @param {number} to */
  const moved = (to) => {
    const rest = items.filter((_, n) => n !== at);
    return [...rest.slice(0, to), items[at], ...rest.slice(to)];
  };
  const title = items[at].of.join(", ");
  return html`<${Menu} label="⋯" name=${`arrange ${title}`} title="Move, remove" kind="quiet" align="right">${(/** @type {() => void} */ close) => {
    const act = (/** @type {string} */ text, /** @type {Item[]} */ next, /** @type {boolean} */ off) => html`<button type="button" class="button quiet" disabled=${off}
      onClick=${() => (close(), arrange(next))}>${text}</button>`;
    return html`<div class="choices">${act("First", moved(0), at === 0)}${act("Earlier", moved(at - 1), at === 0)}${act("Later", moved(at + 1), at === items.length - 1)}${act("Remove", items.filter((_, n) => n !== at), false)}</div>`;
  }}<//>`;
}
