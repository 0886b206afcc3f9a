/** What happened in a run, in the order in which it was written down; and who was told of it. */
import { bytes, value as asText } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { Button, Command, Panel, Table, useAnswer } from "../src/ui.js";
import { Answer } from "./parts.js";

const PAGE = 200;

/** @param {import("./run.js").Shown} props */
export function EventsView({ id, record, page }) {
  return html`<${Observers} id=${id} observers=${page?.observers ?? record.observers ?? []} /><${Events} id=${id} />`;
}

/** @param {{id: string, observers: any}} props */
function Observers({ id, observers }) {
  const rows = Array.isArray(observers)
    ? observers
    : Object.entries(observers).map(([name, of]) => ({ name, .../** @type {any} */ (of) }));
  if (!rows.length) return null;
  return html`<${Panel} title="Observers">
    <${Table} caption="State of observers" rows=${rows} columns=${[
      { name: "name" },
      { name: "state" },
      { name: "behind", title: "events behind", number: true },
      { name: "aside", title: "not taken", number: true },
    ]} />
    ${rows.some((each) => each.behind || each.aside) && html`<${Command} command=${`anew sync ${id}`} what="deliver what they lack" />`}
  <//>`;
}

/** @param {{id: string}} props */
function Events({ id }) {
  const [offset, setOffset] = useState(0);
  const answer = useAnswer(`runs/${encodeURIComponent(id)}/events`, { offset, limit: PAGE });
  return html`<${Panel} title="Events"><${Answer} of=${answer} what="events">${(/** @type {any} */ data) => html`
    <ol class="events">${data.events.map((/** @type {any} */ event) => html`<${One} event=${event} />`)}</ol>
    ${data.events.length === 0 && html`<p class="dim">There are none.</p>`}
    <div class="bar">
      <${Button} disabled=${offset === 0} onClick=${() => setOffset(Math.max(0, offset - PAGE))}>Earlier<//>
      <span class="dim">${data.events.length ? `${offset + 1} to ${offset + data.events.length}` : ""}${data.total ? ` of ${data.total}` : ""}</span>
      <${Button} disabled=${offset + data.events.length >= (data.total ?? 0)} onClick=${() => setOffset(data.next ?? offset + PAGE)}>Later<//>
    </div>`}<//><//>`;
}

/** Of a file its path; of all else what it is. @param {any} value */
function told(value) {
  return typeof value?.path === "string" ? `${value.path}${value.size === undefined ? "" : `, ${bytes(value.size)}`}` : asText(value);
}

const APART = new Set(["kind", "uid", "t", "q", "writer", "origin_mark"]);

/** @param {{event: any}} props */
function One({ event }) {
  const rest = Object.entries(event).filter(([name]) => !APART.has(name));
  const short = rest.map(([name, value]) => `${name} ${told(value)}`).join("   ");
  return html`<li><time title=${`writer ${event.writer}, number ${event.q}`}>${typeof event.t === "number" ? `${event.t.toFixed(3)} s` : ""}</time>
    <strong>${event.kind}</strong>
    ${short.length > 140
      ? html`<details><summary><code>${short.slice(0, 140)}…</code></summary><pre class="code">${JSON.stringify(event, null, 2)}</pre></details>`
      : html`<code>${short}</code>`}</li>`;
}
