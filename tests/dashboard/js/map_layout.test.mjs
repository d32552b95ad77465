import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { edgePath, edgeWidth, layout, pack, ringArcs, verdict } = await load("map_layout.js");
const { iconName } = await load("icons.js");
const dagre = await load("vendor/dagre.esm.js");
const BOX = { width: 900, height: 600 };

function graph(size, perNode) {
  let seed = 5;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const nodes = Array.from({ length: size }, (_, index) => ({ id: `n${index}` }));
  const edges = [];
  for (let index = 1; index < size; index += 1) {
    for (let copy = 0; copy < perNode; copy += 1) {
      const source = Math.floor(random() * index);
      const id = `n${source}->n${index}`;
      if (!edges.some((edge) => edge.id === id)) edges.push({ id, source: `n${source}`, target: `n${index}` });
    }
  }
  return { nodes, edges };
}

const shuffled = (list) => [...list].reverse();

function closest(positions) {
  const points = [...positions.values()];
  let best = Infinity;
  for (let a = 0; a < points.length; a += 1) for (let b = a + 1; b < points.length; b += 1) best = Math.min(best, Math.hypot(points[a].x - points[b].x, points[a].y - points[b].y));
  return best;
}

for (const [size, perNode] of [[1, 0], [2, 1], [14, 1], [40, 2], [150, 3]]) {
  test(`${size} nodes: every one placed, none on another, the same for any order of input`, () => {
    const { nodes, edges } = graph(size, perNode);
    const { positions } = layout(dagre, nodes, edges, BOX);
    assert.equal(positions.size, size);
    assert.ok(size === 1 || closest(positions) > 62, `closest ${closest(positions)}`);
    assert.deepEqual([...layout(dagre, shuffled(nodes), shuffled(edges), BOX).positions].sort(), [...positions].sort());
  });
}

test("calls go from left to right", () => {
  const { nodes, edges } = graph(14, 1);
  const { positions } = layout(dagre, nodes, edges, BOX);
  for (const { source, target } of edges) assert.ok(positions.get(source).x < positions.get(target).x);
});

test("a circle and a call to itself do not break the layout", () => {
  const nodes = [{ id: "a" }, { id: "b" }];
  const edges = [["a", "b"], ["b", "a"], ["a", "a"]].map(([source, target]) => ({ id: `${source}->${target}`, source, target }));
  assert.equal(layout(dagre, nodes, edges, BOX).positions.size, 2);
  assert.match(edgePath({ x: 0, y: 0 }, { x: 0, y: 0 }, 30), /^M.*C/);
  assert.match(edgePath({ x: 200, y: 0 }, { x: 0, y: 0 }, 30), /^M.*Q/);
});

test("packing a long rank uses the width of the view", () => {
  const rank = Array.from({ length: 60 }, (_, index) => `n${index}`);
  const positions = pack([["root"], rank], BOX);
  const xs = [...positions.values()].map((p) => p.x);
  const ys = [...positions.values()].map((p) => p.y);
  const ratio = (Math.max(...xs) - Math.min(...xs)) / (Math.max(...ys) - Math.min(...ys));
  assert.ok(ratio > 0.8 && ratio < 2.6, `ratio ${ratio}`);
  assert.ok(closest(positions) > 62);
});

test("a small failure has a visible arc, a whole ring is drawn, nothing draws nothing", () => {
  const arcs = ringArcs([0.999, 0, 0, 0.001], 28);
  assert.deepEqual(arcs.map((arc) => arc.index), [0, 3]);
  const [, x1, y1, x2, y2] = ringArcs([1, 0, 0, 0], 28)[0].path.match(/M([-\d.]+),([-\d.]+)A.* ([-\d.]+),([-\d.]+)$/).map(Number);
  assert.ok(x1 !== x2 || y1 !== y2, "an arc that ends where it starts is not drawn");
  assert.deepEqual(ringArcs([0, 0, 0, 0], 28), []);
});

test("colour by absolute share, the worst outcome first", () => {
  assert.equal(verdict([1, 0, 0, 0]), 0);
  assert.equal(verdict([0.992, 0, 0, 0.008]), 0);
  assert.equal(verdict([0.5, 0.4, 0, 0.1]), 3);
  assert.equal(verdict([0.5, 0.3, 0.2, 0]), 2);
});

test("width grows with the logarithm of traffic", () => {
  assert.ok(edgeWidth(0) === 1.2 && edgeWidth(1) < edgeWidth(10) && edgeWidth(10) < edgeWidth(100) && edgeWidth(1e9) === 5);
});

test("an icon for every type", () => {
  const expected = { "": "service", client: "client", remote: "remote", "Database::SQL": "sql", "AWS::DynamoDB::Table": "database", "AWS::SQS::Queue": "queue", "AWS::SNS::Topic": "topic", "AWS::S3::Bucket": "bucket", "AWS::Lambda::Function": "function", "AWS::ECS::Container": "service", "AWS::Unheard": "cloud", other: "service" };
  for (const [type, name] of Object.entries(expected)) assert.equal(iconName(type), name, type);
});

test("a line around a node keeps clear of the text below the rings", () => {
  // source → target by way of a waypoint far below: the text of the source is 50 px to each side, 31 to 71 px below its middle
  const path = edgePath({ x: 0, y: 0 }, { x: 400, y: 120 }, 31, [{ x: 200, y: 160 }]);
  const numbers = path.match(/-?[\d.]+/g).map(Number);
  let [x, y] = numbers;
  for (let index = 2; index < numbers.length; index += 6) {
    const [ax, ay, bx, by, cx, cy] = numbers.slice(index, index + 6);
    for (let t = 0; t <= 1; t += 0.05) {
      const mix = (p, q, r, s) => p * (1 - t) ** 3 + 3 * q * t * (1 - t) ** 2 + 3 * r * t * t * (1 - t) + s * t ** 3;
      const at = { x: mix(x, ax, bx, cx), y: mix(y, ay, by, cy) };
      assert.ok(!(Math.abs(at.x) < 50 && at.y > 34 && at.y < 71), `crosses the text at ${at.x.toFixed(0)},${at.y.toFixed(0)}`);
    }
    [x, y] = [cx, cy];
  }
});
