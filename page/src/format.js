/** Values as people read them. All of it is text; nothing here makes markup. */

/** The server sends numbers that JSON cannot hold as {"number": "nan"}. @param {any} value @returns {any} */
export function plain(value) {
  if (value !== null && typeof value === "object" && typeof value.number === "string") {
    const text = value.number;
    if (text === "nan") return NaN;
    if (text === "inf") return Infinity;
    if (text === "-inf") return -Infinity;
  }
  return value;
}

/** A number for drawing; NaN for what is none. @param {any} value @returns {number} */
export function asNumber(value) {
  const found = plain(value);
  if (typeof found === "number") return found;
  if (typeof found === "boolean") return Number(found);
  if (found !== null && typeof found === "object" && typeof found.number === "string") return Number(found.number);
  return NaN;
}

/** Six digits that matter, as the terminal shows them. @param {number} value */
export function number(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(4).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(6)));
}

/** Three digits that matter, for the ticks of an axis at any place. @param {number} value */
export function brief(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : number(Number(value.toPrecision(3)));
}

/** Any value in one line. @param {any} value @returns {string} */
export function value(value) {
  const found = plain(value);
  if (found === null || found === undefined) return "";
  if (typeof found === "number") return number(found);
  if (typeof found === "string") return found;
  if (typeof found === "boolean") return found ? "true" : "false";
  if (typeof found.number === "string") return found.number;
  return JSON.stringify(found);
}

/** Seconds as `1h 02m`, `3m 20s`, `12.3 s`. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 60) return seconds < 10 ? `${seconds.toFixed(2)} s` : `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  /** @param {number} n */
  const two = (n) => String(n).padStart(2, "0");
  if (days) return `${days}d ${two(hours)}h`;
  if (hours) return `${hours}h ${two(minutes)}m`;
  return `${minutes}m ${two(whole % 60)}s`;
}

/** Epoch seconds as local date and time. @param {number | null | undefined} seconds */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const at = new Date(seconds * 1000);
  /** @param {number} n */
  const two = (n) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** How long ago: `3 min ago`. @param {number | null | undefined} seconds @param {number} [now] epoch seconds */
export function ago(seconds, now = Date.now() / 1000) {
  if (seconds === null || seconds === undefined) return "";
  const gone = Math.max(0, now - seconds);
  if (gone < 60) return "just now";
  if (gone < 3600) return `${Math.floor(gone / 60)} min ago`;
  if (gone < 86400) return `${Math.floor(gone / 3600)} h ago`;
  if (gone < 86400 * 30) return `${Math.floor(gone / 86400)} d ago`;
  return time(seconds).slice(0, 10);
}

/** Bytes as `1.2 MB`. @param {number | null | undefined} size */
export function bytes(size) {
  if (size === null || size === undefined) return "";
  if (size < 1000) return `${size} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let left = size / 1000;
  let unit = 0;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${left < 10 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`;
}

/** `1 run`, `3 runs`. @param {number} n @param {string} one @param {string} [many] */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
