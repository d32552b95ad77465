// The waterfall's data: which rows show, in what order, and where bars lie. Pure.

/** Number of descendants per segment; input is depth-first, so a subtree is a run. */
export function descendants(parent) {
  const count = new Array(parent.length).fill(0);
  for (let index = parent.length - 1; index >= 0; index -= 1) if (parent[index] >= 0) count[parent[index]] += count[index] + 1;
  return count;
}

/** Segments that start collapsed: in a large trace everything below the third level. */
export function initiallyCollapsed(depth, count, limit = 2000) {
  const collapsed = new Set();
  if (depth.length <= limit) return collapsed;
  depth.forEach((level, index) => { if (level >= 2 && count[index] > 0) collapsed.add(index); });
  return collapsed;
}

/**
 * Indexes of the rows to show.
 * @param {{parent: number[]}} columns
 * @param {number[]} count descendants
 * @param {Set<number>} collapsed
 * @param {((index: number) => boolean) | null} keep with it only matching segments and their ancestors show, whatever is collapsed
 */
export function visibleRows(columns, count, collapsed, keep) {
  const { parent } = columns;
  const rows = [];
  if (keep) {
    const wanted = new Array(parent.length).fill(false);
    for (let index = 0; index < parent.length; index += 1) {
      if (!keep(index)) continue;
      for (let up = index; up >= 0 && !wanted[up]; up = parent[up]) wanted[up] = true;
    }
    for (let index = 0; index < parent.length; index += 1) if (wanted[index]) rows.push(index);
    return rows;
  }
  for (let index = 0; index < parent.length; index += 1) {
    rows.push(index);
    if (collapsed.has(index)) index += count[index];
  }
  return rows;
}

/** Remove from `collapsed` whatever hides a segment. */
export function reveal(columns, collapsed, index) {
  for (let up = columns.parent[index]; up >= 0; up = columns.parent[up]) collapsed.delete(up);
}

/** Segments whose service, name, operation or id contains the text, in order. */
export function search(columns, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const service = columns.services.map((name) => name.toLowerCase().includes(wanted));
  const found = [];
  for (let index = 0; index < columns.id.length; index += 1) {
    if (service[columns.service[index]] || columns.name[index].toLowerCase().includes(wanted) || columns.operation[index].toLowerCase().includes(wanted) || columns.id[index].startsWith(wanted)) found.push(index);
  }
  return found;
}

/** [first, last) rows to have in the DOM for a scroll position. */
export function rowWindow(scroll, height, rowHeight, total, spare = 8) {
  const first = Math.max(0, Math.floor(scroll / rowHeight) - spare);
  return [first, Math.min(total, Math.ceil((scroll + height) / rowHeight) + spare)];
}

/** Left and width of a bar in percent of the zoomed time window, null when it lies outside. */
export function bar(start, duration, [low, high]) {
  const span = high - low || 1e-9;
  const left = (start - low) / span;
  const right = (start + duration - low) / span;
  if (right < -0.001 || left > 1.001) return null;
  const clamped = Math.max(0, left);
  return { left: clamped * 100, width: Math.max(0, Math.min(1, right) - clamped) * 100 };
}

/**
 * Colour of a service, by its place among the *sorted* names (hashed hues collide). From teal to magenta, in three
 * lightnesses: green, yellow and red say how a request ended, and a service must not look like a failure.
 */
export const colour = (index) => `hsl(${Math.round(172 + ((index * 0.618034 + 0.28) % 1) * 150)} 48% ${[58, 68, 50][index % 3]}%)`;

/** The span of the whole trace, from 0 or the earliest start to the last end. */
export function extent(columns) {
  let low = 0;
  let high = 1e-6;
  columns.start.forEach((start, index) => {
    low = Math.min(low, start);
    high = Math.max(high, start + columns.duration[index]);
  });
  return [low, high];
}
