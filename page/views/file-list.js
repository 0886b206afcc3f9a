/** Files by name, of which one is looked at; many are searched. */
import { bytes } from "../src/format.js";
import { html, useState } from "../src/lib.js";

/** So many are a list to read; so many are drawn at once. */
const [FEW, MOST] = [12, 300];

/**
 * @param {{label: string, files: {name: string, size: number | null}[], chosen: string | null, choose: (name: string) => void}} props
 *   *label*: what they are, such as "source files".
 */
export function FileList({ label, files, chosen, choose }) {
  const [sought, setSought] = useState("");
  const found = files.filter((file) => file.name.toLowerCase().includes(sought.toLowerCase()));
  return html`<nav aria-label=${label}>
    ${files.length > FEW && html`<input type="search" class="file-search" placeholder=${`Search ${files.length} files`} aria-label=${`Search ${label}`}
      value=${sought} onInput=${(/** @type {any} */ event) => setSought(event.target.value)} />`}
    <ul class="files">${found.slice(0, MOST).map(
      ({ name, size }) => html`<li key=${name}><button type="button" aria-current=${name === chosen ? "true" : undefined} title=${name}
        onClick=${() => choose(name)}><bdi>${name}</bdi> <span class="dim">${bytes(size)}</span></button></li>`,
    )}</ul>
    ${found.length > MOST && html`<p class="dim">${found.length - MOST} more; search for them.</p>`}
    ${found.length === 0 && html`<p class="dim">Nothing like this.</p>`}
  </nav>`;
}
