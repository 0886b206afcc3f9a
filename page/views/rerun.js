/** Running a run again from its page: with other values if wanted, what will run shown first, live, and the verdict. */
import { html, useState } from "../src/lib.js";
import { link } from "../src/state.js";
import { Panel } from "../src/ui.js";
import { Job, Start } from "./job.js";

/** The overrides in a field: one a line, or several apart by spaces outside of quotes and brackets. @param {string} text */
export function overridesIn(text) {
  const words = [];
  let [word, quote, depth] = ["", "", 0];
  for (const letter of text) {
    if (quote) quote = letter === quote ? "" : quote;
    else if (letter === "'" || letter === '"') quote = letter;
    else if ("([{".includes(letter)) depth += 1;
    else if (")]}".includes(letter)) depth -= 1;
    if (/\s/.test(letter) && !quote && (depth <= 0 || letter === "\n")) {
      if (word) words.push(word);
      word = "";
    } else word += letter;
  }
  return word ? [...words, word] : words;
}

/** @param {{id: string, record: any}} props */
export function RerunView({ id, record }) {
  const [text, setText] = useState("");
  const [job, setJob] = useState(/** @type {string | number | null} */ (null));
  return html`<${Panel} title="Run it again">
    <p>From its own source, configuration, seeds and inputs; then it is said whether it came out the same.</p>
    <div class="rerun-form">
      <label class="tall">With other values, if wanted
        <textarea rows="3" placeholder="lr=0.2" aria-label="Overrides" spellcheck="false" value=${text}
          onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea></label>
      ${record.overrides?.length > 0 && html`<p class="dim">It was run with ${record.overrides.join(" ")}</p>`}
      <div class="bar"><${Start} label="Re-run …" errand=${() => ({ run: record.id ?? id, overrides: overridesIn(text) })} started=${setJob} />
        <a href=${link(`new/${id}`)}>all parameters as a form</a></div>
    </div>
  <//>
  ${job !== null && html`<${Job} job=${job} />`}`;
}
