/* What a page needs beyond HTML: the theme, filters that act at once, and charts. Texts are only ever set as text. */
"use strict";

(() => {
  const root = document.documentElement;
  document.body.classList.add("scripted");

  // on a phone the pages do not fit beside one another: the one that is shown is in sight
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // ---- theme

  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function nameTheme() {
    button.hidden = false;
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`);
  }

  root.dataset.theme = localStorage.getItem("analytics-theme") ?? "";
  if (!root.dataset.theme) delete root.dataset.theme;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem("analytics-theme", root.dataset.theme);
    nameTheme();
  });
  system.addEventListener("change", nameTheme);
  nameTheme();

  // ---- filters

  for (const field of document.querySelectorAll("[data-submit]")) {
    field.addEventListener("change", () => {
      // a range says the days: those that stand in the fields are of the former one
      if (field.name === "range") for (const day of field.form.querySelectorAll("[data-submit-days]")) day.disabled = true;
      submit(field.form);
    });
  }
  for (const field of document.querySelectorAll("[data-submit-days]")) {
    field.addEventListener("change", () => {
      field.form.elements.range.disabled = true;
      submit(field.form);
    });
  }

  /** An address holds only what is chosen. */
  function submit(form) {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
    const range = form.elements.range;
    if (range && !range.disabled && range.value) for (const day of form.querySelectorAll("[data-submit-days]")) day.disabled = true;
    form.requestSubmit ? form.requestSubmit() : form.submit();
  }

  // ---- charts

  const noNetwork = { load: () => Promise.reject(new Error("no network")), sanitize: () => Promise.reject(new Error("no links")) };

  async function draw(holder) {
    const spec = JSON.parse(holder.querySelector(".spec").textContent);
    holder.replaceChildren();
    // `ast`: expressions are interpreted, not compiled with eval, which the page's policy forbids
    const { view } = await vegaEmbed(holder, spec, {
      ast: true, actions: false, renderer: "svg", defaultStyle: false, mode: "vega-lite", loader: noNetwork, tooltip: { disableDefaultStyle: true },
    });
    view.addEventListener("click", (event, item) => {
      const address = item?.datum?.href;
      if (typeof address === "string" && address.startsWith("/")) location.assign(address);
    });
    holder.dataset.drawn = "yes";
  }

  /** Loads a chart's card again as the other of chart and table. */
  for (const toggle of document.querySelectorAll("button.as-table")) {
    toggle.addEventListener("click", () => {
      const asTable = toggle.getAttribute("aria-pressed") !== "true";
      toggle.setAttribute("aria-pressed", String(asTable));
      const body = toggle.closest("article").querySelector(".body");
      htmx.ajax("GET", toggle.dataset.chart + (asTable ? "&view=table" : ""), { target: body, source: body });
    });
  }

  document.body.addEventListener("htmx:afterSettle", (event) => {
    const body = event.detail.target;
    body.removeAttribute("aria-busy");
    for (const holder of body.querySelectorAll(".chart")) draw(holder);
    const field = body.querySelector("form.find input");
    if (field?.value) { field.focus(); field.setSelectionRange(field.value.length, field.value.length); }
  });

  // ---- what could not be loaded says so in its place

  function failed(event, text) {
    const message = document.createElement("p");
    message.className = "empty error";
    message.textContent = text;
    event.detail.target.removeAttribute("aria-busy");
    event.detail.target.replaceChildren(message);
  }
  document.body.addEventListener("htmx:responseError", (event) => failed(event, event.detail.xhr.status === 403 ? "Log in again: the server was started anew" : event.detail.xhr.responseText.slice(0, 300) || "This card cannot be shown"));
  document.body.addEventListener("htmx:sendError", (event) => failed(event, "The server does not answer: start it again with make dashboards"));
})();
