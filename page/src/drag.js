/** Following the pointer from where it was pressed to where it is let go. */

/** @param {PointerEvent} start @param {(by: number, x: number) => void} going @param {() => void} end */
export function follow(start, going, end) {
  const stop = new AbortController();
  const { signal } = stop;
  addEventListener("pointermove", (event) => going(event.clientX - start.clientX, event.clientX), { signal });
  const done = () => (stop.abort(), end());
  addEventListener("pointerup", done, { signal });
  addEventListener("pointercancel", done, { signal });
}
