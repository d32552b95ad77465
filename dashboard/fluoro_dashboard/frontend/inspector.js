// A panel: title, then tabs of sections (components/inspector.py lists the kinds). Everything is shown as text.

import { drawBars, regroup } from "./bars.js";
import { el, set, svg } from "./dom.js";
import { percent } from "./format.js";

const OUTCOMES = [["OK", ""], ["Error 4xx", "!"], ["Throttle 429", "≋"], ["Fault 5xx", "✕"]];

function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button", class: "copy", text: label });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("pre, h2") ?? button);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
  });
  return button;
}

const SECTIONS = {
  tiles: ({ tiles }) => el("div", { class: "tiles" }, ...tiles.map(({ label, value }) => el("div", { class: "tile" }, el("div", { text: label }), el("strong", { text: value })))),

  shares({ counts, filters, hrefs }, search) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const bar = el("div", { class: "sharebar", "aria-hidden": "true" });
    const rows = el("div", { class: "shares" });
    counts.forEach((count, index) => {
      if (count) {
        const part = el("i", { class: `c${index}` });
        part.style.flex = `${count} 0 0`;
        bar.append(part);
      }
      const [name, glyph] = OUTCOMES[index];
      const text = count.toLocaleString("en-US");
      const number = filters?.[index] ? el("a", { class: "n", text, href: hrefs[index], title: `Traces: ${filters[index]}`, "aria-label": `${text} ${name}: search`, onclick: (event) => search(event, filters[index]) }) : el("span", { class: "n", text });
      rows.append(el("i", { class: `c${index}` }), el("span", { text: `${name} ${glyph}`.trim() }), number, el("span", { class: "p", text: percent(total ? count / total : 0) }));
    });
    return el("div", {}, bar, rows);
  },

  histogram({ pairs, marks }) {
    const canvas = svg("svg", { class: "plot", height: 104, role: "img", "aria-label": "Histogram of response times" });
    const box = el("div", {}, el("div", { class: "caption", text: "Response time" }), canvas);
    const draw = () => {
      const width = box.clientWidth;
      const buckets = width ? regroup(pairs, Math.floor(width / 9)) : null;
      if (!buckets) return;
      set(canvas, { viewBox: `0 0 ${width} 104` });
      drawBars(canvas, buckets, marks, { width, height: 104 });
    };
    new ResizeObserver(draw).observe(box);
    return box;
  },

  table: ({ rows }) => el("table", {}, el("tbody", {}, ...rows.map(([name, value]) => el("tr", {}, el("td", { text: name }), el("td", { text: value }))))),

  code: ({ text }) => el("div", { class: "code" }, el("pre", { text }), copyButton(text)),

  exception: ({ type, message, remote, stack }) => el("div", { class: "exception" }, el("b", { text: type }), remote ? el("span", { class: "note", text: " raised by the callee" }) : null, el("p", { text: message }),
    stack.length ? el("ol", {}, ...stack.map((frame) => el("li", { text: frame }))) : null),

  note: ({ text }) => el("div", { class: "note", text }),

  facts: ({ facts, warning }) => el("div", { class: "facts" }, ...facts.map(([name, value]) => el("span", {}, name, el("b", { text: value }))), warning ? el("span", { class: "warn", text: warning }) : null),
};

class Inspector {
  constructor(root) {
    this.box = el("div", { class: "inspector" });
    root.append(this.box);
    this.tab = "Overview";
  }

  update(data) {
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    this.data = data;
    const parts = [];
    const badge = data.outcome ? el("span", { class: `badge ${data.outcome}`, text: data.outcome }) : null;
    if (data.copy) parts.push(el("div", { class: "head" }, el("h2", { text: data.title }), badge, el("span", { class: "note mono", text: data.copy }), copyButton(data.copy, "Copy id")));
    else if (data.title) parts.push(el("h2", { text: data.title }), el("div", { class: "sub" }, el("span", { text: data.subtitle ?? "" }), badge));
    this.list = el("div", { class: "tabs", role: "tablist" });
    this.page = el("div", { class: data.tabs.length > 1 ? "page tall" : "page" });
    if (data.tabs.length > 1) {
      for (const { name } of data.tabs) this.list.append(el("button", { type: "button", role: "tab", text: name, onclick: () => { this.tab = name; this.open(); } }));
      parts.push(this.list);
    }
    this.box.replaceChildren(...parts, this.page);
    this.open();
    set(this.box, { "data-ready": 1, "data-key": data.key ?? "" });
  }

  /** The tab that was open stays open for the next segment that has it. */
  open() {
    const tab = this.data.tabs.find(({ name }) => name === this.tab) ?? this.data.tabs[0];
    for (const button of this.list.children) set(button, { "aria-selected": button.textContent === tab?.name });
    this.page.replaceChildren(...(tab?.sections ?? []).map((section) => SECTIONS[section.kind](section, (event, filter) => this.search(event, filter))));
  }

  /** A plain click stays in this session; with Ctrl, Shift or another button the browser follows the link by itself. */
  search(event, filter) {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.tell(filter);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.fluoroInspector ??= new Inspector(parentElement);
  parentElement.fluoroInspector.tell = (filter) => setTriggerValue("search", filter);
  parentElement.fluoroInspector.update(data);
}
