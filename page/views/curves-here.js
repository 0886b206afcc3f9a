/** The curves of runs, wherever they are wanted; what draws them is loaded when they are first shown. */
import { html, useEffect, useState } from "../src/lib.js";
import { ErrorBox, Spinner } from "../src/ui.js";

/** @type {any} */
let loaded = null;

/** @param {{runs: (string | number)[], names?: string[]}} props *names*: those that the runs share, if left out. */
export function CurvesHere(props) {
  const [Curves, setCurves] = useState(() => loaded);
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (Curves) return;
    import("../src/curves.js").then(
      (module) => {
        loaded = module.Curves;
        setCurves(() => loaded);
      },
      () => setError(new Error("What draws the curves did not load.")),
    );
  }, []);
  if (error) return html`<${ErrorBox} error=${error} />`;
  return Curves ? html`<${Curves} ...${props} />` : html`<${Spinner} what="Loading the curves" />`;
}
