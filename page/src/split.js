/** The edge between the table and the charts: dragged, or moved by the arrow keys; where it is, is in the address. */
import { follow } from "./drag.js";
import { html, signal } from "./lib.js";
import { set } from "./state.js";
import { share } from "./view.js";

const [LEAST, MOST, STEP] = [20, 80, 2];

/** Where the edge is while it is held: it is in the address only when it is let go. */
const held = signal(/** @type {number | null} */ (null));

/** How much of the width the table has, in percent. */
export const tableShare = () => held.value ?? within(share.value);

/** @param {number} percent */
const within = (percent) => Math.round(Math.max(LEAST, Math.min(MOST, percent)));

/** @param {number} percent */
function put(percent) {
  set({ split: within(percent) === 50 ? null : within(percent) }, { replace: true });
}

export function Divider() {
  return html`<div class="divider" role="separator" aria-orientation="vertical" aria-label="Width of the table" tabindex="0"
    title="Drag, or press the arrow keys" aria-valuemin=${LEAST} aria-valuemax=${MOST} aria-valuenow=${tableShare()}
    onPointerDown=${drag} onKeyDown=${keys}></div>`;
}

/** @param {PointerEvent} event */
function drag(event) {
  const whole = /** @type {HTMLElement} */ (event.currentTarget).parentElement?.clientWidth ?? 0;
  if (event.button !== 0 || !whole) return;
  event.preventDefault();
  const from = tableShare();
  follow(
    event,
    (by) => (held.value = within(from + (100 * by) / whole)),
    () => {
      const last = held.value;
      held.value = null;
      if (last !== null) put(last);
    },
  );
}

/** @param {KeyboardEvent} event */
function keys(event) {
  if (event.key === "ArrowLeft") put(tableShare() - STEP);
  else if (event.key === "ArrowRight") put(tableShare() + STEP);
  else if (event.key === "Home") put(LEAST);
  else if (event.key === "End") put(MOST);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
