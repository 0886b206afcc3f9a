/** One sweep: how far it is, its jobs, what is best and why others failed; of a search also how it learned. */
import { post } from "../src/api.js";
import { ago, duration, number, value as asText } from "../src/format.js";
import { html, useEffect, useState } from "../src/lib.js";
import { link, say, store, writable } from "../src/state.js";
import { Button, Command, Panel, Status, Table, useAnswer } from "../src/ui.js";
import { CurvesHere, ParallelHere } from "./charts-here.js";
import { Job } from "./job.js";
import { Answer, Facts, RunLink } from "./parts.js";
import { Importance, Learning, Pareto } from "./sweep-charts.js";
import { aims, sweptValues, valueOf, varying } from "./sweep-facts.js";
import { Progress, took } from "./sweeps.js";

/** @typedef {import("./sweep-facts.js").Job} OfSweep A job of the sweep, as against one that this page started. */

const ASK_MS = 2000;
const CURVES = 50;

/** @param {{args: string[]}} props */
export default function SweepPage({ args: [id = ""] }) {
  const answer = useAnswer(`sweeps/${encodeURIComponent(id)}`);
  const going = answer.data?.status === "RUNNING";
  useEffect(() => {
    if (!going) return undefined;
    const timer = setInterval(answer.again, ASK_MS);
    return () => clearInterval(timer);
  });
  return html`<${Answer} of=${answer} what=${`sweep ${id}`}>${(/** @type {any} */ sweep) => html`<${Sweep} sweep=${sweep} again=${answer.again} />`}<//>`;
}

/** @param {{sweep: any, again: () => void}} props */
function Sweep({ sweep, again }) {
  const jobs = /** @type {OfSweep[]} */ (sweep.jobs);
  const sought = aims(sweep);
  const swept = /** @type {string[]} */ (sweep.swept?.length ? sweep.swept.map((/** @type {string} */ key) => key.replace(/^config\./, "")) : varying(jobs));
  const importance = importanceOf(sweep);
  return html`<div class="sweep">
    <${Head} sweep=${sweep} again=${again} />
    <${Failures} jobs=${jobs} />
    <div class="columns">
      <${Best} sweep=${sweep} jobs=${jobs} sought=${sought} swept=${swept} />
      ${importance.length > 0 && html`<${Panel} title="Importance of parameters"><${Importance} importance=${importance} /><//>`}
      ${sought.length === 1 && sweep.search && html`<${Panel} title="How the search learned"><${Learning} jobs=${jobs} aim=${sought[0]} /><//>`}
      ${sought.length > 1 && html`<${Panel} title="What no other job beats"><${Pareto} jobs=${jobs} aims=${sought}
        best=${(sweep.search?.best ?? []).map((/** @type {any} */ each) => each.index)} /><//>`}
    </div>
    <${Coordinates} sweep=${sweep} jobs=${jobs} sought=${sought} swept=${swept} />
    <${Jobs} jobs=${jobs} sought=${sought} swept=${swept} />
    <${JobCurves} jobs=${jobs} />
    <${Terminal} sweep=${sweep} />
  </div>`;
}

/** @param {any} sweep @returns {{key: string, share: number}[]} */
function importanceOf(sweep) {
  if (Array.isArray(sweep.importance)) return sweep.importance;
  return Object.entries(sweep.importance ?? sweep.search?.importance ?? {}).map(([key, share]) => ({ key, share }));
}

/** @param {{sweep: any, again: () => void}} props */
function Head({ sweep, again }) {
  const [busy, setBusy] = useState(false);
  const [job, setJob] = useState(/** @type {string | number | null} */ (null));
  const write = (/** @type {string} */ what, /** @type {string} */ done) => {
    setBusy(true);
    post(`sweeps/${sweep.id}/${what}`)
      .then((answer) => (say(done), setJob(answer?.job ?? null), again()), (error) => say(`${error.message} ${error.hint ?? ""}`, { error: true }))
      .finally(() => setBusy(false));
  };
  const going = sweep.status === "RUNNING";
  const left = jobsLeft(sweep);
  return html`<header class="run-head">
    <h1>Sweep ${sweep.id} <span class="dim">of</span> ${sweep.experiment}</h1>
    <div class="run-facts"><${Status} status=${sweep.status} /><span>${ago(Date.parse(sweep.started_at) / 1000)}</span>
      <span>${going ? "going for" : "took"} ${took(sweep)}</span></div>
    <nav class="run-actions" aria-label="Do">
      <a class="button" href=${link("runs", { q: `sweep == ${sweep.id}` })}>Runs</a>
      ${writable.value && going && html`<${Button} kind="danger" busy=${busy} onClick=${() => write("stop", "The sweep is asked to stop.")}>Stop<//>`}
      ${writable.value && store.value?.allow_rerun && !going && left > 0 && html`<${Button} busy=${busy}
        title=${`Runs the ${left} that have not completed`} onClick=${() => write("resume", "The sweep goes on.")}>Resume<//>`}
    </nav>
    <p class="overrides"><code>${sweep.overrides.join(" ")}</code></p>
    <${Progress} counts=${sweep.counts} wanted=${sweep.search?.wanted} />
    ${sweep.warnings?.map((/** @type {any} */ text) => html`<p class="warn">${asText(text)}</p>`)}
  </header>
  ${job !== null && html`<${Job} job=${job} ended=${again} />`}`;
}

/** @param {any} sweep */
function jobsLeft(sweep) {
  const done = (sweep.counts.COMPLETED ?? 0) + (sweep.counts.PRUNED ?? 0);
  const all = Object.values(sweep.counts).reduce((/** @type {number} */ sum, n) => sum + Number(n), 0);
  return Math.max(all, sweep.search?.wanted ?? 0) - done;
}

/** Failed jobs by their reasons. @param {{jobs: any[]}} props */
function Failures({ jobs }) {
  const failed = jobs.filter((job) => ["FAILED", "LOST", "INTERRUPTED"].includes(job.status));
  if (!failed.length) return null;
  /** @type {Map<string, any[]>} */
  const reasons = new Map();
  for (const job of failed) {
    const reason = reasonOf(job);
    reasons.set(reason, [...(reasons.get(reason) ?? []), job]);
  }
  const sorted = [...reasons].sort(([, one], [, other]) => other.length - one.length);
  return html`<${Panel} title=${`Why ${failed.length} of ${jobs.length} failed`} class="trouble failed">
    <ul class="plain">${sorted.map(([reason, of]) => html`<li><span class="why">${reason}</span>
      <span class="dim">${of.map((job, at) => html`${at ? ", " : ""}${job.run ? html`<${RunLink} id=${job.run}>job ${job.index}<//>` : `job ${job.index}`}`)}</span></li>`)}</ul>
  <//>`;
}

/** @param {any} job */
function reasonOf(job) {
  const { error } = job;
  if (!error) return job.cause ?? `${job.status.toLowerCase()}, without an error on record`;
  if (typeof error === "string") return error;
  return [error.type, error.message].filter(Boolean).join(": ");
}

/** @param {{sweep: any, jobs: OfSweep[], sought: any[], swept: string[]}} props */
function Best({ sweep, jobs, sought, swept }) {
  if (sought.length > 1) return html`<${Panel} title="Best"><p>${`There are ${sought.length} aims, so no one job is best; ${sweep.search?.best?.length ?? 0} are beaten by none.`}</p><//>`;
  const index = typeof sweep.best === "object" ? sweep.best?.index : sweep.best;
  const job = jobs.find((each) => each.index === index);
  if (!job) return null;
  const values = sweptValues(job, swept);
  return html`<${Panel} title="Best">
    <p><${RunLink} id=${job.run ?? ""} /> <span class="dim">job ${job.index}</span></p>
    <dl class="facts large">${sought.map((aim) => html`<div><dt>${aim.name}, ${aim.maximize ? "largest" : "smallest"}</dt><dd>${number(valueOf(job, aim))}</dd></div>`)}</dl>
    <${Facts} rows=${swept.map((key, at) => [key, shortened(values[at] ?? "")])} />
  <//>`;
}

/** @param {{jobs: any[], sought: any[], swept: string[]}} props */
function Jobs({ jobs, sought, swept }) {
  const [by, setBy] = useState(/** @type {{column: string, down: boolean}} */ ({ column: "job", down: false }));
  const [all, setAll] = useState(false);
  const rows = jobs.map((job) => ({
    ...job,
    swept: sweptValues(job, swept),
    values: sought.length ? sought.map((aim) => valueOf(job, aim)) : [],
  }));
  const key = (/** @type {any} */ row) => sortKey(row, by.column, swept, sought);
  rows.sort((one, other) => ordered(key(one), key(other)) * (by.down ? -1 : 1));
  const head = (/** @type {string} */ column, /** @type {string} */ text) => html`<button type="button" class="sort"
    aria-label=${`sort by ${text}`} onClick=${() => setBy({ column, down: by.column === column && !by.down })}>${text}${by.column === column ? (by.down ? " ↓" : " ↑") : ""}</button>`;
  const shown = all ? rows : rows.slice(0, 200);
  return html`<${Panel} title=${`Jobs (${jobs.length})`}><${Table} caption="Jobs of the sweep" rows=${shown} columns=${[
    { name: "index", title: head("job", "job"), number: true },
    { name: "run", title: "run", show: (/** @type {any} */ row) => (row.run ? html`<${RunLink} id=${row.run} />` : "") },
    { name: "status", title: head("status", "status"), show: (/** @type {any} */ row) => html`<${Status} status=${row.pruned ? "PRUNED" : row.status} />` },
    ...swept.map((name, at) => ({ name, title: head(`swept ${at}`, name), show: (/** @type {any} */ row) => shortened(row.swept[at]) })),
    ...sought.map((aim, at) => ({ name: aim.name, number: true, title: head(`aim ${at}`, aim.name),
      show: (/** @type {any} */ row) => (Number.isNaN(row.values[at]) ? "" : number(row.values[at])) })),
    ...(sought.length ? [] : [{ name: "result", show: (/** @type {any} */ row) => asText(row.result) }]),
    { name: "took", title: head("took", "took"), number: true, show: (/** @type {any} */ row) => duration(row.duration_s) },
  ]} />
  ${shown.length < rows.length && html`<${Button} onClick=${() => setAll(true)}>Show all ${rows.length}<//>`}<//>`;
}

/** A number that was drawn has sixteen digits, of which six tell it. @param {string} text */
function shortened(text) {
  return /^-?[\d.]{9,}(e[-+]?\d+)?$/i.test(text) ? html`<span title=${text}>${number(Number(text))}</span>` : text;
}

/** @param {any} row @param {string} column @param {string[]} swept @param {any[]} sought @returns {any} */
function sortKey(row, column, swept, sought) {
  if (column === "job") return row.index;
  if (column === "took") return row.duration_s;
  const at = Number(column.split(" ")[1]);
  if (column.startsWith("swept") && at < swept.length) return row.swept[at] !== "" && Number.isFinite(Number(row.swept[at])) ? Number(row.swept[at]) : row.swept[at];
  if (column.startsWith("aim") && at < sought.length) return row.values[at];
  return row.status;
}

/** Numbers before texts, and what is none last. @param {any} one @param {any} other */
function ordered(one, other) {
  const rank = (/** @type {any} */ value) => (value === null || value === undefined || Number.isNaN(value) ? 2 : typeof value === "number" ? 0 : 1);
  if (rank(one) !== rank(other)) return rank(one) - rank(other);
  return rank(one) === 2 ? 0 : one < other ? -1 : one > other ? 1 : 0;
}

/**
 * What was swept and what came of it, a line for each job.
 * @param {{sweep: any, jobs: OfSweep[], sought: any[], swept: string[]}} props
 */
function Coordinates({ sweep, jobs, sought, swept }) {
  const done = jobs.find((job) => job.status === "COMPLETED");
  const named = sought.map((aim) => aim.key).filter((key) => key !== null);
  const came = named.length ? named.map((key) => (key in (done?.metrics ?? {}) ? key : `result.${key}`)) : sought.length ? ["result"] : Object.keys(done?.metrics ?? {}).slice(0, 2);
  const columns = [...swept.map((key) => `config.${key}`), ...came];
  const version = jobs.filter((job) => job.status !== "RUNNING" && job.status !== "QUEUED").length;
  if (columns.length < 2 || version < 2) return null;
  return html`<${Panel} title="What came of which values"><${ParallelHere} q=${`sweep == ${sweep.id}`} columns=${columns} version=${version} /><//>`;
}

/** @param {{jobs: OfSweep[]}} props */
function JobCurves({ jobs }) {
  const runs = jobs.map((job) => job.run).filter((run) => run !== null).slice(-CURVES);
  if (!runs.length) return null;
  return html`<${Panel} title=${jobs.length > CURVES ? `Curves of the last ${CURVES} jobs` : "Curves"}><${CurvesHere} runs=${runs} /><//>`;
}

/** @param {{sweep: any}} props */
function Terminal({ sweep }) {
  return html`<${Panel} title="In a terminal" class="commands">
    <${Command} command=${`anew sweep show ${sweep.id}`} what="this" />
    ${sweep.status === "RUNNING"
      ? html`<${Command} command=${`anew sweep stop ${sweep.id}`} what="stop it" />`
      : jobsLeft(sweep) > 0 && html`<${Command} command=${`anew sweep resume ${sweep.id}`} what="run what has not completed" />`}
  <//>`;
}
