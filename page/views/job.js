/** A process that the page started: what will run, shown before; then what it prints, how it ended, and the verdict. */
import { get, post } from "../src/api.js";
import { html, useEffect, useRef, useState } from "../src/lib.js";
import { Button, Command, Dialog, ErrorBox, Panel } from "../src/ui.js";
import { link } from "../src/state.js";
import { Lines } from "./ansi.js";
import { quoted, RunLink, Verdict } from "./parts.js";
import { SearchedLines } from "./text-lines.js";

const ASK_MS = 500;

/** @typedef {{run: string | number, overrides: string[], sweep?: boolean}} Errand */

/**
 * A button that shows what will run, asks, and starts it.
 * @param {{errand: () => Errand, label: string, started: (job: string | number) => void}} props
 */
export function Start({ errand, label, started }) {
  const [plan, setPlan] = useState(/** @type {{errand: Errand, command: string[], text?: string} | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  /** @param {Errand} given @param {boolean} dry @param {(answer: any) => void} then */
  const ask = (given, dry, then) => {
    setBusy(true);
    setError(null);
    post("rerun", { sweep: false, ...given, run: String(given.run), dry })
      .then(then, (refused) => (setPlan(null), setError(refused)))
      .finally(() => setBusy(false));
  };
  const look = () => {
    const given = errand();
    ask(given, true, (answer) => setPlan({ errand: given, ...answer }));
  };
  const go = () => plan && ask(plan.errand, false, (answer) => (setPlan(null), started(answer.job)));
  return html`<${Button} kind="main" busy=${busy} onClick=${look}>${label}<//>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${plan && html`<${Dialog} title="This will run" close=${() => setPlan(null)}
      actions=${html`<${Button} onClick=${() => setPlan(null)}>Cancel<//><${Button} kind="main" busy=${busy} onClick=${go}>Run it<//>`}>
      <${Command} command=${plan.text ?? plan.command.map(quoted).join(" ")} />
      <p class="dim">It runs on the machine of the server, as the user who started it, with what is on record.</p>
    <//>`}`;
}

/** A job as it goes on. @param {{job: string | number, ended?: (facts: any) => void}} props */
export function Job({ job, ended }) {
  const lines = useRef(new Lines());
  const [facts, setFacts] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [follow, setFollow] = useState(true);
  useEffect(() => {
    const stop = new AbortController();
    lines.current = new Lines();
    setFacts(null);
    watch(job, lines.current, stop.signal, setFacts).then(
      (last) => last && ended?.(last),
      (failed) => failed.name !== "AbortError" && setError(failed),
    );
    return () => stop.abort();
  }, [job]);
  if (error) return html`<${ErrorBox} error=${error} />`;
  return html`<${Panel} title="What it does" class="job">
    <${State} facts=${facts} />
    ${lines.current.lines.length > 0 && html`<${SearchedLines} lines=${lines.current.lines} version=${lines.current.version}
      label="what it prints" follow=${follow} onFollow=${setFollow} />`}
  <//>`;
}

/** @param {{facts: any}} props */
function State({ facts }) {
  if (!facts) return html`<p role="status" class="dim">Starting…</p>`;
  const { state, exit, run, verdict, sweep } = facts;
  const word = verdict && (typeof verdict === "string" ? verdict : verdict.verdict);
  return html`<p role="status" class="job-state">
    ${state === "running" ? html`<span class="badge live">running</span>` : exit === 0 || exit === 3 ? "It ended." : `It ended with exit code ${exit}.`}
    ${run && html`${" "}<${RunLink} id=${run} />`}
    ${sweep && html`${" "}<a href=${link(`sweep/${sweep}`)}>sweep ${sweep}</a>`}
    ${word && html`${" "}<${Verdict} verdict=${word} />`}
    ${word && verdict.causes?.[0] && html`${" "}<span>${verdict.causes[0]}</span>`}
  </p>`;
}

/**
 * Follow a job to its end; what it printed goes into *lines*, and *told* hears of each change.
 * @param {string | number} job @param {Lines} lines @param {AbortSignal} signal @param {(facts: any) => void} told
 */
async function watch(job, lines, signal, told) {
  let offset = 0;
  for (;;) {
    const facts = await get(`jobs/${encodeURIComponent(job)}`, { offset }, signal);
    if (facts.output) lines.feed(facts.output);
    const more = facts.next > offset;
    offset = facts.next;
    told(facts);
    if (facts.state === "ended" && !more) return facts;
    if (!more) await new Promise((done) => setTimeout(done, ASK_MS));
    if (signal.aborted) return null;
  }
}
