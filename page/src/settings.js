/** How curves are shown, and the bar that changes it. */
import { html } from "./lib.js";
import { Button, Menu } from "./ui.js";

/** @typedef {import("./series.js").Over} Over */
/** @typedef {{over: Over, smooth: number, logX: boolean, logY: boolean, zoom: [number, number] | null, legend: string[]}} Shown */

export const PLAIN = /** @type {Shown} */ ({ over: "step", smooth: 0, logX: false, logY: false, zoom: null, legend: [] });

/** From the parameters of the address. @param {URLSearchParams} params @returns {Shown} */
export function readShown(params) {
  const x = params.get("x");
  const log = params.get("log") ?? "";
  const zoom = (params.get("zoom") ?? "").split(",").map(Number);
  const smooth = Number(params.get("smooth"));
  return {
    over: x === "time" || x === "relative" ? x : "step",
    smooth: smooth > 0 && smooth < 1 ? smooth : 0,
    logX: log.includes("x"),
    logY: log.includes("y"),
    zoom: zoom.length === 2 && zoom.every(Number.isFinite) ? [zoom[0], zoom[1]] : null,
    legend: (params.get("legend") ?? "").split(",").filter(Boolean).map(decodeURIComponent),
  };
}

/** As parameters of the address. @param {Partial<Shown>} changes @param {Shown} now @returns {Record<string, string | null>} */
export function writeShown(changes, now) {
  const next = { ...now, ...changes };
  return {
    x: next.over === "step" ? null : next.over,
    smooth: next.smooth ? String(next.smooth) : null,
    log: `${next.logX ? "x" : ""}${next.logY ? "y" : ""}` || null,
    zoom: next.zoom && next.over === now.over ? next.zoom.join(",") : null,
    legend: next.legend.map(encodeURIComponent).join(",") || null,
  };
}

/**
 * @param {{shown: Shown, change: (changes: Partial<Shown>) => void, keys?: string[] | null, more?: any}} props
 * *keys*: what curves can be named by; null: they are not named so.
 */
export function Settings({ shown, change, keys = null, more }) {
  return html`<div class="settings" role="toolbar" aria-label="How curves are shown">
    <label>over <select aria-label="over" value=${shown.over} onChange=${(/** @type {any} */ event) => change({ over: event.currentTarget.value })}>
      <option value="step">step</option><option value="relative">time since start</option><option value="time">wall time</option></select></label>
    <label title="Exponential moving average">smooth <input type="range" min="0" max="0.99" step="0.01" aria-label="smoothing" value=${shown.smooth}
      onInput=${(/** @type {any} */ event) => change({ smooth: Number(event.currentTarget.value) })} /></label>
    <${Button} pressed=${shown.logX} title="Logarithmic x axis" onClick=${() => change({ logX: !shown.logX })}>log x<//>
    <${Button} pressed=${shown.logY} title="Logarithmic y axis" onClick=${() => change({ logY: !shown.logY })}>log y<//>
    ${keys && html`<${Menu} label="Legend" title="Name curves by keys">${() => html`<${Keys} keys=${keys} chosen=${shown.legend} change=${(/** @type {string[]} */ legend) => change({ legend })} />`}<//>`}
    ${shown.zoom && html`<${Button} onClick=${() => change({ zoom: null })}>Zoom out<//>`}
    ${more}
  </div>`;
}

/** @param {{keys: string[], chosen: string[], change: (chosen: string[]) => void}} props */
function Keys({ keys, chosen, change }) {
  const all = [...chosen, ...keys.filter((key) => !chosen.includes(key))].slice(0, 60);
  if (!all.length) return html`<p class="dim">These runs have no keys.</p>`;
  return html`<ul class="picker">${all.map((key) => {
    const on = chosen.includes(key);
    return html`<li key=${key}><label><input type="checkbox" checked=${on} onChange=${() => change(on ? chosen.filter((one) => one !== key) : [...chosen, key])} /> <span>${key}</span></label></li>`;
  })}</ul>`;
}
