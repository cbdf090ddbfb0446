// Fetches a page's numbers again while they change. Without it the page works and is reloaded.
"use strict";
(() => {
  const box = document.querySelector("[data-refresh][data-moving]");
  if (!box) return;
  const state = () => box.querySelector("[data-state]")?.dataset.state;
  const shown = state();
  const later = (seconds) => setTimeout(again, seconds * 1000);
  const again = async () => {
    // Nobody looks, or somebody has a link of it in hand: leave it as it is.
    if (document.hidden || box.contains(document.activeElement)) return later(2);
    try {
      const answer = await fetch(box.dataset.refresh, { redirect: "error", cache: "no-store" });
      if (!answer.ok) return later(10);
      box.innerHTML = await answer.text();
    } catch {
      return later(10);
    }
    // Another state has another badge and other buttons: take the whole page.
    if (state() !== shown) return location.reload();
    return later(1);
  };
  later(1);
})();
