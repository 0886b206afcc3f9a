/** The first look at a run: what came out, what was logged, where it belongs, and the commands that do the same. */
import { duration, number, plain, time, value as asText } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { post } from "../src/api.js";
import { link, say, writable } from "../src/state.js";
import { Button, Command, Panel, Status, Table, Tag, useNarrowed } from "../src/ui.js";
import { Value } from "./config.js";
import { CurvesHere } from "./charts-here.js";
import { Facts, RunLink, Verdict } from "./parts.js";

/** @param {import("./run.js").Shown} props */
export function Summary({ id, record, page, again }) {
  return html`<div class="columns">
    <div>
      <${Result} record=${record} />
      <${VerdictPanel} record=${record} />
      <${Metrics} id=${id} record=${record} />
      ${!record.deleted && html`<${Curves} id=${record.id} metrics=${record.metrics ?? {}} />`}
      <${Warnings} warnings=${[...(record.warnings ?? []), ...(record.losses ?? []).map(asText)]} />
    </div>
    <div>
      <${About} record=${record} />
      <${Marks} id=${id} record=${record} again=${again} />
      <${Family} record=${record} family=${page?.family ?? null} />
      <${Commands} commands=${page?.commands ?? []} />
    </div>
  </div>`;
}

/** @param {{record: any}} props */
function Result({ record }) {
  const { result, info } = record;
  const several = result !== null && typeof result === "object" && !Array.isArray(result) && !("number" in result);
  const rows = several ? Object.entries(result) : result === null || result === undefined ? [] : [["returned", result]];
  if (!rows.length && !Object.keys(info ?? {}).length) return null;
  return html`<${Panel} title="Result">
    ${rows.length > 0 && html`<dl class="facts large">${rows.map(
      ([name, value]) => html`<div><dt>${name}</dt><dd><${Value} value=${value} /></dd></div>`,
    )}</dl>`}
    ${Object.keys(info ?? {}).length > 0 && html`<h3>Info</h3><${Facts} rows=${Object.entries(info)} label="info" />`}
  <//>`;
}

/** @param {{id: string, record: any}} props */
function Metrics({ id, record }) {
  const rows = metricRows(record.metrics);
  const { shown, field } = useNarrowed(rows, ({ name }) => name, "metric", beyond(record, metricRows));
  const show = (/** @type {string} */ key) => (/** @type {any} */ row) => shownNumber(row[key]);
  if (!rows.length) return null;
  return html`<${Panel} title="Metrics" actions=${html`<a href=${link(`run/${id}/curves`)}>curves</a>`}>
    ${field}
    <${Table} caption="Values of metrics" rows=${shown} columns=${[
      { name: "name" },
      ...["last", "min", "max"].map((key) => ({ name: key, number: true, show: show(key) })),
      { name: "count", title: "points", number: true },
      { name: "step", title: "last step", number: true },
    ]} />
  <//>`;
}

/** @param {Record<string, any>} metrics @returns {({name: string} & Record<string, any>)[]} */
function metricRows(metrics) {
  return Object.entries(metrics ?? {}).filter(([name]) => isOwn(name)).map(([name, of]) => ({ name, ...of }));
}

/**
 * Where the metrics are that are too many to be in the record.
 * @template T @param {any} record @param {(metrics: Record<string, any>) => T[]} read
 */
function beyond(record, read) {
  const total = record.cut?.metrics;
  return total ? { total, path: `runs/${record.id}/metrics`, read: (/** @type {any} */ data) => read(data.metrics) } : null;
}

/** @param {any} value */
function shownNumber(value) {
  const found = plain(value);
  return typeof found === "number" ? number(found) : asText(found);
}

/** The curves that a first look is for: of a few metrics, since a run may have hundreds. @param {{id: number, metrics: any}} props */
function Curves({ id, metrics }) {
  const names = Object.keys(metrics).filter((name) => isOwn(name) && metrics[name].count > 1);
  if (!names.length) return null;
  const first = names.slice(0, 4);
  const title = first.length < names.length ? `Curves of ${first.length} of ${names.length} metrics` : "Curves";
  return html`<${Panel} title=${title} actions=${html`<a href=${link(`run/${id}/curves`)}>all</a>`}>
    <${CurvesHere} runs=${[id]} names=${first} /><//>`;
}

/** What a re-run came to, where it first differs, and why. @param {{record: any}} props */
function VerdictPanel({ record }) {
  const { verdict, rerun_of: of } = record;
  if (!verdict) return null;
  const first = verdict.first_difference;
  return html`<${Panel} title="Did it come out the same?">
    <p><${Verdict} verdict=${verdict.verdict} /> ${of && html`${verdict.verdict === "different" ? " from " : " to "}<${RunLink} id=${of.id ?? of.uid} />`}
      ${verdict.overrides?.length > 0 && html`<span class="dim"> with ${verdict.overrides.join(" ")}</span>`}</p>
    ${first && html`<${Facts} rows=${[
      ["first difference", [first.what, first.name, first.step !== undefined && first.step !== null ? `step ${first.step}` : ""].filter(Boolean).join(" ")],
      ["recorded", first.recorded],
      ["now", first.now],
      ["largest deviation", verdict.max_deviation],
    ]} />`}
    ${verdict.causes?.map((/** @type {string} */ cause) => html`<p>${cause}</p>`)}
    ${of && html`<p><a href=${link("compare", { runs: `${of.id ?? of.uid},${record.id}` })}>Compare the two</a></p>`}
  <//>`;
}

/** @param {{warnings: string[]}} props */
function Warnings({ warnings }) {
  if (!warnings.length) return null;
  return html`<${Panel} title="Warnings"><ul class="plain">${warnings.map((text) => html`<li>${text}</li>`)}</ul><//>`;
}

/** @param {{record: any}} props */
function About({ record }) {
  const at = (/** @type {string | null} */ text) => (text ? time(Date.parse(text) / 1000) : null);
  const { command = {}, source } = record;
  return html`<${Panel} title="About">
    <${Facts} rows=${[
      ["status", html`<${Status} status=${record.status} />`],
      ["started", at(record.started_at)],
      ["ended", at(record.ended_at)],
      ["took", duration(record.duration_s)],
      ["overrides", record.overrides?.join(" ")],
      ["command", command.argv?.join(" ")],
      ["in", command.cwd],
      ["by", command.user],
      ["on", record.hardware?.hostname],
      ["seed", record.seed],
      ["commit", source?.git && committed(source.git)],
      ["exit code", record.exit_code],
      ["signal", record.signal],
      ["uid", record.uid],
    ]} />
  <//>`;
}

/** A repository may be without any commit. @param {{commit?: string | null, branch?: string | null, dirty?: boolean | null}} git */
export function committed({ commit, branch, dirty }) {
  const where = branch ? ` on ${branch}` : commit ? " on no branch" : "";
  return `${commit ? commit.slice(0, 12) : "none yet"}${where}${commit && dirty ? ", with changes" : ""}`;
}

/** Tags and note, edited in place. @param {{id: string, record: any, again: () => void}} props */
function Marks({ id, record, again }) {
  const [adding, setAdding] = useState("");
  const [note, setNote] = useState(/** @type {string | null} */ (null));
  const write = (/** @type {string} */ what, /** @type {any} */ body) =>
    post(`runs/${encodeURIComponent(id)}/${what}`, body).then(again, (error) => say(error.message, { error: true }));
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (adding.trim()) write("tags", { add: [adding.trim()], remove: [] });
    setAdding("");
  };
  const free = writable.value;
  return html`<${Panel} title="Tags and note">
    <div class="tags">${(record.tags ?? []).map(
      (/** @type {string} */ tag) => html`<${Tag} text=${tag} remove=${free ? () => write("tags", { add: [], remove: [tag] }) : undefined} />`,
    )}${!record.tags?.length && !free && html`<span class="dim">none</span>`}
    ${free && html`<form onSubmit=${add}><input size="12" placeholder="add a tag" aria-label="Add a tag" value=${adding}
      onInput=${(/** @type {any} */ event) => setAdding(event.target.value)} /></form>`}</div>
    ${note === null
      ? html`${record.note && html`<p class="note">${record.note}</p>`}
          ${free && html`<${Button} kind="quiet" onClick=${() => setNote(record.note ?? "")}>${record.note ? "Edit the note" : "Write a note"}<//>`}`
      : html`<textarea class="note" rows="4" aria-label="Note" value=${note} onInput=${(/** @type {any} */ event) => setNote(event.target.value)}></textarea>
          <div class="bar"><${Button} kind="main" onClick=${() => write("note", { text: note }).then(() => setNote(null))}>Save<//>
            <${Button} kind="quiet" onClick=${() => setNote(null)}>Cancel<//></div>`}
    ${record.comments?.length > 0 && html`<h3>Comments</h3><ul class="plain">${record.comments.map(
      (/** @type {any} */ each) => html`<li>${each.text ?? asText(each)} <span class="dim">${[each.by ?? each.author, each.at].filter(Boolean).join(", ")}</span></li>`,
    )}</ul>`}
  <//>`;
}

/** The sweep, the parent, what it is a re-run of, its re-runs, its children. @param {{record: any, family: any}} props */
function Family({ record, family }) {
  const runs = (/** @type {any[]} */ all) => all.map((run, at) => html`${at ? ", " : ""}<${RunLink} id=${run.id ?? run.uid ?? run} />`);
  const sweep = family?.sweep ?? record.sweep;
  const of = family?.rerun_of ?? record.rerun_of;
  const parent = family?.parent ?? record.parent;
  const reruns = family?.reruns ?? [];
  const children = family?.children ?? record.children ?? [];
  const sweepId = sweep && (sweep.id ?? sweep.sweep ?? sweep);
  /** @type {[string, any][]} */
  const rows = [
    ["sweep", sweep && html`<span><a href=${link(`sweep/${sweepId}`)}>sweep ${sweepId}</a>${sweep.index !== undefined ? `, job ${sweep.index}` : ""}</span>`],
    ["re-run of", of && html`<span><${RunLink} id=${of.id ?? of.uid ?? of} /></span>`],
    ["re-runs", reruns.length > 0 && html`<span>${reruns.map(
      (/** @type {any} */ run, /** @type {number} */ at) => html`${at ? ", " : ""}<${RunLink} id=${run.id ?? run.uid} /> ${run.verdict && html`<${Verdict} verdict=${run.verdict} />`}`,
    )}</span>`],
    ["within", parent && html`<span>${runs([parent])}</span>`],
    ["its own runs", children.length > 0 && html`<span>${runs(children)}</span>`],
  ];
  const why = family?.why ?? [];
  if (!rows.some(([, value]) => value) && !(Array.isArray(why) ? why.length : why)) return null;
  return html`<${Panel} title="Family"><${Facts} rows=${rows} /><${Why} why=${why} /><//>`;
}

/** What `anew why` has found out. @param {{why: any}} props */
export function Why({ why }) {
  const all = Array.isArray(why) ? why : why ? [why] : [];
  return all.map((each) => html`<p class="why">${typeof each === "string" ? each : (each.sentence ?? each.text ?? asText(each))}</p>`);
}

/** @param {{commands: {what: string, command: string}[]}} props */
export function Commands({ commands }) {
  if (!commands.length) return null;
  return html`<${Panel} title="In a terminal" class="commands">${commands.map(
    (each) => html`<${Command} command=${each.command} what=${each.what} />`,
  )}<//>`;
}

/** All curves of a run but those of its machine, which stand with the environment. @param {{record: any}} props */
export function RunCurves({ record }) {
  const names = Object.keys(record.metrics ?? {}).filter(isOwn);
  if (!names.length) return html`<p class="dim">No metric was logged.</p>`;
  return html`<${CurvesHere} runs=${[record.id]} names=${names} beyond=${beyond(record, (metrics) => Object.keys(metrics).filter(isOwn))} />`;
}

/** Whether a metric was logged by main, and not by who looks at the machine. @param {string} name */
function isOwn(name) {
  return !name.startsWith("system/");
}
