// The waterfall of one trace: a tree with bars, of which only the rows in sight are in the DOM.
// Input: {columns: trace_data.columns(), selected: id | null}.

import { el, set } from "./dom.js";
import { duration, ticks } from "./format.js";
import { bar, colour, descendants, extent, initiallyCollapsed, reveal, rowWindow, search, visibleRows } from "./tree.js";

const ROW = 26;
const GLYPHS = ["", "!", "≋", "✕"];
const STATES = ["", "error", "throttled", "fault"];

class Waterfall {
  constructor(root) {
    this.critical = true;
    this.only = null;
    this.build(root);
  }

  build(root) {
    const toggle = (label, act, pressed) => el("button", { type: "button", text: label, onclick: act, "aria-pressed": pressed });
    this.find = el("input", { type: "search", placeholder: "Find in trace…", "aria-label": "Find in trace", oninput: () => this.searched(), onkeydown: (event) => this.findKey(event) });
    this.info = el("span", { class: "info", role: "status" });
    this.buttons = {
      critical: toggle("Critical path", () => { this.critical = !this.critical; this.render(); }, true),
      onlyCritical: toggle("Only critical", () => this.filter("critical"), false),
      failures: toggle("Only failures", () => this.filter("failures"), false),
      expand: toggle("Expand all", () => { this.collapsed.clear(); this.arrange(); }),
      collapse: toggle("Collapse all", () => { this.count.forEach((n, i) => { if (n) this.collapsed.add(i); }); this.arrange(); }),
      zoom: toggle("Reset zoom", () => this.zoom(this.full)),
    };
    this.mini = el("canvas", { class: "mini", "aria-hidden": "true", title: "Drag to zoom into a stretch of time" });
    this.lens = el("div", { class: "lens" });
    this.axis = el("div", { class: "axis", "aria-hidden": "true" });
    const head = el("div", { class: "head" }, el("div", { class: "title", text: "Service and operation" }), el("div", { class: "time" }, this.mini, this.lens, this.axis));
    this.sheet = el("div", { class: "sheet" });
    this.grid = el("div", { class: "grid" });
    this.rows = el("div", { class: "rows", tabindex: 0, role: "tree", "aria-label": "Segments of the trace", onscroll: () => this.scrolled(), onkeydown: (event) => this.key(event), onclick: (event) => this.click(event) }, this.sheet);
    this.divider = el("div", { class: "divider", "aria-hidden": "true" });
    this.legend = el("div", { class: "legend" });
    this.frame = el("div", { class: "frame" }, el("div", { class: "bar" }, this.find, this.info, ...Object.values(this.buttons)), head, el("div", { class: "body" }, this.rows, this.divider), this.legend);
    root.append(this.frame);
    this.drags();
    new ResizeObserver(() => { if (this.columns) { this.size(); this.drawMini(); this.render(); } }).observe(this.frame);
    // Whatever comes or goes above moves this frame without resizing it.
    const page = document.querySelector('[data-testid="stMainBlockContainer"]');
    if (page) new ResizeObserver(() => this.columns && this.size()).observe(page);
    // The minimap is a canvas: it alone does not follow a change of theme by itself.
    new MutationObserver(() => this.columns && this.drawMini()).observe(document.documentElement, { attributes: true, attributeFilter: ["style", "class", "data-theme"] });
  }

  update({ columns, selected }, select) {
    this.select = select;
    if (this.columns?.trace !== columns.trace || this.columns.id.length !== columns.id.length) {
      this.columns = columns;
      this.count = descendants(columns.parent);
      this.collapsed = initiallyCollapsed(columns.depth, this.count);
      this.full = extent(columns);
      this.window = this.full;
      this.index = new Map(columns.id.map((id, index) => [id, index]));
      this.progress = new Set(columns.progress);
      this.hits = [];
      this.selected = null;
      this.paintLegend();
      this.size();
      if (this.index.has(selected)) this.show(this.index.get(selected), false);
      else this.arrange();
      this.drawMini();
      requestAnimationFrame(() => this.centerSelected());
    } else {
      this.columns = columns;
      if ((selected ?? null) !== this.selectedId() && (selected === null || this.index.has(selected))) this.show(this.index.get(selected), false);
      else this.render();
    }
    set(this.frame, { "data-ready": 1 });
  }

  selectedId() {
    return this.selected === null ? null : this.columns.id[this.selected];
  }

  size() {
    const top = this.rows.getBoundingClientRect().top + (document.querySelector('[data-testid="stMain"]')?.scrollTop ?? 0);
    const room = window.innerHeight - Math.max(160, top) - this.legend.offsetHeight - 34;
    this.rows.style.height = `${Math.max(260, Math.min(room, Math.max(10, this.columns.id.length + 1) * ROW))}px`;
  }

  paintLegend() {
    const { services } = this.columns;
    this.legend.replaceChildren(...services.slice(0, 24).map((name, index) => {
      const item = el("span", { title: name }, el("i"), name);
      item.style.setProperty("--colour", colour(index));
      return item;
    }), services.length > 24 ? `and ${services.length - 24} more` : "");
  }

  // -- rows --------------------------------------------------------------------

  filter(name) {
    this.only = this.only === name ? null : name;
    this.arrange();
  }

  matches(index) {
    return this.only === "failures" ? this.columns.outcome[index] > 0 : index in this.columns.critical;
  }

  arrange() {
    this.visible = visibleRows(this.columns, this.count, this.collapsed, this.only ? (index) => this.matches(index) : null);
    this.place = new Map(this.visible.map((index, row) => [index, row]));
    this.sheet.style.height = `${Math.max(1, this.visible.length) * ROW}px`;
    this.render();
  }

  scrolled() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.render(); });
  }

  render() {
    if (!this.visible) return;
    const hits = new Set(this.hits);
    this.indent = this.rows.clientWidth < 560 ? 6 : 13;
    const marks = ticks(...this.window, Math.max(3, Math.floor(this.axis.clientWidth / 95))).filter((at) => at >= this.window[0]);
    const [first, last] = rowWindow(this.rows.scrollTop, this.rows.clientHeight, ROW, this.visible.length);
    const lines = [];
    for (let row = first; row < last; row += 1) lines.push(this.row(row, this.visible[row], hits));
    this.grid.replaceChildren(...marks.map((at) => { const line = el("i"); line.style.left = `${bar(at, 0, this.window)?.left ?? 0}%`; return line; }));
    if (!lines.length) lines.push(el("div", { class: "none", text: this.only === "failures" ? "Nothing failed in this trace." : "Nothing to show." }));
    this.sheet.replaceChildren(this.grid, ...lines);
    const room = this.axis.clientWidth;
    this.axis.replaceChildren(...marks.flatMap((at) => {
      const text = at === 0 ? "0" : duration(at);
      const left = bar(at, 0, this.window)?.left ?? 0;
      if ((left / 100) * room + text.length * 7 + 6 > room) return []; // it would be cut
      const mark = el("span", { text });
      mark.style.left = `${left}%`;
      return mark;
    }));
    const total = this.columns.id.length;
    const found = this.find.value.trim() ? ` · ${this.hits.length ? `${(this.hit ?? 0) + 1} of ${this.hits.length}` : "no"} match${this.hits.length === 1 ? "" : "es"}` : "";
    this.info.textContent = `${total.toLocaleString("en-US")} segments${this.visible.length < total ? `, ${this.visible.length.toLocaleString("en-US")} shown` : ""}${found}`;
    set(this.buttons.critical, { "aria-pressed": this.critical });
    set(this.buttons.onlyCritical, { "aria-pressed": this.only === "critical" });
    set(this.buttons.failures, { "aria-pressed": this.only === "failures" });
    const zoomed = this.window !== this.full;
    this.buttons.zoom.style.display = zoomed ? "" : "none";
    const [low, high] = this.full;
    Object.assign(this.lens.style, { display: zoomed ? "block" : "none", left: `${((this.window[0] - low) / (high - low)) * 100}%`, width: `${((this.window[1] - this.window[0]) / (high - low)) * 100}%` });
    set(this.frame, { "data-visible": this.visible.length, "data-drawn": lines.length });
  }

  row(row, index, hits) {
    const { columns } = this;
    const outcome = columns.outcome[index];
    const kids = this.count[index];
    const closed = this.collapsed.has(index) && !this.only;
    const service = columns.services[columns.service[index]];
    const call = columns.call[index] === 1;
    const label = el("div", { class: call ? "label call" : "label" },
      kids ? el("button", { class: "chevron", type: "button", tabindex: -1, text: closed ? "▶" : "▼", "aria-label": closed ? "Expand" : "Collapse", "data-chevron": index }) : el("span", { class: "chevron" }),
      el("i", { class: "stripe" }),
      outcome ? el("span", { class: `state s${outcome}`, title: STATES[outcome], text: GLYPHS[outcome] }) : null,
      el("b", { text: columns.name[index] }), el("span", { class: "op", text: columns.operation[index] }),
      closed && kids ? el("span", { class: "count", text: kids.toLocaleString("en-US"), title: `${kids} segments inside` }) : null);
    label.style.paddingLeft = `${4 + Math.min(columns.depth[index], 24) * this.indent}px`;
    const lane = el("div", { class: "lane" });
    this.bars(lane, index, outcome, call);
    const line = el("div", {
      class: `row${index === this.selected ? " selected" : ""}${this.only && !this.matches(index) ? " context" : ""}${hits.has(index) ? " hit" : ""}`,
      role: "treeitem", "aria-level": columns.depth[index] + 1, "aria-selected": index === this.selected, "data-span": columns.id[index], "data-index": index,
      "aria-label": `${columns.name[index]} ${columns.operation[index]}, ${duration(columns.duration[index])}${outcome ? `, ${STATES[outcome]}` : ""}`,
      title: `${service}: ${columns.name[index]} ${columns.operation[index]}`,
    }, label, lane);
    if (kids) line.setAttribute("aria-expanded", String(!closed));
    line.style.top = `${row * ROW}px`;
    line.style.setProperty("--colour", colour(columns.service[index]));
    return line;
  }

  bars(lane, index, outcome, call) {
    const { start, duration: took, critical } = this.columns;
    const box = bar(start[index], took[index], this.window);
    const running = this.progress.has(index);
    const text = running ? "in progress" : duration(took[index]);
    if (!box) {
      const before = start[index] + took[index] < this.window[0];
      const mark = el("span", { class: "took", text: before ? `◂ ${text}` : `${text} ▸` });
      mark.style[before ? "left" : "right"] = "0";
      lane.append(mark);
      return;
    }
    const span = el("div", { class: `span${call ? " call" : ""}${running ? " running" : ""}${outcome ? ` bad${outcome}` : ""}` });
    Object.assign(span.style, { left: `${box.left}%`, width: `${box.width}%` });
    lane.append(span);
    if (this.critical) {
      for (const [low, high] of critical[index] ?? []) {
        const part = bar(low, high - low, this.window);
        if (!part) continue;
        const line = el("i", { class: "critical" });
        Object.assign(line.style, { left: `${part.left}%`, width: `${part.width}%` });
        lane.append(line);
      }
    }
    const end = box.left + box.width;
    const label = el("span", { class: "took", text });
    if (end < 86) label.style.left = `${end}%`;
    else if (box.left > 14) label.style.right = `${100 - box.left}%`;
    else { label.className = "took inside"; label.style.right = "0"; }
    lane.append(label);
  }

  // -- selection, search, keys -----------------------------------------------

  show(index, tell = true) {
    this.selected = index ?? null;
    if (this.selected !== null) {
      if (this.only && !this.matches(index)) this.only = null;
      reveal(this.columns, this.collapsed, index);
    }
    this.arrange();
    this.scrollTo(this.selected);
    if (tell) this.select(this.selectedId());
  }

  scrollTo(index) {
    const row = this.place.get(index);
    if (row === undefined) return;
    const top = row * ROW;
    const { scrollTop, clientHeight } = this.rows;
    if (top < scrollTop) this.rows.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.rows.scrollTop = top + ROW - clientHeight;
    this.render();
  }

  centerSelected() {
    const row = this.place.get(this.selected);
    if (row !== undefined && (row * ROW > this.rows.scrollTop + this.rows.clientHeight - ROW || row * ROW < this.rows.scrollTop)) this.rows.scrollTop = Math.max(0, row * ROW - this.rows.clientHeight / 2);
  }

  click(event) {
    const chevron = event.target.closest("[data-chevron]");
    if (chevron) { this.fold(Number(chevron.dataset.chevron)); return; }
    const row = event.target.closest("[data-index]");
    if (row) this.show(Number(row.dataset.index));
  }

  fold(index, closed = !this.collapsed.has(index)) {
    if (closed) this.collapsed.add(index);
    else this.collapsed.delete(index);
    this.arrange();
  }

  key(event) {
    const row = this.place.get(this.selected) ?? -1;
    const page = Math.max(1, Math.floor(this.rows.clientHeight / ROW) - 1);
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (move !== undefined) {
      event.preventDefault();
      this.show(this.visible[Math.min(this.visible.length - 1, Math.max(0, row + move))]);
    } else if (event.key === "ArrowRight" && this.selected !== null) {
      event.preventDefault();
      if (this.collapsed.has(this.selected)) this.fold(this.selected, false);
      else if (this.count[this.selected]) this.show(this.selected + 1);
    } else if (event.key === "ArrowLeft" && this.selected !== null) {
      event.preventDefault();
      if (this.count[this.selected] && !this.collapsed.has(this.selected)) this.fold(this.selected, true);
      else if (this.columns.parent[this.selected] >= 0) this.show(this.columns.parent[this.selected]);
    }
  }

  searched() {
    this.hits = search(this.columns, this.find.value);
    this.hit = 0;
    if (this.hits.length) {
      reveal(this.columns, this.collapsed, this.hits[0]);
      this.arrange();
      this.scrollTo(this.hits[0]);
    } else this.render();
  }

  findKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") { this.find.value = ""; this.searched(); }
    if (event.key !== "Enter" || !this.hits.length) return;
    if (this.selected !== null && this.hits[this.hit] === this.selected) this.hit = (this.hit + (event.shiftKey ? -1 : 1) + this.hits.length) % this.hits.length;
    this.show(this.hits[this.hit]);
  }

  // -- time: minimap, zoom, divider --------------------------------------------

  zoom(window) {
    this.window = window;
    this.render();
  }

  drawMini() {
    const width = this.mini.clientWidth;
    const height = 46;
    const ratio = globalThis.devicePixelRatio || 1;
    if (!width) return;
    this.mini.width = width * ratio;
    this.mini.height = height * ratio;
    const pen = this.mini.getContext("2d");
    pen.scale(ratio, ratio);
    const { start, duration: took, service, outcome, id } = this.columns;
    const [low, high] = this.full;
    const step = Math.min(4, (height - 4) / id.length);
    const fault = getComputedStyle(this.frame).getPropertyValue("--fault");
    for (let index = 0; index < id.length; index += 1) {
      pen.fillStyle = outcome[index] === 3 ? fault : colour(service[index]);
      pen.fillRect(((start[index] - low) / (high - low)) * width, 2 + index * step, Math.max(1, (took[index] / (high - low)) * width), Math.max(0.7, step * 0.75));
    }
  }

  drags() {
    const drag = (target, move, end = () => {}) => target.addEventListener("pointerdown", (down) => {
      target.setPointerCapture(down.pointerId);
      const onMove = (event) => move(event, down);
      const onUp = (event) => { target.removeEventListener("pointermove", onMove); end(event, down); };
      target.addEventListener("pointermove", onMove);
      target.addEventListener("pointerup", onUp, { once: true });
    });
    const stretch = (event, down) => {
      const box = this.mini.getBoundingClientRect();
      const [a, b] = [down.clientX, event.clientX].map((x) => Math.min(1, Math.max(0, (x - box.left) / box.width))).sort((p, q) => p - q);
      const [low, high] = this.full;
      return [low + a * (high - low), low + b * (high - low)];
    };
    drag(this.mini, (event, down) => { if (Math.abs(event.clientX - down.clientX) > 4) this.zoom(stretch(event, down)); },
      (event, down) => { if (Math.abs(event.clientX - down.clientX) <= 4) this.zoom(this.full); });
    drag(this.divider, (event) => {
      const box = this.rows.getBoundingClientRect();
      this.frame.style.setProperty("--names", `${Math.min(70, Math.max(15, ((event.clientX - box.left) / box.width) * 100)).toFixed(1)}%`);
      this.render();
    }, () => this.drawMini());
  }
}

export default function ({ data, parentElement, setStateValue }) {
  parentElement.fluoroWaterfall ??= new Waterfall(parentElement);
  parentElement.fluoroWaterfall.update(data, (id) => setStateValue("selected", id));
}
