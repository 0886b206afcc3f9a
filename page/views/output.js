/** What a run printed: live while it goes on, with its colours, searched, from the end backwards as far as is asked. */
import { get } from "../src/api.js";
import { bytes } from "../src/format.js";
import { html, useEffect, useRef, useState } from "../src/lib.js";
import { Button, ErrorBox, Spinner } from "../src/ui.js";
import { Lines } from "./ansi.js";
import { SearchedLines } from "./text-lines.js";

/** How much is loaded at once, and how much of the end at first. */
const PIECE = 262144;
/** A live run's output is asked for so often when no word of it comes. */
const ASK_MS = 2000;

/** A run's output as far as it was loaded. */
export class Output {
  /** @param {string | number} id @param {typeof get} [ask] */
  constructor(id, ask = get) {
    this.id = id;
    this.ask = ask;
    this.lines = new Lines();
    this.begin = 0;
    this.next = 0;
    this.size = 0;
    this.live = false;
    this.busy = false;
  }

  /** @param {number} offset @param {number} limit */
  piece(offset, limit) {
    return this.ask(`runs/${encodeURIComponent(this.id)}/output`, { offset, limit });
  }

  /** Load the end, from *begin* on if that is given. @param {number | null} [begin] */
  async load(begin = null) {
    const { size } = await this.piece(0, 1);
    this.lines = new Lines();
    this.begin = begin ?? Math.max(0, size - PIECE);
    this.next = this.begin;
    this.size = size;
    await this.more();
  }

  /** Load what has come since; whether anything had. */
  async more() {
    if (this.busy) return false;
    this.busy = true;
    try {
      return await this.pieces();
    } finally {
      this.busy = false;
    }
  }

  async pieces() {
    const before = this.next;
    for (;;) {
      const answer = await this.piece(this.next, PIECE);
      this.live = answer.live;
      if (answer.size < this.next) {
        // a log that has reached its limit becomes shorter
        this.lines = new Lines();
        this.begin = Math.max(0, answer.size - PIECE);
        this.next = this.begin;
        continue;
      }
      this.size = answer.size;
      this.lines.feed(this.next === this.begin && this.begin > 0 ? fromLine(answer.text) : answer.text);
      if (answer.next <= this.next) return this.next > before;
      this.next = answer.next;
      if (this.next >= this.size) return true;
    }
  }
}

/** What comes after the first end of a line: where we begin is nowhere in particular. @param {string} text */
function fromLine(text) {
  return text.slice(text.indexOf("\n") + 1);
}

/** @param {{id: string | number, size: number | null}} props *size* as the live stream says it; null if it said none. */
export function OutputView({ id, size }) {
  const output = useRef(/** @type {Output | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [, redraw] = useState(0);
  const [follow, setFollow] = useState(false);
  const again = () => redraw((n) => n + 1);
  /** @param {number | null} begin */
  const load = (begin) => {
    const made = new Output(id);
    return made.load(begin).then(() => {
      output.current = made;
      again();
      return made;
    }, setError);
  };
  useEffect(() => {
    output.current = null;
    load(null).then((made) => made && setFollow(made.live));
  }, [id]);
  const more = () => output.current?.more().then((came) => came && again(), setError);
  useEffect(() => void more(), [size]);
  const live = output.current?.live ?? false;
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => more()?.then(again), ASK_MS);
    return () => clearInterval(timer);
  }, [live, id]);
  if (error) return html`<${ErrorBox} error=${error} />`;
  const held = output.current;
  if (!held) return html`<${Spinner} what="Loading the output" />`;
  if (!held.size) return html`<p class="dim">${live ? "Nothing was printed so far." : "Nothing was printed."}</p>`;
  return html`<${SearchedLines} lines=${held.lines.lines} version=${held.lines.version} label="output" follow=${follow}
    onFollow=${setFollow}>
    <label class="check"><input type="checkbox" checked=${follow}
      onChange=${(/** @type {any} */ event) => setFollow(event.target.checked)} /> follow</label>
    ${live && html`<span class="badge live">live</span>`}
    <span class="dim">${bytes(held.size)}</span>
    ${held.begin > 0 && html`<${Button} onClick=${() => load(Math.max(0, held.begin - 16 * PIECE))}>
      Show what came before (${bytes(held.begin)})<//>`}
  <//>`;
}
