// Traffic by outcome and response times of one node over time, one above the other on the same time axis.
// Input: {points: [[epoch seconds, ok, error, throttle, fault, p50 | null, p95 | null], …], period: seconds}.

import { el, set, svg } from "./dom.js";
import { duration, rate, ticks } from "./format.js";

const [TALL, TITLE, AXIS, GUTTER] = [76, 20, 20, 46]; // px: a plot, its title, the time axis, the labels of the values
const HEIGHT = 2 * (TITLE + TALL) + AXIS + 8;
const OUTCOMES = ["OK", "error", "throttle", "fault"];

/** Points without a break between them, as [[index, …], …]: a minute without requests has no response time. Pure. */
export function stretches(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index && values[index - 1] !== null) found[found.length - 1].push(index);
    else found.push([index]);
  });
  return found;
}

/** Times for the axis: round minutes, hours or days in the viewer's zone, about `wanted` of them. Pure. */
export function timeTicks(low, high, wanted, offset = new Date(low * 1000).getTimezoneOffset() * 60) {
  const steps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const step = steps.find((size) => (high - low) / size <= wanted) ?? steps[steps.length - 1];
  const found = [];
  for (let at = Math.ceil((low - offset) / step) * step + offset; at <= high; at += step) found.push(at);
  return found;
}

class Series {
  constructor(root) {
    this.canvas = svg("svg", { class: "series", height: HEIGHT, role: "img", "aria-label": "Traffic and response times over time" });
    this.box = el("div", {}, this.canvas);
    root.append(this.box);
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  update(data) {
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    this.data = data;
    this.draw();
  }

  draw() {
    const width = this.box.clientWidth;
    if (!width || !this.data?.points.length) return;
    const { points, period } = this.data;
    const [low, high] = [points[0][0], points[points.length - 1][0] + period];
    const x = (time) => GUTTER + ((time - low) / (high - low)) * (width - GUTTER);
    const days = high - low > 2 * 86400;
    const clock = (time) => new Date(time * 1000).toLocaleString("en-GB", days ? { day: "2-digit", month: "short" } : { hour: "2-digit", minute: "2-digit" });
    const marks = timeTicks(low, high, Math.max(2, Math.floor((width - GUTTER) / 62)))
      .filter((time) => x(time) < width - 18)
      .flatMap((time) => [svg("line", { class: "grid", x1: x(time), x2: x(time), y1: TITLE, y2: HEIGHT - AXIS }), svg("text", { class: "axis", x: x(time), y: HEIGHT - 5, "text-anchor": "middle", text: clock(time) })]);
    set(this.canvas, { viewBox: `0 0 ${width} ${HEIGHT}` });
    this.canvas.replaceChildren(...marks, ...this.traffic(x, width), ...this.latency(x, width), ...this.readings(x, clock));
    set(this.canvas, { "data-ready": 1 });
  }

  /** `y` of a plot, and its title and value axis; the marks are round in multiples of `unit`. */
  frame(top, title, most, text, width, unit = 1) {
    const floor = top + TITLE + TALL;
    const y = (value) => floor - (value / most) * (TALL - 4);
    const lines = ticks(0, most / unit, 3).map((value) => value * unit).filter((value) => y(value) >= top + TITLE).map((value) => svg("g", {}, svg("line", { class: "grid", x1: GUTTER, x2: width, y1: y(value), y2: y(value) }), svg("text", { class: "axis", x: GUTTER - 6, y: y(value) + 4, "text-anchor": "end", text: value ? text(value) : "0" })));
    return [y, [svg("text", { class: "title", x: 0, y: top + 12, text: title }), ...lines]];
  }

  traffic(x, width) {
    const { points, period } = this.data;
    const most = Math.max(...points.map((point) => point[1] + point[2] + point[3] + point[4]), 1) / period;
    const [y, parts] = this.frame(0, "Requests", most, rate, width, most < 0.95 ? 1 / 60 : 1);
    for (const point of points) {
      let below = 0;
      // Failures stand on the floor, where they can be compared.
      for (const outcome of [3, 2, 1, 0]) {
        const value = point[outcome + 1] / period;
        if (!value) continue;
        const [left, right] = [x(point[0]), x(point[0] + period)];
        const tall = y(below) - y(below + value);
        parts.push(svg("rect", { class: `f${outcome}`, x: left.toFixed(1), width: Math.max(0.6, right - left - (right - left > 5 ? 1 : 0)).toFixed(1), y: y(below + value).toFixed(1), height: Math.max(0.8, tall).toFixed(1) }));
        below += value;
      }
    }
    return parts;
  }

  latency(x, width) {
    const { points, period } = this.data;
    const most = Math.max(...points.flatMap((point) => [point[5] ?? 0, point[6] ?? 0]), 1e-6);
    const [y, parts] = this.frame(TITLE + TALL + 8, "Response time: p95, p50 dashed", most, duration, width);
    for (const [column, name] of [[6, "p95"], [5, "p50"]]) {
      for (const run of stretches(points.map((point) => point[column]))) {
        const spots = run.map((index) => `${x(points[index][0] + period / 2).toFixed(1)},${y(points[index][column]).toFixed(1)}`);
        parts.push(svg("path", { class: `line ${name}`, d: spots.length > 1 ? `M${spots.join("L")}` : `M${spots[0]}h0.1` }));
      }
    }
    return parts;
  }

  /** A strip for each point, whose tooltip says all of its figures. */
  readings(x, clock) {
    const { points, period } = this.data;
    return points.map((point) => {
      const [time, ...rest] = point;
      const total = rest.slice(0, 4).reduce((sum, count) => sum + count, 0);
      const parts = OUTCOMES.flatMap((name, index) => (rest[index] ? [`${rest[index].toLocaleString("en-US")} ${name}`] : []));
      const text = `${clock(time)}: ${rate(total / period)}${parts.length ? ` (${parts.join(", ")})` : ""}${rest[5] === null ? "" : `\np50 ${duration(rest[4])}, p95 ${duration(rest[5])}`}`;
      return svg("rect", { class: "reading", x: x(time), width: x(time + period) - x(time), y: TITLE, height: HEIGHT - TITLE - AXIS }, svg("title", { text }));
    });
  }
}

export default function ({ data, parentElement }) {
  parentElement.fluoroSeries ??= new Series(parentElement);
  parentElement.fluoroSeries.update(data);
}
