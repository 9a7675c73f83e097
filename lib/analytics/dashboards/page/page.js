// The page: filters, tabs, and a rendering for every display. Numbers come from engine.js.
"use strict";

(() => {
  const DAY = 86400000;
  const page = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const [firstDay, lastDay] = page.days;
  const isEmpty = firstDay === null;

  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  // Data

  function unpacked(width, text) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array }[width];
    return new kind(bytes.buffer);
  }

  const decoded = new Map();
  function column(position) {
    if (!decoded.has(position)) {
      const item = page.columns[position];
      let data = item.plain;
      if (item.values) data = Array.from(unpacked(item.width, item.packed), (place) => item.values[place]);
      else if (item.packed !== undefined) {
        data = Array.from(unpacked(item.width, item.packed), (value) => (value === 0 ? null : value - 1 + item.from));
      } else if (item.doubles !== undefined) {
        data = Array.from(unpacked(8, item.doubles), (value) => (Number.isNaN(value) ? null : value));
      }
      decoded.set(position, data);
    }
    return decoded.get(position);
  }

  const relations = new Map();
  function relation(position) {
    if (!relations.has(position)) {
      const { rows, columns } = page.tables[position];
      const found = Object.entries(columns).map(([name, place]) => ({ name, alias: null, data: column(place) }));
      relations.set(position, { rows, columns: found });
    }
    return relations.get(position);
  }

  function rowsOf(card, chosen = choice()) {
    const sources = card.sources.map(([name, position, filters]) => ({ name, filters, table: relation(position) }));
    return Engine.evaluate({ sources, steps: card.steps }, chosen);
  }

  // Formats

  const number = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const zoned = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: page.timezone, ...options });
  const dateTime = zoned({ year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const plainDate = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", year: "numeric", month: "short", day: "numeric" });

  function compact(value) {
    const size = Math.abs(value);
    for (const [unit, name] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
      if (size >= unit && !(unit === 1e3 && size < 1e4)) {
        return `${number(value / unit, size / unit < 99.95 ? 1 : 0)}${name}`;
      }
    }
    return number(value, 0);
  }

  function duration(seconds) {
    if (seconds < 0.95) return `${number(seconds * 1000, 0)} ms`;
    if (seconds < 59.95) return `${number(seconds, 1)} s`;
    const minutes = Math.round(seconds / 60);
    if (seconds < 3600 && minutes < 60) {
      const whole = Math.round(seconds);
      return minutes < 10 && whole % 60 ? `${Math.floor(whole / 60)}m ${whole % 60}s` : `${minutes}m`;
    }
    return `${number(Math.floor(minutes / 60), 0)}h ${minutes % 60}m`;
  }

  const money = (value, digits) => `${value < 0 ? "−" : ""}$${number(Math.abs(value), digits)}`;
  const FORMATS = {
    text: String,
    usd: (value) => (value > 0 && value < 0.005 ? "< $0.01" : money(value, 2)),
    usd_fine: (value) => money(value, 4),
    count: (value) => number(value, 0),
    tokens: compact,
    number: (value) => number(value, 1),
    percent: (value) => `${number(value * 100, 1)}%`,
    duration,
    ms: (value) => duration(value / 1000),
    date: (value) => plainDate.format(value * DAY),
    datetime: (value) => dateTime.format(value),
  };
  const TEXTS = new Set(["text", "date", "datetime"]);
  const shown = (value, format) => (value === null || value === undefined ? "–" : FORMATS[format](value));
  const isoDay = (days) => new Date(days * DAY).toISOString().slice(0, 10);
  const dayOf = (text) => (text ? Math.round(Date.parse(`${text}T00:00:00Z`) / DAY) : null);
  const plural = (count, word) => `${number(count, 0)} ${word}${count === 1 ? "" : "s"}`;

  // What is chosen

  const PRESETS = [["7", "Last 7 days"], ["30", "Last 30 days"], ["90", "Last 90 days"], ["365", "Last 12 months"], ["all", "All time"]];
  const START = "90";
  const paths = [...new Set(page.projects.map((item) => item[2]).filter((path) => path !== null))];
  const state = { tab: page.dashboards[0].key, preset: START, from: null, to: null, project: new Set(), model: new Set() };

  function applyPreset(preset) {
    state.preset = preset;
    state.to = isEmpty || preset === "all" ? null : lastDay;
    state.from = isEmpty || preset === "all" ? null : lastDay - Number(preset) + 1;
  }

  function choice() {
    const ids = page.projects.filter((item) => state.project.has(item[2])).map((item) => item[0]);
    return {
      from: state.from,
      to: state.to,
      projects: state.project.size ? new Set(ids) : null,
      models: state.model.size ? new Set(state.model) : null,
    };
  }

  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    applyPreset(PRESETS.some(([key]) => key === asked.get("period")) ? asked.get("period") : START);
    if (asked.has("from") || asked.has("to")) {
      state.preset = "own";
      const day = (name) => (Number.isFinite(dayOf(asked.get(name))) ? dayOf(asked.get(name)) : null);
      [state.from, state.to] = [day("from"), day("to")];
    }
    state.project = new Set(asked.getAll("project").filter((path) => paths.includes(path)));
    state.model = new Set(asked.getAll("model").filter((name) => page.models.includes(name)));
    const tab = page.dashboards.find((board) => board.key === asked.get("tab"));
    state.tab = (tab || page.dashboards[0]).key;
  }

  function writeAddress() {
    const asked = new URLSearchParams({ tab: state.tab });
    if (state.preset === "own") {
      if (state.from !== null) asked.set("from", isoDay(state.from));
      if (state.to !== null) asked.set("to", isoDay(state.to));
    } else if (state.preset !== START) asked.set("period", state.preset);
    for (const path of state.project) asked.append("project", path);
    for (const name of state.model) asked.append("model", name);
    history.replaceState(null, "", `#${asked}`);
  }

  const isSet = { date: () => state.from !== null || state.to !== null, project: () => state.project.size > 0, model: () => state.model.size > 0 };

  // Cards

  const table = (card, result, names = card.columns) => {
    const view = card.view;
    const data = new Map(result.columns.map((item) => [item.name, item.data]));
    const largest = new Map((view.bars || []).map((name) => [name, Math.max(...data.get(name).map((value) => value || 0), 0)]));
    const body = element("tbody");
    const cell = (row, [name, , format]) => {
      const value = data.get(name)[row];
      const classes = [TEXTS.has(format) ? (format === "text" ? "text" : "date") : "n"];
      if (value === null) classes.push("missing");
      if (value === "warn" || value === "no price") classes.push("warn");
      const node = element("td", {}, shown(value, format));
      if (largest.get(name) > 0 && value > 0) {
        classes.push("bar");
        node.style.setProperty("--share", `${(100 * value) / largest.get(name)}%`);
      }
      node.className = classes.join(" ");
      return node;
    };
    const fill = (order) => body.replaceChildren(...order.map((row) => element("tr", {}, ...names.map((item) => cell(row, item)))));
    const rows = Array.from({ length: result.rows }, (_, row) => row);
    fill(rows);
    const heads = names.map(([name, title, format]) => {
      const head = element("th", { scope: "col", class: TEXTS.has(format) ? "" : "n" });
      head.append(element("button", {
        type: "button",
        onclick() {
          const down = head.getAttribute("aria-sort") !== "descending";
          for (const other of heads) other.removeAttribute("aria-sort");
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          const values = data.get(name);
          fill([...rows].sort((a, b) => {
            if (values[a] === values[b]) return a - b;
            if (values[a] === null) return 1;
            if (values[b] === null) return -1;
            return values[a] < values[b] === down ? 1 : -1;
          }));
        },
      }, title));
      return head;
    });
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": card.title },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));
  };

  function strip(card, result) {
    const [what, now, status] = result.columns.map((item) => item.data);
    return element("dl", { class: "strip" }, ...what.map((name, row) =>
      element("div", { class: status[row] === "warn" ? "warn" : "" }, element("dt", {}, name), element("dd", {}, shown(now[row], "text")))));
  }

  function scalar(card, result) {
    const { value: name, date, good } = card.view;
    const [, , format] = card.columns.find(([column]) => column === name);
    const values = result.columns.find((item) => item.name === name).data;
    const current = result.rows ? values[result.rows - 1] : null;
    const parts = [element("p", { class: "number", "data-value": current === null ? "" : String(current) }, shown(current, format))];
    if (date && result.rows) {
      const periods = result.columns.find((item) => item.name === date).data;
      const reaches = result.rows > 1 && periods[result.rows - 2] !== null && periods[result.rows - 2] >= firstDay;
      const before = reaches ? values[result.rows - 2] : null;
      parts.push(trend(current, before, format, good));
    }
    return element("div", {}, ...parts);
  }

  function trend(current, before, format, good) {
    if (before === null) return element("p", { class: "trend" }, "nothing before to compare with");
    const was = ` from ${shown(before, format)}`;
    if (current === null) return element("p", { class: "trend" }, `none${was}`);
    const change = current - before;
    if (Math.abs(change) < 1e-9) return element("p", { class: "trend" }, `unchanged${was}`);
    const amount = format === "percent" ? `${number(Math.abs(change) * 100, 1)} points`
      : before ? `${number(Math.abs(100 * change / before), 0)}%` : "new";
    const tone = good ? ((change > 0) === (good === "up") ? "good" : "bad") : "";
    return element("p", { class: `trend ${tone}` }, element("b", {}, `${change > 0 ? "▲" : "▼"} ${amount}`), was);
  }

  function bars(card, result) {
    const [name, value] = [card.view.x, card.view.y[0]].map((wanted) => result.columns.find((item) => item.name === wanted).data);
    const format = card.columns.find(([column]) => column === card.view.y[0])[2];
    const largest = Math.max(...value.map((item) => item || 0), 0);
    const list = element("div", { class: "rows", role: "list" });
    name.forEach((label, row) => {
      const bar = element("i");
      bar.style.width = `${largest ? (100 * value[row]) / largest : 0}%`;
      list.append(element("span", { class: "name", title: shown(label, "text") }, shown(label, "text")),
        element("span", { class: "track" }, bar), element("span", { class: "value" }, shown(value[row], format)));
    });
    return list;
  }

  function heat(card, result) {
    const { down, across, value } = card.view.heat;
    const [downs, acrosses, values] = [down, across, value].map((name) => result.columns.find((item) => item.name === name).data);
    const [lines, columns] = [[...new Set(downs)], [...new Set(acrosses)]];
    const largest = Math.max(...values, 1);
    const found = new Map(values.map((item, row) => [`${downs[row]}|${acrosses[row]}`, item]));
    const cell = (line, name) => {
      const item = found.get(`${line}|${name}`) || 0;
      const share = item / largest;
      const node = element("td", { class: item ? (share > 0.6 ? "strong" : "") : "zero", title: `${line} ${name}:00 – ${number(item, 0)}` }, compact(item));
      node.style.setProperty("--share", String(0.12 + 0.88 * share));
      return node;
    };
    return element("div", { class: "scroll heat", tabindex: "0", role: "region", "aria-label": card.title },
      element("table", {}, element("thead", {}, element("tr", {}, element("td"), ...columns.map((name) => element("th", { scope: "col" }, String(name))))),
        element("tbody", {}, ...lines.map((line) => element("tr", {}, element("th", { scope: "row" }, line), ...columns.map((name) => cell(line, name)))))));
  }

  // Charts

  const LIGHT = ["#b4532a", "#2f6f8f", "#c9952b", "#4d7c57", "#7b5ea7", "#a33b5e", "#5b6b7a", "#9a7b5f", "#3d8c8c"];
  const DARK = ["#e08a5f", "#6fb2d2", "#e3bc62", "#86bd92", "#b39ddb", "#e08aa5", "#9fb0bf", "#c9ad92", "#74c4c4"];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => document.documentElement.dataset.theme === "dark";
  const AXIS = { usd: "$,.2~f", usd_fine: "$,.4~f", percent: ".0%", count: ",~f", tokens: "~s", number: ",~f", duration: ",~f", ms: ",~f" };

  // What one value of x stands for: the SQL chooses days, weeks or months by the length of the period.
  function stepOf(days) {
    const from = state.from === null ? firstDay : Math.max(state.from, firstDay);
    const to = state.to === null ? lastDay : Math.min(state.to, lastDay);
    const length = to - from + 1;
    const every = (test) => days.every((value) => test(new Date(value * DAY)));
    if (length > 400 && every((date) => date.getUTCDate() === 1)) return { from, to, end: (value) => monthEnd(value), name: "month of " };
    if (length > 93 && every((date) => date.getUTCDay() === 1)) return { from, to, end: (value) => value + 7, name: "week of " };
    return { from, to, end: (value) => value + 1, name: "" };
  }

  const monthEnd = (days) => {
    const date = new Date(days * DAY);
    return Math.round(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / DAY);
  };

  function chartData(card, result) {
    const { x, y, series } = card.view;
    const get = (name) => result.columns.find((item) => item.name === name).data;
    const titles = new Map(card.columns.map(([name, title]) => [name, title]));
    const format = card.columns.find(([name]) => name === y[0])[2];
    const xs = get(x);
    const isDate = card.columns.find(([name]) => name === x)[2] === "date";
    const step = isDate ? stepOf(xs) : null;
    const rows = [];
    for (const name of y) {
      const values = get(name);
      const names = series ? get(series) : null;
      for (let row = 0; row < result.rows; row += 1) {
        if (values[row] === null) continue;
        const label = names ? shown(names[row], "text") : titles.get(name);
        const item = { value: values[row], series: label, shown: shown(values[row], format) };
        if (isDate) {
          const end = step.end(xs[row]);
          const pad = (end - xs[row]) * 0.09;
          Object.assign(item, { x: (xs[row] + pad) * DAY, end: (end - pad) * DAY, middle: ((xs[row] + end) / 2) * DAY, when: step.name + FORMATS.date(xs[row]) });
        } else Object.assign(item, { x: shown(xs[row], "text"), when: shown(xs[row], "text") });
        rows.push(item);
      }
    }
    const totals = new Map();
    for (const row of rows) totals.set(row.series, (totals.get(row.series) || 0) + Math.abs(row.value));
    const order = series ? [...totals].sort((a, b) => b[1] - a[1]).map(([name]) => name) : y.map((name) => titles.get(name));
    return { rows, order, format, isDate, step };
  }

  function spec(card, { rows, order, format, isDate, step }, height) {
    const colors = isDark() ? DARK : LIGHT;
    const log = card.view.scale === "log";
    const values = log ? rows.filter((row) => row.value > 0) : rows;
    const span = step && [Math.min(step.from, ...rows.map((row) => Math.floor(row.x / DAY))) * DAY, Math.max(step.to + 1, ...rows.map((row) => Math.ceil(row.end / DAY))) * DAY];
    const isBar = card.display === "bar";
    const x = isDate
      ? { field: isBar ? "x" : "middle", type: "temporal", scale: { type: "utc", domain: span }, title: null, axis: { tickCount: 8, labelOverlap: true, grid: false } }
      : { field: "x", type: "nominal", title: null, sort: null };
    const y = {
      field: "value", type: "quantitative", title: null,
      axis: { format: AXIS[format], tickCount: log ? 4 : 5, domain: false, ticks: false },
      scale: log ? { type: "log", nice: true } : format === "percent" && !isBar ? { domainMin: 0, domainMax: undefined, nice: true } : { zero: true },
    };
    if (format === "percent" && !isBar) {
      const top = Math.max(...values.map((row) => row.value), 0.01);
      const low = Math.min(...values.map((row) => row.value));
      y.scale = low > 0.5 && top <= 1 ? { domain: [Math.floor(low * 10) / 10, 1], zero: false } : { domain: [0, Math.min(1, top * 1.1)] };
    }
    if (isBar) y.stack = "zero";
    const encoding = {
      x, y,
      color: { field: "series", type: "nominal", legend: null, scale: { domain: order, range: order.map((_, place) => colors[place % colors.length]) } },
      tooltip: [{ field: "when", title: isDate ? "When" : "What" }, { field: "series", title: "Of" }, { field: "shown", title: "Value" }],
    };
    if (isBar) {
      if (isDate) encoding.x2 = { field: "end" };
      encoding.order = { field: "place" };
      for (const row of values) row.place = order.indexOf(row.series);
    }
    const mark = isBar ? { type: "bar" } : card.display === "area" ? { type: "area", opacity: 0.7 } : { type: "line", point: { filled: true, size: 26 }, strokeWidth: 2 };
    return {
      width: "container", height, background: null, data: { values }, mark, encoding,
      autosize: { type: "fit-x", contains: "padding", resize: true },
      config: {
        font: getComputedStyle(document.documentElement).fontFamily,
        view: { stroke: null },
        axis: { labelColor: css("--soft"), gridColor: css("--fine"), domainColor: css("--line"), tickColor: css("--line"), labelFontSize: 11 },
      },
    };
  }

  function chart(card, result, body) {
    const data = chartData(card, result);
    if (!data.rows.length) return empty(body, card);
    const place = element("div", { class: "chart", role: "img", "aria-label": `${card.title}: ${plural(result.rows, "row")}, as a table below` });
    const colors = isDark() ? DARK : LIGHT;
    if (data.order.length > 1) {
      body.append(element("div", { class: "legend" }, ...data.order.map((name, position) => {
        const swatch = element("i");
        swatch.style.background = colors[position % colors.length];
        return element("span", {}, swatch, name);
      })));
    }
    body.append(place);
    const height = Math.max(150, card.place[3] * 34);
    const details = element("details", { class: "data" }, element("summary", {}, "as a table"));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(table(card, result));
    });
    body.append(details);
    return vegaEmbed(place, spec(card, data, height), {
      actions: false, renderer: "svg", ast: true, defaultStyle: false, mode: "vega-lite",
      tooltip: { disableDefaultStyle: true, theme: "custom" },
    }).then((found) => { views.push(found); });
  }

  const views = [];
  const empty = (body, card) => {
    body.append(element("p", { class: "empty" }, isEmpty ? "No activity recorded yet." : card.filters.length ? "Nothing in this choice." : "Nothing to show."));
  };

  // What a card does not listen to is said where it matters.
  function note(card) {
    const names = { date: "period", project: "project", model: "model" };
    const ignored = Object.keys(isSet).filter((name) => isSet[name]() && !card.filters.includes(name));
    const narrowed = ignored.filter((name) => name !== "date");
    return narrowed.length ? element("p", { class: "note" }, `not narrowed by ${narrowed.map((name) => names[name]).join(" and ")}`) : null;
  }

  function about(card) {
    return element("details", { class: "about" }, element("summary", { "aria-label": `About ${card.title}`, title: "How it is counted" }, "?"),
      element("div", {}, element("p", {}, card.description),
        card.definition.text ? element("p", {}, card.definition.text) : null, element("p", {}, element("code", {}, card.definition.name))));
  }

  function draw(card) {
    const isScalar = card.display === "smartscalar" || card.display === "scalar";
    const result = rowsOf(card);
    if (card.view.strip) {
      const node = strip(card, result);
      node.id = `card-${card.key}`;
      node.dataset.drawn = "yes";
      node.style.gridColumn = "1 / -1";
      return { node };
    }
    const body = element("div", { class: "body" });
    const node = element("section", { class: `card ${isScalar ? "scalar" : ""}`, id: `card-${card.key}`, "aria-labelledby": `title-${card.key}` },
      element("header", {}, element("h3", { id: `title-${card.key}` }, card.title), about(card)),
      isScalar ? null : element("p", { class: "why" }, card.description), body, note(card));
    node.style.gridColumn = `${card.place[1] + 1} / span ${card.place[2]}`;
    let ready = null;
    if (isScalar) body.append(scalar(card, result));
    else if (!result.rows) empty(body, card);
    else if (card.view.heat) body.append(heat(card, result));
    else if (card.display === "table") body.append(table(card, result));
    else if (card.display === "row") body.append(bars(card, result));
    else ready = () => chart(card, result, body);
    node.dataset.drawn = ready ? "" : "yes";
    return { node, ready: ready && (() => Promise.resolve(ready()).then(() => { node.dataset.drawn = "yes"; })) };
  }

  // The page

  let turn = 0;
  async function show() {
    turn += 1;
    const mine = turn;
    document.body.dataset.ready = "";
    while (views.length) views.pop().finalize();
    const board = page.dashboards.find((item) => item.key === state.tab);
    for (const tab of byId("tabs").children) {
      const isMine = tab.dataset.key === state.tab;
      tab.setAttribute("aria-selected", String(isMine));
      tab.tabIndex = isMine ? 0 : -1;
    }
    byId("board").setAttribute("aria-labelledby", `tab-${board.key}`);
    const drawn = board.cards.map((card) => [card, draw(card)]);
    const bands = new Map();
    for (const [card, item] of drawn) {
      if (!bands.has(card.place[0])) bands.set(card.place[0], element("div", { class: "band" }));
      bands.get(card.place[0]).append(item.node);
    }
    byId("board").replaceChildren(
      element("div", { class: "intro" }, element("h2", {}, board.title), element("p", {}, board.description)),
      ...[...bands].sort((a, b) => a[0] - b[0]).map(([, band]) => band));
    writeAddress();
    for (const [, item] of drawn) if (mine === turn && item.ready) await item.ready();
    if (mine === turn) document.body.dataset.ready = "yes";
  }

  function fillFilters() {
    const board = page.dashboards.find((item) => item.key === state.tab);
    byId("preset").value = state.preset;
    byId("from").value = state.from === null ? "" : isoDay(state.from);
    byId("to").value = state.to === null ? "" : isoDay(state.to);
    for (const [name, label] of [["project", "project"], ["model", "model"]]) {
      const box = byId(name);
      const chosen = [...state[name]];
      box.classList.toggle("set", chosen.length > 0);
      box.querySelector("summary").textContent = !chosen.length ? `All ${label}s` : chosen.length === 1 ? chosen[0] : plural(chosen.length, label);
      for (const input of box.querySelectorAll("input")) input.checked = state[name].has(input.value);
      box.hidden = !board.filters.includes(name);
    }
  }

  const changed = () => { fillFilters(); return show(); };

  function buildFilters() {
    byId("preset").append(...PRESETS.map(([value, label]) => element("option", { value }, label)), element("option", { value: "own" }, "Own dates"));
    byId("preset").addEventListener("change", (event) => {
      if (event.target.value === "own") state.preset = "own";
      else applyPreset(event.target.value);
      changed();
    });
    for (const name of ["from", "to"]) {
      const input = byId(name);
      if (!isEmpty) Object.assign(input, { min: isoDay(firstDay), max: isoDay(lastDay) });
      input.addEventListener("change", () => {
        state.preset = "own";
        state[name] = dayOf(input.value);
        changed();
      });
    }
    const names = new Map(page.projects.map(([, name, path]) => [path, name]));
    const option = (name, value, label, small) => element("label", {}, element("input", {
      type: "checkbox", value,
      onchange(event) {
        if (event.target.checked) state[name].add(value);
        else state[name].delete(value);
        changed();
      },
    }), element("span", {}, label, small ? element("small", {}, small) : null));
    byId("project").querySelector(".options").append(...paths.map((path) => option("project", path, names.get(path) || path, path)));
    byId("model").querySelector(".options").append(...page.models.map((name) => option("model", name, name)));
    document.addEventListener("click", (event) => {
      for (const box of document.querySelectorAll("details.choice[open], details.about[open]")) if (!box.contains(event.target)) box.open = false;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") for (const box of document.querySelectorAll("details.choice[open], details.about[open]")) box.open = false;
    });
    byId("reset").addEventListener("click", () => {
      applyPreset(START);
      state.project.clear();
      state.model.clear();
      changed();
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  function buildTabs() {
    byId("tabs").append(...page.dashboards.map((board) => element("button", {
      type: "button", role: "tab", id: `tab-${board.key}`, "data-key": board.key, "aria-controls": "board",
      onclick() {
        state.tab = board.key;
        changed();
      },
    }, board.title)));
    byId("tabs").addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move) return;
      const keys = page.dashboards.map((board) => board.key);
      state.tab = keys[(keys.indexOf(state.tab) + move + keys.length) % keys.length];
      changed();
      byId(`tab-${state.tab}`).focus();
    });
  }

  // Local files may have no storage: the choice of a theme then lasts as long as the page.
  const stored = {
    get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* not remembered */ } },
  };

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "☀\uFE0E Light" : "☾\uFE0E Dark";
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(stored.get() || (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => { if (!stored.get()) { setTheme(system.matches ? "dark" : "light"); show(); } });
  byId("theme").addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    stored.set(document.documentElement.dataset.theme);
    show();
  });
  let before = null;
  addEventListener("beforeprint", () => { before = document.documentElement.dataset.theme; document.documentElement.dataset.theme = "light"; });
  addEventListener("afterprint", () => { document.documentElement.dataset.theme = before; });
  addEventListener("hashchange", () => { readAddress(); changed(); });

  byId("made").textContent = isEmpty
    ? "No activity recorded yet: run claude-analytics pipeline, then make this report again."
    : `${FORMATS.date(firstDay)} to ${FORMATS.date(lastDay)}, ${plural(page.projects.length, "project")}`;
  byId("footer").append(element("p", {}, `Made ${dateTime.format(page.made_at)} (${page.timezone}) from the published database, for reading on this machine: it holds titles and paths. ` +
    "Costs are list prices of the API in US dollars. The four kinds of tokens differ in price and are never added up. “–” means unknown, not zero."));
  buildFilters();
  buildTabs();
  readAddress();
  changed();

  // For tests and the curious: the rows behind a card, with the filters of the page.
  window.report = {
    cards: page.dashboards.flatMap((board) => board.cards.map((card) => ({ board: board.key, key: card.key }))),
    rows(key, chosen) {
      const card = page.dashboards.flatMap((board) => board.cards).find((item) => item.key === key);
      const limits = chosen && { ...chosen, projects: chosen.projects && new Set(chosen.projects), models: chosen.models && new Set(chosen.models) };
      const result = rowsOf(card, limits || choice());
      return { names: result.columns.map((item) => item.name), rows: Array.from({ length: result.rows }, (_, row) => result.columns.map((item) => item.data[row])) };
    },
  };
})();
