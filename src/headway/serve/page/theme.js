"use strict";
// Runs before anything is drawn: the theme that was chosen, so that the page does not flash in the other one.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("headway-theme"); } catch { /* a browser that keeps nothing */ }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
