/** Comma-separated values as RFC 4180 has them, and as tab-separated ones come. */

/**
 * Rows of cells, at most *most* of them.
 * @param {string} text @param {string} [comma] @param {number} [most]
 * @returns {string[][]}
 */
export function parse(text, comma = ",", most = Infinity) {
  const rows = [];
  let row = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  while (at < text.length && rows.length < most) {
    /** @type {[string, number]} */
    const [cell, end] = text[at] === '"' ? quotedCell(text, at, comma) : plainCell(text, at, comma);
    row.push(cell);
    at = end + 1;
    if (text[end] === comma && at < text.length) continue;
    if (text[end] === comma) row.push("");
    if (text[end] === "\r" && text[at] === "\n") at += 1;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** @param {string} text @param {number} at @param {string} comma @returns {[string, number]} */
function plainCell(text, at, comma) {
  let end = at;
  while (end < text.length && text[end] !== comma && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return [text.slice(at, end), end];
}

/** @param {string} text @param {number} at @param {string} comma @returns {[string, number]} */
function quotedCell(text, at, comma) {
  let cell = "";
  let from = at + 1;
  for (;;) {
    const close = text.indexOf('"', from);
    if (close < 0) return [cell + text.slice(from), text.length];
    cell += text.slice(from, close);
    if (text[close + 1] !== '"') {
      const [rest, end] = plainCell(text, close + 1, comma);
      return [cell + rest, end];
    }
    cell += '"';
    from = close + 2;
  }
}

/** Whether every cell that says anything is a number. @param {string[]} cells */
export function numeric(cells) {
  const there = cells.filter((cell) => cell.trim() !== "");
  return there.length > 0 && there.every((cell) => Number.isFinite(Number(cell)) || /^(nan|[+-]?inf(inity)?)$/i.test(cell));
}
