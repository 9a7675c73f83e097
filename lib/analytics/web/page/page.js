/* The report's page: filters, tabs, and how a card's result is shown. All texts go in as text, never as HTML. */
"use strict";

(() => {
  const DAY_MS = 86400000;
  const manifest = JSON.parse(document.getElementById("manifest").textContent);
  const packed = JSON.parse(document.getElementById("columns").textContent);
  const state = { tab: manifest.dashboards[0].key, range: "all", from: null, to: null, project: "", model: "" };
  const results = new Map(); // card key -> {names, rows} as last shown
  const $ = (id) => document.getElementById(id);

  // ---- small helpers

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("--")) node.style.setProperty(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const iso = (day) => new Date(day * DAY_MS).toISOString().slice(0, 10);
  const dayOf = (text) => { const ms = Date.parse(`${text}T00:00:00Z`); return Number.isNaN(ms) ? null : ms / DAY_MS; };
  const nextFrame = () => new Promise((done) => setTimeout(done, 0));

  // ---- formats

  const dates = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeZone: "UTC" });
  const months = new Intl.DateTimeFormat("en-US", { month: "short", year: "numeric", timeZone: "UTC" });
  const instants = new Intl.DateTimeFormat("en-US", {
    month: "short", day: "numeric", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
    timeZone: manifest.timeZone,
  });
  const digits = (low, high = low) => new Intl.NumberFormat("en-US", { minimumFractionDigits: low, maximumFractionDigits: high });
  const whole = digits(0), one = digits(1), cents = digits(2), fine = digits(4);

  function compact(value) {
    for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
      if (Math.abs(value) >= size) return `${digits(0, Math.abs(value) < 100 * size ? 1 : 0).format(value / size)}${unit}`;
    }
    return whole.format(value);
  }

  function duration(seconds) {
    if (seconds < 1) return `${whole.format(seconds * 1000)} ms`;
    if (seconds < 10) return `${one.format(seconds)} s`;
    if (seconds < 59.5) return `${whole.format(seconds)} s`;
    const minutes = Math.floor(Math.round(seconds) / 60);
    if (minutes < 60) return `${minutes}m ${String(Math.round(seconds) % 60).padStart(2, "0")}s`;
    return `${whole.format(Math.floor(minutes / 60))}h ${String(minutes % 60).padStart(2, "0")}m`;
  }

  function money(value, format, smallest) {
    const text = value !== 0 && Math.abs(value) < smallest ? `<$${format.format(smallest)}` : `$${format.format(Math.abs(value))}`;
    return value < 0 ? `−${text}` : text;
  }

  const FORMATS = {
    text: String,
    usd: (v) => money(v, cents, 0.01),
    usd_fine: (v) => money(v, fine, 0.0001),
    count: (v) => whole.format(v),
    tokens: compact,
    number: (v) => (Math.abs(v) >= 1000 ? whole : one).format(v),
    percent: (v) => (v !== 0 && Math.abs(v) < 0.0005 ? "<0.1%" : `${one.format(v * 100)}%`),
    duration,
    ms: (v) => duration(v / 1000),
    date: (v) => dates.format(v * DAY_MS),
    datetime: (v) => instants.format(v),
  };
  const AXIS = { usd: "$~s", usd_fine: "$~g", count: "~s", tokens: "~s", number: ",.2~f", percent: "~%", duration: "~s" };
  const show = (format, value) => (value === null ? "–" : FORMATS[format](value));
  const isText = (format) => format === "text";

  // ---- data: columns are unpacked when a card first needs them

  const unpacked = new Map();

  async function bytes(text, zipped) {
    const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    if (!zipped) return raw.buffer;
    return new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  const ARRAYS = { i1: Int8Array, i2: Int16Array, i4: Int32Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };

  async function unpack(id) {
    const { type, n, data, zip, mask, values, bool } = packed[id];
    const buffer = await bytes(data, zip);
    const array = new ARRAYS[type](buffer, 0, n);
    if (values !== undefined) {
      const words = typeof values === "string" ? JSON.parse(new TextDecoder().decode(await bytes(values, true))) : values;
      return Array.from(array, (place) => words[place]);
    }
    const missing = mask ? new Uint8Array(buffer, n * array.BYTES_PER_ELEMENT, n) : null;
    const read = bool ? (value) => value === 1 : (value) => value;
    return Array.from(array, (value, row) => (missing && missing[row] ? null : read(value)));
  }

  async function load(card) {
    const ids = new Set(Object.values(card.sources).flatMap((id) => Object.values(manifest.sources[id].columns)));
    await Promise.all([...ids].filter((id) => !unpacked.has(id)).map(async (id) => unpacked.set(id, await unpack(id))));
  }

  // ---- filters

  /** What the engine filters by; null means everything. */
  function chosen() {
    const ids = manifest.projects.filter((project) => project.path === state.project).flatMap((project) => project.ids);
    return { from: state.from, to: state.to, projects: state.project ? new Set(ids) : null, models: state.model ? new Set([state.model]) : null };
  }

  const narrowedBy = () => [
    ...(state.from !== null || state.to !== null ? ["date"] : []), ...(state.project ? ["project"] : []), ...(state.model ? ["model"] : []),
  ];

  async function compute(card) {
    await load(card);
    const sources = Object.entries(card.sources).map(([name, id]) => {
      const { n, columns, filters } = manifest.sources[id];
      const data = Object.entries(columns).map(([column, packedId]) => ({ name: column, alias: null, data: unpacked.get(packedId) }));
      return { name, filters, table: { rows: n, columns: data } };
    });
    const { rows, columns } = Engine.evaluate({ sources, steps: card.steps }, chosen());
    return { names: columns.map((column) => column.name), rows: Array.from({ length: rows }, (_, row) => columns.map((column) => column.data[row])) };
  }

  // ---- cards

  const column = (card, name) => card.columns.find((c) => c.name === name);
  const nothing = (text = "No data for this choice") => element("p", { class: "empty" }, text);

  function trend(card, result) {
    const at = result.names.indexOf(card.view.value), when = result.names.indexOf(card.view.date);
    const format = column(card, card.view.value).format;
    const rows = result.rows.filter((row) => row[when] !== null);
    const now = rows.length ? rows[rows.length - 1][at] : null;
    const before = rows.length > 1 ? rows[rows.length - 2][at] : null;
    if (now === null) return [element("p", { class: "value none" }, "–"), element("p", { class: "trend" }, "nothing for this choice")];
    const value = element("p", { class: "value" }, show(format, now));
    const endOfBefore = rows.length > 1 ? rows[rows.length - 2][when] : null;
    if (before === null) {
      // a period as long as this one, or the whole month before where the days are not chosen
      const date = new Date(endOfBefore * DAY_MS);
      const start = card.filters.includes("date") ? 2 * endOfBefore - rows[rows.length - 1][when] + 1 : Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / DAY_MS;
      const covered = endOfBefore !== null && start >= manifest.firstDay;
      return [value, element("p", { class: "trend" }, covered ? "nothing in the period before" : "no whole period before it")];
    }
    const change = before === 0 ? null : (now - before) / Math.abs(before);
    const up = now > before, same = now === before;
    const good = !card.view.good || same ? "" : (card.view.good === "up") === up ? "better" : "worse";
    const arrow = same ? "=" : up ? "▲" : "▼";
    const points = format === "percent" ? `${one.format(Math.abs(now - before) * 100)} points` : null;
    const size = same ? "unchanged" : points ?? (change === null ? "" : `${(Math.abs(change) < 0.1 ? one : whole).format(Math.abs(change * 100))}%`);
    return [value, element("p", { class: `trend ${good}` },
      element("span", { class: "change" }, `${arrow} ${size}`.trim()), ` from ${show(format, before)}`)];
  }

  function strip(card, result) {
    const list = element("dl", { class: "strip" });
    for (const [what, now, status] of result.rows) {
      list.append(element("div", { class: status === "warn" ? "warn" : null }, element("dt", {}, what),
        element("dd", {}, status === "warn" ? `⚠ ${now}` : now)));
    }
    return [list];
  }

  function dataTable(card, result) {
    if (!result.rows.length) return [nothing()];
    const shown = card.columns.map((c) => ({ ...c, at: result.names.indexOf(c.name) })).filter((c) => c.at >= 0);
    const bars = new Map((card.view.bars ?? []).map((name) => {
      const at = result.names.indexOf(name);
      return [name, Math.max(...result.rows.map((row) => row[at] ?? 0), 0)];
    }));
    const head = element("tr", {}, ...shown.map((c) => element("th", { scope: "col", class: isText(c.format) ? null : "number" }, c.title)));
    const body = result.rows.map((row) => element("tr", {}, ...shown.map((c) => {
      const value = row[c.at], text = show(c.format, value);
      const cell = element("td", { class: isText(c.format) ? (card.view.wrap ? "wrap" : "text") : "number", "data-title": c.title });
      if (c.name === "status" || c.name === "price" || c.name === "activity_status") {
        cell.append(element("span", { class: `badge ${String(value).replace(/\W/g, "-")}` }, text));
      } else if (isText(c.format) && !card.view.wrap) cell.append(element("span", { class: "clip", title: text }, text));
      else {
        cell.append(text);
        if (c.format === "tokens" && value !== null) cell.title = whole.format(value);
        if (value === null) cell.title = "unknown";
      }
      if (bars.has(c.name) && value !== null && bars.get(c.name) > 0) {
        cell.classList.add("bar");
        cell.style.setProperty("--share", `${Math.max(0, value / bars.get(c.name)) * 100}%`);
      }
      return cell;
    })));
    const frame = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": card.title },
      element("table", { class: card.view.wrap ? "sentences" : null }, element("thead", {}, head), element("tbody", {}, ...body)));
    return [frame];
  }

  function heat(card, result) {
    const { down, across, value } = card.view.heat;
    const [d, a, v] = [down, across, value].map((name) => result.names.indexOf(name));
    const most = Math.max(...result.rows.map((row) => row[v]), 0);
    if (!most) return [nothing()];
    const tops = [...new Set(result.rows.map((row) => row[a]))], lefts = [...new Set(result.rows.map((row) => row[d]))];
    const cells = new Map(result.rows.map((row) => [`${row[d]}/${row[a]}`, row[v]]));
    const head = element("tr", {}, element("td"), ...tops.map((t) => element("th", { scope: "col" }, String(t))));
    const body = lefts.map((l) => element("tr", {}, element("th", { scope: "row" }, element("span", { class: "long" }, l), element("span", { class: "short" }, String(l).slice(0, 2))),
      ...tops.map((t) => {
        const n = cells.get(`${l}/${t}`) ?? 0;
        const text = `${l} ${String(t).padStart(2, "0")}:00 – ${whole.format(n)} ${column(card, value).title.toLowerCase()}`;
        // the square root keeps quiet hours visible beside busy ones
        return element("td", { title: text, "--heat-share": n ? 0.1 + 0.9 * Math.sqrt(n / most) : 0 }, element("span", { class: "unseen" }, whole.format(n)));
      })));
    return [element("table", { class: "heat" }, element("thead", {}, head), element("tbody", {}, ...body)),
      element("p", { class: "note" }, `Strongest: ${whole.format(most)} in one hour of the week. Square root scale.`)];
  }

  function barList(card, result) {
    if (!result.rows.length) return [nothing()];
    const x = result.names.indexOf(card.view.x), y = result.names.indexOf(card.view.y[0]);
    const format = column(card, card.view.y[0]).format;
    const most = Math.max(...result.rows.map((row) => row[y] ?? 0));
    return [element("ol", { class: "bars" }, ...result.rows.map((row) => element("li", {},
      element("span", { class: "name", title: row[x] ?? "unknown" }, row[x] ?? "unknown"),
      element("span", { class: "track" }, element("span", { class: "fill", "--share": `${most ? (Math.max(row[y], 0) / most) * 100 : 0}%` })),
      element("span", { class: "amount" }, show(format, row[y])))))];
  }

  // ---- charts

  const COLORS = 10;
  const places = new Map(); // column -> name -> colour: a model or project keeps its colour over cards and filters

  function color(card, name, position) {
    if (name === "all others" || name === "unknown") return "var(--c-other)";
    if (!card.view.series) return `var(--c${position % COLORS})`;
    if (!places.has(card.view.series)) places.set(card.view.series, new Map());
    const known = places.get(card.view.series);
    if (!known.has(name)) known.set(name, known.size % COLORS);
    return `var(--c${known.get(name)})`;
  }

  /** Days that one bar stands for: the same steps as `grain` in the cards' SQL. */
  function unit() {
    const from = Math.max(state.from ?? -Infinity, manifest.firstDay), to = Math.min(state.to ?? Infinity, manifest.lastDay);
    const days = to - from + 1;
    return days > 400 ? "month" : days > 93 ? "week" : "day";
  }

  function unitEnd(day, step) {
    if (step === "day") return day + 1;
    if (step === "week") return day + 7;
    const date = new Date(day * DAY_MS);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / DAY_MS;
  }

  function label(day, step) {
    if (step === "day") return dates.format(day * DAY_MS);
    if (step === "week") return `week of ${dates.format(day * DAY_MS)}`;
    return new Date(day * DAY_MS).toLocaleDateString("en-US", { month: "long", year: "numeric", timeZone: "UTC" });
  }

  /** Long form of a chart's result: {x, series, y, text}, in drawing order of the series. */
  function points(card, result) {
    const at = (name) => result.names.indexOf(name);
    const x = at(card.view.x), rows = [];
    for (const row of result.rows) {
      for (const name of card.view.y) {
        const y = row[at(name)];
        if (row[x] === null || y === null) continue;
        const series = card.view.series ? String(row[at(card.view.series)]) : column(card, name).title;
        rows.push({ day: row[x], series, y, text: show(column(card, name).format, y) });
      }
    }
    const totals = new Map();
    for (const row of rows) totals.set(row.series, (totals.get(row.series) ?? 0) + Math.abs(row.y));
    const last = (name) => (name === "all others" ? 1 : 0);
    const names = card.view.series ? [...totals.keys()].sort((a, b) => last(a) - last(b) || totals.get(b) - totals.get(a)) : [...totals.keys()];
    return { rows, names };
  }

  function stacked(rows, names, together) {
    const order = new Map(names.map((name, at) => [name, at]));
    const tops = new Map();
    return [...rows].sort((a, b) => a.day - b.day || order.get(a.series) - order.get(b.series)).map((row) => {
      if (!together) return { ...row, y0: 0, y1: row.y };
      const key = `${row.day}${row.y < 0 ? "-" : "+"}`, y0 = tops.get(key) ?? 0;
      tops.set(key, y0 + row.y);
      return { ...row, y0, y1: y0 + row.y };
    });
  }

  /** Numbers the unbroken runs of a line: it ends where nothing was measured. Days may skip a weekend. */
  function runs(values, step) {
    const last = new Map();
    for (const row of [...values].sort((a, b) => a.day - b.day)) {
      const before = last.get(row.series);
      const reach = before && (step === "day" ? before.day + 3 : unitEnd(before.day, step));
      row.run = before ? before.run + (row.day > reach ? 1 : 0) : 0;
      last.set(row.series, row);
    }
    return values;
  }

  /** About `most` instants between two days, at the starts of months when there are many days. */
  function ticks(first, last, most) {
    if (last - first <= 120) {
      const step = Math.max(1, Math.ceil((last - first + 1) / most));
      return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => (first + i * step) * DAY_MS);
    }
    const start = new Date(first * DAY_MS), found = [];
    for (let month = 0; ; month++) {
      const at = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1);
      if (at > last * DAY_MS) break;
      if (at >= first * DAY_MS) found.push(at);
    }
    return found.filter((_, i) => i % Math.ceil(found.length / most) === 0);
  }

  function chartSpec(card, result, width, height) {
    const { rows, names } = points(card, result);
    const step = unit(), format = column(card, card.view.y[0]).format;
    const tooltip = [
      { field: "when", type: "nominal", title: column(card, card.view.x).title },
      ...(names.length > 1 || card.view.series ? [{ field: "series", type: "nominal", title: card.view.series ? column(card, card.view.series).title : "Measure" }] : []),
      { field: "text", type: "nominal", title: card.view.series || names.length === 1 ? column(card, card.view.y[0]).title : "Value" },
    ];
    const isBar = card.display === "bar" || card.display === "area";
    const together = card.view.stack === "stacked";
    const sideBySide = isBar && !together && names.length > 1;
    const values = runs(stacked(rows, names, isBar && together), step).map((row) => {
      const end = unitEnd(row.day, step), gap = (end - row.day) * 0.08, span = end - row.day - 2 * gap;
      const slot = sideBySide ? span / names.length : span, offset = sideBySide ? names.indexOf(row.series) * slot : 0;
      return { ...row, when: label(row.day, step), x: (isBar ? row.day + gap + offset : (row.day + end) / 2) * DAY_MS, x2: (row.day + gap + offset + slot) * DAY_MS };
    });
    // the axis spans the choice, not only the days that have something
    const first = Math.min(...rows.map((row) => row.day), Math.max(state.from ?? -Infinity, manifest.firstDay));
    const last = Math.max(...rows.map((row) => unitEnd(row.day, step)), Math.min(state.to ?? Infinity, manifest.lastDay));
    const axis = {
      values: ticks(first, last, Math.max(2, Math.floor(width / 85))), labelOverlap: "greedy", labelFlush: true, grid: false, title: null, tickSize: 4,
      labelExpr: `utcFormat(datum.value, '${last - first > 120 ? "%b %Y" : "%b %-d"}')`,
    };
    // nothing is half a session
    const highest = Math.max(...values.map((row) => Math.max(Math.abs(row.y0), Math.abs(row.y1))));
    const tickCount = format === "count" ? Math.max(1, Math.min(4, highest)) : 4;
    const y = { axis: { format: AXIS[format] ?? "~s", tickCount, title: null, domain: false, ticks: false, labelPadding: 6 } };
    if (card.view.zero === false) y.scale = { zero: false, nice: true };
    if (card.view.scale === "log") y.scale = { type: "log", nice: true };
    const encoding = {
      x: { field: "x", type: "quantitative", scale: { domain: [first * DAY_MS, last * DAY_MS], nice: false, zero: false }, axis },
      color: { field: "series", type: "nominal", scale: { domain: names, range: names.map((name, at) => color(card, name, at)) }, legend: null },
      tooltip,
    };
    const layer = isBar
      ? { mark: { type: "rect", stroke: "var(--card)", strokeWidth: values.length > 250 ? 0 : 0.5 }, encoding: { ...encoding, x2: { field: "x2" }, y: { field: "y0", type: "quantitative", ...y }, y2: { field: "y1" } } }
      : { mark: { type: "line", strokeWidth: 2, point: { size: values.length > 120 ? 8 : 30, filled: true }, clip: true }, encoding: { ...encoding, detail: { field: "run", type: "nominal" }, y: { field: "y", type: "quantitative", ...y } } };
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width, height, autosize: { type: "fit", contains: "padding" }, background: null, padding: 2,
      description: `${card.title}: ${card.description}`,
      data: { values }, ...layer,
      config: {
        font: "system-ui, sans-serif", view: { stroke: null },
        axis: { labelColor: "var(--ink-2)", labelFontSize: 11, gridColor: "var(--line)", domainColor: "var(--line-2)", tickColor: "var(--line-2)" },
      },
    };
  }

  const views = new Map(); // card element -> Vega view, to be finalized before it is drawn again

  async function chart(card, result, body) {
    const { rows, names } = points(card, result);
    views.get(body)?.finalize();
    views.delete(body);
    if (!rows.length) { body.replaceChildren(nothing()); return; }
    const holder = element("div", { class: "chart", "--height": `${Math.max(3, card.place[3] - 2) * 44}px` });
    const legend = names.length < 2 ? null : element("ul", { class: "legend" }, ...names.map((name, at) => element("li", {},
      element("span", { class: "key", "--color": color(card, name, at) }), name)));
    body.replaceChildren(...[legend, holder].filter(Boolean));
    const spec = chartSpec(card, result, Math.max(200, holder.clientWidth), Math.max(140, holder.clientHeight));
    // `ast`: expressions are interpreted, not compiled with eval, which the page's policy forbids
    views.set(body, await vegaEmbed(holder, spec, { ast: true, actions: false, renderer: "svg", defaultStyle: false, mode: "vega-lite", loader: { load: () => { throw new Error("no network"); } } }));
  }

  /** What a card shows although something else is chosen; a measure of its own month names the month. */
  function scope(card, ignored) {
    const own = card.display === "smartscalar" && !card.filters.includes("date") && manifest.lastDay !== null;
    const all = ignored.filter((name) => !own || name !== "date").map((name) => ({ date: "days", project: "projects", model: "models" })[name]);
    return [own ? months.format(manifest.lastDay * DAY_MS) : null, all.length ? `all ${all.join(", ")}` : null].filter(Boolean).join(", ");
  }

  async function draw(card, article) {
    const body = article.querySelector(".body");
    const ignored = narrowedBy().filter((name) => !card.filters.includes(name));
    const result = await compute(card);
    article.querySelector(".scope").textContent = card.view.strip ? "" : scope(card, ignored);
    results.set(card.key, result);
    if (article.dataset.view === "table") body.replaceChildren(...dataTable(card, result));
    else if (card.display === "smartscalar") body.replaceChildren(...trend(card, result));
    else if (card.view.strip) body.replaceChildren(...strip(card, result));
    else if (card.view.heat) body.replaceChildren(...heat(card, result));
    else if (card.display === "row") body.replaceChildren(...barList(card, result));
    else if (card.display === "table") body.replaceChildren(...dataTable(card, result));
    else await chart(card, result, body);
    article.dataset.rendered = "yes";
  }

  // ---- the page

  let turn = 0;

  async function refresh() {
    const mine = ++turn;
    document.documentElement.dataset.ready = "no";
    const panel = $(`panel-${state.tab}`);
    const cards = [...panel.querySelectorAll("article[data-card]")].map((article) => [article, manifest.cards[article.dataset.card]]);
    // numbers first, and tables before charts: a chart fills the height that its neighbours need
    const order = ([, card]) => (card.display === "smartscalar" || card.view.strip ? 0 : card.display === "table" || card.display === "row" ? 1 : 2);
    for (const [article, card] of cards.sort((a, b) => order(a) - order(b))) {
      if (mine !== turn) return;
      try { await draw(card, article); } catch (error) {
        article.querySelector(".body").replaceChildren(nothing("This card cannot be shown"));
        console.error(card.key, error);
      }
      if (card.display !== "smartscalar") await nextFrame(); // let what is there be painted
    }
    if (mine === turn) document.documentElement.dataset.ready = "yes";
  }

  function describe() {
    const from = Math.max(state.from ?? -Infinity, manifest.firstDay), to = Math.min(state.to ?? Infinity, manifest.lastDay);
    const range = manifest.firstDay === null ? "no data yet" : from > to ? "no days with data" : `${dates.format(from * DAY_MS)} – ${dates.format(to * DAY_MS)}`;
    const parts = [range];
    if (state.project) parts.push($("project").selectedOptions[0]?.textContent ?? state.project);
    const models = manifest.dashboards.find((board) => board.key === state.tab).filters.includes("model");
    if (state.model && models) parts.push(state.model);
    $("model").disabled = !models;
    $("model").title = models ? "" : "No card of this dashboard tells models apart";
    $("range-text").textContent = parts.join(" · ");
  }

  function applyRange() {
    const last = manifest.lastDay;
    const date = last === null ? new Date() : new Date(last * DAY_MS);
    const month = (offset) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1) / DAY_MS;
    const spans = {
      all: [null, null], "7": [last - 6, last], "30": [last - 29, last], "90": [last - 89, last], "365": [last - 364, last],
      month: [month(0), last], previous: [month(-1), month(0) - 1], year: [Date.UTC(date.getUTCFullYear(), 0, 1) / DAY_MS, last],
    };
    if (state.range !== "custom") [state.from, state.to] = last === null ? [null, null] : spans[state.range];
    $("from").value = state.from === null ? "" : iso(state.from);
    $("to").value = state.to === null ? "" : iso(state.to);
    $("range").value = state.range;
    document.documentElement.dataset.range = state.range;
  }

  function remember() {
    const words = new URLSearchParams({ range: state.range });
    if (state.range === "custom") {
      if (state.from !== null) words.set("from", iso(state.from));
      if (state.to !== null) words.set("to", iso(state.to));
    }
    if (state.project) words.set("project", state.project);
    if (state.model) words.set("model", state.model);
    history.replaceState(null, "", `#${state.tab}?${words}`);
  }

  function recall() {
    const [tab, query] = location.hash.slice(1).split("?", 2);
    if (manifest.dashboards.some((board) => board.key === tab)) state.tab = tab;
    const words = new URLSearchParams(query ?? "");
    state.range = [...$("range").options].some((option) => option.value === words.get("range")) ? words.get("range") : manifest.range;
    if (state.range === "custom") {
      state.from = dayOf(words.get("from"));
      state.to = dayOf(words.get("to"));
    }
    state.project = manifest.projects.some((p) => p.path === words.get("project")) ? words.get("project") : "";
    state.model = manifest.models.includes(words.get("model")) ? words.get("model") : "";
  }

  function changed() {
    applyRange();
    $("project").value = state.project;
    $("model").value = state.model;
    describe();
    remember();
    refresh();
  }

  function select(tab, focus) {
    state.tab = tab;
    for (const button of document.querySelectorAll("[role=tab]")) {
      const chosen = button.dataset.tab === tab;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) button.parentElement.scrollTo({ left: button.offsetLeft - 40 });
      if (chosen && focus) button.focus();
      $(`panel-${button.dataset.tab}`).hidden = !chosen;
    }
    changed();
  }

  function fillFilters() {
    const names = new Map();
    for (const { name } of manifest.projects) names.set(name, (names.get(name) ?? 0) + 1);
    for (const { name, path } of manifest.projects) {
      $("project").append(element("option", { value: path, title: path }, names.get(name) > 1 ? `${name} (${path})` : name));
    }
    for (const model of manifest.models) $("model").append(element("option", { value: model }, model));
    for (const field of [$("from"), $("to")]) {
      if (manifest.firstDay !== null) { field.min = iso(manifest.firstDay); field.max = iso(manifest.lastDay); }
    }
    $("range").addEventListener("change", (event) => { state.range = event.target.value; changed(); });
    for (const [id, key] of [["from", "from"], ["to", "to"]]) {
      $(id).addEventListener("change", (event) => {
        state.range = "custom";
        state[key] = event.target.value ? dayOf(event.target.value) : null;
        changed();
      });
    }
    $("project").addEventListener("change", (event) => { state.project = event.target.value; changed(); });
    $("model").addEventListener("change", (event) => { state.model = event.target.value; changed(); });
    $("clear").addEventListener("click", () => { Object.assign(state, { range: "all", from: null, to: null, project: "", model: "" }); changed(); });
  }

  function wireTabs() {
    const buttons = [...document.querySelectorAll("[role=tab]")];
    for (const button of buttons) {
      button.addEventListener("click", () => select(button.dataset.tab));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, Home: -buttons.length, End: buttons.length }[event.key];
        if (!step) return;
        event.preventDefault();
        const at = buttons.indexOf(button) + step;
        select(buttons[Math.abs(step) === 1 ? (at + buttons.length) % buttons.length : step < 0 ? 0 : buttons.length - 1].dataset.tab, true);
      });
    }
  }

  function wireCards() {
    for (const article of document.querySelectorAll("article[data-card]")) {
      const card = manifest.cards[article.dataset.card];
      article.querySelector(".how")?.addEventListener("click", () => explain(card));
      article.querySelector(".as-table")?.addEventListener("click", (event) => {
        const asTable = article.dataset.view !== "table";
        article.dataset.view = asTable ? "table" : "";
        event.currentTarget.setAttribute("aria-pressed", String(asTable));
        draw(card, article);
      });
    }
    $("explain-close").addEventListener("click", () => $("explain").close());
    $("explain").addEventListener("click", (event) => { if (event.target === $("explain")) $("explain").close(); });
  }

  function explain(card) {
    $("explain-title").textContent = card.title;
    $("explain-description").textContent = card.description;
    $("explain-where").textContent = card.definition;
    $("explain-definition").replaceChildren(document.getElementById(`definition-${manifest.definitions[card.definition]}`).content.cloneNode(true));
    $("explain-sql").textContent = card.sql;
    $("explain-source").textContent = card.source;
    $("explain").showModal();
  }

  function theme() {
    const root = document.documentElement, button = $("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
    system.addEventListener("change", name);
    name();
  }

  function freshness() {
    if (manifest.newestEntry === null) { $("fresh").textContent = "No entries yet: run the pipeline first."; return; }
    const hours = Math.max(0, Math.floor((Date.now() - manifest.newestEntry) / 3600000)), days = Math.floor(hours / 24);
    const age = hours < 1 ? "within the last hour" : hours === 1 ? "an hour ago" : days < 2 ? `${hours} hours ago` : `${whole.format(days)} days ago`;
    $("fresh").textContent = `Newest entry ${instants.format(manifest.newestEntry)} (${age}) · report made ${instants.format(manifest.madeAt)} · ${manifest.timeZone}`;
    if (days >= 2) $("fresh").classList.add("stale");
  }

  let resizing = 0, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar moves only the height
    width = innerWidth;
    clearTimeout(resizing);
    resizing = setTimeout(refresh, 150);
  });
  addEventListener("hashchange", () => { recall(); select(state.tab); });

  fillFilters();
  wireTabs();
  wireCards();
  theme();
  freshness();
  recall();
  select(state.tab);
  window.report = { state, results };
})();
