/** Two runs or many side by side: only what differs, by sections, and their curves over each other. */
import { duration, value as asText } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { set } from "../src/state.js";
import { Button, Command, Empty, Panel, useAnswer } from "../src/ui.js";
import { Value } from "./config.js";
import { CurvesHere } from "./charts-here.js";
import { Answer, RunLink, same } from "./parts.js";
import { Why } from "./run-summary.js";
import { DiffFiles } from "./source.js";

/** @typedef {{key: string, values: any[]}} Row */

const TITLES = /** @type {Record<string, string>} */ ({
  config: "Configuration",
  source: "Source",
  packages: "Packages",
  inputs: "Inputs",
  results: "Results",
  environment: "Environment",
  artifacts: "Artifacts",
  run: "Run",
});
/** Of these the values are digests. */
const CONTENTS = new Set(["source", "inputs", "artifacts"]);
/** What came out is asked for first; then what may be why. */
const ORDER = ["results", "config", "source", "inputs", "packages", "environment", "run", "artifacts"];

/** What it is worth to know that it is the same. */
const ALIKE = ["config", "source", "inputs", "packages", "environment"];

/** @param {{params: URLSearchParams}} props *params*: `runs`, apart by commas. */
export default function ComparePage({ params }) {
  const ids = (params.get("runs") ?? "").split(",").map((text) => text.trim()).filter(Boolean);
  const answer = useAnswer(ids.length > 1 ? "compare" : null, { runs: ids });
  return html`<div class="compare">
    <h1>Compare</h1>
    <${Chosen} ids=${ids} />
    ${ids.length < 2
      ? html`<${Empty} title="Two runs at least"><p>Give the number of another one above, or choose runs in the table with <kbd>x</kbd> and press <kbd>c</kbd>.</p><//>`
      : html`<${Answer} of=${answer} what="what differs">${(/** @type {any} */ data) => html`<${Compared} ids=${ids} data=${data} />`}<//>`}
  </div>`;
}

/** The runs that are compared, and a field for a further one. @param {{ids: string[]}} props */
function Chosen({ ids }) {
  const put = (/** @type {string[]} */ now) => set({ runs: now.join(",") });
  const add = (/** @type {any} */ event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget).get("run")?.toString() ?? "";
    put([...new Set([...ids, ...given.split(/[\s,]+/).filter(Boolean)])]);
    event.currentTarget.reset();
  };
  return html`<form class="bar" onSubmit=${add}>
    ${ids.map((id) => html`<span class="tag" key=${id}><${RunLink} id=${id} />
      <button type="button" aria-label=${`leave out run ${id}`} onClick=${() => put(ids.filter((each) => each !== id))}>×</button></span>`)}
    <input name="run" size="10" required placeholder="add a run" aria-label="Add a run" /><${Button} type="submit">Add<//>
  </form>`;
}

/** @param {{ids: string[], data: {runs: any[], sections: {name: string, rows: Row[]}[], why?: any[]}}} props */
function Compared({ ids, data }) {
  const rank = (/** @type {string} */ name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const sections = data.sections.filter((each) => each.rows.length).sort((one, other) => rank(one.name) - rank(other.name));
  const alike = ALIKE.filter((name) => !sections.some((section) => section.name === name)).map((name) => TITLES[name].toLowerCase());
  const numbers = data.runs.map((run) => Number(run.id ?? run));
  return html`
    ${(data.why?.length ?? 0) > 0 && html`<${Panel} title="Why" class="found"><${Why} why=${data.why} /><//>`}
    ${sections.length === 0 && html`<${Panel} title="Nothing differs"><p>These runs are the same in configuration, source, packages, inputs and results.</p><//>`}
    ${sections.length > 0 && alike.length > 0 && html`<p class="alike">${`The same in all: ${alike.join(", ")}.`}</p>`}
    ${sections.map((section) => html`<${Section} key=${section.name} section=${section} runs=${numbers} />`)}
    <${Panel} title="Curves"><${CurvesHere} runs=${numbers} /><//>
    <${Panel} title="In a terminal" class="commands">
      ${ids.length === 2 && html`<${Command} command=${`anew diff ${ids.join(" ")}`} what="what differs" />
        <${Command} command=${`anew why ${ids.join(" ")}`} what="which difference made the difference" />`}
      <${Command} command=${`anew compare ${ids.join(" ")}`} what="side by side" />
    <//>`;
}

/** @param {{section: {name: string, rows: Row[]}, runs: number[]}} props */
function Section({ section, runs }) {
  const [open, setOpen] = useState(section.rows.length <= 60);
  const rows = open ? section.rows : section.rows.slice(0, 30);
  return html`<${Panel} title=${`${TITLES[section.name] ?? section.name} (${section.rows.length})`}>
    <div class="scroll" tabindex="0" role="region" aria-label=${TITLES[section.name] ?? section.name}><table class="abreast">
      <caption class="unseen">${TITLES[section.name] ?? section.name}</caption>
      <thead><tr><th scope="col"><span class="unseen">key</span></th>${runs.map((run) => html`<th scope="col"><${RunLink} id=${run} /></th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.key}><th scope="row">${row.key}</th>${row.values.map(
        (value, at) => html`<td class=${at > 0 && !same(value, row.values[0]) ? "other" : ""}><${Cell} value=${value} section=${section.name} name=${row.key} /></td>`,
      )}</tr>`)}</tbody>
    </table></div>
    ${rows.length < section.rows.length && html`<${Button} onClick=${() => setOpen(true)}>Show all ${section.rows.length}<//>`}
    ${section.name === "source" && runs.length === 2 && html`<${SourceDiff} runs=${runs} />`}
  <//>`;
}

/** @param {{value: any, section: string, name: string}} props */
function Cell({ value, section, name }) {
  if (value === null || value === undefined) return html`<span class="dim" aria-label="none">–</span>`;
  if (CONTENTS.has(section)) return html`<code class="dim" title="the beginning of its SHA-256">${asText(value).slice(0, 12)}</code>`;
  if (section === "run" && name === "duration") return duration(value);
  if (section === "packages") return asText(value);
  return html`<${Value} value=${value} />`;
}

/** @param {{runs: number[]}} props */
function SourceDiff({ runs: [one, other] }) {
  const answer = useAnswer(`runs/${other}/source/diff`, { with: one });
  return html`<${Answer} of=${answer} what="the diff">${(/** @type {any} */ data) => html`<${DiffFiles} files=${data.files} />`}<//>`;
}
