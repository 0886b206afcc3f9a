/**
 * Whether the files of the page are other ones than those that its server knows: it was installed anew while it served.
 *
 * A browser does not say why a module did not load; that it got a 404 for one is seen in its list of what was loaded.
 */
import { signal } from "./lib.js";

const missing = signal(false);

/** @param {PerformanceEntry[]} entries */
function look(entries) {
  const gone = (/** @type {any} */ entry) => entry.responseStatus === 404 && new URL(entry.name).pathname.startsWith("/page/");
  if (entries.some(gone)) missing.value = true;
}

new PerformanceObserver((list) => look(list.getEntries())).observe({ type: "resource", buffered: true });

/** What is said of a part that did not load; read it in a view, since the reason may come later. @param {string} what */
export function whyNotLoaded(what) {
  const error = new Error(missing.value ? "anew was updated: start anew ui again." : `${what} did not load.`);
  const hint = missing.value ? `${what} is in a file that this server does not know. End it with Ctrl-C, and type: anew ui` : undefined;
  return Object.assign(error, { hint });
}
