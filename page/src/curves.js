/** The curves of some runs, wherever they are wanted: a chart for each metric, with its own bar. */
import { CurveChart } from "./curvechart.js";
import { html, useMemo, useState } from "./lib.js";
import { useMetrics } from "./names.js";
import { PLAIN, Settings } from "./settings.js";
import { ErrorBox, Spinner, useNarrowed } from "./ui.js";

/**
 * *names*: all that the runs have, if left out; *beyond*: where the server has more of them.
 * @param {{runs: (number | string)[], names?: string[], height?: number, beyond?: any}} props
 */
export function Curves({ runs: given, names, height, beyond = null }) {
  const [shown, setShown] = useState(PLAIN);
  const of = given.join(",");
  const runs = useMemo(() => given.map(Number), [of]);
  const { names: found, error } = useMetrics(names ? [] : runs);
  const settings = useMemo(() => ({ ...shown, values: new Map(), groups: null }), [shown]);
  /** @param {Partial<typeof shown>} changes */
  const change = (changes) => setShown((was) => ({ ...was, ...changes, zoom: "over" in changes ? null : "zoom" in changes ? changes.zoom ?? null : was.zoom }));
  const all = names ?? found;
  const { shown: some, field } = useNarrowed(all ?? [], (name) => name, "metric", beyond);
  if (error) return html`<${ErrorBox} error=${error} />`;
  if (!all) return html`<${Spinner} />`;
  if (!all.length) return html`<p class="dim">No metric was logged.</p>`;
  return html`<${Settings} shown=${shown} change=${change} />${field}
    <div class="charts-grid">${some.map((name) => html`<${CurveChart} key=${name} name=${name} runs=${runs} settings=${settings} height=${height}
      change=${(/** @type {any} */ zoom) => change({ zoom })} />`)}</div>`;
}
