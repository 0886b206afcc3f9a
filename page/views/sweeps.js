/** All sweeps, the newest first: how far each is, and what is best. */
import { ago, duration } from "../src/format.js";
import { html, useEffect } from "../src/lib.js";
import { link } from "../src/state.js";
import { Command, Empty, Status, useAnswer } from "../src/ui.js";
import { Answer } from "./parts.js";

const ASK_MS = 5000;

/** How a sweep's jobs stand, in the order in which a bar shows them. */
export const STATES = ["COMPLETED", "RUNNING", "FAILED", "LOST", "INTERRUPTED", "PRUNED", "QUEUED"];

export default function SweepsPage() {
  const answer = useAnswer("sweeps");
  const going = answer.data?.sweeps.some((/** @type {any} */ sweep) => sweep.status === "RUNNING") ?? false;
  useEffect(() => {
    if (!going) return undefined;
    const timer = setInterval(answer.again, ASK_MS);
    return () => clearInterval(timer);
  });
  return html`<h1>Sweeps</h1><${Answer} of=${answer} what="sweeps">${(/** @type {any} */ data) => html`<${List} sweeps=${data.sweeps} />`}<//>`;
}

/** @param {{sweeps: any[]}} props */
function List({ sweeps }) {
  if (!sweeps.length) {
    return html`<${Empty} title="There are no sweeps yet"><p>A sweep is a run for each value:</p>
      <${Command} command="python train.py -m lr=0.01,0.1" /><//>`;
  }
  return html`<ul class="sweeps">${sweeps.map((sweep) => html`<li class="panel" key=${sweep.uid}>
    <div class="sweep-line">
      <a href=${link(`sweep/${sweep.id}`)}><strong>Sweep ${sweep.id}</strong></a> <span>${sweep.experiment}</span>
      <${Status} status=${sweep.status} />
      <span class="dim">${ago(Date.parse(sweep.started_at) / 1000)}</span>
      ${sweep.best !== null && sweep.best !== undefined && html`<span>best: job ${sweep.best}</span>`}
    </div>
    <p class="overrides"><code>${sweep.overrides.join(" ")}</code></p>
    <${Progress} counts=${sweep.counts} wanted=${sweep.search?.wanted} />
  </li>`)}</ul>`;
}

/**
 * How far a sweep is, as a bar and in words.
 * @param {{counts: Record<string, number>, wanted?: number | null}} props *wanted*: of how many jobs, where that is known.
 */
export function Progress({ counts, wanted }) {
  const known = Object.entries(counts).filter(([, n]) => n > 0);
  const rank = (/** @type {string} */ state) => (STATES.includes(state) ? STATES.indexOf(state) : STATES.length);
  known.sort(([one], [other]) => rank(one) - rank(other));
  const sum = known.reduce((all, [, n]) => all + n, 0);
  const total = Math.max(sum, wanted ?? 0);
  const words = known.map(([state, n]) => `${n} ${state.toLowerCase()}`).join(", ");
  return html`<div class="progress">
    <div class="progress-bar" role="img" aria-label=${`${words} of ${total}`}>${known.map(
      ([state, n]) => html`<i class=${state.toLowerCase()} style=${{ flexGrow: n }}></i>`,
    )}${total > sum && html`<i style=${{ flexGrow: total - sum }}></i>`}</div>
    <span class="dim">${words}${total > sum ? ` of ${total}` : ""}</span>
  </div>`;
}

/** How long a sweep has been going, or took. @param {any} sweep */
export function took(sweep) {
  const end = sweep.ended_at ? Date.parse(sweep.ended_at) : Date.now();
  return duration((end - Date.parse(sweep.started_at)) / 1000);
}
