/** Views that were saved by name: filter, columns, sorting, groups and charts. The link of a view needs no saving. */
import { get, post } from "./api.js";
import { html, useEffect, useState } from "./lib.js";
import { say, writable } from "./state.js";
import { Button, Menu } from "./ui.js";
import { current, show } from "./view.js";

/** @typedef {{name: string, view: Record<string, any>, created: number}} Saved */

export function Views() {
  return html`<${Menu} label="Views" title="Saved views">${(/** @type {() => void} */ close) => html`<${Sheet} close=${close} />`}<//>`;
}

/** @param {{close: () => void}} props */
function Sheet({ close }) {
  const [saved, setSaved] = useState(/** @type {Saved[] | null} */ (null));
  const [name, setName] = useState("");
  const ask = () => get("views").then(({ views }) => setSaved(views), failed);
  useEffect(() => {
    ask();
  }, []);
  /** @param {Promise<any>} done @param {string} what */
  async function then(done, what) {
    try {
      await done;
      say(what);
      await ask();
    } catch (error) {
      failed(error);
    }
  }
  /** @param {Event} event */
  function save(event) {
    event.preventDefault();
    const wanted = name.trim();
    if (!wanted) return;
    setName("");
    then(post("views", { name: wanted, view: current() }), `View ${wanted} is saved.`);
  }
  return html`<div class="views">
    ${saved && !saved.length && html`<p class="dim">No view is saved. The address of this page is a link to what you see.</p>`}
    <ul>${saved?.map((one) => html`<li key=${one.name}>
      <button type="button" class="button quiet name" onClick=${() => (show(one.view), close())}>${one.name}</button>
      ${writable.value && html`<${Button} kind="quiet" label=${`forget view ${one.name}`}
        onClick=${() => then(post("views/delete", { name: one.name }), `View ${one.name} is forgotten.`)}>×<//>`}
    </li>`)}</ul>
    ${writable.value && html`<form onSubmit=${save}>
      <input aria-label="Name of the view" placeholder="Name of this view" value=${name} onInput=${(/** @type {any} */ event) => setName(event.currentTarget.value)} />
      <${Button} type="submit" disabled=${!name.trim()}>Save<//>
    </form>`}
    <${Button} kind="quiet" onClick=${() => (copyLink(), close())}>Copy the link<//>
  </div>`;
}

/** @param {any} error */
function failed(error) {
  say(error.message, { error: true });
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied. It works where this server is reached.");
  } catch {
    say("This browser does not let the page copy. The link is in the address bar.", { error: true });
  }
}
