// All nodes in a table: a click on a column's name sorts by it, a click on a row selects that node on the map.
// Input: {rows: map_data.ranking()}.

import { el, svg } from "./dom.js";
import { duration, percent, rate } from "./format.js";
import { iconPath } from "./icons.js";

/** Names sort up first, figures down. Missing figures come last either way. Stable. Pure. */
export function sorted(rows, column, down) {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return (typeof x === "string" ? x.localeCompare(y) : x - y) * sign;
  });
}

const COLUMNS = [["name", "Service or resource"], ["fault", "Fault"], ["p95", "p95"], ["rate", "Rate"]];

class Ranking {
  constructor(root) {
    this.box = el("div", { class: "ranking" });
    this.column = null; // as they come: what fails most first
    root.append(this.box);
  }

  update({ rows }, pick) {
    this.pick = pick;
    const text = JSON.stringify(rows);
    if (text === this.text) return;
    this.text = text;
    this.rows = rows;
    this.draw();
  }

  sortBy(column) {
    this.down = this.column === column ? !this.down : column !== "name";
    this.column = column;
    this.draw();
  }

  draw() {
    const rows = this.column ? sorted(this.rows, this.column, this.down) : this.rows;
    const heads = COLUMNS.map(([column, name]) => {
      const here = this.column === column;
      return el("th", { scope: "col", "aria-sort": here ? (this.down ? "descending" : "ascending") : "none" },
        el("button", { type: "button", "data-column": column, onclick: () => this.sortBy(column) }, name, el("span", { "aria-hidden": "true", text: here ? (this.down ? " ▾" : " ▴") : "" })));
    });
    const { column: head, row: line } = this.box.getRootNode().activeElement?.dataset ?? {};
    this.box.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows.map((row) => this.row(row)))));
    // New figures must not take the keyboard away.
    [...this.box.querySelectorAll("button")].find((button) => (head && button.dataset.column === head) || (line && button.dataset.row === line))?.focus({ preventScroll: true });
    this.box.setAttribute("data-ready", "1");
  }

  row(row) {
    const name = el("button", { type: "button", "data-row": row.id, title: `${row.full}\n${row.label}`, "aria-label": `${row.name} (${row.label})` },
      svg("svg", { viewBox: "0 0 24 24", width: 16, height: 16, "aria-hidden": "true" }, svg("path", { class: "icon", d: iconPath(row.type) })), el("span", { text: row.name }));
    return el("tr", { onclick: () => this.pick(row.id) }, el("td", {}, name),
      el("td", { class: row.fault ? "bad" : "none", text: percent(row.fault) }), el("td", { text: duration(row.p95) }), el("td", { text: rate(row.rate) }));
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.fluoroRanking ??= new Ranking(parentElement);
  parentElement.fluoroRanking.update(data, (id) => setTriggerValue("pick", id));
}
