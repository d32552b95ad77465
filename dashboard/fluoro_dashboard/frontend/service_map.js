// The service map: X-Ray rings in SVG, laid out by dagre, zoomed and panned here, selection told to Python.
// Input: map_data.payload() and {selected: {kind, id} | null}.

import { el, set, setText, svg } from "./dom.js";
import { duration, percent, rate, shorten } from "./format.js";
import { iconPath } from "./icons.js";
import { edgePath, edgeWidth, layout, ringArcs, verdict } from "./map_layout.js";
import { describe, GLYPHS, OUTCOMES, Tip } from "./map_tip.js";
import { View } from "./map_view.js";
import * as dagre from "./vendor/dagre.esm.js";

const RADIUS = 31;

class ServiceMap {
  constructor(root) {
    this.nodes = new Map();
    this.edges = new Map();
    this.positions = new Map();
    this.routes = new Map();
    this.drawn = { layouts: 0, updates: 0 };
    this.build(root);
  }

  build(root) {
    this.edgeLayer = svg("g");
    this.nodeLayer = svg("g");
    this.world = svg("g", {}, this.edgeLayer, this.nodeLayer);
    this.canvas = svg("svg", { class: "canvas", role: "group", "aria-label": "Service map" }, this.world);
    this.search = el("input", { type: "search", placeholder: "Find a service…", "aria-label": "Find a service", oninput: () => this.find(), onkeydown: (event) => this.searchKey(event) });
    const tool = (label, name, act) => el("button", { type: "button", title: name, "aria-label": name, text: label, onclick: act });
    const tools = el("div", { class: "tools" }, this.search,
      tool("+", "Zoom in", () => this.view.zoom(1.3)), tool("−", "Zoom out", () => this.view.zoom(1 / 1.3)), tool("⤢", "Fit to view", () => this.view.fit(true)));
    const legend = el("div", { class: "legend", "aria-hidden": "true" });
    OUTCOMES.forEach((name, index) => legend.append(el("span", {}, svg("svg", { width: 18, height: 8 }, svg("path", { class: `arc o${index}`, d: "M0,4H18" })), name)));
    legend.append(el("em", { text: "line: width = traffic, colour = worst outcome ≥ 1 %, dashed = asynchronous" }));
    this.frame = el("div", { class: "map" }, this.canvas, tools, legend);
    this.tip = new Tip(this.frame);
    this.view = new View(this.frame, this.canvas, this.world, { extent: () => this.extent(), legend: () => legend.offsetHeight, moved: (event) => this.tip.follow(event), shown: (scale) => this.frame.classList.toggle("far", scale < (this.nodes.size > 60 ? 0.7 : 0.55)) });
    this.canvas.addEventListener("click", (event) => { if (!this.view.panned && event.target === this.canvas && this.selected) this.tell(null); });
    this.canvas.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.selected) this.tell(null); });
    root.append(this.frame);
    new ResizeObserver(() => { this.size(); this.view.fit(); }).observe(this.frame);
    // Whatever comes or goes above moves this frame without resizing it.
    const page = document.querySelector('[data-testid="stMainBlockContainer"]');
    if (page) new ResizeObserver(() => this.size()).observe(page);
    this.size();
  }

  /** As tall as the window allows, so that the page itself needs no scrolling; on a telephone as its width makes sense of. */
  size() {
    const top = this.frame.getBoundingClientRect().top + (this.frame.getRootNode().host?.ownerDocument.scrollingElement?.scrollTop ?? 0);
    const height = Math.max(420, Math.min(1100, this.frame.clientWidth * 1.35, window.innerHeight - Math.max(110, top) - 28));
    if (Math.abs(this.frame.clientHeight - height) > 2) this.frame.style.height = `${height}px`;
  }

  update(data, select) {
    this.select = select;
    this.drawn.updates += 1;
    const fresh = data.layout !== this.layoutName || data.nodes.some((node) => !this.positions.has(node.id));
    if (fresh) {
      const box = this.view.size();
      ({ positions: this.positions, routes: this.routes } = layout(dagre, data.nodes, data.edges, { width: box.width - 60, height: box.height - 110 }));
      if (data.layout !== this.layoutName) this.view.moved = false;
      this.layoutName = data.layout;
      this.drawn.layouts += 1;
    }
    this.sync(this.nodes, data.nodes, this.nodeLayer, (node) => this.createNode(node), (part, node) => this.drawNode(part, node, fresh));
    const pairs = new Set(data.edges.map((edge) => `${edge.source}\n${edge.target}`));
    this.sync(this.edges, data.edges, this.edgeLayer, (edge) => this.createEdge(edge), (part, edge) => this.drawEdge(part, edge, fresh, pairs.has(`${edge.target}\n${edge.source}`)));
    this.frame.classList.toggle("many", data.nodes.length > 60);
    if (fresh) this.view.fit();
    this.choose(data.selected ?? null);
    this.note = data.note;
    this.tip.again();
    set(this.frame, { "data-ready": 1, "data-layouts": this.drawn.layouts, "data-updates": this.drawn.updates });
  }

  /** Keep elements of the same id, so that hover, focus and a click in flight survive new numbers. */
  sync(parts, items, layer, create, draw) {
    const seen = new Set(items.map((item) => item.id));
    for (const [id, part] of parts) {
      if (!seen.has(id)) {
        this.tip.hide(part);
        part.group.remove();
        parts.delete(id);
      }
    }
    for (const item of items) {
      if (!parts.has(item.id)) {
        const part = create(item);
        parts.set(item.id, part);
        layer.append(part.group);
      }
      const part = parts.get(item.id);
      part.item = item;
      draw(part, item);
    }
  }

  createNode(node) {
    const part = { kind: "node" };
    part.halo = svg("circle", { class: "halo", r: RADIUS + 7 });
    part.arcs = svg("g");
    part.avg = svg("text", { class: "avg", y: 17 });
    part.icon = svg("path", { class: "icon", d: iconPath(node.type) });
    part.name = svg("text", { class: "name", y: RADIUS + 20 });
    part.figures = svg("text", { class: "figures", y: RADIUS + 35 });
    part.badgeBox = svg("rect", { rx: 8, height: 16, y: -8 });
    part.badgeText = svg("text", { y: 3.5 });
    part.badge = svg("g", { class: "badge", transform: `translate(${RADIUS * 0.98},${-RADIUS * 0.94})` }, part.badgeBox, part.badgeText);
    part.group = svg("g", { class: "node", tabindex: 0, role: "button", "data-node": node.id }, part.halo, svg("circle", { class: "disc", r: RADIUS }),
      svg("circle", { class: "edge-of-world", r: RADIUS - 5.5 }), part.arcs, part.icon, part.avg, part.name, part.figures, part.badge);
    this.listen(part);
    return part;
  }

  drawNode(part, node, fresh) {
    if (fresh) {
      const { x, y } = this.positions.get(node.id);
      set(part.group, { transform: `translate(${x.toFixed(1)},${y.toFixed(1)})` });
    }
    part.group.classList.toggle("inferred", node.inferred);
    const silent = !node.total;
    const key = node.shares.join();
    if (part.shares !== key) {
      part.shares = key;
      const arcs = silent ? [] : ringArcs(node.shares, RADIUS - 2.5);
      part.arcs.replaceChildren(...(arcs.length ? arcs.map((arc) => svg("path", { class: `arc o${arc.index}`, d: arc.path })) : [svg("circle", { class: "arc none", r: RADIUS - 2.5 })]));
    }
    set(part.icon, { transform: silent ? "translate(-13,-13) scale(1.08)" : "translate(-10,-20) scale(0.83)" });
    setText(part.avg, silent ? "" : duration(node.avg));
    setText(part.name, shorten(node.short, this.positions.size > 36 ? 16 : 22));
    setText(part.figures, silent ? "" : `${rate(node.rate)} · p95 ${duration(node.p95)}`);
    const worst = silent ? 0 : verdict(node.shares);
    set(part.badge, { class: `badge b${worst}`, display: worst ? "inline" : "none" });
    if (worst) {
      const text = `${GLYPHS[worst]} ${percent(node.shares[worst])}`;
      setText(part.badgeText, text);
      const width = text.length * 5.9 + 9;
      set(part.badgeBox, { width, x: -width / 2 });
    }
    const states = OUTCOMES.slice(1).map((name, index) => (node.shares[index + 1] ? `, ${percent(node.shares[index + 1])} ${name}` : "")).join("");
    set(part.group, { "aria-label": `${node.name}, ${node.label}${silent ? "" : `, ${rate(node.rate)}, average ${duration(node.avg)}${states}`}` });
  }

  createEdge(edge) {
    const part = { kind: "edge" };
    part.line = svg("path", { class: "line" });
    part.hit = svg("path", { class: "hit" });
    part.head = svg("path", { class: "head", d: "M0,0L-9,-4.2L-7,0L-9,4.2Z" });
    part.group = svg("g", { class: "edge", tabindex: -1, role: "button", "data-edge": edge.id }, part.hit, part.line, part.head);
    this.listen(part);
    return part;
  }

  drawEdge(part, edge, fresh, opposite) {
    if (fresh || !part.path) {
      part.path = edgePath(this.positions.get(edge.source), this.positions.get(edge.target), RADIUS, this.routes.get(edge.id), opposite);
      set(part.line, { d: part.path });
      set(part.hit, { d: part.path });
      const length = part.line.getTotalLength();
      const [tip, before] = [part.line.getPointAtLength(length), part.line.getPointAtLength(Math.max(0, length - 7))];
      const turn = (Math.atan2(tip.y - before.y, tip.x - before.x) * 180) / Math.PI;
      const ahead = { x: tip.x + 5 * Math.cos((turn * Math.PI) / 180), y: tip.y + 5 * Math.sin((turn * Math.PI) / 180) };
      set(part.head, { transform: `translate(${ahead.x.toFixed(1)},${ahead.y.toFixed(1)}) rotate(${turn.toFixed(1)})` });
    }
    set(part.line, { "stroke-width": edgeWidth(edge.rate).toFixed(2) });
    for (const [name, on] of [["link", edge.link], ["w1", false], ["w2", false], ["w3", false]]) part.group.classList.toggle(name, on);
    const worst = verdict(edge.shares);
    if (worst) part.group.classList.add(`w${worst}`);
    set(part.group, { "aria-label": `${edge.from} to ${edge.to}, ${rate(edge.rate)}` });
  }

  listen(part) {
    const { group } = part;
    const show = () => this.tip.show(part, () => describe(part, this.note));
    group.addEventListener("pointerenter", show);
    group.addEventListener("pointerleave", () => this.tip.hide());
    group.addEventListener("focus", () => group.matches(":focus-visible") && show());
    group.addEventListener("blur", () => this.tip.hide());
    group.addEventListener("click", () => { if (!this.view.panned) this.pick(part); });
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.pick(part); }
    });
  }

  pick(part) {
    const again = this.selected?.kind === part.kind && this.selected.id === part.item.id;
    this.tell(again ? null : { kind: part.kind, id: part.item.id });
  }

  /** Paint at once, then tell Python, which only fills the panel. */
  tell(selected) {
    this.choose(selected);
    this.select(selected);
  }

  choose(selected) {
    this.selected = selected;
    const node = selected?.kind === "node" ? selected.id : null;
    const edge = selected?.kind === "edge" ? this.edges.get(selected.id)?.item : null;
    const near = new Set(edge ? [edge.source, edge.target] : node ? [node] : []);
    for (const [id, part] of this.edges) {
      const touches = node !== null && (part.item.source === node || part.item.target === node);
      if (touches) { near.add(part.item.source); near.add(part.item.target); }
      part.group.classList.toggle("near", touches || id === edge?.id);
      part.group.classList.toggle("selected", id === edge?.id);
      set(part.group, { tabindex: touches || id === edge?.id ? 0 : -1 });
    }
    for (const [id, part] of this.nodes) {
      part.group.classList.toggle("near", near.has(id));
      part.group.classList.toggle("selected", id === node);
      set(part.group, { "aria-pressed": id === node });
    }
    const known = edge !== null && edge !== undefined ? true : node !== null && this.nodes.has(node);
    this.frame.classList.toggle("dimmed", Boolean(known));
  }

  find() {
    const text = this.search.value.trim().toLowerCase();
    let hits = 0;
    for (const part of this.nodes.values()) {
      const match = text !== "" && part.item.name.toLowerCase().includes(text);
      part.group.classList.toggle("match", match);
      hits += match ? 1 : 0;
    }
    this.frame.classList.toggle("searching", text !== "");
    set(this.frame, { "data-matches": hits });
  }

  searchKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") { this.search.value = ""; this.find(); }
    if (event.key !== "Enter") return;
    const hit = [...this.nodes.values()].find((part) => part.group.classList.contains("match"));
    if (!hit) return;
    this.search.value = "";
    this.find();
    this.view.center(this.positions.get(hit.item.id));
    this.tell({ kind: "node", id: hit.item.id });
  }

  /** What the map covers, in its own units: rings with their text, and bends of lines. */
  extent() {
    const points = [...this.nodes.keys()].map((id) => this.positions.get(id)).filter(Boolean);
    if (!points.length) return null;
    const bends = [...this.edges.keys()].flatMap((id) => this.routes.get(id) ?? []);
    return {
      left: Math.min(...points.map((p) => p.x)) - 70, right: Math.max(...points.map((p) => p.x)) + 70,
      top: Math.min(...points.map((p) => p.y - 46), ...bends.map((p) => p.y - 8)), bottom: Math.max(...points.map((p) => p.y + 74), ...bends.map((p) => p.y + 8)),
    };
  }
}

export default function ({ data, parentElement, setStateValue }) {
  parentElement.fluoroMap ??= new ServiceMap(parentElement);
  parentElement.fluoroMap.update(data, (selected) => setStateValue("selected", selected));
}
