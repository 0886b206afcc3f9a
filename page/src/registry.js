/**
 * The views, by the first part of the address. One is loaded when it is first shown; its module's default export is a
 * component that gets {args, params}: the rest of the path, and the parameters of the address.
 *
 * A view with `tab` has a tab at the top; `also` names the paths that belong to the same tab.
 */

/**
 * @typedef {object} View
 * @property {string} path
 * @property {string} title For the window's title.
 * @property {() => Promise<{default: any}>} load
 * @property {string} [tab]
 * @property {string[]} [also]
 */

/** @type {View[]} */
export const VIEWS = [
  { path: "runs", title: "Runs", tab: "Runs", also: ["run", "compare"], load: () => import("./runs.js") },
  { path: "run", title: "Run", load: () => import("../views/run.js") },
  { path: "compare", title: "Compare", load: () => import("../views/compare.js") },
  { path: "sweeps", title: "Sweeps", tab: "Sweeps", also: ["sweep"], load: () => import("../views/sweeps.js") },
  { path: "sweep", title: "Sweep", load: () => import("../views/sweep.js") },
  { path: "reports", title: "Reports", tab: "Reports", also: ["report"], load: () => import("../views/reports.js") },
  { path: "report", title: "Report", load: () => import("../views/report.js") },
  { path: "new", title: "New run", load: () => import("../views/form.js") },
];

/** @param {string} path */
export function viewOf(path) {
  return VIEWS.find((view) => view.path === path) ?? null;
}
