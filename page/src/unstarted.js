/**
 * Says so where the page does not start: a module is not there, or is broken, and "Loading" would stand for ever.
 *
 * No module itself: it has to work where those do not.
 */
(() => {
  /** @param {string} why */
  function tell(why) {
    const waiting = document.querySelector("#page > .loading");
    if (!waiting) return; // it has started
    waiting.setAttribute("role", "alert");
    waiting.textContent = `The page did not start: ${why}. Load it again; if that does not help, end anew ui with Ctrl-C, and type: anew ui`;
  }
  addEventListener(
    "error",
    (event) => {
      if (event.target instanceof HTMLScriptElement) tell("a part of it did not come");
      else if (event instanceof ErrorEvent) tell(event.message.replace(/\.$/, ""));
    },
    true,
  );
})();
