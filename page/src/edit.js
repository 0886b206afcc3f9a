/** Tags and notes, edited where they stand; runs put into the trash and taken out of it. */
import { post } from "./api.js";
import { count } from "./format.js";
import { html, signal, useEffect, useRef } from "./lib.js";
import { put, renew } from "./rows.js";
import { say, writable } from "./state.js";
import { Button, Dialog, Tag } from "./ui.js";
import { select } from "./view.js";

/** @typedef {import("./rows.js").Row} Row */

/** What is being edited: of one run, its tags or its note. */
export const editing = signal(/** @type {{uid: string, what: "tags" | "note"} | null} */ (null));
/** The runs that wait for a yes before they go into the trash. */
export const leaving = signal(/** @type {number[] | null} */ (null));

/** @param {Row | undefined} row @param {"tags" | "note"} what */
export function edit(row, what) {
  if (row?.id != null && writable.value) editing.value = { uid: row.uid, what };
}

/** @param {Row} row @param {"tags" | "note"} what */
function isEdited(row, what) {
  return editing.value?.uid === row.uid && editing.value.what === what;
}

/** @param {{row: Row}} props */
export function TagsCell({ row }) {
  if (isEdited(row, "tags")) {
    return html`<${Line} label=${`tags of run ${row.id}`} value=${row.tags.join(", ")} save=${(/** @type {string} */ text) => saveTags(row, text)} />`;
  }
  return html`<span class="editable">${row.tags.map((tag) => html`<${Tag} text=${tag} />`)}<${Pencil} row=${row} what="tags" /></span>`;
}

/** @param {{row: Row}} props */
export function NoteCell({ row }) {
  if (isEdited(row, "note")) {
    return html`<${Line} label=${`note of run ${row.id}`} value=${row.note ?? ""} save=${(/** @type {string} */ text) => saveNote(row, text)} />`;
  }
  return html`<span class="editable"><span class="text">${row.note}</span><${Pencil} row=${row} what="note" /></span>`;
}

/** @param {{row: Row, what: "tags" | "note"}} props */
function Pencil({ row, what }) {
  if (!writable.value || row.id === null) return null;
  const label = `edit ${what} of run ${row.id}`;
  return html`<button type="button" class="pencil" tabindex="-1" title=${label} aria-label=${label} onClick=${() => edit(row, what)}>✎</button>`;
}

/**
 * One line to write in: Enter keeps, Escape leaves things as they were, and so does going away without a change.
 * @param {{label: string, value: string, save: (text: string) => void}} props
 */
function Line({ label, value, save }) {
  const ref = useRef(/** @type {HTMLInputElement | null} */ (null));
  const done = useRef(false);
  useEffect(() => {
    ref.current?.focus();
    ref.current?.select();
  }, []);
  /** @param {boolean} keep @param {boolean} [back] whether the table gets the focus again */
  function finish(keep, back = true) {
    if (done.current) return;
    done.current = true;
    const text = ref.current?.value ?? value;
    if (back) /** @type {HTMLElement | null} */ (ref.current?.closest(".grid"))?.focus();
    editing.value = null;
    if (keep && text !== value) save(text);
  }
  /** @param {KeyboardEvent} event */
  function keys(event) {
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) finish(true);
    else if (event.key === "Escape") finish(false);
  }
  return html`<input class="line" ref=${ref} aria-label=${label} value=${value} onKeyDown=${keys} onBlur=${() => finish(true, false)}
    onDblClick=${(/** @type {Event} */ event) => event.stopPropagation()} />`;
}

/** @param {string} text */
export function tagsOf(text) {
  return [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
}

/** @param {Row} row @param {string} text */
function saveTags(row, text) {
  const now = tagsOf(text);
  const add = now.filter((tag) => !row.tags.includes(tag));
  const remove = row.tags.filter((tag) => !now.includes(tag));
  return sent(row, { ...row, tags: now }, () => post(`runs/${row.id}/tags`, { add, remove }));
}

/** @param {Row} row @param {string} text */
function saveNote(row, text) {
  return sent(row, { ...row, note: text }, () => post(`runs/${row.id}/note`, { text }));
}

/** Shown at once, taken back when it is refused. @param {Row} before @param {Row} after @param {() => Promise<any>} send */
async function sent(before, after, send) {
  put(after);
  try {
    put(await send());
  } catch (error) {
    put(before);
    say(/** @type {Error} */ (error).message, { error: true });
  }
}

/** Give several runs a tag. @param {number[]} runs @param {string} text */
export async function tagAll(runs, text) {
  const add = tagsOf(text);
  const answers = await Promise.allSettled(runs.map((run) => post(`runs/${run}/tags`, { add, remove: [] })));
  for (const answer of answers) if (answer.status === "fulfilled") put(answer.value);
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed) say(failed.reason.message, { error: true });
  else say(`${count(runs.length, "run")} tagged ${add.join(", ")}.`);
}

/** @param {number[]} runs */
async function remove(runs) {
  leaving.value = null;
  try {
    await post("runs/delete", { runs });
    select([]);
    renew(true);
    const are = runs.length === 1 ? "is" : "are";
    say(`${count(runs.length, "run")} ${are} in the trash.`, { undo: () => restore(runs) });
  } catch (error) {
    say(/** @type {Error} */ (error).message, { error: true });
  }
}

/** @param {number[]} runs */
export async function restore(runs) {
  try {
    await post("runs/restore", { runs });
    select([]);
    renew(true);
    say(`${count(runs.length, "run")} restored.`);
  } catch (error) {
    say(/** @type {Error} */ (error).message, { error: true });
  }
}

/** Asks before runs go into the trash. */
export function Leaving() {
  const runs = leaving.value;
  if (!runs) return null;
  const close = () => (leaving.value = null);
  return html`<${Dialog} title=${`Delete ${count(runs.length, "run")}?`} close=${close} actions=${html`
      <${Button} onClick=${close}>Keep<//>
      <${Button} kind="danger" onClick=${() => remove(runs)}>Delete ${count(runs.length, "run")}<//>`}>
    <p>${runs.length > 12 ? `Runs ${runs.slice(0, 12).join(", ")} and ${runs.length - 12} more` : `Run ${runs.join(", ")}`}
    ${" will be moved to the store's trash, from where they can be restored. "}Nothing is erased before${" "}<code>anew purge</code>.</p>
  <//>`;
}
