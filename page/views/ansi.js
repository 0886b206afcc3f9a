/**
 * Printed text as lines of styled pieces: colours are kept, and nothing else of a terminal's sequences acts.
 *
 * What comes in may end anywhere, within a sequence too; the rest is taken up with what comes next.
 */

/**
 * @typedef {object} Style
 * @property {string} [fg] One of 16 names ("1" to "15"), or a colour such as "#ff8800". @property {string} [bg]
 * @property {boolean} [bold] @property {boolean} [dim] @property {boolean} [italic] @property {boolean} [underline]
 * @property {boolean} [struck] @property {boolean} [inverse]
 */
/** @typedef {{text: string, style: Style}} Piece */
/** @typedef {{pieces: Piece[], text: string}} Line */

/** The longest sequence that is waited for; one that is longer is left out as it is. */
const LONGEST = 4096;
const PLAIN = /** @type {Style} */ (Object.freeze({}));
// text; or a control character; or a sequence: CSI, or a string (OSC, DCS, ...) to its end, or ESC with what follows
const TOKEN =
  /([^\x00-\x08\x0a-\x1f\x7f-\x9f]+)|(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-Z\\^-~]|([\x00-\x08\x0a-\x1f\x7f-\x9f])/gy;
// what may be the beginning of a sequence whose end has not come
const OPEN = /^(?:\x1b(?:[ -/]*|\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?)|\x9b[0-?]*[ -/]*|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*\x1b?)$/;

/** Lines so far, and how they go on. */
export class Lines {
  constructor() {
    /** @type {Line[]} */
    this.lines = [];
    /** How often it has changed. */
    this.version = 0;
    this.style = PLAIN;
    this.rest = "";
    /** Where the next text goes on the last line; null at its end. @type {number | null} */
    this.column = null;
    this.ended = true;
  }

  /** Take what was printed next. @param {string} text */
  feed(text) {
    this.version += 1;
    const all = this.rest + text;
    this.rest = "";
    TOKEN.lastIndex = 0;
    for (let at = 0; at < all.length; at = TOKEN.lastIndex) {
      const tail = all.length - at <= LONGEST ? all.slice(at) : "";
      if (OPEN.test(tail)) {
        this.rest = tail;
        return;
      }
      TOKEN.lastIndex = at;
      const found = TOKEN.exec(all);
      if (!found) {
        TOKEN.lastIndex = at + 1;
        continue;
      }
      if (found[1] !== undefined) this.write(found[1]);
      else if (found[3] !== undefined) this.sequence(found[2] ?? "", found[3]);
      else if (found[4] !== undefined) this.control(found[4]);
    }
  }

  /** @returns {Line} */
  last() {
    if (this.ended) this.lines.push({ pieces: [], text: "" });
    this.ended = false;
    return /** @type {Line} */ (this.lines[this.lines.length - 1]);
  }

  /** @param {string} text */
  write(text) {
    const line = this.last();
    const piece = { text, style: this.style };
    if (this.column !== null && this.column < line.text.length) {
      // as on a terminal: what is printed after a carriage return lies over what stands there
      const after = this.column + text.length;
      line.pieces = [...cut(line.pieces, 0, this.column), piece, ...cut(line.pieces, after, Infinity)];
      line.text = line.text.slice(0, this.column) + text + line.text.slice(after);
      this.column = after;
      return;
    }
    this.column = null;
    const before = line.pieces.at(-1);
    if (before?.style === this.style) before.text += text;
    else line.pieces.push(piece);
    line.text += text;
  }

  /** @param {string} given @param {string} final */
  sequence(given, final) {
    if (final === "m" && !/[<=>?]/.test(given)) this.style = styled(this.style, given);
    else if (final === "K" && this.column === 0) this.clear();
  }

  /** @param {string} letter */
  control(letter) {
    if (letter === "\n") {
      this.last();
      this.ended = true;
      this.column = null;
    } else if (letter === "\r") this.column = this.ended ? null : 0;
    else if (letter === "\b") this.back();
    else if (letter < " " && letter !== "\x07" && letter !== "\x00") this.write(picture(letter));
  }

  clear() {
    const line = this.last();
    line.pieces = [];
    line.text = "";
    this.column = null;
  }

  back() {
    const line = this.last();
    const piece = line.pieces.pop();
    if (piece && piece.text.length > 1) line.pieces.push({ ...piece, text: piece.text.slice(0, -1) });
    line.text = line.text.slice(0, -1);
  }
}

/** All of a text at once. @param {string} text @returns {Line[]} */
export function lines(text) {
  const found = new Lines();
  found.feed(text);
  return found.lines;
}

/** A control character as something to see. @param {string} letter */
function picture(letter) {
  return String.fromCharCode(0x2400 + letter.charCodeAt(0));
}

/** Those parts of pieces that lie from *start* to *end*. @param {Piece[]} pieces @param {number} start @param {number} end */
function cut(pieces, start, end) {
  const left = [];
  let at = 0;
  for (const piece of pieces) {
    const text = piece.text.slice(Math.max(0, start - at), Math.max(0, end - at));
    if (text) left.push({ text, style: piece.style });
    at += piece.text.length;
  }
  return left;
}

/** @type {Record<number, Style>} */
const SWITCHES = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { struck: true },
  22: { bold: undefined, dim: undefined },
  23: { italic: undefined },
  24: { underline: undefined },
  27: { inverse: undefined },
  29: { struck: undefined },
  39: { fg: undefined },
  49: { bg: undefined },
};

/** The style after a sequence of SGR numbers. @param {Style} style @param {string} given @returns {Style} */
export function styled(style, given) {
  const numbers = given.split(/[;:]/).map(Number);
  let now = style;
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at] ?? 0;
    if (code === 0) now = PLAIN;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(numbers.slice(at + 1));
      if (colour !== null) now = { ...now, [code === 38 ? "fg" : "bg"]: colour };
      at += used;
    } else now = basic(now, code);
  }
  return now;
}

/** @param {Style} style @param {number} code @returns {Style} */
function basic(style, code) {
  if (code in SWITCHES) return { ...style, ...SWITCHES[code] };
  if (code >= 30 && code <= 37) return { ...style, fg: String(code - 30) };
  if (code >= 40 && code <= 47) return { ...style, bg: String(code - 40) };
  if (code >= 90 && code <= 97) return { ...style, fg: String(code - 82) };
  if (code >= 100 && code <= 107) return { ...style, bg: String(code - 92) };
  return style;
}

/** A colour of 256 or of all, and how many numbers it took. @param {number[]} numbers @returns {[string | null, number]} */
function extended(numbers) {
  if (numbers[0] === 5) return [numbers[1] === undefined ? null : indexed(numbers[1]), 2];
  if (numbers[0] === 2) {
    const parts = numbers.slice(1, 4);
    return [parts.length === 3 ? hex(parts) : null, 4];
  }
  return [null, 0];
}

/** @param {number} index @returns {string | null} */
function indexed(index) {
  if (!(index >= 0 && index <= 255)) return null;
  if (index < 16) return String(index);
  if (index >= 232) return hex([0, 0, 0].map(() => 8 + (index - 232) * 10));
  const cube = index - 16;
  return hex([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((n) => (n ? 55 + n * 40 : 0)));
}

/** @param {number[]} parts */
function hex(parts) {
  const byte = (/** @type {number} */ n) => Math.max(0, Math.min(255, Math.trunc(n) || 0)).toString(16).padStart(2, "0");
  return `#${parts.map(byte).join("")}`;
}

/** The CSS class and style of a piece; colours are numbers of ours, or digits that were checked. @param {Style} style */
export function shown(style) {
  const { fg, bg } = style.inverse ? { fg: style.bg ?? "back", bg: style.fg ?? "fore" } : style;
  const names = ["bold", "dim", "italic", "underline", "struck"].filter((name) => style[/** @type {"bold"} */ (name)]);
  if (fg && !fg.startsWith("#")) names.push(`fg-${fg}`);
  if (bg && !bg.startsWith("#")) names.push(`bg-${bg}`);
  const own = {
    ...(fg?.startsWith("#") ? { color: fg } : {}),
    ...(bg?.startsWith("#") ? { backgroundColor: bg } : {}),
  };
  return { class: names.map((name) => `sgr-${name}`).join(" "), style: own };
}
