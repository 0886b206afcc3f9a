/** What lies in a file, as far as a browser can show it without trusting it. */
import { bytes } from "../src/format.js";
import { html, useEffect, useState } from "../src/lib.js";
import { CodeText, ErrorBox, Spinner } from "../src/ui.js";
import { Tree } from "./config.js";
import { numeric, parse } from "./csv.js";
import { visible } from "./source.js";

/** @typedef {{name?: string, path: string, size: number, sha256: string | null, media: string, preview: string | null}} File */

/** How much of a text is read. */
const MOST = 1 << 20;
const ROWS = 200;

/** Where the content of a run's file is. @param {string | number} id @param {File} file @param {boolean} [download] */
export function contentUrl(id, file, download = false) {
  const query = new URLSearchParams({ name: nameOf(file), ...(download ? { download: "1" } : {}) });
  return `/api/runs/${encodeURIComponent(id)}/content/${file.sha256}?${query}`;
}

/** @param {{name?: string, path: string}} file */
export function nameOf(file) {
  return file.name ?? file.path;
}

/** @param {{id: string | number, file: File}} props */
export function Preview({ id, file }) {
  const url = contentUrl(id, file);
  const name = nameOf(file);
  switch (file.sha256 ? file.preview : null) {
    case "image":
      return html`<img class="preview-image" src=${url} alt=${name} />`;
    case "audio":
      return html`<audio controls preload="metadata" src=${url} aria-label=${name}></audio>`;
    case "video":
      return html`<video controls preload="metadata" src=${url} aria-label=${name}></video>`;
    case "pdf":
      return html`<iframe class="preview-page" src=${url} title=${name}></iframe>`;
    case "html":
      // without allow-same-origin and allow-scripts: nothing in it can reach us, or run
      return html`<iframe class="preview-page" sandbox="" src=${url} title=${name} referrerpolicy="no-referrer"></iframe>`;
    case "table":
    case "json":
    case "text":
      return html`<${TextFile} url=${url} file=${file} />`;
    default:
      return html`<p class="dim">${unseen(file)}</p>`;
  }
}

/** @param {File} file */
function unseen(file) {
  return file.sha256 ? "This kind of file is not shown; it can be downloaded." : "Its content was not kept.";
}

/** @param {{url: string, file: File}} props */
function TextFile({ url, file }) {
  const [held, setHeld] = useState(/** @type {{text: string, whole: boolean} | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    setHeld(null);
    beginning(url, stop.signal).then(setHeld, (failed) => failed.name !== "AbortError" && setError(failed));
    return () => stop.abort();
  }, [url]);
  if (error) return html`<${ErrorBox} error=${error} />`;
  if (!held) return html`<${Spinner} />`;
  return html`${!held.whole && html`<p class="dim">The first ${bytes(MOST)} of ${bytes(file.size)}.</p>`}
    <${Body} text=${held.text} whole=${held.whole} file=${file} />`;
}

/** @param {{text: string, whole: boolean, file: File}} props */
function Body({ text, whole, file }) {
  const name = nameOf(file);
  if (file.preview === "table") return html`<${Cells} text=${text} comma=${comma(file)} name=${name} />`;
  const tree = file.preview === "json" && whole ? parsed(text) : undefined;
  if (tree !== undefined && tree !== null && typeof tree === "object") {
    return html`<${Tree} tree=${tree} label=${name} />`;
  }
  return text === "" ? html`<p class="dim">The file is empty.</p>` : html`<${CodeText} text=${visible(text)} label=${name} />`;
}

/** @param {string} text @returns {any} undefined where it is no JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {File} file */
function comma(file) {
  return /\.tsv$/i.test(nameOf(file)) || file.media === "text/tab-separated-values" ? "\t" : ",";
}

/** @param {{text: string, comma: string, name: string}} props */
function Cells({ text, comma: separator, name }) {
  const [most, setMost] = useState(ROWS);
  const [head = [], ...rows] = parse(text, separator, most + 2);
  const numbers = head.map((_, column) => numeric(rows.map((row) => row[column] ?? "")));
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${name}><table class="small">
    <caption class="unseen">${name}</caption>
    <thead><tr>${head.map((cell, at) => html`<th scope="col" class=${numbers[at] ? "number" : ""}>${cell}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, most).map(
      (row) => html`<tr>${row.map((cell, at) => html`<td class=${numbers[at] ? "number" : ""}>${cell}</td>`)}</tr>`,
    )}</tbody></table></div>
    ${rows.length > most && html`<button type="button" class="button" onClick=${() => setMost(most * 5)}>Show more rows</button>`}`;
}

/**
 * The beginning of a file as text.
 * @param {string} url @param {AbortSignal} signal
 */
async function beginning(url, signal) {
  const response = await fetch(url, { signal, credentials: "same-origin" });
  if (!response.ok || !response.body) {
    const body = await response.json().catch(() => null);
    throw new Error(body?.error?.message ?? `The server answered ${response.status}.`);
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), whole: true };
    text += decoder.decode(value, { stream: true });
    size += value.length;
    if (size >= MOST) {
      await reader.cancel();
      return { text, whole: false };
    }
  }
}
