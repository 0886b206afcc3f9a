/** A new run, or a sweep, from a form of main's parameters: with their types, choices and defaults. */
import { html, useState } from "../src/lib.js";
import { Empty, Panel, useAnswer } from "../src/ui.js";
import { Job, Start } from "./job.js";
import { Answer, RunLink, same } from "./parts.js";
import { Value } from "./config.js";

/** @typedef {{name: string, type: string, default?: any, choices?: any[] | null, value?: any, required?: boolean}} Parameter */

/** How a value is typed in a field, and on the command line. @param {any} value @returns {string} */
export function typed(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return value;
  if (typeof value === "object" && typeof value.number === "string") return value.number;
  return JSON.stringify(value);
}

/** @param {string} text @returns {string} a text as Hydra's grammar has it, quoted where it would mean something else */
export function asWord(text) {
  const bare = /^[A-Za-z_][\w./-]*( [\w./-]+)*$/.test(text) && !/^(null|true|false|nan|inf|yes|no|on|off)$/i.test(text);
  return bare ? text : `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** @param {Parameter} parameter */
export function isText(parameter) {
  return /\b(str|text|path)\b/i.test(parameter.type ?? "") && !parameter.choices?.length;
}

/**
 * What is typed on the command line for values that are other than those of the run: `lr=0.2`.
 * @param {Parameter[]} parameters @param {Record<string, string>} given by name, as typed @param {boolean} sweep
 */
export function overridesOf(parameters, given, sweep) {
  return parameters.flatMap((parameter) => {
    const text = given[parameter.name];
    if (text === undefined || text === typed(parameter.value)) return [];
    return [`${parameter.name}=${wordOf(parameter, text, sweep)}`];
  });
}

/** @param {Parameter} parameter @param {string} text @param {boolean} sweep */
function wordOf(parameter, text, sweep) {
  if (!isText(parameter)) return text.trim();
  if (text === "null" && /none|optional|null/i.test(parameter.type)) return "null";
  if (sweep && text.includes(",")) return text.split(",").map((part) => asWord(part.trim())).join(",");
  return asWord(text);
}

/** @param {{args: string[]}} props */
export default function FormPage({ args: [id = ""] }) {
  const answer = useAnswer(`form/${encodeURIComponent(id)}`);
  return html`<${Answer} of=${answer} what="the parameters">${(/** @type {any} */ data) => html`<${Form} key=${id} id=${id} data=${data} />`}<//>`;
}

/** @param {{id: string, data: {experiment: string, allowed?: boolean, parameters: Parameter[]}}} props */
function Form({ id, data }) {
  const [given, setGiven] = useState(/** @type {Record<string, string>} */ ({}));
  const [sweep, setSweep] = useState(false);
  const [job, setJob] = useState(/** @type {string | number | null} */ (null));
  const overrides = overridesOf(data.parameters, given, sweep);
  const put = (/** @type {string} */ name, /** @type {string | undefined} */ text) => {
    const { [name]: _, ...others } = given;
    setGiven(text === undefined ? others : { ...others, [name]: text });
  };
  if (!data.parameters.length) {
    return html`<${Empty} title="It has no parameters"><p>The main of <${RunLink} id=${id} /> takes none; it can be run again as it is.</p><//>`;
  }
  return html`<h1>New run <span class="dim">of</span> ${data.experiment}</h1>
    <${Panel} title="Parameters">
      <p>Values are those of <${RunLink} id=${id} />. ${sweep
        ? "A sweep runs the program as it is today, with the other values of that run."
        : "Its recorded source is run; what is changed here goes onto the command line."}</p>
      ${data.allowed === false && html`<p class="warn">It was not recorded by you on this machine, so it is not started from here; in a terminal
        you can look at what it would run: <code>anew rerun ${id}</code></p>`}
      <form onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
        <label><input type="checkbox" checked=${sweep} onChange=${(/** @type {any} */ event) => setSweep(event.target.checked)} />
          a sweep: several values of a parameter apart by commas, a run of each combination</label>
        <div class="parameters">${data.parameters.map(
          (parameter) => html`<${Field} key=${parameter.name} parameter=${parameter} sweep=${sweep} text=${given[parameter.name]} put=${put} />`,
        )}</div>
        <p>${overrides.length ? html`Changed: <code>${overrides.join(" ")}</code>` : html`<span class="dim">Nothing is changed so far.</span>`}</p>
        <div class="bar"><${Start} label=${sweep ? "Sweep …" : "Run …"} errand=${() => ({ run: id, overrides, sweep })} started=${setJob} /></div>
      </form>
    <//>
    ${job !== null && html`<${Job} job=${job} />`}`;
}

/** @param {{parameter: Parameter, sweep: boolean, text: string | undefined, put: (name: string, text?: string) => void}} props */
function Field({ parameter, sweep, text, put }) {
  const { name, type, choices, value } = parameter;
  const shown = text ?? typed(value);
  const changed = text !== undefined && text !== typed(value);
  const typing = (/** @type {any} */ event) => put(name, event.target.value);
  const id = `parameter-${name}`;
  return html`<div class=${`parameter${changed ? " changed" : ""}`}>
    <label for=${id}>${name} <span class="dim">${type}</span></label>
    ${control({ id, type, choices, shown, sweep, typing, parameter })}
    <p class="dim">${"default" in parameter && !same(parameter.default, value) && html`default <${Value} value=${parameter.default} />${" "}`}
      ${sweep && choices?.length ? `one of ${choices.map(typed).join(", ")}` : ""}
      ${changed && html`<button type="button" class="button quiet" aria-label=${`put ${name} back`} onClick=${() => put(name)}>put back</button>`}</p>
  </div>`;
}

/** @param {any} props */
function control({ id, type, choices, shown, sweep, typing, parameter }) {
  const options = choices?.length ? choices.map(typed) : /^bool/.test(type) ? ["true", "false"] : null;
  if (options && !sweep) {
    const all = options.includes(shown) ? options : [shown, ...options];
    return html`<select id=${id} value=${shown} onChange=${typing}>${all.map((/** @type {string} */ each) => html`<option value=${each}>${each}</option>`)}</select>`;
  }
  const numeric = /^(int|float)/.test(type) && !sweep;
  return html`<input id=${id} value=${shown} onInput=${typing} spellcheck=${false} inputmode=${numeric ? "decimal" : undefined}
    list=${options ? `${id}-of` : undefined} autocomplete="off" />
    ${options && html`<datalist id=${`${id}-of`}>${options.map((/** @type {string} */ each) => html`<option value=${each}></option>`)}</datalist>`}
    ${isText(parameter) && shown === "" ? html`<span class="dim">empty</span>` : null}`;
}
