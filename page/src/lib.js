/**
 * What everything here is built on, under one roof: Preact, its hooks, signals, and htm for markup.
 *
 * A text in `html` is always shown as text; nothing of this page uses innerHTML.
 */
import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

/** @typedef {import("../vendor/preact.js").VNode<any>} Node */
/** @typedef {import("../vendor/preact.js").ComponentChildren} Children */
/** @template T @typedef {import("../vendor/signals.js").Signal<T>} Signal */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);

export { Component, Fragment, render } from "../vendor/preact.js";
export {
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/hooks.js";
export { batch, computed, effect, signal, untracked, useSignal } from "../vendor/signals.js";
