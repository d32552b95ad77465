// Zoom and pan of the service map: wheel, drag, keys, buttons.

import { set } from "./dom.js";

const TOP = 44; // of the frame, where the tools are
const [LEAST, MOST] = [0.08, 4];

export class View {
  /**
   * @param {HTMLElement} frame @param {SVGElement} canvas in it @param {SVGElement} world what is moved
   * @param {{extent: () => {left, right, top, bottom} | null, legend: () => number its height, moved: (event) => void, shown: (scale: number) => void}} map
   */
  constructor(frame, canvas, world, map) {
    Object.assign(this, { frame, canvas, world, map, x: 0, y: 0, scale: 1, moved: false, panned: false });
    this.gestures();
  }

  size() {
    return { width: Math.max(320, this.frame.clientWidth), height: Math.max(240, this.frame.clientHeight) };
  }

  /** Show everything, unless the viewer has moved the map; `anyway` if so or not. */
  fit(anyway = false) {
    if (anyway) this.moved = false;
    const box = this.moved ? null : this.map.extent();
    if (!box) return;
    const { width, height } = this.size();
    const room = height - TOP - this.map.legend() - 12;
    const scale = Math.min(1.35, (width - 16) / (box.right - box.left), room / (box.bottom - box.top));
    this.show({ scale, x: (width - (box.left + box.right) * scale) / 2, y: TOP + (room - (box.top + box.bottom) * scale) / 2 });
  }

  center({ x, y }) {
    const { width, height } = this.size();
    const scale = Math.max(this.scale, 0.9);
    this.moved = true;
    this.show({ scale, x: width / 2 - x * scale, y: height / 2 - y * scale });
  }

  zoom(factor, point) {
    const { width, height } = this.size();
    const { x, y } = point ?? { x: width / 2, y: height / 2 };
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    const change = scale / this.scale;
    this.moved = true;
    this.show({ scale, x: x - (x - this.x) * change, y: y - (y - this.y) * change });
  }

  pan(x, y) {
    this.moved = true;
    this.show({ scale: this.scale, x, y });
  }

  show({ x, y, scale }) {
    Object.assign(this, { x, y, scale });
    this.world.setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${scale.toFixed(4)})`);
    this.map.shown(scale);
    set(this.frame, { "data-scale": scale.toFixed(3) });
  }

  gestures() {
    let from = null;
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.canvas.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), { x: event.clientX - box.left, y: event.clientY - box.top });
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { pointerX: event.clientX, pointerY: event.clientY, x: this.x, y: this.y };
      this.panned = false;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      this.map.moved(event);
      if (!from) return;
      const [dx, dy] = [event.clientX - from.pointerX, event.clientY - from.pointerY];
      if (!this.panned && Math.hypot(dx, dy) < 4) return;
      if (!this.panned) { this.canvas.setPointerCapture(event.pointerId); this.canvas.classList.add("dragging"); }
      this.panned = true;
      this.pan(from.x + dx, from.y + dy);
    });
    const stop = () => { from = null; this.canvas.classList.remove("dragging"); };
    this.canvas.addEventListener("pointerup", stop);
    this.canvas.addEventListener("pointercancel", stop);
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (step) { event.preventDefault(); this.pan(this.x + step[0], this.y + step[1]); }
      if (event.key === "+") this.zoom(1.3);
      if (event.key === "-") this.zoom(1 / 1.3);
      if (event.key === "0") this.fit(true);
    });
  }
}
