// Where nodes go. dagre decides rank and order; its coordinates are kept for small maps, large ones are packed. Pure.

export const CELL = { width: 150, height: 118 };
const PACK_ABOVE = 36;
const TEXT_BELOW = 20; // px that a ring stands above the middle of its cell, whose lower part is its name and figures

/** Nodes in a list of ranks, left to right, each top to bottom in dagre's order. */
function ranked(graph, ids) {
  const columns = new Map();
  for (const id of ids) {
    const { x, y } = graph.node(id);
    const key = Math.round(x);
    if (!columns.has(key)) columns.set(key, []);
    columns.get(key).push({ id, y });
  }
  return [...columns.entries()]
    .sort((a, b) => a[0] - b[0])
    .map(([, column]) => column.sort((a, b) => a.y - b.y || (a.id < b.id ? -1 : 1)).map((item) => item.id));
}

/** Pack each rank into as many staggered sub-columns as give the largest scale for the viewport; returns id → {x, y}. */
export function pack(ranks, viewport, cell = { width: 106, height: 105 }, gap = 46) {
  let best = { scale: 0, rows: 1 };
  const longest = Math.max(...ranks.map((rank) => rank.length));
  for (let rows = 1; rows <= Math.max(4, longest); rows += 1) {
    const columns = ranks.reduce((sum, rank) => sum + Math.ceil(rank.length / rows), 0);
    const width = columns * cell.width + (ranks.length - 1) * gap;
    const height = (Math.min(rows, longest) + 0.5) * cell.height;
    const scale = Math.min(viewport.width / width, viewport.height / height);
    if (scale > best.scale) best = { scale, rows };
  }
  const positions = new Map();
  let left = 0;
  for (const rank of ranks) {
    const columns = Math.ceil(rank.length / best.rows);
    const rows = Math.ceil(rank.length / columns);
    rank.forEach((id, index) => {
      const column = index % columns;
      const row = Math.floor(index / columns);
      positions.set(id, {
        x: left + (column + 0.5) * cell.width,
        y: (row - rows / 2 + 0.5) * cell.height + ((column - (columns - 1) / 2) * cell.height) / columns,
      });
    });
    left += columns * cell.width + gap;
  }
  return positions;
}

/** Stretch the axis that the viewport has room for, so that a flat graph does not become a thin strip. */
export function stretch(positions, routes, viewport) {
  const points = [...positions.values()];
  const extent = (axis) => Math.max(...points.map((p) => p[axis])) - Math.min(...points.map((p) => p[axis]));
  const width = extent("x") + CELL.width;
  const height = extent("y") + CELL.height;
  const ratio = viewport.width / width / (viewport.height / height);
  const x = Math.min(1.7, Math.max(1, ratio));
  const y = Math.min(1.7, Math.max(1, 1 / ratio));
  for (const list of [points, ...routes.values()]) for (const p of list) [p.x, p.y] = [p.x * x, p.y * y];
}

/**
 * Positions of all nodes, and dagre's waypoints for edges of small maps.
 * Deterministic in the *sets* of nodes and edges: input is sorted first.
 * @returns {{positions: Map<string, {x: number, y: number}>, routes: Map<string, {x: number, y: number}[]>}}
 */
export function layout(dagre, nodes, edges, viewport) {
  const ids = nodes.map((node) => node.id).sort();
  if (!ids.length) return { positions: new Map(), routes: new Map() };
  const graph = new dagre.Graph({ multigraph: true });
  const large = ids.length > PACK_ABOVE;
  graph.setGraph({ rankdir: "LR", nodesep: 26, edgesep: 14, ranksep: 66, ranker: ids.length > 80 ? "tight-tree" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { width: CELL.width - 26, height: CELL.height - 10 });
  const sorted = [...edges].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const edge of sorted) if (edge.source !== edge.target) graph.setEdge(edge.source, edge.target, {}, edge.id);
  dagre.layout(graph);
  if (large) return { positions: pack(ranked(graph, ids), viewport), routes: new Map() };
  const positions = new Map(ids.map((id) => [id, { x: graph.node(id).x, y: graph.node(id).y - TEXT_BELOW }]));
  const routes = new Map();
  for (const edge of sorted) {
    if (edge.source === edge.target) continue;
    const { points } = graph.edge(edge.source, edge.target, edge.id);
    if (points.length > 3) routes.set(edge.id, points.slice(1, -1).map(({ x, y }) => ({ x, y })));
  }
  stretch(positions, routes, viewport);
  return { positions, routes };
}

const at = (p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`;

/** A point on the ring around `from`, towards `to`. */
function rim(from, to, radius) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = Math.hypot(dx, dy) || 1;
  return { x: from.x + (dx / length) * radius, y: from.y + (dy / length) * radius };
}

/** The same, at most 30 degrees up or down. */
function leave(from, to, radius) {
  const dx = to.x - from.x;
  const steep = Math.abs(dx) * Math.tan(Math.PI / 6);
  return rim(from, { x: to.x, y: from.y + Math.max(-steep, Math.min(steep, to.y - from.y)) }, radius);
}

/**
 * SVG path from ring to ring. `via` are waypoints around nodes between; a call backwards bows below both ends, a call to
 * itself is a loop on top, and of two opposite calls each keeps to its side.
 */
export function edgePath(source, target, radius, via = [], opposite = false) {
  if (source === target || (source.x === target.x && source.y === target.y)) {
    const r = radius;
    return `M${at({ x: source.x - r * 0.55, y: source.y - r * 0.83 })}C${at({ x: source.x - r * 1.3, y: source.y - r * 2.5 })} ${at({ x: source.x + r * 1.3, y: source.y - r * 2.5 })} ${at({ x: source.x + r * 0.55, y: source.y - r * 0.9 })}`;
  }
  const arrow = radius + 6;
  if (via.length && target.x > source.x) {
    const first = leave(source, via[0], radius);
    const last = leave(target, via[via.length - 1], arrow);
    const points = [first, ...via, last];
    // Level at both ends, so that the line keeps clear of the text below the rings; along its neighbours between.
    const slope = (index) => {
      if (index === 0 || index === points.length - 1) return 0;
      const [before, after] = [points[index - 1], points[index + 1]];
      return after.x > before.x ? (after.y - before.y) / (after.x - before.x) / 2 : 0;
    };
    let path = `M${at(first)}`;
    for (let index = 0; index < points.length - 1; index += 1) {
      const [a, b] = [points[index], points[index + 1]];
      const third = (b.x - a.x) * 0.42;
      path += `C${at({ x: a.x + third, y: a.y + third * slope(index) })} ${at({ x: b.x - third, y: b.y - third * slope(index + 1) })} ${at(b)}`;
    }
    return path;
  }
  const dx = target.x - source.x;
  if (dx > radius * 2.2) {
    const bend = dx * 0.42;
    const side = opposite ? radius * 0.5 : 0;
    const c1 = { x: source.x + bend, y: source.y - side };
    const c2 = { x: target.x - bend, y: target.y - side };
    const start = rim(source, { x: c1.x, y: c1.y + (target.y - source.y) * 0.18 }, radius);
    const end = rim(target, { x: c2.x, y: c2.y - (target.y - source.y) * 0.18 }, arrow);
    return `M${at(start)}C${at(c1)} ${at(c2)} ${at(end)}`;
  }
  const bow = Math.max(radius * 2.6, Math.abs(dx) * 0.22);
  const middle = { x: (source.x + target.x) / 2 + (Math.abs(dx) < radius ? bow : 0), y: Math.max(source.y, target.y) + (Math.abs(dx) < radius ? 0 : bow) };
  if (Math.abs(dx) < radius) middle.y = (source.y + target.y) / 2;
  const start = rim(source, middle, radius);
  const end = rim(target, middle, arrow);
  return `M${at(start)}Q${at(middle)} ${at(end)}`;
}

/** Arcs of a ring for shares that add up to 1, clockwise from the top: [{index, path}], zero shares left out. */
export function ringArcs(shares, radius) {
  const used = shares.map((share, index) => ({ share, index })).filter((item) => item.share > 0);
  // A failure of one in a thousand still gets a visible sliver, taken from the largest share.
  const least = 0.02;
  const grown = used.map((item) => ({ ...item, share: Math.max(item.share, least) }));
  const sum = grown.reduce((total, item) => total + item.share, 0);
  let angle = -Math.PI / 2;
  return grown.map(({ share, index }) => {
    const turn = Math.min((share / sum) * 2 * Math.PI, 2 * Math.PI - 0.01);
    const [x1, y1] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    angle += turn;
    const [x2, y2] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    return { index, path: `M${x1.toFixed(2)},${y1.toFixed(2)}A${radius},${radius} 0 ${turn > Math.PI ? 1 : 0} 1 ${x2.toFixed(2)},${y2.toFixed(2)}` };
  });
}

/** The worst thing about a set of shares [ok, error, throttle, fault], on an absolute scale: at least one in a hundred. */
export function verdict(shares) {
  const order = [3, 2, 1];
  const worst = order.find((index) => shares[index] >= 0.01);
  return worst === undefined ? 0 : worst;
}

/** Stroke width in px by traffic: logarithmic, 1.2 at one a minute and below, 5 near ten thousand a second. */
export function edgeWidth(rate) {
  if (!(rate > 0)) return 1.2;
  const decades = Math.log10(rate * 60);
  return Math.min(5, Math.max(1.2, 1.2 + decades * 0.65));
}
