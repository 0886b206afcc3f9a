/** Any number of lines of text, of which only those in sight are elements; with a search that marks what it finds. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../src/lib.js";
import { Button } from "../src/ui.js";
import { shown } from "./ansi.js";

/** @typedef {import("./ansi.js").Line} Line */
/** @typedef {import("./ansi.js").Piece} Piece */

/** The height of a line in pixels, as in views/run.css. */
export const LINE = 18;
const MARGIN = 20;
/** What is drawn of a line at most; a line may be as long as a file. */
const LONGEST = 4000;

/** The numbers of the lines in which *sought* stands, whatever its case. @param {Line[]} lines @param {string} sought */
export function found(lines, sought) {
  const small = sought.toLowerCase();
  if (!small) return [];
  return lines.flatMap((line, index) => (line.text.toLowerCase().includes(small) ? [index] : []));
}

/**
 * Pieces cut so that what is sought is pieces of their own.
 * @param {Piece[]} pieces @param {string} sought @returns {(Piece & {hit?: boolean})[]}
 */
export function marked(pieces, sought) {
  const small = sought.toLowerCase();
  const text = pieces.map((piece) => piece.text).join("").toLowerCase();
  if (!small || !text.includes(small)) return pieces;
  /** @type {number[]} */
  const starts = [];
  for (let at = text.indexOf(small); at >= 0; at = text.indexOf(small, at + small.length)) starts.push(at);
  const edges = starts.flatMap((start) => [start, start + small.length]);
  const out = [];
  let at = 0;
  for (const piece of pieces) {
    const inside = edges.filter((edge) => edge > at && edge < at + piece.text.length);
    const cuts = [at, ...inside, at + piece.text.length];
    for (let n = 0; n + 1 < cuts.length; n += 1) {
      const [from, to] = [cuts[n] ?? 0, cuts[n + 1] ?? 0];
      const hit = starts.some((start) => from >= start && from < start + small.length);
      out.push({ text: piece.text.slice(from - at, to - at), style: piece.style, hit });
    }
    at += piece.text.length;
  }
  return out;
}

/** @param {{line: Line, number: number, sought: string, current: boolean}} props */
function Row({ line, number, sought, current }) {
  const long = line.text.length - LONGEST;
  const pieces = marked(long > 0 ? clipped(line.pieces) : line.pieces, sought);
  return html`<div class=${`line${current ? " current" : ""}`}>
    <span class="line-number" aria-hidden="true">${number}</span>
    <span class="line-text">${pieces.map(drawn)}${long > 0 && html`<i class="more"> … ${long} more characters</i>`}</span>
  </div>`;
}

/** @param {Piece & {hit?: boolean}} piece */
function drawn(piece) {
  const look = shown(piece.style);
  if (piece.hit) return html`<mark class=${look.class} style=${look.style}>${piece.text}</mark>`;
  if (!look.class && !look.style.color && !look.style.backgroundColor) return piece.text;
  return html`<span class=${look.class} style=${look.style}>${piece.text}</span>`;
}

/** @param {Piece[]} pieces */
function clipped(pieces) {
  const out = [];
  let left = LONGEST;
  for (const piece of pieces) {
    if (left <= 0) break;
    out.push({ ...piece, text: piece.text.slice(0, left) });
    left -= piece.text.length;
  }
  return out;
}

/**
 * Lines in a window of their own. *at* is a line to be in sight; *follow* holds it at the end until someone scrolls up.
 * @param {{lines: Line[], version: number, first?: number, sought?: string, at?: number | null, follow?: boolean,
 *   onFollow?: (follow: boolean) => void, label: string}} props
 */
export function TextLines({ lines, version, first = 1, sought = "", at = null, follow = false, onFollow, label }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const last = useRef(0);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const look = () => {
    const it = box.current;
    if (!it) return;
    setSeen({ top: it.scrollTop, height: it.clientHeight });
    const up = it.scrollTop < last.current;
    last.current = it.scrollTop;
    const atEnd = it.scrollTop + it.clientHeight >= it.scrollHeight - 2 * LINE;
    // lines that came since the end was gone to are no wish to stay behind
    if (follow && up && !atEnd) onFollow?.(false);
  };
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
    if (box.current) setSeen({ top: box.current.scrollTop, height: box.current.clientHeight });
  }, [follow, version, lines.length]);
  useEffect(() => {
    if (at !== null && box.current) box.current.scrollTop = Math.max(0, at * LINE - box.current.clientHeight / 2);
  }, [at]);
  const start = Math.max(0, Math.floor(seen.top / LINE) - MARGIN);
  const end = Math.min(lines.length, Math.ceil((seen.top + seen.height) / LINE) + MARGIN);
  const digits = String(first + lines.length).length;
  return html`<div class="text-lines" ref=${box} style=${{ height: `min(${lines.length * LINE + 24}px, var(--tallest))` }} onScroll=${look} tabindex="0" role="region" aria-label=${label}>
    <div class="text-all" style=${{ height: `${lines.length * LINE}px`, "--digits": digits }}>
      <div class="text-seen" style=${{ transform: `translateY(${start * LINE}px)` }}>
        ${lines.slice(start, end).map((line, n) => {
          const number = start + n;
          return html`<${Row} key=${number} line=${line} number=${first + number} sought=${sought} current=${number === at} />`;
        })}
      </div>
    </div>
  </div>`;
}

/**
 * A field to search lines with, and the lines themselves.
 * @param {{lines: Line[], version: number, first?: number, label: string, follow?: boolean,
 *   onFollow?: (follow: boolean) => void, children?: any}} props
 */
export function SearchedLines({ lines, version, first, label, follow, onFollow, children }) {
  const [sought, setSought] = useState("");
  const [nth, setNth] = useState(0);
  const hits = found(lines, sought);
  const place = hits.length ? (((nth % hits.length) + hits.length) % hits.length) : 0;
  const at = hits.length ? (hits[place] ?? null) : null;
  const step = (/** @type {number} */ by) => {
    onFollow?.(false);
    setNth(place + by);
  };
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") setSought("");
  };
  return html`<div class="searched">
    <div class="bar">
      <input type="search" placeholder="Search" aria-label=${`Search ${label}`} value=${sought} onKeyDown=${pressed}
        onInput=${(/** @type {any} */ event) => {
          setSought(event.target.value);
          setNth(0);
          if (event.target.value) onFollow?.(false);
        }} />
      ${sought && html`<span class="hits" role="status">${hits.length ? `${place + 1} of ${hits.length}` : "nothing found"}</span>
        <${Button} kind="quiet" label="previous" disabled=${!hits.length} onClick=${() => step(-1)}>↑<//>
        <${Button} kind="quiet" label="next" disabled=${!hits.length} onClick=${() => step(1)}>↓<//>`}
      ${children}
    </div>
    <${TextLines} lines=${lines} version=${version} first=${first} sought=${sought} at=${at} follow=${follow}
      onFollow=${onFollow} label=${label} />
  </div>`;
}
