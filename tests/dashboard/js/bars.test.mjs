import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { placeMarks } = await load("bars.js");
const { sorted } = await load("ranking.js");
const { stretches, timeTicks } = await load("series.js");
const { colour } = await load("tree.js");

test("names of percentiles do not lie on each other", () => {
  const marks = [{ text: "p50 43.5 ms", at: 60 }, { text: "p95 1.39 s", at: 300 }, { text: "p99 1.97 s", at: 324 }, { text: "max 1.98 s", at: 329 }];
  const boxes = placeMarks(marks, 330).map(({ text, at, before, row }) => ({ row, left: before ? at - text.length * 6 - 4 : at + 4, right: before ? at - 4 : at + text.length * 6 + 4 }));
  for (const [index, a] of boxes.entries()) {
    assert.ok(a.left >= 0 && a.right <= 340);
    for (const b of boxes.slice(index + 1)) assert.ok(a.row !== b.row || a.right <= b.left || b.right <= a.left, JSON.stringify([a, b]));
  }
  assert.deepEqual(placeMarks([{ text: "p50 1 ms", at: 10 }, { text: "p95 2 ms", at: 200 }], 400).map(({ row }) => row), [0, 0]);
});

test("the table sorts by the number, not by its text, and what has no number comes last", () => {
  const rows = [{ name: "b", rate: 0.137 }, { name: "a", rate: 84 }, { name: "c", rate: null }, { name: "d", rate: 2.5 }];
  assert.deepEqual(sorted(rows, "rate", true).map((row) => row.name), ["a", "d", "b", "c"]);
  assert.deepEqual(sorted(rows, "rate", false).map((row) => row.name), ["b", "d", "a", "c"]);
  assert.deepEqual(sorted(rows, "name", false).map((row) => row.name), ["a", "b", "c", "d"]);
  assert.equal(rows[0].name, "b");
});

test("no service has the colour of an outcome, and neighbours differ", () => {
  const all = Array.from({ length: 40 }, (_, index) => colour(index));
  for (const text of all) {
    const hue = Number(text.match(/hsl\((\d+)/)[1]);
    assert.ok(hue >= 170 && hue <= 325, text);
  }
  assert.equal(new Set(all).size, 40);
});

test("a minute without requests breaks the line", () => {
  assert.deepEqual(stretches([1, 2, null, null, 3, null]), [[0, 1], [4]]);
  assert.deepEqual(stretches([null]), []);
});

test("times on the axis are round in the viewer's zone", () => {
  assert.deepEqual(timeTicks(1000, 1300, 5, 0), [1020, 1080, 1140, 1200, 1260]);
  const hours = timeTicks(1_800_000_000, 1_800_000_000 + 86400, 5, -19800); // India: 5:30 ahead
  assert.ok(hours.length >= 2 && hours.length <= 5);
  for (const time of hours) assert.equal((time + 19800) % 21600, 0);
});
