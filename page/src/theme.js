/** Light or dark: as the system has it, or as was chosen here. */
import { effect, html } from "./lib.js";
import { kept } from "./state.js";

const chosen = kept("theme", "system");
const ORDER = ["system", "light", "dark"];
const SIGNS = /** @type {Record<string, string>} */ ({ system: "◐", light: "☀", dark: "☾" });

effect(() => {
  const theme = chosen.value;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));

/** Goes round system, light, dark. */
export function ThemeSwitch() {
  const now = ORDER.includes(chosen.value) ? chosen.value : "system";
  const next = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];
  return html`<button type="button" class="button quiet theme" title=${`Colours: ${now}. Press for ${next}.`}
    aria-label=${`colours: ${now}`} onClick=${() => (chosen.value = next)}>${SIGNS[now]}</button>`;
}

/**
 * Colours of the style sheet, for what is drawn on a canvas: `{ink: "rgb(…)"}`.
 * @template {string} K @param {K[]} names @returns {Record<K, string>}
 */
export function colours(names) {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = /** @type {Record<K, string>} */ ({});
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
