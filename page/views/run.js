/** The page of one run. One that failed or was lost says why, first. */
import { live, post } from "../src/api.js";
import { ago, duration, time } from "../src/format.js";
import { html, useEffect, useRef, useState } from "../src/lib.js";
import { link, say, store, writable } from "../src/state.js";
import { Button, ErrorBox, Panel, Spinner, Status, useAnswer } from "../src/ui.js";
import { FilesView } from "./artifacts.js";
import { ConfigView } from "./config.js";
import { EnvironmentView } from "./run-environment.js";
import { EventsView } from "./run-events.js";
import { RunCurves, Summary } from "./run-summary.js";
import { OutputView } from "./output.js";
import { runPath, Verdict } from "./parts.js";
import { RerunView } from "./rerun.js";
import { SourceView } from "./source.js";

/** What a run is shown as: its record, what its page adds to that, and the size of its output as far as it is known. */
/** @typedef {{id: string, record: any, page: any, size: number | null, params: URLSearchParams, again: () => void}} Shown */

/** @type {{part: string, title: string, view: (shown: Shown) => any, when?: (shown: Shown) => boolean}[]} */
const PARTS = [
  { part: "", title: "Summary", view: (shown) => html`<${Summary} ...${shown} />` },
  { part: "config", title: "Configuration", view: ({ id, params }) => html`<${ConfigView} id=${id} params=${params} />` },
  { part: "curves", title: "Curves", when: ({ record }) => !record.deleted, view: ({ record }) => html`<${RunCurves} record=${record} />` },
  { part: "output", title: "Output", view: ({ id, size }) => html`<${OutputView} key=${id} id=${id} size=${size} />` },
  { part: "source", title: "Source", view: ({ id, params }) => html`<${SourceView} id=${id} params=${params} />` },
  { part: "files", title: "Files", view: ({ id }) => html`<${FilesView} id=${id} />` },
  { part: "environment", title: "Environment", view: (shown) => html`<${EnvironmentView} ...${shown} />` },
  { part: "events", title: "Events", view: (shown) => html`<${EventsView} ...${shown} />` },
  { part: "rerun", title: "Re-run", when: ({ record }) => canRerun() && !record.deleted, view: ({ id, record }) => html`<${RerunView} key=${id} id=${id} record=${record} />` },
];

const ENDED = new Set(["COMPLETED", "FAILED", "LOST", "INTERRUPTED"]);
/** A live run's numbers are asked for no more often than this. */
const ASK_MS = 2500;

/** Whether this page may start processes. */
function canRerun() {
  return Boolean(store.value?.allow_rerun) && !store.value?.read_only;
}

/** @param {{args: string[], params: URLSearchParams}} props */
export default function RunPage({ args: [id = "", part = ""], params }) {
  const path = `runs/${encodeURIComponent(id)}`;
  const record = useAnswer(path);
  const page = useAnswer(`${path}/page`);
  const again = () => (record.again(), page.again());
  const data = String(record.data?.id) === id || record.data?.uid === id ? record.data : null;
  const size = useChanges(data, again);
  if (record.error) return html`<${ErrorBox} error=${record.error} again=${again} />`;
  if (!data) return html`<${Spinner} what=${`Loading run ${id}`} />`;
  const shown = { id, record: data, page: page.data, size, params, again };
  const parts = PARTS.filter((each) => each.when?.(shown) ?? true);
  const current = parts.find((each) => each.part === part) ?? PARTS[0];
  return html`<div class="run">
    <${Head} ...${shown} />
    <${Trouble} key=${current === PARTS[0]} record=${data} why=${page.data?.why ?? null} id=${id} folded=${current !== PARTS[0]} />
    <nav class="tabs" aria-label="Parts of the run">${parts.map(
      (each) => html`<a href=${link(runPath(id, each.part))} aria-current=${each === current ? "page" : undefined}>${each.title}</a>`,
    )}</nav>
    ${current?.view(shown)}
  </div>`;
}

/**
 * Ask again when the live stream says that the run changed: at once for what it is, now and then for its numbers.
 * Returns the size of its output, as the stream says it.
 * @param {any} record @param {() => void} again
 */
function useChanges(record, again) {
  const [size, setSize] = useState(/** @type {number | null} */ (null));
  const asking = useRef(again);
  asking.current = again;
  const going = Boolean(record) && !ENDED.has(record.status);
  const cursor = store.value?.cursor;
  useEffect(() => {
    setSize(null);
    if (!going || !cursor) return undefined;
    let [known, asked] = ["", 0];
    /** @param {any} row */
    const changed = (row) => {
      const facts = JSON.stringify([row.status, row.tags, row.note, row.verdict, row.deleted]);
      if (facts === known && Date.now() - asked < ASK_MS) return;
      [known, asked] = [facts, Date.now()];
      asking.current();
    };
    return live([cursor], { runs: [record.id] }, {
      rows: (/** @type {any} */ data) => data.rows.filter((/** @type {any} */ row) => row.uid === record.uid).forEach(changed),
      output: (/** @type {any} */ data) => String(data.run) === String(record.id) && setSize(data.size),
    });
  }, [record?.uid, going, Boolean(cursor)]);
  return size;
}

/** @param {Shown} props */
function Head({ id, record, page, again }) {
  const deleted = page?.deleted || record.deleted;
  const move = (/** @type {"delete" | "restore"} */ what) =>
    post(`runs/${what}`, { runs: [record.id] }).then(
      () => (say(what === "delete" ? `Run ${record.id} is in the trash.` : `Run ${record.id} is back.`, {
        undo: what === "delete" ? () => move("restore") : undefined,
      }), again()),
      (error) => say(`${error.message} ${error.hint ?? ""}`, { error: true }),
    );
  const started = Date.parse(record.started_at) / 1000;
  return html`<header class="run-head">
    <h1>Run ${id} <span class="dim">of</span> <a href=${link("runs", { q: `experiment == ${JSON.stringify(record.experiment)}` })}>${record.experiment}</a></h1>
    <div class="run-facts">
      <${Status} status=${record.status} />
      ${record.verdict && html`<${Verdict} verdict=${record.verdict.verdict} />`}
      <span title=${time(started)}>${ago(started)}</span>
      ${record.duration_s !== null && html`<span>took ${duration(record.duration_s)}</span>`}
      ${deleted ? html`<span class="badge">in the trash</span>` : null}
    </div>
    <nav class="run-actions" aria-label="Do">
      ${!deleted && html`<a class="button" href=${link("compare", { runs: beside(record) })}>Compare</a>`}
      ${!deleted && canRerun() && html`<a class="button" href=${link(runPath(id, "rerun"))}>Re-run</a>
        <a class="button" href=${link(`new/${id}`)}>New run</a>`}
      ${writable.value && ENDED.has(record.status) && html`<${Button} onClick=${() => move(deleted ? "restore" : "delete")}>${deleted ? "Restore" : "Delete"}<//>`}
    </nav>
  </header>`;
}

/** What a run is compared with first: what it is a re-run of, or its parent, else nothing yet. @param {any} record */
function beside(record) {
  const other = record.rerun_of?.id ?? record.parent?.id;
  return other ? `${other},${record.id}` : String(record.id);
}

const HOW = /** @type {Record<string, string>} */ ({ FAILED: "failed", LOST: "was lost", INTERRUPTED: "was interrupted", UNKNOWN: "ended nobody knows how" });

/** Why a run did not come to its end; beside other parts than the summary in one line. @param {{record: any, why: string | null, id: string, folded: boolean}} props */
function Trouble({ record, why, id, folded }) {
  const { error, status } = record;
  const said = error ? `${error.type}: ${error.message}` : null;
  const bad = status in HOW;
  if (!bad && !record.damage?.length) return null;
  const first = why ?? said ?? (bad ? `It ${HOW[status]}.` : null);
  const title = bad ? `Why it ${HOW[status]}` : "What is damaged";
  const more = html`${first && html`<p class="why">${first}</p>`}
    ${said && why && !why.includes(error.message) && html`<p>${said}</p>`}
    ${error?.traceback && html`<details open=${error.traceback.length < 4000}><summary>Traceback</summary>
      <pre class="code" tabindex="0" role="region" aria-label="Traceback">${error.traceback}</pre></details>`}
    ${record.damage?.map((/** @type {any} */ each) => html`<p>${typeof each === "string" ? each : (each.what ?? JSON.stringify(each))}</p>`)}
    <p><a href=${link(runPath(id, "output"))}>What it printed last</a></p>`;
  const kind = `trouble ${status.toLowerCase()}`;
  if (!folded) return html`<${Panel} title=${title} class=${kind}>${more}<//>`;
  return html`<details class=${`panel folded ${kind}`}><summary><b>${title}</b> <span>${first?.split("\n")[0]}</span></summary>${more}</details>`;
}
