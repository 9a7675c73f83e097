/* A session's page: keys from prompt to prompt, links to copy. Texts are only ever set as text. */
"use strict";

(() => {
  const page = document.querySelector(".session-page");
  const turns = Number(page.dataset.turns);
  const header = () => document.querySelector(".bar-top").getBoundingClientRect().height;

  document.getElementById("here")?.scrollIntoView({ block: "center" });

  /** The turn whose prompt was scrolled past last. */
  function current() {
    let found = 0;
    for (const step of page.querySelectorAll("[data-turn]")) {
      if (step.getBoundingClientRect().top > header() + 12) break;
      found = Number(step.dataset.turn);
    }
    return found;
  }

  /** Scrolls to a turn; one that is not loaded yet is a page of its own. */
  function go(turn) {
    if (turn < 1 || turn > turns) return;
    const step = page.querySelector(`[data-turn="${turn}"]`);
    if (step === null) { location.assign(`${page.dataset.base}?turn=${turn}#here`); return; }
    scrollBy({ top: step.getBoundingClientRect().top - header() - 8 });
    for (const other of page.querySelectorAll(".step.current")) other.classList.remove("current");
    step.classList.add("current");
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "j") go(current() + 1);
    else if (event.key === "k") go(current() - 1);
    else if (event.key === "f") location.assign(document.getElementById("focus").href);
    else if (event.key === "/") { event.preventDefault(); document.getElementById("find").focus(); }
  });

  function showCopies(within) {
    if (navigator.clipboard) for (const button of within.querySelectorAll("button.copy")) button.hidden = false;
  }
  showCopies(document);
  document.body.addEventListener("htmx:afterSettle", () => showCopies(document));
  page.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (button === null) return;
    await navigator.clipboard.writeText(new URL(button.dataset.link, location.href).href);
    button.textContent = "Copied";
  });
})();
