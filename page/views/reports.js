/** The reports of the project: Markdown whose blocks ask what one would type after `anew`. */
import { count } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { go, link, writable } from "../src/state.js";
import { Button, Command, Empty, Table, useAnswer } from "../src/ui.js";
import { Answer } from "./parts.js";

/** The address of a report. @param {string} path */
export function reportPath(path) {
  return `report/${encodeURIComponent(path)}`;
}

export default function Reports() {
  const answer = useAnswer("reports");
  return html`<h1>Reports</h1>
    <${Answer} of=${answer} what="reports">${(/** @type {any} */ data) => html`
      ${data.reports.length > 0 && html`<${Table} caption="Reports" rows=${data.reports} columns=${[
        { name: "path", title: "file", show: (/** @type {any} */ row) => html`<a href=${link(reportPath(row.path))}>${row.path}</a>` },
        { name: "title" },
        { name: "blocks", number: true },
      ]} />`}
      ${!data.reports.length && html`<${Empty} title="No report yet">
        <p>${"A report is Markdown in which a block asks what one would type after "}<code>anew</code>${"; what it shows now stands in its place. Those of "}
          <code>${data.project}</code>${" appear here."}</p>
        <${Command} command="anew report week3.md" what="in a terminal it becomes one HTML file" />
      <//>`}
      ${writable.value && html`<${New} taken=${data.reports.map((/** @type {any} */ each) => each.path)} />`}
      ${data.reports.length > 0 && html`<p class="dim">${`${count(data.reports.length, "report")} in `}<bdi>${data.project}</bdi></p>`}`}<//>`;
}

/** @param {{taken: string[]}} props */
function New({ taken }) {
  const [name, setName] = useState("");
  const path = named(name);
  const here = taken.includes(path);
  return html`<form class="bar new-report" onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), path && go(reportPath(path), here ? {} : { new: "1" }))}>
    <input aria-label="Name of a new report" placeholder="notes/week3.md" value=${name} onInput=${(/** @type {any} */ event) => setName(event.currentTarget.value)} />
    <${Button} type="submit" disabled=${!path}>${here ? "Open" : "New report"}<//>
  </form>`;
}

/** @param {string} text */
function named(text) {
  const name = text.trim();
  return name && !/\.md$/.test(name) ? `${name}.md` : name;
}
