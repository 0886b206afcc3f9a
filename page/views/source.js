/** A run's source files as they were recorded, and what differs: from another run, from its commit, from today's files. */
import { html } from "../src/lib.js";
import { param, set } from "../src/state.js";
import { CodeText, Diff, useAnswer } from "../src/ui.js";
import { Beside } from "./config.js";
import { FileList } from "./file-list.js";
import { Answer } from "./parts.js";

/** @param {{id: string | number, params: URLSearchParams}} props */
export function SourceView({ id, params }) {
  const other = params.get("with") ?? "";
  const answer = useAnswer(`runs/${encodeURIComponent(id)}/source`);
  return html`<div class="source">
    <div class="bar"><${Beside} other=${other}
      names=${[["", "nothing"], ["commit", "its commit"], ["today", "today's files"]]} /></div>
    <${Answer} of=${answer} what="the source">${(/** @type {any} */ data) => html`
      <p class="dim">${origin(data)}</p>
      ${other ? html`<${Differences} id=${id} other=${other} />` : html`<${Files} id=${id} files=${data.files} />`}`}<//>
  </div>`;
}

/** @param {{commit: string | null, dirty: boolean | null, files: any[]}} data */
function origin({ commit, dirty }) {
  if (!commit) return "Recorded without a commit.";
  return `Commit ${commit.slice(0, 12)}${dirty ? ", with changes that are in no commit" : ""}.`;
}

/** @param {{id: string | number, files: any[]}} props */
function Files({ id, files }) {
  const chosen = param("file");
  if (!files.length) return html`<p class="dim">No source files were recorded.</p>`;
  const path = files.some((file) => file.path === chosen) ? chosen : firstOf(files);
  return html`<div class="split">
    <${FileList} label="source files" files=${files.map((file) => ({ name: file.path, size: file.size }))} chosen=${path}
      choose=${(/** @type {string} */ name) => set({ file: name }, { replace: true })} />
    <${File} id=${id} file=${files.find((file) => file.path === path)} />
  </div>`;
}

/** The file that is looked at first: Python, and not the smallest. @param {any[]} files */
function firstOf(files) {
  const python = files.filter((file) => file.path.endsWith(".py"));
  const among = python.length ? python : files;
  return among.reduce((best, file) => (file.size > best.size ? file : best)).path;
}

/** @param {{id: string | number, file: any}} props */
function File({ id, file }) {
  const text = file.text !== false;
  const answer = useAnswer(text ? `runs/${encodeURIComponent(id)}/source/file` : null, { path: file.path });
  if (!text) return html`<p class="dim">${file.path} is not text.</p>`;
  return html`<div class="file"><h2><bdi>${file.path}</bdi></h2>
    <${Answer} of=${answer} what=${file.path}>${(/** @type {any} */ data) =>
      data.text === "" ? html`<p class="dim">The file is empty.</p>`
        : html`<${CodeText} text=${visible(data.text)} label=${file.path} numbered=${true} />`}<//>
  </div>`;
}

/**
 * Letters that turn the direction of a line around, as something to see: they can make code look other than it is.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (letter) =>
    `⟨U+${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** @param {{id: string | number, other: string}} props */
function Differences({ id, other }) {
  const answer = useAnswer(`runs/${encodeURIComponent(id)}/source/diff`, { with: other });
  return html`<${Answer} of=${answer} what="what differs">${(/** @type {any} */ data) => html`<${DiffFiles} files=${data.files} />`}<//>`;
}

/** Files that differ, each with its diff. @param {{files: {path: string, status?: string, hunks?: any, diff?: any}[]}} props */
export function DiffFiles({ files }) {
  if (!files.length) return html`<p>The source files are the same.</p>`;
  return html`${files.map((file) => {
    const text = diffText(file);
    return html`<details class="diff-file" open key=${file.path}>
      <summary><bdi>${file.path}</bdi> ${file.status && html`<span class="dim">${file.status}</span>`} ${counted(text)}</summary>
      ${text ? html`<${Diff} text=${visible(text)} label=${`Diff of ${file.path}`} />` : html`<p class="dim">Not text, or not kept.</p>`}
    </details>`;
  })}`;
}

/** @param {{hunks?: any, diff?: any}} file @returns {string} */
function diffText(file) {
  const hunks = file.hunks ?? file.diff ?? "";
  return Array.isArray(hunks) ? hunks.join("") : hunks;
}

/** @param {string} text */
function counted(text) {
  const lines = text.split("\n");
  const n = (/** @type {RegExp} */ what) => lines.filter((line) => what.test(line)).length;
  const [added, removed] = [n(/^\+(?!\+\+ )/), n(/^-(?!-- )/)];
  return text && html`<span class="good">+${added}</span> <span class="bad">−${removed}</span>`;
}
