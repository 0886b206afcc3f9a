/** What a run read and what it left: its inputs and artifacts, with a look into each. */
import { bytes, count } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { param, set } from "../src/state.js";
import { Command, Panel, useAnswer } from "../src/ui.js";
import { FileList } from "./file-list.js";
import { Answer, quoted } from "./parts.js";
import { contentUrl, nameOf, Preview } from "./previews.js";

/** @typedef {import("./previews.js").File} File */

/** @param {{id: string | number}} props */
export function FilesView({ id }) {
  const answer = useAnswer(`runs/${encodeURIComponent(id)}/artifacts`);
  return html`<${Answer} of=${answer} what="files">${(/** @type {any} */ data) => html`
    <${Artifacts} id=${id} files=${data.artifacts} />
    <${Inputs} id=${id} files=${data.inputs} />`}<//>`;
}

/** @param {{id: string | number, files: File[]}} props */
function Artifacts({ id, files }) {
  const asked = param("artifact");
  const images = files.filter((file) => file.preview === "image" && file.sha256);
  const chosen = files.find((file) => nameOf(file) === asked) ?? images[0] ?? files[0];
  const total = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  const title = `Artifacts${files.length ? ` (${count(files.length, "file")}, ${bytes(total)})` : ""}`;
  if (!files.length) return html`<${Panel} title="Artifacts"><p class="dim">It left none. In main: <code>run.log_artifact("model.pt")</code></p><//>`;
  return html`<${Panel} title=${title}>
    ${images.length > 1 && html`<${Gallery} id=${id} images=${images} />`}
    <div class="split">
      <${FileList} label="artifacts" files=${files.map((file) => ({ name: nameOf(file), size: file.size }))}
        chosen=${chosen ? nameOf(chosen) : null} choose=${(/** @type {string} */ name) => set({ artifact: name }, { replace: true })} />
      ${chosen && html`<${One} key=${chosen.sha256 + nameOf(chosen)} id=${id} file=${chosen} />`}
    </div>
    <${Command} command=${`anew get ${id}`} what="all of them, as files" />
  <//>`;
}

/** @param {{id: string | number, images: File[]}} props */
function Gallery({ id, images }) {
  const shown = images.slice(0, 24);
  return html`<div class="gallery">${shown.map(
    (file) => html`<button type="button" key=${nameOf(file)} title=${nameOf(file)}
      onClick=${() => set({ artifact: nameOf(file) }, { replace: true })}>
      <img loading="lazy" src=${contentUrl(id, file)} alt=${nameOf(file)} /></button>`,
  )}</div>`;
}

/** @param {{id: string | number, file: File}} props */
function One({ id, file }) {
  const name = nameOf(file);
  return html`<article class="file" aria-label=${name}>
    <h3><bdi>${name}</bdi></h3>
    <p class="dim">${[file.media, bytes(file.size), file.sha256 && `SHA-256 ${file.sha256.slice(0, 12)}`].filter(Boolean).join(" · ")}
      ${file.sha256 && html`${" · "}<a href=${contentUrl(id, file, true)} download>download</a>`}</p>
    <${Preview} id=${id} file=${file} />
    <${Command} command=${`anew get ${id} ${quoted(name)}`} />
  </article>`;
}

/** @param {{id: string | number, files: (File & {kept?: boolean})[]}} props */
function Inputs({ id, files }) {
  const [open, setOpen] = useState(/** @type {string | null} */ (null));
  return html`<${Panel} title="Inputs">
    ${files.length === 0
      ? html`<p class="dim">No file that it read was noticed.</p>`
      : html`<ul class="inputs">${files.map((file) => {
          const kept = file.kept !== false && file.sha256 !== null;
          return html`<li key=${file.path}><bdi>${file.path}</bdi>
            <span class="dim">${[bytes(file.size), file.sha256?.slice(0, 12), kept ? "" : "digest only"].filter(Boolean).join(" · ")}</span>
            ${kept && html`<button type="button" class="button quiet" aria-expanded=${String(open === file.path)}
                onClick=${() => setOpen(open === file.path ? null : file.path)}>look</button>
              <a href=${contentUrl(id, file, true)} download>download</a>`}
            ${kept && open === file.path && html`<${Preview} id=${id} file=${file} />`}</li>`;
        })}</ul>`}
  <//>`;
}
