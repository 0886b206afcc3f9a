/** The runs of a store: a bar of what one can choose, the table or groups, and the charts beside them. */
import { Charts } from "./charts.js";
import { Columns } from "./columns.js";
import { edit, Leaving, leaving, restore, tagAll } from "./edit.js";
import { Filter } from "./filter.js";
import { count } from "./format.js";
import { GroupBy, Groups } from "./groups.js";
import { Help, helping } from "./help.js";
import { compare, useKeys } from "./keys.js";
import { at, wanted } from "./layout.js";
import { html, useEffect, useState } from "./lib.js";
import { ask, connected, leftOut, listenToRows, refused, row, total } from "./rows.js";
import { Divider, tableShare } from "./split.js";
import { set, store, writable } from "./state.js";
import { RunsTable } from "./table.js";
import { Button, Command, Empty, ErrorBox, Spinner } from "./ui.js";
import { beside, flipBeside, group, query, select, selection, sort, trash } from "./view.js";
import { Views } from "./views.js";

export default function Runs() {
  const columns = wanted.value;
  useEffect(() => {
    ask({ q: query.value, sort: sort.value, columns, trash: trash.value });
  }, [query.value, sort.value, columns?.join("\n"), trash.value]);
  useEffect(() => {
    at.value = 0;
  }, [query.value, trash.value]);
  const known = total.value !== null;
  useEffect(() => (known ? listenToRows() : undefined), [known]);
  useKeys();
  const nothing = total.value === 0 && !query.value && !trash.value && !store.value?.indexing;
  return html`<h1 class="unseen">Runs</h1>
    <div class="runs">
      <${Bar} />
      ${leftOut.value.map((why) => html`<p class="bad left-out" role="status">${why} How to mend it is said by <code>anew check</code>.</p>`)}
      ${nothing ? html`<${Nothing} />` : html`<div class=${`halves${beside.value ? "" : " alone"}`}
        style=${{ "--table": `${tableShare()}fr`, "--charts": `${100 - tableShare()}fr` }}>
        <div class="list">${group.value.length ? html`<${Groups} />` : html`<${Listed} />`}<${Chosen} /></div>
        ${beside.value && html`<${Divider} /><${Charts} />`}
      </div>`}
    </div>
    <${Leaving} /><${Help} />`;
}

function Bar() {
  const shown = total.value;
  return html`<div class="bar">
    <${Views} />
    <${Filter} />
    <span class="total" role="status">${shown === null ? "" : count(shown, "run")}${!connected.value && html`<span class="bad" title="The server does not answer; trying again"> · not live</span>`}</span>
    <${GroupBy} />
    <${Columns} />
    <${Button} pressed=${trash.value} title="Runs in the trash" onClick=${() => set({ trash: trash.value ? null : "1", sel: null })}>Trash<//>
    <${Button} pressed=${beside.value} title="Charts, of the selected runs if some are (b)" onClick=${flipBeside}>Charts<//>
    <${Button} kind="quiet" label="help" title="Keys and filters (?)" onClick=${() => (helping.value = true)}>?<//>
  </div>`;
}

/** The table, or what takes its place when it is empty. */
function Listed() {
  if (total.value === null) return refused.value ? html`<${ErrorBox} error=${refused.value} />` : html`<${Spinner} />`;
  if (total.value === 0 && !store.value?.indexing) {
    return html`<${Empty} title=${trash.value ? "The trash is empty" : "No run is like that"}>
      ${query.value && html`<${Button} onClick=${() => set({ q: null })}>Take the filter away<//>`}
    <//>`;
  }
  return html`<${RunsTable} />`;
}

/** What can be done with the selected runs. */
function Chosen() {
  const runs = selection.value;
  const [tagging, setTagging] = useState(false);
  if (!runs.length) return null;
  return html`<div class="chosen-bar" role="toolbar" aria-label="Selected runs">
    <span>${count(runs.length, "run")} selected</span>
    <${Button} disabled=${runs.length < 2} title="Compare (c)" onClick=${compare}>Compare<//>
    ${writable.value && !trash.value && html`<${Button} onClick=${() => (runs.length === 1 && row(at.value)?.id === runs[0] ? edit(row(at.value), "tags") : setTagging(!tagging))}>Tag<//>
      <${Button} kind="danger" onClick=${() => (leaving.value = runs)}>Delete<//>`}
    ${writable.value && trash.value && html`<${Button} kind="main" onClick=${() => restore(runs)}>Restore<//>`}
    <${Button} kind="quiet" title="Select nothing (Escape)" onClick=${() => select([])}>Clear<//>
    ${tagging && html`<form onSubmit=${(/** @type {any} */ event) => (event.preventDefault(), setTagging(false), tagAll(runs, event.currentTarget.elements[0].value))}>
      <input aria-label="Tags for all selected runs" placeholder="tag, tag" /><${Button} type="submit">Add<//></form>`}
  </div>`;
}

/** A store without a run says how to get one. */
function Nothing() {
  return html`<${Empty} title="No run yet">
    <p>${"This page shows the runs of "}<code>${store.value?.store}</code>${". They appear here as soon as they start. To make one, write "}<code>train.py</code>:</p>
    <pre class="code" tabindex="0" aria-label="an experiment">${SAMPLE}</pre>
    <p>and type:</p>
    <${Command} command="python train.py lr=0.2" />
    <p class="dim">A program that knows nothing of Anew is recorded, too:</p>
    <${Command} command="anew run program.py" />
  <//>`;
}

const SAMPLE = `from anew import Experiment, Run

experiment = Experiment("fit")

@experiment.main
def main(lr: float = 0.1, steps: int = 100, *, run: Run) -> float:
    w = 0.0
    for step in range(steps):
        w -= lr * 2 * (w - 3)
        run.log({"loss": (w - 3) ** 2}, step=step)
    return (w - 3) ** 2

if __name__ == "__main__":
    main()
`;
