/** Files that the page hands over: a chart as PNG or SVG, figures as CSV. Nothing is sent anywhere for it. */
import { legendLine, recorded } from "./svg.js";
import { colours } from "./theme.js";

/** @typedef {{text: string, rank: number}} Label */

const LINE_PX = 18;

/** @param {string} name @param {string} type @param {string | Blob} content */
export function save(name, type, content) {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const at = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = at;
  link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[.-]+/, "") || "chart";
  link.click();
  setTimeout(() => URL.revokeObjectURL(at), 10_000);
}

/** Rows as CSV; a text that a spreadsheet would take for a formula is quoted with an apostrophe. @param {any[][]} rows */
export function asCsv(rows) {
  return rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

/** @param {any} value */
function field(value) {
  if (typeof value === "number") return Number.isNaN(value) ? "nan" : String(value);
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function inks() {
  const { panel, ink } = colours(["panel", "ink"]);
  const lines = Object.values(colours(Array.from({ length: 10 }, (_, at) => `line-${at}`)));
  return { panel, ink, lines };
}

/** @param {string} name @param {HTMLCanvasElement} canvas @param {Label[]} [labels] */
export function savePng(name, canvas, labels = []) {
  const { panel, ink, lines } = inks();
  const ratio = devicePixelRatio;
  const made = document.createElement("canvas");
  made.width = canvas.width;
  made.height = canvas.height + (labels.length + 1) * LINE_PX * ratio;
  const ctx = made.getContext("2d");
  if (!ctx) return;
  ctx.fillStyle = panel;
  ctx.fillRect(0, 0, made.width, made.height);
  ctx.drawImage(canvas, 0, 0);
  ctx.font = `${11 * ratio}px sans-serif`;
  ctx.fillStyle = ink;
  ctx.fillText(name, 8 * ratio, canvas.height + 12 * ratio);
  labels.forEach(({ text, rank }, at) => {
    const y = canvas.height + (at + 1) * LINE_PX * ratio + 12 * ratio;
    ctx.fillStyle = lines[rank % lines.length];
    ctx.fillRect(8 * ratio, y - 6 * ratio, 12 * ratio, 3 * ratio);
    ctx.fillStyle = ink;
    ctx.fillText(text, 26 * ratio, y);
  });
  made.toBlob((blob) => blob && save(`${name}.png`, "image/png", blob));
}

/** @param {string} name @param {CanvasRenderingContext2D} ctx @param {() => void} draw @param {Label[]} [labels] */
export function saveSvg(name, ctx, draw, labels = []) {
  const { panel, ink, lines } = inks();
  const ratio = devicePixelRatio;
  const { height } = ctx.canvas;
  const below = labels.map(({ text, rank }, at) =>
    legendLine(text, 8 * ratio, height + (at + 1) * LINE_PX * ratio, ink, lines[rank % lines.length], ratio),
  );
  const svg = recorded(ctx, draw, { below: below.join(""), extra: (labels.length + 1) * LINE_PX * ratio, background: panel });
  save(`${name}.svg`, "image/svg+xml", svg);
}
