"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") element.textContent = value;
      else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  };
  const drawn = (tag, attributes = {}, text = null) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== null) element.textContent = text;
    return element;
  };

  // Colour scheme: the system's, or the reader's choice for this page.
  const root = document.documentElement;
  const themeButton = byId("theme");
  const darkQuery = matchMedia("(prefers-color-scheme: dark)");
  const themeWatchers = [];
  themeButton.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : darkQuery.matches;
    root.dataset.theme = dark ? "light" : "dark";
    themeButton.setAttribute("aria-label", `Colour scheme: ${root.dataset.theme}`);
    themeWatchers.forEach((watch) => watch());
  });
  darkQuery.addEventListener("change", () => themeWatchers.forEach((watch) => watch()));

  byId("no-script").remove();

  // A link into what is folded opens it; the list of contents marks the chapter in view.
  const reveal = () => {
    const place = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1).split("?")[0])) : null;
    if (!place) return;
    for (let outer = place; outer; outer = outer.parentElement) if (outer.tagName === "DETAILS") outer.open = true;
    place.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  const entries = new Map([...document.querySelectorAll(".contents > ol > li > a")].map((link) => [link.hash.slice(1), link]));
  const inView = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      for (const [id, link] of entries) id === target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll("main > section[id]").forEach((chapter) => inView.observe(chapter));

  // Each figure to take away, as it stands: SVG, PNG, and its numbers as CSV.
  const save = (content, name, type) => {
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    const link = make("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  // What a spreadsheet would take for a formula gets a quotation mark before it.
  const guarded = (text) => (/^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  const cell = (item) => {
    const text = item === null || item === undefined ? "" : String(item);
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const aloneOf = (figure) => {
    const svg = figure.querySelector(".drawing svg"), paper = getComputedStyle(root);
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const copy = svg.cloneNode(true);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.setAttribute("font-family", "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif");
    copy.prepend(drawn("rect", { width: "100%", height: "100%", fill: "var(--paper)" }));
    const text = new XMLSerializer().serializeToString(copy).replace(/var\((--[\w-]+)\)/g, (_, name) => paper.getPropertyValue(name).trim());
    return { text, width, height };
  };
  const savePng = (figure) => {
    const { text, width, height } = aloneOf(figure);
    const picture = new Image();
    picture.onload = () => {
      const canvas = make("canvas", { width: Math.round(3 * width), height: Math.round(3 * height) });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, `${figure.id}.png`), "image/png");
    };
    picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  };
  const numbersOfFigure = (figure) => {
    const rows = [...figure.querySelectorAll(".numbers tbody tr")].map((row) => [...row.cells]);
    const headings = [...figure.querySelectorAll(".numbers thead th")].map((heading, place) => {
      const found = new Set(rows.map((row) => row[place].dataset.u).filter(Boolean));
      return found.size === 1 ? `${heading.textContent} (${[...found][0]})` : heading.textContent;
    });
    const lines = rows.map((row) => row.map((item) => item.dataset.v ?? (item.textContent === "–" ? "" : guarded(item.textContent))));
    return [headings, ...lines].map((line) => line.map(cell).join(",")).join("\r\n");
  };
  for (const figure of document.querySelectorAll("figure.figure")) {
    const name = figure.querySelector("h4").textContent;
    const button = (form, take) => {
      const made = make("button", { type: "button", text: form, "aria-label": `Save ${name} as ${form}` });
      made.addEventListener("click", take);
      return made;
    };
    const forms = [button("SVG", () => save(aloneOf(figure).text, `${figure.id}.svg`, "image/svg+xml")), button("PNG", () => savePng(figure))];
    if (figure.querySelector(".numbers")) forms.push(button("CSV", () => save(numbersOfFigure(figure), `${figure.id}.csv`, "text/csv")));
    figure.querySelector(".take").append("Save as ", ...forms);
  }

  // Data: gzipped JSON, decoded by the browser itself.
  const bytes = Uint8Array.from(atob(byId("data").textContent.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const looks = Object.fromEntries(JSON.parse(byId("looks").textContent).map(([name, slot]) => [name, slot]));
  const columns = {};
  for (const [name, column] of Object.entries(data.columns))
    columns[name] = column.values || column.index.map((place) => column.words[place]);
  const names = Object.keys(columns);
  const count = columns.id ? columns.id.length : 0;
  const value = (name, row) => (columns[name] ? columns[name][row] : null);
  const everyRow = Array.from({ length: count }, (_, row) => row);

  // Numbers as text.
  const ABSENT = "–";
  const digits = (number, significant = 3) => {
    if (number === 0) return "0";
    if (!Number.isFinite(number)) return ABSENT;
    const size = Math.abs(number);
    if (size < 1e-4 || size >= 1e7) return number.toExponential(significant - 1);
    const places = Math.max(0, significant - 1 - Math.floor(Math.log10(Number(size.toPrecision(significant)))));
    return number.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  };
  const scaled = (scale) => (number, significant) => {
    if (number === null || number === undefined || !Number.isFinite(number)) return ABSENT;
    const [factor, unit] = scale.find(([limit]) => Math.abs(number) >= limit) || scale[scale.length - 1];
    return `${digits(number / factor, significant)} ${unit}`.trim();
  };
  const seconds = scaled([[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]]);
  const size = scaled([[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]);
  const decimal = scaled([[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]]);
  const plain = (number) => {
    if (number === null || number === undefined) return ABSENT;
    return Number.isInteger(number) && Math.abs(number) < 1e7 ? number.toLocaleString("en") : digits(number);
  };
  const axes = ["n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "width", "causal", "valid_lens", "scale", "dropout"];
  const writer = (name) => {
    if (name.endsWith("_s")) return seconds;
    if (name.endsWith("_bytes")) return size;
    if (name === "operations") return (number, significant) => (number === null ? ABSENT : `${decimal(number, significant)}FLOP`);
    if (name === "tflops") return (number, significant) => (number === null ? ABSENT : `${decimal(number * 1e12, significant)}FLOP/s`);
    return (number, significant) => (typeof number === "number" ? (significant ? decimal(number, significant) : plain(number)) : String(number ?? ""));
  };
  const titles = {
    time_s: "time", median_s: "median", low_s: "95 % from", high_s: "95 % to", best_s: "best time", tflops: "throughput",
    roofline_share: "share of roofline", ideal_bytes: "ideal bytes", peak_bytes: "peak memory", extra_bytes: "extra memory",
    predicted_extra_bytes: "predicted extra memory", agreement_ratio: "error / budget", energy_j: "energy, J per call",
    gpu_utilization: "GPU utilisation", power_w: "power, W", clock_mhz: "clock, MHz", d: "d per head",
  };
  const title = (name) => titles[name] || name.replace(/_/g, " ");
  const point = (row) =>
    axes.filter((name) => value(name, row) !== null && value(name, row) !== "" && value(name, row) !== undefined)
      .map((name) => `${name} ${value(name, row)}`).join(", ");
  const colorOf = (slot) => getComputedStyle(root).getPropertyValue(`--c${slot}`).trim();
  const distinct = (name) => [...new Set(columns[name] || [])].filter((word) => word !== null && word !== "").sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
  const columnRows = Array.from({ length: count }, (_, row) => row);
  const points = columnRows.map(point);

  const choice = (label, id, options, chosen, changed) => {
    const select = make("select", { id });
    for (const [key, words] of options) select.append(make("option", { value: key, text: words, selected: key === chosen }));
    select.addEventListener("change", changed);
    return [make("label", {}, label, select), select];
  };

  // The table of cases.
  const PAGE = 15;
  const shown = [
    ["implementation", "implementation"], ["scenario", "scenario"], ["point", "sizes"], ["dtype", "dtype"], ["direction", "direction"],
    ["status", "status"], ["time_s", "time"], ["interval", "95 % interval"], ["tflops", "throughput"], ["extra_bytes", "extra memory"],
    ["agreement_ratio", "error / budget"], ["flags", "flags"], ["reason", "reason"],
  ];
  if (distinct("run").length > 1) shown.unshift(["run", "run"]);
  // A column that says the same in every row says nothing; the opened row has it.
  for (const name of ["dtype", "direction", "flags"]) if (distinct(name).length < (name === "flags" ? 1 : 2)) shown.splice(shown.findIndex(([other]) => other === name), 1);
  const numeric = new Set(["time_s", "tflops", "extra_bytes", "agreement_ratio", "interval"]);
  const table = byId("case-table");
  const body = table.tBodies[0];
  // Timed cases come first, then failures, then what was never meant to run here; inside each, the order of the run.
  const rank = { ok: 0, unsupported: 2, unavailable: 2, predicted_oom: 2, predicted_slow: 2, over_budget: 2, "not run": 3 };
  everyRow.sort((a, b) => (rank[value("status", a)] ?? 1) - (rank[value("status", b)] ?? 1) || a - b);
  const state = { sort: null, ascending: true, page: 0, rows: everyRow, all: false };
  const opened = new Set();
  const form = byId("case-filters");
  const search = make("input", { type: "search", id: "case-search", placeholder: "words, e.g. flash 4096" });
  form.append(make("label", {}, "search", search));
  const selects = ["run", "scenario", "implementation", "dtype", "direction", "status"].filter((name) => distinct(name).length > 1).map((name) => {
    const [label, select] = choice(name, `case-${name}`, [["", "all"], ...distinct(name).map((word) => [word, word.replace(/_/g, " ")])], "", () => refilter());
    form.append(label);
    return [name, select];
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => refilter());
  const haystack = columnRows.map((row) => ["run", "implementation", "scenario", "dtype", "direction", "status", "reason", "flags", "id"].map((name) => value(name, row) ?? "").concat(points[row]).join(" ").toLowerCase());

  const heads = shown.map(([name, words]) => {
    const button = make("button", { type: "button", text: words });
    const head = make("th", { scope: "col", class: numeric.has(name) ? "number" : null }, button);
    button.addEventListener("click", () => {
      state.ascending = state.sort === name ? !state.ascending : true;
      state.sort = name;
      resort();
      render();
    });
    return [name, head];
  });
  table.tHead.append(make("tr", {}, ...heads.map(([, head]) => head)));

  const key = (name, row) => (name === "point" ? points[row] : name === "interval" ? width(row) : value(name, row));
  const width = (row) => (value("low_s", row) === null || !value("time_s", row) ? null : (value("high_s", row) - value("low_s", row)) / value("time_s", row));
  const resort = () => {
    if (!state.sort) return;
    const sign = state.ascending ? 1 : -1;
    const missing = (item) => item === null || item === undefined || item === "";
    const collator = new Intl.Collator("en", { numeric: true });
    const keys = new Map(state.rows.map((row) => [row, key(state.sort, row)]));
    state.rows = [...state.rows].sort((a, b) => {
      const one = keys.get(a), other = keys.get(b);
      if (missing(one) || missing(other)) return missing(one) - missing(other);
      return sign * (typeof one === "number" ? one - other : collator.compare(one, other));
    });
    state.page = 0;
  };
  const refilter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.rows = everyRow.filter((row) => words.every((word) => haystack[row].includes(word)) && selects.every(([name, select]) => !select.value || String(value(name, row)) === select.value));
    state.page = 0;
    resort();
    render();
  };
  const statusClass = { ok: "", unsupported: "status-open", unavailable: "status-open", predicted_oom: "status-open", predicted_slow: "status-open", over_budget: "status-open", "not run": "status-open" };
  const content = (name, row) => {
    if (name === "implementation") {
      const button = make("button", { type: "button", class: "open", "aria-expanded": String(opened.has(row)), text: value(name, row) });
      button.prepend(make("span", { class: "dot", style: `background:var(--c${looks[value(name, row)] ?? 8})` }));
      button.addEventListener("click", () => {
        opened.has(row) ? opened.delete(row) : opened.add(row);
        render();
        body.querySelector(`[data-row="${row}"] .open`)?.focus();
      });
      return make("td", {}, button);
    }
    if (name === "status") return make("td", { class: statusClass[value(name, row)] ?? "status-bad", text: value(name, row).replace(/_/g, " ") });
    if (name === "point") return make("td", { text: points[row] });
    if (name === "interval") return make("td", { class: "number", text: width(row) === null ? ABSENT : `${seconds(value("low_s", row))} to ${seconds(value("high_s", row))}` });
    if (name === "reason") return make("td", { class: "reason", text: clip(value(name, row) ?? "") });
    if (numeric.has(name)) return make("td", { class: "number", text: value(name, row) === null || value(name, row) === undefined ? ABSENT : writer(name)(value(name, row)) });
    return make("td", { text: value(name, row) ?? "" });
  };
  const clip = (text) => (text.length > 160 ? `${text.slice(0, 160)} …` : text);
  const render = () => {
    for (const [name, head] of heads) {
      if (state.sort === name) head.setAttribute("aria-sort", state.ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    const last = Math.max(0, Math.ceil(state.rows.length / PAGE) - 1);
    state.page = Math.min(Math.max(0, state.page), last);
    const rows = state.all ? state.rows : state.rows.slice(state.page * PAGE, (state.page + 1) * PAGE);
    const fragment = document.createDocumentFragment();
    for (const row of rows) {
      fragment.append(make("tr", { "data-row": row }, ...shown.map(([name]) => content(name, row))));
      if (opened.has(row)) fragment.append(make("tr", { class: "detail" }, make("td", { colspan: shown.length }, detail(row))));
    }
    body.replaceChildren(fragment);
    byId("case-count").textContent = count ? `${state.rows.length.toLocaleString("en")} of ${count.toLocaleString("en")} cases` : "The run has no cases.";
    const pages = byId("case-pages");
    pages.replaceChildren();
    if (last > 0 && !state.all) {
      const step = (words, by, stop) => {
        const button = make("button", { type: "button", text: words, disabled: stop });
        button.addEventListener("click", () => { state.page += by; render(); });
        return button;
      };
      pages.append(step("Previous", -1, state.page === 0), make("span", { text: `page ${state.page + 1} of ${last + 1}` }), step("Next", 1, state.page === last));
    }
  };

  // What a row opens to.
  const facts = (heading, pairs) => {
    const rows = pairs.map(([name, words]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: words })));
    return make("div", {}, make("h4", { "aria-level": "3", text: heading }), make("table", {}, make("tbody", {}, ...rows)));
  };
  const detail = (row) => {
    const more = data.details[row] || {};
    const grid = make("div", { class: "detail-grid" });
    if (more.samples && more.samples.length) grid.append(order(more, value("median_s", row)), distribution(more, value("median_s", row)));
    if (value("reason", row)) grid.append(make("div", { class: "full" }, make("h4", { "aria-level": "3", text: "Why there is no time" }), make("pre", { text: value("reason", row), tabindex: "0" })));
    if (value("status", row) === "ok") grid.append(facts("Time", [["time", seconds(value("time_s", row))], ["what it is", value("statistic", row) || "median"], ["median", seconds(value("median_s", row))], ["best (second smallest)", seconds(value("best_s", row))], ["samples", `${value("samples", row)} in ${value("rounds", row)} rounds`], ["calls per sample", plain(more.calls)], ["ended by", value("stop_reason", row) || ABSENT], ["flags", value("flags", row) || "none"]]));
    if (more.checks) grid.append(facts("Agreement", [...more.checks.map(([name, error, budget, ratio, passed, note]) => [`${name}${passed ? "" : ": over budget"}`, `${ratio === null ? "not finite" : digits(ratio)} of the budget${budget === null ? "" : ` (${digits(error ?? NaN, 2)} of ${digits(budget, 2)})`}${note ? `; ${note}` : ""}`]), ...(more.worst ? [["worst element", more.worst]] : [])]));
    const memoryTitles = { device_process: "driver counts for the process", reserved: "reserved by torch's pool", rss_peak: "resident set, peak" };
    if (more.memory) grid.append(facts("Memory", Object.entries(more.memory).map(([name, bytes_]) => [memoryTitles[name] || name.replace(/_/g, " "), size(bytes_)])));
    const between = (low, high, write) => (low === null || low === undefined ? "no interval" : `${write(low)} to ${write(high)}`);
    if (more.allocation) grid.append(facts("What fresh memory costs", [["blocks given back", seconds(more.allocation.returned)], ["blocks kept", seconds(more.allocation.kept)], ["ratio", `${digits(more.allocation.ratio)}× (95 %: ${between(more.allocation.low, more.allocation.high, digits)})`], ["page faults per call", `${plain(more.allocation.faults_returned)} given back, ${plain(more.allocation.faults_kept)} kept`], ["rounds of both", plain(more.allocation.rounds)]]));
    if (more.launch) grid.append(facts("Launch overhead", [["a call inside a graph", more.launch.graph === null ? ABSENT : `${seconds(more.launch.graph)} (95 %: ${between(more.launch.low, more.launch.high, seconds)})`], ["launching it adds", seconds(more.launch.overhead)], ["the graph", `${plain(more.launch.calls)} calls, ${plain(more.launch.inputs)} input sets`], ...(more.launch.reason ? [["why there is no more", more.launch.reason]] : [])]));
    if (more.ran) grid.append(facts(`What ran${more.backend ? `: ${more.backend}` : ""}`, [...Object.entries(more.ran).map(([name, times]) => [name, `${times}×`]), ...(typeof more.kernel_seconds === "number" ? [["time inside kernels", seconds(more.kernel_seconds)]] : [])]));
    if (more.telemetry) grid.append(facts("Under sustained load", more.telemetry));
    if (more.notes) grid.append(make("div", { class: "full" }, make("h4", { "aria-level": "3", text: "Notes" }), ...more.notes.map((note) => make("p", { text: note }))));
    grid.append(make("div", { class: "full" }, make("h4", { "aria-level": "3", text: "Measure it again" }), make("pre", { tabindex: "0", text: more.again || "" })));
    if (more.profile) grid.append(make("div", { class: "full" }, make("h4", { "aria-level": "3", text: "See where its time goes" }), make("pre", { tabindex: "0", text: more.profile })));
    grid.append(facts("Identity", [["case", value("id", row)], ["conditions", ["problem", "dtype", "device", "direction", "cache"].map((name) => value(name, row)).join(", ")], ...Object.entries(data.environments[more.environment] || {}), ["environment", more.environment || ABSENT]]));
    return grid;
  };
  const percent = (share) => `${share >= 0 ? "+" : "−"}${digits(Math.abs(share) * 100, 2)} %`;
  const order = (more, median) => {
    const W = 320, H = 130, left = 44, bottom = 18;
    const shares = more.samples.map((step) => step / 1e4 - 1);
    const low = Math.min(-0.005, ...shares), high = Math.max(0.005, ...shares);
    const x = (index) => left + ((index + 0.5) / shares.length) * (W - left - 4);
    const y = (share) => 6 + ((high - share) / (high - low)) * (H - bottom - 12);
    const picture = drawn("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${shares.length} samples in order of time, from ${percent(low)} to ${percent(high)} of the median` });
    let before = 0;
    for (const [index, length] of (more.rounds || []).entries()) {
      const from = x(before - 0.5), to = x(before + length - 0.5);
      if (index % 2) picture.append(drawn("rect", { x: from, y: 2, width: Math.max(0, to - from), height: H - bottom - 2, fill: "var(--line)", opacity: 0.5 }));
      before += length;
    }
    picture.append(drawn("line", { x1: left, x2: W, y1: y(0), y2: y(0), stroke: "var(--muted)", "stroke-dasharray": "4 3" }));
    shares.forEach((share, index) => {
      const shared = more.canary && more.canary[index] > 1.05;
      picture.append(drawn("circle", { cx: x(index), cy: y(share), r: 2.4, fill: shared ? "none" : "var(--c0)", stroke: "var(--c0)" }));
    });
    for (const share of [low, 0, high]) picture.append(drawn("text", { x: left - 5, y: y(share) + 3, "text-anchor": "end" }, share === 0 ? seconds(median) : percent(share)));
    picture.append(drawn("text", { x: left, y: H - 4 }, "order of time; shades: rounds; hollow: machine shared"));
    return make("div", {}, make("h4", { "aria-level": "3", text: "Samples in order" }), picture);
  };
  const distribution = (more, median) => {
    const W = 320, H = 130, bottom = 32;
    const shares = more.samples.map((step) => step / 1e4 - 1).sort((a, b) => a - b);
    const low = shares[0], span = Math.max(shares[shares.length - 1] - low, 1e-4);
    const bins = Math.max(5, Math.min(24, Math.ceil(Math.sqrt(shares.length) * 2)));
    const heights = Array(bins).fill(0);
    for (const share of shares) heights[Math.min(bins - 1, Math.floor(((share - low) / span) * bins))] += 1;
    const top = Math.max(...heights);
    const picture = drawn("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Distribution of ${shares.length} samples, ${seconds(median * (1 + low))} to ${seconds(median * (1 + low + span))}` });
    heights.forEach((height, index) => picture.append(drawn("rect", { x: 4 + (index * (W - 8)) / bins, y: H - bottom - (height / top) * (H - bottom - 8), width: (W - 8) / bins - 1.5, height: (height / top) * (H - bottom - 8), fill: "var(--c0)", opacity: 0.75 })));
    picture.append(drawn("text", { x: 4, y: H - 18 }, seconds(median * (1 + low))), drawn("text", { x: W - 4, y: H - 18, "text-anchor": "end" }, seconds(median * (1 + low + span))), drawn("text", { x: 4, y: H - 4 }, "seconds per call; height: number of samples"));
    return make("div", {}, make("h4", { "aria-level": "3", text: "Distribution" }), picture);
  };
  render();

  // The explorer.
  const numbersOf = names.filter((name) => !["causal", "valid_lens"].includes(name) && columns[name].some((item) => typeof item === "number"));
  const groups = ["implementation", "run", "scenario", "problem", "dtype", "direction", "cache", "device", ...axes].filter((name) => columns[name] && distinct(name).length > 0);
  const several = groups.filter((name) => distinct(name).length > 1);
  const timed = everyRow.filter((row) => value("status", row) === "ok");
  const defaults = { x: numbersOf.includes("n") ? "n" : numbersOf[0] || "", y: numbersOf.includes("time_s") ? "time_s" : numbersOf[0] || "", color: "implementation", facet: "", logx: "1", logy: "1" };
  const reach = {};
  for (const row of timed) (reach[value("scenario", row)] ??= new Set()).add(value(defaults.x, row));
  if (columns.scenario && timed.length) defaults.scenario = Object.keys(reach).sort((a, b) => reach[b].size - reach[a].size)[0];
  const view = { ...defaults };
  const readHash = () => {
    const [place, query] = location.hash.split("?");
    if (place !== "#explorer" || query === undefined) return false;
    for (const name of Object.keys(view)) delete view[name];
    Object.assign(view, { x: defaults.x, y: defaults.y, color: "implementation", facet: "", logx: "1", logy: "1" });
    for (const [name, word] of new URLSearchParams(query)) view[name] = word;
    return true;
  };
  const explore = byId("explore-controls");
  explore.addEventListener("submit", (event) => event.preventDefault());
  const viewed = () => timed.filter((row) => several.every((name) => !view[name] || String(value(name, row)) === view[name]))
    .filter((row) => [view.x, view.y].every((name) => typeof value(name, row) === "number"))
    .filter((row) => (view.logx !== "1" || value(view.x, row) > 0) && (view.logy !== "1" || value(view.y, row) > 0));
  const buildControls = () => {
    explore.replaceChildren();
    const add = (label, name, options) => {
      const [wrapped, select] = choice(label, `explore-${name}`, options, view[name] ?? "", () => { view[name] = select.value; plot(true); });
      explore.append(wrapped);
    };
    add("across (x)", "x", numbersOf.map((name) => [name, title(name)]));
    add("up (y)", "y", numbersOf.map((name) => [name, title(name)]));
    add("colour", "color", groups.map((name) => [name, title(name)]));
    add("side by side", "facet", [["", "one plot"], ...several.map((name) => [name, title(name)])]);
    for (const [name, words] of [["logx", "log x"], ["logy", "log y"]]) {
      const box = make("input", { type: "checkbox", id: `explore-${name}` });
      box.checked = view[name] === "1";
      box.addEventListener("change", () => { view[name] = box.checked ? "1" : "0"; plot(true); });
      explore.append(make("label", { class: "check" }, box, words));
    }
    for (const name of several) add(`only ${title(name)}`, name, [["", "all"], ...distinct(name).map((word) => [String(word), String(word)])]);
  };
  const PLOTS = 12;
  let charts = [];
  const plot = (moved) => {
    charts.forEach((chart) => chart.destroy());
    charts = [];
    const place = byId("plots");
    place.replaceChildren();
    const rows = viewed();
    const query = new URLSearchParams(Object.entries(view).filter(([, word]) => word !== ""));
    byId("view-link").href = `#explorer?${query}`;
    if (moved) try { history.replaceState(null, "", `#explorer?${query}`); } catch { /* A sandboxed frame has no history to change. */ }
    const facets = view.facet ? distinct(view.facet) : [null];
    byId("explore-count").textContent = rows.length ? `${rows.length.toLocaleString("en")} of ${timed.length.toLocaleString("en")} timed cases shown${facets.length > PLOTS ? `, the first ${PLOTS} of ${facets.length} plots` : ""}.` : "No timed case has both figures under these filters.";
    if (!rows.length) return;
    for (const facet of facets.slice(0, PLOTS)) {
      const mine = facet === null ? rows : rows.filter((row) => value(view.facet, row) === facet);
      if (mine.length) place.append(chartOf(mine, facet === null ? `${title(view.y)} against ${title(view.x)}` : `${title(view.facet)}: ${facet}`, facets.length > 1));
    }
    charts.forEach((chart) => chart.setSize({ width: chart.root.parentElement.clientWidth, height: facets.length > 1 ? 280 : 400 }));
  };
  const chartOf = (rows, heading) => {
    rows = [...rows].sort((a, b) => value(view.x, a) - value(view.x, b));
    const words = [...new Set(rows.map((row) => value(view.color, row)))];
    const xs = rows.map((row) => value(view.x, row));
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--muted").trim(), line = style.getPropertyValue("--line").trim();
    const series = words.map((word, index) => {
      const color = colorOf(view.color === "implementation" ? looks[word] ?? index % 12 : index % 12);
      const ys = rows.map((row) => (value(view.color, row) === word ? value(view.y, row) : null));
      const own = xs.filter((_, place) => ys[place] !== null);
      const single = new Set(own).size === own.length;
      return [{ label: String(word ?? "none"), stroke: color, width: 1.5, spanGaps: true, paths: single ? undefined : () => null, points: { show: true, size: 6, fill: color, stroke: color }, value: (_, number) => (number === null || number === undefined ? ABSENT : writer(view.y)(number)) }, ys];
    });
    const axis = (name, log) => ({ stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, label: title(name), labelSize: 22, labelGap: 2, size: name === view.y ? 72 : 34, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : (axes.includes(name) ? plain(tick) : writer(name)(tick, log ? 1 : 3)))) });
    const holder = make("div", {}, make("h4", { "aria-level": "3", text: heading }));
    const log2 = view.logx === "1" && axes.includes(view.x);
    const xAxis = axis(view.x, view.logx === "1");
    if (log2) {
      const all = [...new Set(xs)], powers = all.filter((size_) => Number.isInteger(Math.log2(size_)));
      const sizes = powers.length >= 3 ? powers : all;
      xAxis.splits = () => sizes.filter((_, place) => place % Math.ceil(sizes.length / 8) === 0);
      xAxis.filter = (_, splits) => splits;
    }
    charts.push(new uPlot({
      width: 480, height: 400, cursor: { drag: { x: true, y: true } },
      scales: { // Room on both sides: of several points at the very edge the chart would draw one only.
        x: { time: false, distr: view.logx === "1" ? 3 : 1, log: log2 ? 2 : 10, range: (_, low, high) => (view.logx === "1" ? [low / 1.08, high * 1.08] : [low - 0.03 * (high - low || 1), high + 0.03 * (high - low || 1)]) }, y: { distr: view.logy === "1" ? 3 : 1 } },
      axes: [xAxis, axis(view.y, view.logy === "1")],
      series: [{ label: title(view.x), value: (_, number) => (number === null || number === undefined ? ABSENT : writer(view.x)(number)) }, ...series.map(([options]) => options)],
    }, [xs, ...series.map(([, ys]) => ys)], holder));
    const canvas = holder.querySelector("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${heading}: ${rows.length} cases, ${words.length} colours by ${title(view.color)}. Download CSV has the numbers.`);
    return holder;
  };
  byId("save-csv").addEventListener("click", () => save([names.join(","), ...viewed().map((row) => names.map((name) => cell(value(name, row))).join(","))].join("\r\n"), "attnbench-view.csv", "text/csv"));
  byId("save-json").addEventListener("click", () => save(JSON.stringify(viewed().map((row) => Object.fromEntries(names.map((name) => [name, value(name, row) ?? null]))), null, 1), "attnbench-view.json", "application/json"));
  readHash();
  buildControls();
  plot(false);
  addEventListener("hashchange", () => { if (readHash()) { buildControls(); plot(false); } });
  themeWatchers.push(() => plot(false));
  let pause = 0;
  addEventListener("resize", () => { clearTimeout(pause); pause = setTimeout(() => plot(false), 150); });

  // Paper has no buttons: everything is opened and every filtered row is written out.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((item) => { item.open = true; });
    state.all = true;
    render();
  });
  addEventListener("afterprint", () => {
    closed.forEach((item) => { item.open = false; });
    state.all = false;
    render();
  });
  root.dataset.ready = "yes";
})();
