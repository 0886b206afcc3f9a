/** The series of one metric of several runs while a chart shows them: whole, finer where one has zoomed, and live. */
import { get } from "./api.js";
import { append } from "./curvedata.js";
import { useEffect, useRef, useState } from "./lib.js";
import { listen } from "./stream.js";

/** @typedef {import("./curvedata.js").Series} Series */
/** @typedef {"step" | "time" | "relative"} Over */
/** @typedef {[number, number] | null} Zoom */
/** @typedef {{whole: Series[] | null, fine: Series[] | null, error: any, version: number}} Held */

/** Points that came make a series longer than was asked for; then it is asked for again. */
const LONGER = 3;
const PAUSE_MS = 2000;

/**
 * @param {{runs: number[], name: string, over: Over, zoom: Zoom, buckets: number, active: boolean}} asked *active*: whether it is seen
 * @returns {Held}
 */
export function useSeries({ runs, name, over, zoom, buckets, active }) {
  const held = useRef(/** @type {Held} */ ({ whole: null, fine: null, error: null, version: 0 }));
  const [, draw] = useState(0);
  const [round, setRound] = useState(0);
  const now = held.current;
  const changed = () => {
    now.version += 1;
    draw(now.version);
  };
  const of = `${runs.join(",")} ${name} ${over} ${buckets}`;
  useEffect(() => {
    if (!active) return undefined;
    const stop = new AbortController();
    /** @type {(() => void) | null} */
    let end = null;
    get("series", { runs, names: [name], x: over, buckets }, stop.signal).then(
      (answer) => {
        now.whole = answer.series;
        now.error = null;
        end = follow(answer.cursor);
        changed();
      },
      (error) => {
        if (error.name === "AbortError") return;
        // runs that have not logged it yet are no mistake
        now.error = error.status === 404 ? null : error;
        now.whole ??= [];
        changed();
      },
    );
    /** @param {string} cursor */
    function follow(cursor) {
      let again = 0;
      const unlisten = listen({
        runs,
        names: [name],
        cursor,
        points: ({ series }) => {
          const own = series.filter((/** @type {any} */ s) => s.name === name && runs.includes(s.run));
          if (!own.length) return;
          const fits = own.every((/** @type {any} */ s) => taken(now, s, over, buckets));
          if (!fits) again ||= window.setTimeout(() => setRound((was) => was + 1), PAUSE_MS);
          changed();
        },
      });
      return () => (clearTimeout(again), unlisten());
    }
    return () => {
      stop.abort();
      end?.();
    };
  }, [of, active, round]);
  useEffect(() => {
    now.fine = null;
    if (!zoom || !active) return changed();
    const stop = new AbortController();
    const asked = { runs, names: [name], x: over, buckets, from: zoom[0], to: zoom[1] };
    get("series", asked, stop.signal).then(
      (answer) => {
        now.fine = answer.series;
        changed();
      },
      () => undefined,
    );
    return () => stop.abort();
  }, [of, zoom?.join(" "), active, round]);
  return now;
}

/**
 * Put points into the series that is held; false where it has to be asked for again. The stream counts steps; over time
 * it cannot say where a point stands, so that those series are asked for again.
 * @param {Held} held @param {{run: number, name: string, x: number[], y: (number | null)[]}} came @param {Over} over @param {number} buckets
 */
function taken(held, came, over, buckets) {
  const series = held.whole?.find((one) => one.run === came.run);
  if (!series || over !== "step") return false;
  const fits = append(series, came.x, came.y);
  const fine = held.fine?.find((one) => one.run === came.run);
  if (fine && held.fine && fine.x.length) append(fine, came.x, came.y);
  return fits && series.x.length < buckets * LONGER;
}

/** Whether an element is, or was, on the screen. @param {{current: HTMLElement | null}} ref */
export function useSeen(ref) {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!ref.current || seen) return undefined;
    const watcher = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && setSeen(true), { rootMargin: "200px" });
    watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, [seen]);
  return seen;
}
