import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { duration, percent, rate, shorten, ticks } = await load("format.js");

test("durations read as in format.py", () => {
  const expected = [[null, "—"], [0, "0 ms"], [0.0000874, "87.4 µs"], [0.00421, "4.21 ms"], [0.0999, "99.9 ms"], [0.4567, "457 ms"], [0.99951, "1 s"], [1.2, "1.2 s"], [60, "1 min"], [200, "3 min 20 s"], [7500, "2 h 5 min"]];
  for (const [seconds, text] of expected) assert.equal(duration(seconds), text);
});

test("a failure is never rounded away", () => {
  assert.equal(percent(0.0002), "<0.1 %");
  assert.equal(percent(0.9999), ">99.9 %");
  assert.equal(rate(0.04), "2.4/min");
});

test("ticks are round, inside and about as many as wanted", () => {
  assert.deepEqual(ticks(0, 1.2, 5).map((at) => Number(at.toFixed(6))), [0, 0.5, 1]);
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  for (const [low, high] of [[0, 1e-6], [3.3, 3.4], [0, 86400], [-0.01, 7]]) {
    const found = ticks(low, high, 6);
    assert.ok(found.length >= 2 && found.length <= 13, `${low} ${high}: ${found}`);
    assert.ok(found.every((at) => at >= low - 1e-9 && at <= high * (1 + 1e-9)));
  }
  assert.deepEqual(ticks(1, 1, 5), [1]);
});

test("shortening keeps both ends", () => {
  assert.equal(shorten("abc", 5), "abc");
  assert.equal(shorten("abcdefghij", 6).length, 6);
  assert.match(shorten("abcdefghij", 6), /^abc…ij$/);
});
