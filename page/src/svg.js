/** A canvas's drawing as SVG: what is drawn while one listens is written down, so that there is one way of drawing. */

/** @typedef {{path: string, clip: string | null, matrix: DOMMatrix}} Pen */

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
/** @param {number} value */
const short = (value) => String(Math.round(value * 100) / 100);

/**
 * Return the SVG of what *draw* draws on *ctx*; *below* is more of it, for a legend.
 * @param {CanvasRenderingContext2D} ctx @param {() => void} draw @param {{below?: string, extra?: number, background: string}} more
 */
export function recorded(ctx, draw, { below = "", extra = 0, background }) {
  const parts = /** @type {string[]} */ ([]);
  const clips = /** @type {string[]} */ ([]);
  const pen = /** @type {{path: string, clip: number | null, kept: (number | null)[]}} */ ({ path: "", clip: null, kept: [] });
  const methods = recorder(ctx, parts, clips, pen);
  const own = /** @type {any} */ (ctx);
  for (const [name, act] of Object.entries(methods)) {
    own[name] = (/** @type {any[]} */ ...given) => {
      act(...given);
      return own.__proto__[name].apply(ctx, given);
    };
  }
  try {
    draw();
  } finally {
    for (const name of Object.keys(methods)) delete own[name];
  }
  const { width, height } = ctx.canvas;
  const defs = clips.map((path, at) => `<clipPath id="c${at}"><path d="${path}"/></clipPath>`).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + extra}" viewBox="0 0 ${width} ${height + extra}">
<defs>${defs}</defs><rect width="100%" height="100%" fill="${background}"/>
${parts.join("\n")}${below}</svg>\n`;
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {string[]} parts @param {string[]} clips
 * @param {{path: string, clip: number | null, kept: (number | null)[]}} pen
 * @returns {Record<string, (...given: any[]) => void>}
 */
function recorder(ctx, parts, clips, pen) {
  /** @param {string} letter */
  const at = (letter) => (/** @type {number} */ x, /** @type {number} */ y) => {
    const place = ctx.getTransform().transformPoint({ x, y });
    pen.path += `${letter}${short(place.x)} ${short(place.y)}`;
  };
  const [move, line] = [at("M"), at("L")];
  const clip = () => (pen.clip === null ? "" : ` clip-path="url(#c${pen.clip})"`);
  const box = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, /** @type {number} */ h) => {
    move(x, y);
    line(x + w, y);
    line(x + w, y + h);
    line(x, y + h);
    pen.path += "Z";
  };
  const fill = () => parts.push(`<path d="${pen.path}" fill="${ctx.fillStyle}" fill-opacity="${ctx.globalAlpha}"${clip()}/>`);
  const stroke = () => {
    if (!pen.path) return;
    const dash = ctx.getLineDash().length ? ` stroke-dasharray="${ctx.getLineDash().join(" ")}"` : "";
    parts.push(`<path d="${pen.path}" fill="none" stroke="${ctx.strokeStyle}" stroke-width="${ctx.lineWidth}" stroke-opacity="${ctx.globalAlpha}" stroke-linejoin="round"${dash}${clip()}/>`);
  };
  return {
    save: () => pen.kept.push(pen.clip),
    restore: () => (pen.clip = pen.kept.pop() ?? null),
    beginPath: () => (pen.path = ""),
    closePath: () => (pen.path += "Z"),
    moveTo: move,
    lineTo: line,
    rect: box,
    arc: (x, y, r) => {
      move(x - r, y);
      const [from, to] = [ctx.getTransform().transformPoint({ x: x + r, y }), ctx.getTransform().transformPoint({ x: x - r, y })];
      pen.path += `A${r} ${r} 0 1 0 ${short(from.x)} ${short(from.y)}A${r} ${r} 0 1 0 ${short(to.x)} ${short(to.y)}Z`;
    },
    clip: () => (pen.clip = clips.push(pen.path) - 1),
    fill,
    stroke,
    fillRect: (x, y, w, h) => {
      pen.path = "";
      box(x, y, w, h);
      fill();
    },
    fillText: (text, x, y) => parts.push(written(ctx, String(text), x, y)),
  };
}

const ANCHORS = /** @type {Record<string, string>} */ ({ center: "middle", right: "end", end: "end" });
const LINES = /** @type {Record<string, string>} */ ({ top: "hanging", middle: "central" });

/** @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} x @param {number} y */
function written(ctx, text, x, y) {
  const { a, b, c, d, e, f } = ctx.getTransform();
  const turned = `matrix(${[a, b, c, d, e, f].map(short).join(" ")})`;
  return `<text x="${short(x)}" y="${short(y)}" transform="${turned}" fill="${ctx.fillStyle}" style="font:${escaped(ctx.font)}" text-anchor="${
    ANCHORS[ctx.textAlign] ?? "start"
  }" dominant-baseline="${LINES[ctx.textBaseline] ?? "auto"}">${escaped(text)}</text>`;
}

/** A text of an SVG, below the drawing. @param {string} text @param {number} x @param {number} y @param {string} colour @param {string} swatch @param {number} ratio */
export function legendLine(text, x, y, colour, swatch, ratio) {
  return `<rect x="${x}" y="${y - 6 * ratio}" width="${12 * ratio}" height="${3 * ratio}" fill="${swatch}"/><text x="${x + 18 * ratio}" y="${y}" fill="${colour}" style="font:${
    11 * ratio
  }px sans-serif">${escaped(text)}</text>`;
}
