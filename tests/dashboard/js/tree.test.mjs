import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { bar, descendants, extent, initiallyCollapsed, reveal, rowWindow, search, visibleRows } = await load("tree.js");
const { bucketize, logEdges, quantile, regroup } = await load("bars.js");

//  0 ─ 1 ─ 2
//    └ 3 ─ 4
const columns = { id: ["a0", "b1", "c2", "d3", "e4"], parent: [-1, 0, 1, 0, 3], depth: [0, 1, 2, 1, 2], service: [0, 0, 1, 1, 1], services: ["web", "Orders"], name: ["web", "call", "x", "y", "z"], operation: ["GET /", "", "", "lock", ""], start: [0, 1, 1, 5, -1], duration: [10, 3, 1, 4, 1] };
const count = descendants(columns.parent);

test("descendants", () => assert.deepEqual(count, [4, 1, 0, 1, 0]));

test("a collapsed segment hides its subtree", () => {
  assert.deepEqual(visibleRows(columns, count, new Set(), null), [0, 1, 2, 3, 4]);
  assert.deepEqual(visibleRows(columns, count, new Set([1]), null), [0, 1, 3, 4]);
  assert.deepEqual(visibleRows(columns, count, new Set([0, 3]), null), [0]);
});

test("a filter keeps ancestors and ignores collapse", () => {
  assert.deepEqual(visibleRows(columns, count, new Set([0]), (index) => index === 4), [0, 3, 4]);
});

test("reveal opens what hides a segment", () => {
  const collapsed = new Set([0, 3, 1]);
  reveal(columns, collapsed, 4);
  assert.deepEqual([...collapsed], [1]);
});

test("search looks at service, name, operation and id", () => {
  assert.deepEqual(search(columns, "orders"), [2, 3, 4]);
  assert.deepEqual(search(columns, "LOCK"), [3]);
  assert.deepEqual(search(columns, "b1"), [1]);
  assert.deepEqual(search(columns, " "), []);
});

test("only rows in sight, and some to spare, are drawn", () => {
  assert.deepEqual(rowWindow(0, 260, 26, 5000), [0, 18]);
  assert.deepEqual(rowWindow(26 * 1000, 260, 26, 5000), [992, 1018]);
  assert.deepEqual(rowWindow(0, 260, 26, 3), [0, 3]);
});

test("large traces start folded, small ones open", () => {
  assert.equal(initiallyCollapsed(columns.depth, count).size, 0);
  assert.deepEqual([...initiallyCollapsed([0, 1, 2, 3], [3, 2, 1, 0], 3)], [2]);
});

test("bars are clipped to the zoomed window", () => {
  assert.deepEqual(bar(0, 10, [0, 10]), { left: 0, width: 100 });
  assert.deepEqual(bar(5, 10, [0, 10]), { left: 50, width: 50 });
  assert.equal(bar(20, 1, [0, 10]), null);
  assert.deepEqual(extent(columns), [-1, 10]);
});

test("every value is in exactly one bucket, whatever the rounding of edges", () => {
  for (const values of [[0.1], [0.1, 0.1], [1e-9, 5, 5, 70], Array.from({ length: 999 }, (_, index) => 0.0123456789 * 1.01 ** index)]) {
    const edges = logEdges(values[0], values[values.length - 1], 30);
    const counts = bucketize(values, edges);
    assert.equal(counts.reduce((a, b) => a + b), values.length);
    assert.ok(Math.max(values[0], 1e-6) >= edges[0] && values[values.length - 1] <= edges[30]);
    const holding = (low, high) => values.filter((value) => value >= low && value <= high).length;
    assert.equal(holding(Math.min(edges[0], values[0]), edges[30]), values.length);
  }
});

test("quantiles by nearest rank", () => {
  assert.equal(quantile([1, 2, 3, 4], 0.5), 2);
  assert.equal(quantile([1, 2, 3, 4], 0.99), 4);
  assert.equal(quantile([], 0.5), null);
});

test("the API's histogram keeps its counts when regrouped", () => {
  const { counts } = regroup([[0.5, 10], [0, 3], [2, 7], [0.001, 1]], 40);
  assert.equal(counts.reduce((a, b) => a + b), 21);
  assert.equal(regroup([], 40), null);
});
