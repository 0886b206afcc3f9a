/** The charts of the runs page, wherever else they are wanted; what draws them is loaded when they are first shown. */
import { html, useEffect, useState } from "../src/lib.js";
import { whyNotLoaded } from "../src/outdated.js";
import { ErrorBox, Spinner } from "../src/ui.js";

/**
 * A component that is loaded when it is first shown.
 * @param {() => Promise<any>} load the component
 */
function later(load) {
  /** @type {any} */
  let loaded = null;
  return (/** @type {any} */ props) => {
    const [Chart, setChart] = useState(() => loaded);
    const [error, setError] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (component) => {
          loaded = component;
          setChart(() => component);
        },
        () => setError(true),
      );
    }, []);
    if (error) return html`<${ErrorBox} error=${whyNotLoaded("What draws the curves")} />`;
    return Chart ? html`<${Chart} ...${props} />` : html`<${Spinner} what="Loading the chart" />`;
  };
}

/** Curves: `runs`, and `names` of metrics; those that the runs share, if left out. */
export const CurvesHere = later(() => import("../src/curves.js").then((module) => module.Curves));

/** Parallel coordinates: `columns`, of the runs that the filter `q` finds. */
export const ParallelHere = later(() => import("../src/parallel.js").then((module) => module.Parallel));
