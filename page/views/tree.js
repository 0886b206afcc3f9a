/** Nested values as rows of a tree: which are open, which hold what is sought, which differ. Nothing here draws. */
import { value as asText } from "../src/format.js";
import { same } from "./parts.js";

/**
 * @typedef {object} Row
 * @property {string} key The path, joined by dots. @property {string} name @property {number} depth
 * @property {any} value What stands there; undefined of something that is there no longer.
 * @property {boolean} branch @property {boolean} open
 * @property {"added" | "removed" | "changed" | "within" | null} change
 * @property {any} [was] What stood there before.
 */
/** @typedef {{key: string, was?: any, now?: any}} Difference */

/** Whether a value is shown as a branch: a mapping, or a list that holds such. @param {any} value */
export function isBranch(value) {
  if (value === null || typeof value !== "object" || typeof value.number === "string") return false;
  if (Array.isArray(value)) return value.some((each) => each !== null && typeof each === "object");
  return Object.keys(value).length > 0;
}

/**
 * The rows of a tree.
 * @param {any} tree
 * @param {{closed?: Set<string>, sought?: string, only?: boolean, differences?: Difference[] | null}} [how] *closed*: the
 *   branches that are; *only*: only what differs.
 * @returns {Row[]}
 */
export function rows(tree, { closed = new Set(), sought = "", only = false, differences = null } = {}) {
  const changes = new Map((differences ?? []).map((each) => [each.key, each]));
  const all = [...walk(tree, "", 0, changes), ...gone(tree, differences ?? [])];
  const small = sought.toLowerCase();
  const hit = (/** @type {Row} */ row) => {
    const text = row.branch ? row.key : `${row.key} ${asText(row.value)} ${asText(row.was)}`;
    return (!small || text.toLowerCase().includes(small)) && (!only || (row.change !== null && row.change !== "within"));
  };
  const kept = small || only ? withAncestors(all, all.filter(hit)) : all;
  // what is sought is shown, also where its branch is closed
  return small || only ? kept.map((row) => ({ ...row, open: true })) : openOnes(kept, closed);
}

/** @param {any} value @param {string} prefix @param {number} depth @param {Map<string, Difference>} changes @returns {Row[]} */
function walk(value, prefix, depth, changes) {
  return Object.entries(value ?? {}).flatMap(([name, inner]) => {
    const key = prefix ? `${prefix}.${name}` : name;
    const branch = isBranch(inner);
    const below = branch ? walk(inner, key, depth + 1, changes) : [];
    const own = changes.get(key);
    const inside = below.some((row) => row.change !== null) || (branch && [...changes.keys()].some((k) => k.startsWith(`${key}.`)));
    const change = own ? kindOf(own) : inside ? /** @type {const} */ ("within") : null;
    return [{ key, name, depth, value: inner, branch, open: true, change, was: own?.was }, ...below];
  });
}

/** @param {Difference} difference */
function kindOf(difference) {
  if (difference.was === undefined || (difference.was === null && !("was" in difference))) return /** @type {const} */ ("added");
  return same(difference.was, difference.now) ? null : /** @type {const} */ ("changed");
}

/** Rows of what the other side has and this one has not. @param {any} tree @param {Difference[]} differences @returns {Row[]} */
function gone(tree, differences) {
  return differences
    .filter((each) => each.now === undefined && !has(tree, each.key))
    .map((each) => ({
      key: each.key, name: each.key, depth: 0, value: undefined, branch: false, open: true,
      change: /** @type {const} */ ("removed"), was: each.was,
    }));
}

/** @param {any} tree @param {string} key @returns {boolean} */
function has(tree, key) {
  if (tree === null || typeof tree !== "object") return false;
  if (key in tree) return true;
  return Object.keys(tree).some((name) => key.startsWith(`${name}.`) && has(tree[name], key.slice(name.length + 1)));
}

/** @param {Row[]} all @param {Row[]} hits @returns {Row[]} */
function withAncestors(all, hits) {
  const keys = new Set(hits.map((row) => row.key));
  return all.filter((row) => keys.has(row.key) || (row.branch && hits.some((hit) => hit.key.startsWith(`${row.key}.`))));
}

/** @param {Row[]} all @param {Set<string>} closed @returns {Row[]} */
function openOnes(all, closed) {
  const shown = [];
  let hidden = Infinity;
  for (const row of all) {
    if (row.depth > hidden) continue;
    hidden = Infinity;
    const open = !closed.has(row.key);
    if (row.branch && !open) hidden = row.depth;
    shown.push({ ...row, open });
  }
  return shown;
}
