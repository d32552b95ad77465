// Buckets, percentiles and bars of response times on a logarithmic axis. Pure except `drawBars`.

import { svg } from "./dom.js";
import { duration } from "./format.js";

/** Edges of `wanted` equal steps on a log axis that hold all values, rounded so that they can be written into a filter. */
export function logEdges(low, high, wanted) {
  const from = Math.max(low, 1e-6);
  const to = Math.max(high, from * 1.05);
  const step = Math.log(to / from) / wanted;
  const edges = Array.from({ length: wanted + 1 }, (_, index) => Number((from * Math.exp(step * index)).toPrecision(4)));
  // Rounding must not push the smallest or the largest value out.
  while (edges[0] > from) edges[0] = Number((edges[0] * 0.999).toPrecision(4));
  while (edges[wanted] < to) edges[wanted] = Number((edges[wanted] * 1.001).toPrecision(4));
  return edges;
}

/** Count sorted values into edges; the last bucket includes its upper edge. */
export function bucketize(sorted, edges) {
  const counts = new Array(edges.length - 1).fill(0);
  let bucket = 0;
  for (const value of sorted) {
    while (bucket < counts.length - 1 && value >= edges[bucket + 1]) bucket += 1;
    counts[bucket] += 1;
  }
  return counts;
}

/** Value at a share of sorted numbers (nearest rank). */
export function quantile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] : null;
}

/** [[seconds, count]] of the API (upper ends or points, sparse, unsorted) as buckets on a log axis. */
export function regroup(pairs, wanted) {
  const points = pairs.filter(([, count]) => count > 0).map(([seconds, count]) => [Math.max(seconds, 1e-5), count]).sort((a, b) => a[0] - b[0]);
  if (!points.length) return null;
  const low = points[0][0];
  const high = points[points.length - 1][0];
  const distinct = new Set(points.map(([seconds]) => seconds)).size;
  const edges = logEdges(low / 1.06, high * 1.06, Math.max(3, Math.min(wanted, distinct)));
  const counts = new Array(edges.length - 1).fill(0);
  for (const [seconds, count] of points) {
    let bucket = edges.findIndex((edge) => edge > seconds) - 1;
    if (bucket < 0) bucket = counts.length - 1;
    counts[bucket] += count;
  }
  return { edges, counts };
}

/** Share 0…1 of a value along a log axis. */
export const along = (value, edges) => Math.log(Math.max(value, 1e-9) / edges[0]) / Math.log(edges[edges.length - 1] / edges[0]);

/**
 * Where the names of marks go, so that none lies on another: right of its line, left of it at the end, else a row lower.
 * @param {{text: string, at: number}[]} marks sorted by place
 */
export function placeMarks(marks, width) {
  const ends = []; // of each row, in px
  return marks.map(({ text, at }) => {
    const wide = text.length * 6.2 + 8;
    const before = at + wide > width && at > wide;
    const left = before ? at - wide : at;
    let row = ends.findIndex((end) => end <= left);
    if (row < 0) row = ends.length;
    ends[row] = left + wide;
    return { text, at, before, row };
  });
}

/** Draw buckets into an <svg>: bars (square-root height, so that the tail shows), percentile marks, an axis. */
export function drawBars(canvas, { edges, counts }, marks, { width, height }) {
  const floor = height - 18;
  const top = 16;
  const most = Math.max(...counts, 1);
  const x = (value) => along(value, edges) * width;
  const parts = counts.map((count, index) => {
    const [left, right] = [x(edges[index]), x(edges[index + 1])];
    const tall = count ? Math.max(2, Math.sqrt(count / most) * (floor - top)) : 0;
    return svg("rect", { class: "bin", x: left.toFixed(1), width: Math.max(0.8, right - left - 1).toFixed(1), y: (floor - tall).toFixed(1), height: tall.toFixed(1), rx: 1.5, "data-count": count },
      svg("title", { text: `${duration(edges[index])} – ${duration(edges[index + 1])}: ${count.toLocaleString("en-US")}` }));
  });
  const marked = marks.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => ({ text: `${name} ${duration(value)}`, at: Math.min(width, Math.max(0, x(value))) }));
  for (const { at } of marked) parts.push(svg("line", { class: "mark", x1: at, x2: at, y1: 4, y2: floor }));
  for (const { text, at, row, before } of placeMarks(marked, width)) parts.push(svg("text", { class: "marktext", x: before ? at - 4 : at + 4, y: 12 + row * 13, "text-anchor": before ? "end" : "start", text }));
  const steps = Math.max(1, Math.min(5, Math.floor(width / 110)));
  for (let index = 0; index <= steps; index += 1) {
    const share = index / steps;
    const value = edges[0] * (edges[edges.length - 1] / edges[0]) ** share;
    parts.push(svg("text", { class: "axistext", x: share * width, y: height - 3, "text-anchor": index === 0 ? "start" : index === steps ? "end" : "middle", text: duration(value) }));
  }
  canvas.replaceChildren(svg("line", { class: "floor", x1: 0, x2: width, y1: floor, y2: floor }), ...parts);
  return { x, floor };
}
