/** Drawing curves on a canvas. The same calls make the SVG, see svg.js. */

/** @typedef {import("./curvedata.js").Curve} Curve */
/** @typedef {{left: number, top: number, width: number, height: number}} Box In pixels of the canvas. */
/** @typedef {{x: [number, number], y: [number, number], logX: boolean, logY: boolean}} Scales */
/** @typedef {{lines: string[], bright: string | null, ratio: number}} Look `bright` is the key of the one that is pointed at. */

/** So far beside its ends, in pixels, a curve still has a value. */
const AROUND = 12;
/** Curves after the tenth have the colours again, in dashes. */
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** From values to pixels. @param {Box} box @param {Scales} scales */
export function mapping(box, scales) {
  /** @param {number} value */
  const same = (value) => value;
  const tx = scales.logX ? Math.log10 : same;
  const ty = scales.logY ? Math.log10 : same;
  const [x0, x1, y0, y1] = [tx(scales.x[0]), tx(scales.x[1]), ty(scales.y[0]), ty(scales.y[1])];
  return {
    /** @param {number} value */
    x: (value) => box.left + ((tx(value) - x0) / (x1 - x0)) * box.width,
    /** @param {number} value */
    y: (value) => box.top + box.height - ((ty(value) - y0) / (y1 - y0)) * box.height,
  };
}

/** @param {CanvasRenderingContext2D} ctx @param {Box} box @param {Scales} scales @param {Curve[]} curves @param {Look} look */
export function paint(ctx, box, scales, curves, look) {
  const to = mapping(box, scales);
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.width, box.height);
  ctx.clip();
  ctx.lineJoin = "round";
  const many = curves.length > 40;
  const ordered = look.bright === null ? curves : [...curves].sort((a, b) => Number(a.key === look.bright) - Number(b.key === look.bright));
  for (const curve of ordered) {
    const faded = look.bright !== null && curve.key !== look.bright;
    ctx.strokeStyle = ctx.fillStyle = look.lines[curve.rank % look.lines.length];
    if (curve.low && curve.high) area(ctx, curve, to, faded ? 0.04 : curve.band ? 0.18 : 0.28);
    if (curve.raw) line(ctx, curve.x, curve.raw, to, 1 * look.ratio, faded ? 0.06 : 0.25, []);
    const wide = curve.key === look.bright ? 2.4 : many ? 1 : 1.5;
    const dash = DASHES[Math.floor(curve.rank / look.lines.length) % DASHES.length].map((part) => part * look.ratio);
    line(ctx, curve.x, curve.y, to, wide * look.ratio, faded ? 0.2 : 1, dash);
  }
  ctx.restore();
}

/** @typedef {ReturnType<typeof mapping>} Mapping */

/**
 * @param {CanvasRenderingContext2D} ctx @param {Float64Array} xs @param {Float64Array} ys @param {Mapping} to @param {number} wide
 * @param {number} alpha @param {number[]} dash
 */
function line(ctx, xs, ys, to, wide, alpha, dash) {
  ctx.globalAlpha = alpha;
  ctx.lineWidth = wide;
  ctx.setLineDash(dash);
  ctx.beginPath();
  let drawing = false;
  for (let at = 0; at < xs.length; at += 1) {
    const [x, y] = [to.x(xs[at]), to.y(ys[at])];
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      drawing = false;
      continue;
    }
    if (drawing) ctx.lineTo(x, y);
    else if (isAlone(xs, ys, at, to)) {
      ctx.moveTo(x - wide, y);
      ctx.lineTo(x + wide, y);
    } else ctx.moveTo(x, y);
    drawing = true;
  }
  ctx.stroke();
}

/** Whether the next is nothing, so that no line would show this one. @param {Float64Array} xs @param {Float64Array} ys @param {number} at @param {Mapping} to */
function isAlone(xs, ys, at, to) {
  return at + 1 >= xs.length || !Number.isFinite(to.y(ys[at + 1])) || !Number.isFinite(to.x(xs[at + 1]));
}

/** What lies between the extremes, and a stroke for each place, so that a single one is seen. @param {CanvasRenderingContext2D} ctx @param {Curve} curve @param {Mapping} to @param {number} alpha */
function area(ctx, curve, to, alpha) {
  const { x: xs, low, high } = curve;
  if (!low || !high) return;
  const places = [];
  const floor = to.y(Number.MIN_VALUE);
  for (let at = 0; at < xs.length; at += 1) {
    const [x, up] = [to.x(xs[at]), to.y(high[at])];
    const down = to.y(low[at]);
    if (Number.isFinite(x) && Number.isFinite(up)) places.push([x, up, Number.isFinite(down) ? down : floor]);
  }
  if (!places.length) return;
  ctx.globalAlpha = alpha;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(places[0][0], places[0][1]);
  for (const [x, up] of places) ctx.lineTo(x, up);
  for (const [x, , down] of places.reverse()) ctx.lineTo(x, down);
  ctx.closePath();
  ctx.fill();
  if (curve.band) return;
  ctx.lineWidth = 1;
  ctx.globalAlpha = Math.min(1, alpha * 2);
  ctx.beginPath();
  for (const [x, up, down] of places) {
    ctx.moveTo(x, up);
    ctx.lineTo(x, down);
  }
  ctx.stroke();
}

/**
 * The curve that is nearest to a place, within *far* pixels, and where on it: {curve, at}.
 * @param {Curve[]} curves @param {Mapping} to @param {number} px @param {number} py @param {number} far
 */
export function nearest(curves, to, px, py, far) {
  /** @type {{curve: Curve, at: number} | null} */
  let found = null;
  let best = far;
  for (const curve of curves) {
    const at = closest(curve.x, px, to);
    if (at < 0) continue;
    const gone = Math.hypot(to.x(curve.x[at]) - px, to.y(curve.y[at]) - py);
    if (gone < best) [found, best] = [{ curve, at }, gone];
  }
  return found;
}

/** The place in *xs* that is drawn nearest to px. @param {Float64Array} xs @param {number} px @param {Mapping} to */
function closest(xs, px, to) {
  let [low, high] = [0, xs.length - 1];
  if (high < 0) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (to.x(xs[middle]) < px) low = middle;
    else high = middle;
  }
  return Math.abs(to.x(xs[low]) - px) <= Math.abs(to.x(xs[high]) - px) ? low : high;
}

/**
 * The values that curves have at px, the greatest first; none of curves that end before it or begin after it.
 * @param {Curve[]} curves @param {Mapping} to @param {number} px
 */
export function valuesAt(curves, to, px) {
  const found = curves.flatMap((curve) => {
    const at = closest(curve.x, px, to);
    if (at < 0 || !Number.isFinite(curve.y[at])) return [];
    const [first, last] = [to.x(curve.x[0]), to.x(curve.x[curve.x.length - 1])];
    return first - AROUND <= px && px <= last + AROUND ? [{ curve, at }] : [];
  });
  return found.sort((a, b) => b.curve.y[b.at] - a.curve.y[a.at]);
}
