/** One report: as it reads with what its blocks show now; and, where it may be written, its text beside that. */
import { get, post } from "../src/api.js";
import { html, useEffect, useRef, useState } from "../src/lib.js";
import { link, say, set, writable } from "../src/state.js";
import { Button, Command, ErrorBox, Spinner } from "../src/ui.js";
import { quoted } from "./parts.js";

/** What was written and not saved, by path: another view may be looked at meanwhile. @type {Map<string, string>} */
const unsaved = new Map();
addEventListener("beforeunload", (event) => {
  if (unsaved.size) event.preventDefault();
});

/** How long nothing is typed before what was typed is shown. */
const PAUSE_MS = 900;
const BEGINNING = `# A report

\`\`\`anew
list --limit 5
\`\`\`
`;

/** @typedef {{text: string, digest: string | null}} Saved As it is in its file; without a digest it is in none. */

/** Each begins anew: what is known of one must never be shown, or saved, as what another says. @param {{args: string[], params: URLSearchParams}} props */
export default function Report({ args: [path = ""], params }) {
  return html`<${Loaded} key=${path} path=${path} params=${params} />`;
}

/** @param {{path: string, params: URLSearchParams}} props */
function Loaded({ path, params }) {
  const [saved, setSaved] = useState(/** @type {Saved | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const fresh = params.has("new");
  useEffect(() => {
    if (fresh) return setSaved({ text: "", digest: null });
    const stop = new AbortController();
    get("report", { path }, stop.signal).then(setSaved, (failed) => failed.name !== "AbortError" && setError(failed));
    return () => stop.abort();
  }, [path, fresh]);
  if (error) return html`<h1>${path}</h1><${ErrorBox} error=${error} />`;
  if (!saved) return html`<h1>${path}</h1><${Spinner} what="Loading the report" />`;
  const edited = fresh || params.has("edit") || unsaved.has(path);
  return html`<${Open} path=${path} saved=${saved} edited=${edited && writable.value} set=${setSaved} />`;
}

/** @param {{path: string, saved: Saved, edited: boolean, set: (saved: Saved) => void}} props */
function Open({ path, saved, edited, set: setSaved }) {
  const [text, setText] = useState(unsaved.get(path) ?? (saved.digest === null ? BEGINNING : saved.text));
  const [error, setError] = useState(/** @type {any} */ (null));
  const changed = text !== saved.text;
  const shown = useShown(path, text, edited);
  /** @param {string} written */
  const write = (written) => {
    // a field knows one end of line, and a file keeps its own
    const next = saved.text.includes("\r\n") ? written.replaceAll(/\r?\n/g, "\r\n") : written;
    setText(next);
    if (next === saved.text) unsaved.delete(path);
    else unsaved.set(path, next);
  };
  const save = () => {
    if (!changed) return;
    post("report", { path, text, was: saved.digest }).then(
      ({ digest }) => {
        setError(null);
        unsaved.delete(path);
        setSaved({ text, digest });
        set({ new: null, edit: "1" }, { replace: true });
        say(`${path} is saved.`);
      },
      setError,
    );
  };
  const leave = () => {
    write(saved.text);
    set({ edit: null, new: null }, { replace: true });
  };
  return html`<header class="run-head"><h1><bdi>${path}</bdi></h1>
    <div class="run-facts">${changed && html`<span class="badge">not saved</span>`}${shown.busy && html`<span role="status">asking…</span>`}</div>
    <nav class="run-actions" aria-label="Do">
      ${shown.key && html`<a class="button" href=${address(shown.key, htmlName(path))} download>HTML</a>`}
      ${writable.value && !edited && html`<${Button} onClick=${() => set({ edit: "1" }, { replace: true })}>Edit<//>`}
      ${edited && html`<${Button} kind="quiet" onClick=${leave} disabled=${saved.digest === null}>${changed ? "Take back" : "Done"}<//>
        <${Button} kind="main" disabled=${!changed} title="Ctrl S" onClick=${save}>Save<//>`}
      <a class="button quiet" href=${link("reports")}>All reports</a>
    </nav></header>
    ${error && html`<${ErrorBox} error=${error} />`}
    <div class=${`report${edited ? " edited" : ""}`}>
      ${edited && html`<${Editor} text=${text} write=${write} save=${save} path=${path} />`}
      <div class="report-shown">
        ${shown.error && html`<${ErrorBox} error=${shown.error} />`}
        ${shown.key ? html`<iframe class="report-page" sandbox="" src=${address(shown.key)} title=${`preview of ${path}`} referrerpolicy="no-referrer"></iframe>`
          : !shown.error && html`<${Spinner} what="Asking what its blocks ask" />`}
      </div>
    </div>
    ${!edited && html`<${Command} command=${`anew report ${quoted(path)}`} what="the same in a terminal" />`}`;
}

/** @param {string} key @param {string} [name] as which it is kept */
function address(key, name) {
  return `/api/report/shown/${key}${name ? `?name=${encodeURIComponent(name)}` : ""}`;
}

/** @param {string} path */
function htmlName(path) {
  return `${path.split("/").at(-1)?.replace(/\.md$/, "") ?? "report"}.html`;
}

/**
 * What a text shows, a moment after it was typed; what was shown before stays until then, and where it is refused.
 * @param {string} path @param {string} text @param {boolean} edited
 */
function useShown(path, text, edited) {
  const [shown, setShown] = useState(/** @type {{key: string | null, error: any, busy: boolean}} */ ({ key: null, error: null, busy: true }));
  const first = useRef(true);
  useEffect(() => {
    const stop = new AbortController();
    setShown((was) => ({ ...was, busy: true }));
    const timer = setTimeout(
      () => {
        post("report/preview", { path, text }, stop.signal).then(
          ({ key }) => setShown({ key, error: null, busy: false }),
          (error) => error.name !== "AbortError" && setShown((was) => ({ ...was, error, busy: false })),
        );
      },
      first.current || !edited ? 0 : PAUSE_MS,
    );
    first.current = false;
    return () => {
      stop.abort(); // what its blocks ask further is asked by nobody
      clearTimeout(timer);
    };
  }, [path, text]);
  return shown;
}

const SAMPLES = ["list 'status == completed' --sort loss --limit 5", "compare 1 2", "plot 1 2 loss --log", "why --show 1"];

/** @param {{text: string, write: (text: string) => void, save: () => void, path: string}} props */
function Editor({ text, write, save, path }) {
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    save();
  };
  return html`<div class="report-text">
    <textarea aria-label=${`text of ${path}`} spellcheck="false" value=${text} onKeyDown=${keys}
      onInput=${(/** @type {any} */ event) => write(event.currentTarget.value)}></textarea>
    <p class="dim">${"Between "}<code>${"```anew"}</code>${" and "}<code>${"```"}</code>${", a line each:"} ${SAMPLES.map((one, at) => html`${at ? ", " : ""}<code>${one}</code>`)}</p>
  </div>`;
}
