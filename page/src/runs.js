/** The runs of a store. */
import { time } from "./format.js";
import { html } from "./lib.js";
import { link } from "./state.js";
import { ErrorBox, Spinner, Status, Table, useAnswer } from "./ui.js";

/** @param {{params: URLSearchParams}} props */
export default function Runs({ params }) {
  const { data, error, again } = useAnswer("runs", { q: params.get("q"), limit: 200 });
  if (error) return html`<${ErrorBox} error=${error} again=${again} />`;
  if (!data) return html`<${Spinner} />`;
  const columns = [
    { name: "id", title: "Run", show: (/** @type {any} */ row) => html`<a href=${link(`run/${row.id}`)}>${row.id}</a>` },
    { name: "status", show: (/** @type {any} */ row) => html`<${Status} status=${row.status} />` },
    { name: "experiment" },
    { name: "started", show: (/** @type {any} */ row) => time(row.started) },
  ];
  return html`<h1 class="unseen">Runs</h1><${Table} caption="Runs" columns=${columns} rows=${data.rows} />`;
}
