// Durations as a histogram; a drag over it, snapped to whole bars, becomes part of the filter.
// Input: {durations: sorted seconds}.

import { bucketize, drawBars, logEdges, quantile } from "./bars.js";
import { el, set, svg } from "./dom.js";
import { duration } from "./format.js";

const HEIGHT = 112;

class Histogram {
  constructor(root) {
    this.canvas = svg("svg", { class: "plot", height: HEIGHT, role: "img", "aria-label": "Histogram of durations; drag to select" });
    this.hint = el("div", { class: "hint" });
    this.frame = el("div", { class: "histogram" }, this.canvas, this.hint);
    root.append(this.frame);
    this.drag();
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  update({ durations }, tell) {
    this.tell = tell;
    this.durations = durations;
    this.draw();
    set(this.frame, { "data-ready": 1 });
  }

  draw() {
    const width = this.frame.clientWidth;
    const { durations } = this;
    if (!width || !durations) return;
    set(this.canvas, { viewBox: `0 0 ${width} ${HEIGHT}` });
    this.hint.textContent = "Drag over the bars to keep only those durations.";
    if (!durations.length) { this.canvas.replaceChildren(); this.hint.textContent = ""; return; }
    const bins = Math.max(8, Math.min(60, Math.floor(width / 18), Math.ceil(Math.sqrt(durations.length) * 2.5)));
    this.edges = logEdges(durations[0], durations[durations.length - 1], bins);
    this.counts = bucketize(durations, this.edges);
    const { x, floor } = drawBars(this.canvas, this, [["p50", quantile(durations, 0.5)], ["p95", quantile(durations, 0.95)], ["p99", quantile(durations, 0.99)]], { width, height: HEIGHT });
    this.x = x;
    this.brush = svg("rect", { class: "brush", y: 0, height: floor, width: 0, display: "none" });
    this.canvas.append(this.brush);
  }

  drag() {
    this.canvas.addEventListener("pointerdown", (down) => {
      if (!this.durations?.length || down.button !== 0) return;
      this.canvas.setPointerCapture(down.pointerId);
      const move = (event) => this.stretch(down.clientX, event.clientX);
      this.canvas.addEventListener("pointermove", move);
      const end = (event) => {
        this.canvas.removeEventListener("pointermove", move);
        const chosen = Math.abs(event.clientX - down.clientX) > 4 ? this.stretch(down.clientX, event.clientX) : null;
        set(this.brush, { display: chosen ? "inline" : "none" });
        if (chosen) this.tell(chosen);
      };
      this.canvas.addEventListener("pointerup", end, { once: true });
    });
  }

  stretch(from, to) {
    const box = this.canvas.getBoundingClientRect();
    const [low, high] = [from, to].map((value) => value - box.left).sort((a, b) => a - b);
    const last = this.edges.length - 2;
    const holding = (at) => {
      const next = this.edges.findIndex((edge) => this.x(edge) > at);
      return next === -1 ? last : Math.max(0, next - 1);
    };
    const [first, final] = [holding(low), holding(high)];
    const [left, right] = [this.x(this.edges[first]), this.x(this.edges[final + 1])];
    set(this.brush, { x: left, width: Math.max(1, right - left), display: "inline" });
    const inside = this.counts.slice(first, final + 1).reduce((sum, count) => sum + count, 0);
    this.hint.textContent = `${duration(this.edges[first])} – ${duration(this.edges[final + 1])}: ${inside.toLocaleString("en-US")} of ${this.durations.length.toLocaleString("en-US")}`;
    return [this.edges[first], this.edges[final + 1]];
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.fluoroHistogram ??= new Histogram(parentElement);
  parentElement.fluoroHistogram.update(data, (brush) => setTriggerValue("brush", brush));
}
