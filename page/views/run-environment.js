/** What a run ran on: Python, packages, variables, the machine, and how much of it was used over time. */
import { bytes } from "../src/format.js";
import { html, useState } from "../src/lib.js";
import { Panel, Table } from "../src/ui.js";
import { CurvesHere } from "./charts-here.js";
import { Facts } from "./parts.js";

/** @param {import("./run.js").Shown} props */
export function EnvironmentView({ record, page }) {
  const names = page?.system_metrics ?? [];
  return html`<div class="columns">
    <div>
      <${Machine} hardware=${record.hardware ?? {}} />
      <${Python} environment=${record.environment ?? {}} />
    </div>
    <div>
      <${Packages} environment=${record.environment ?? {}} />
      <${Variables} environment=${record.environment ?? {}} />
    </div>
  </div>
  ${names.length > 0 && html`<${Panel} title="Use of the machine"><${CurvesHere} runs=${[record.id]} names=${names} /><//>`}`;
}

/** @param {{hardware: any}} props */
function Machine({ hardware }) {
  const { cpu = {}, gpus = [], scheduler = {} } = hardware;
  return html`<${Panel} title="Machine"><${Facts} rows=${[
    ["host", hardware.hostname],
    ["system", hardware.os],
    ["processor", cpu.model && `${cpu.model}, ${cpu.cores} cores${cpu.allowed && cpu.allowed !== cpu.cores ? `, ${cpu.allowed} allowed` : ""}`],
    ["memory", bytes(hardware.memory_bytes)],
    ["memory allowed", bytes(hardware.memory_allowed_bytes)],
    ["container", hardware.container],
    ...gpus.map((/** @type {any} */ gpu, /** @type {number} */ at) => [`GPU ${at}`, gpuText(gpu)]),
    ...Object.entries(scheduler),
  ]} /><//>`;
}

/** @param {any} gpu */
function gpuText(gpu) {
  if (typeof gpu === "string") return gpu;
  return [gpu.name ?? gpu.model, bytes(gpu.memory_bytes), gpu.driver && `driver ${gpu.driver}`].filter(Boolean).join(", ");
}

/** @param {{environment: any}} props */
function Python({ environment }) {
  return html`<${Panel} title="Python"><${Facts} rows=${[
    ["version", `${environment.implementation ?? ""} ${environment.python ?? ""}`],
    ["executable", environment.executable],
    ["anew", environment.anew],
    ["locale", environment.locale],
    ["encoding", environment.encoding],
    ...Object.entries(environment.libraries ?? {}),
  ]} /><//>`;
}

/** @param {{environment: any}} props */
function Packages({ environment }) {
  const [sought, setSought] = useState("");
  const [all, setAll] = useState(false);
  const packages = Object.entries(environment.packages ?? {});
  const imported = new Set((environment.imported ?? []).map((/** @type {string} */ name) => name.toLowerCase().replaceAll("_", "-")));
  const rows = packages
    .filter(([name]) => name.toLowerCase().includes(sought.toLowerCase()))
    .map(([name, version]) => ({ name, version, origin: environment.origins?.[name] ?? "", used: imported.has(name.toLowerCase()) }))
    .sort((one, other) => Number(other.used) - Number(one.used));
  const shown = all || sought ? rows : rows.slice(0, 20);
  return html`<${Panel} title=${`Packages (${packages.length})`}>
    <div class="bar"><input type="search" placeholder="Search" aria-label="Search packages" value=${sought}
      onInput=${(/** @type {any} */ event) => setSought(event.target.value)} /></div>
    <${Table} caption="Installed packages" rows=${shown} empty="No package is called so." columns=${[
      { name: "name" },
      { name: "version" },
      { name: "used", title: "imported", show: (/** @type {any} */ row) => (row.used ? "yes" : "") },
      { name: "origin" },
    ]} />
    ${shown.length < rows.length && html`<button type="button" class="button" onClick=${() => setAll(true)}>Show all ${rows.length}</button>`}
  <//>`;
}

/** @param {{environment: any}} props */
function Variables({ environment }) {
  const rows = Object.entries({ ...environment.variables, ...environment.threads }).filter(([, value]) => value !== null);
  if (!rows.length) return null;
  return html`<${Panel} title="Variables"><${Facts} rows=${rows} /><//>`;
}
