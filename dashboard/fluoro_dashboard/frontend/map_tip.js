// The tooltip of the service map: what it says of a node or an edge, and where it stands.

import { el } from "./dom.js";
import { duration, percent, rate } from "./format.js";

export const OUTCOMES = ["OK", "Error 4xx", "Throttle 429", "Fault 5xx"];
export const GLYPHS = ["", "!", "≋", "✕"];

/** Lines about a part {kind, item}; `note` says what its rates are about, if that is not the whole range. */
export function describe({ kind, item }, note) {
  const row = (name, value, dot) => el("div", {}, el("span", {}, dot === undefined ? null : el("i", { class: `dot d${dot}` }), name), el("span", { text: value }));
  const rows = item.total
    ? [row("Requests", `${item.total.toLocaleString("en-US")} (${rate(item.rate)})`), row("Average", duration(item.avg)), row("p50 / p95", `${duration(item.p50)} / ${duration(item.p95)}`), row("p99", duration(item.p99)),
      ...OUTCOMES.map((name, index) => row(`${name} ${GLYPHS[index]}`.trim(), percent(item.shares[index]), index)), note ? el("p", { class: "after", text: note }) : null]
    : [];
  const [title, subtitle] = kind === "node" ? [item.short, `${item.label}${item.inferred && item.type !== "client" ? " · seen through its callers" : ""}`] : [`${item.from} → ${item.to}`, item.link ? "asynchronous link" : "calls, as the caller sees them"];
  if (item.short && item.short !== item.name) rows.unshift(el("p", { text: item.name }));
  return [el("b", { text: title }), el("i", { text: subtitle }), ...rows.filter(Boolean)];
}

export class Tip {
  constructor(frame) {
    this.frame = frame;
    this.box = el("div", { class: "tip", role: "status" });
    frame.append(this.box);
  }

  /** @param part {group, …} it stands beside. @param lines its text, asked again by `again()`. */
  show(part, lines) {
    this.part = part;
    this.lines = lines;
    this.again();
  }

  again() {
    if (!this.part) return;
    this.box.replaceChildren(...this.lines());
    this.box.style.display = "block";
    this.place();
  }

  /** Hide it; with `part` only if it is about that one. */
  hide(part = this.part) {
    if (this.part !== part) return;
    this.part = null;
    this.box.style.display = "none";
  }

  follow(event) {
    this.pointer = event;
    if (this.part) this.place();
  }

  place() {
    const frame = this.frame.getBoundingClientRect();
    const { group } = this.part;
    const beside = group.getBoundingClientRect();
    const near = group.matches(":hover") && this.pointer ? { x: this.pointer.clientX, y: this.pointer.clientY } : { x: beside.right, y: beside.top };
    const [width, height] = [this.box.offsetWidth, this.box.offsetHeight];
    let x = near.x - frame.left + 16;
    if (x + width > frame.width - 8) x = near.x - frame.left - width - 16;
    const y = Math.min(Math.max(8, near.y - frame.top + 14), Math.max(8, frame.height - height - 8));
    this.box.style.transform = `translate(${Math.max(8, x)}px,${y}px)`;
  }
}
