/** How wide columns are by themselves: numbers are shown whole, and heads stand over what is below them. */
import { plain, value as asText } from "./format.js";
import { computed } from "./lib.js";
import { firstRows, names, version } from "./rows.js";

/** So many rows say how wide a column is; what is longer further down ends with an ellipsis. */
const LOOKED = 200;
/** Left and right of what stands in a cell. */
export const PADDING = 18;
/** By column, the widest number so far: a column that shrank again while runs go on would never be at rest. */
const widest = /** @type {Map<string, number>} */ (new Map());

/** @type {CanvasRenderingContext2D | null} */
let context = null;

/** The width of a text in a cell, in pixels. @param {string} text */
export function textWidth(text) {
  context ??= document.createElement("canvas").getContext("2d");
  if (!context) return text.length * 9;
  context.font = `500 14px ${getComputedStyle(document.body).fontFamily}`;
  return Math.ceil(context.measureText(text).width);
}

/** Whether a value of a cell is a number. @param {any} value */
export function isNumeric(value) {
  const found = plain(value);
  return typeof found === "number" || (found !== null && typeof found === "object" && "number" in found);
}

/** Columns of numbers, with the width that these need. */
export const numeric = computed(() => {
  version.value;
  const rows = firstRows(LOOKED);
  const found = /** @type {Map<string, number>} */ (new Map());
  names.value.forEach((name, at) => {
    const numbers = rows.map((row) => row.cells[at]).filter(isNumeric);
    const texts = rows.some((row) => row.cells[at] !== null && row.cells[at] !== undefined && !isNumeric(row.cells[at]));
    if (!numbers.length || texts) return;
    const longest = numbers.map(asText).reduce((most, text) => (text.length > most.length ? text : most), "");
    const width = Math.max(widest.get(name) ?? 0, textWidth(longest) + PADDING);
    widest.set(name, width);
    found.set(name, width);
  });
  return found;
});
