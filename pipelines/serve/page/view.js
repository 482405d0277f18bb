// The window onto the picture: zoom, pan, the wipe, and holding space for "before".
// Lengths are in CSS pixels; a picture pixel is one of the input.

import { find } from "./dom.js";

const MOST = 16; // device pixels a result pixel
const WHEEL = 0.0015; // logarithm of the zoom a pixel of scrolling
const STEP = 1.25; // a press of + or -
const PAN = 60; // a press of an arrow

export class View {
  // changed: called after every change; moved: called when other pixels come into view
  constructor({ changed, moved }) {
    Object.assign(this, { node: find("viewport"), changed, moved });
    Object.assign(this, { width: 0, height: 0, enlarging: 1, scale: 1, x: 0, y: 0, fitted: true });
    Object.assign(this, { wipe: 0.5, held: false, alone: false });
    this.pointers = new Map();
    this.listen();
  }

  get ratio() {
    return devicePixelRatio;
  }

  // The scale at which a pixel of the result is one of the screen.
  get actualScale() {
    return this.enlarging / this.ratio;
  }

  get fitScale() {
    const { clientWidth, clientHeight } = this.node;
    return Math.min(clientWidth / this.width, clientHeight / this.height);
  }

  // How much of the window's width shows "before".
  get cut() {
    if (this.alone) return 0;
    return this.held ? 1 : this.wipe;
  }

  show(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  fit() {
    this.fitted = true;
    if (this.width) this.place(this.fitScale, 0, 0);
  }

  // One pixel for one, around a point of the window.
  zoomToActual(x = this.node.clientWidth / 2, y = this.node.clientHeight / 2) {
    this.zoomTo(this.actualScale, x, y);
  }

  zoomTo(scale, x = this.node.clientWidth / 2, y = this.node.clientHeight / 2) {
    const least = Math.min(this.fitScale, this.actualScale);
    const most = Math.max(this.fitScale, MOST * this.actualScale);
    const next = Math.min(most, Math.max(least, scale));
    const factor = next / this.scale;
    this.fitted = false;
    this.place(next, x - (x - this.x) * factor, y - (y - this.y) * factor);
  }

  panBy(x, y) {
    if (x || y) this.fitted = false;
    this.place(this.scale, this.x + x, this.y + y);
  }

  // Keep the window covered; a picture smaller than the window stays in its middle.
  place(scale, x, y) {
    const within = (offset, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset)));
    this.scale = scale;
    // Whole device pixels, so that 1:1 is neither shifted nor smoothed.
    const aligned = (offset) => Math.round(offset * this.ratio) / this.ratio;
    this.x = aligned(within(x, this.width * scale, this.node.clientWidth));
    this.y = aligned(within(y, this.height * scale, this.node.clientHeight));
    this.changed();
    this.moved();
  }

  setWipe(fraction) {
    this.wipe = Math.min(1, Math.max(0, fraction));
    this.changed();
  }

  hold(held) {
    if (held === this.held) return;
    this.held = held;
    this.changed();
  }

  // The part of the picture in view, in whole pixels of the input.
  region() {
    const { clientWidth, clientHeight } = this.node;
    const x = Math.max(0, Math.floor(-this.x / this.scale + 1e-6));
    const y = Math.max(0, Math.floor(-this.y / this.scale + 1e-6));
    const right = Math.min(this.width, Math.ceil((clientWidth - this.x) / this.scale - 1e-6));
    const bottom = Math.min(this.height, Math.ceil((clientHeight - this.y) / this.scale - 1e-6));
    return { x, y, width: Math.max(1, right - x), height: Math.max(1, bottom - y) };
  }

  listen() {
    const { node } = this;
    new ResizeObserver(() => (this.fitted ? this.fit() : this.panBy(0, 0))).observe(node);
    node.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    node.addEventListener("pointerdown", (event) => this.onDown(event));
    node.addEventListener("pointermove", (event) => this.onMove(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      node.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    }
    node.addEventListener("dblclick", (event) => this.onDoubleClick(event));
    node.addEventListener("keydown", (event) => this.onKey(event));
    find("fit").addEventListener("click", () => this.fit());
    find("actual").addEventListener("click", () => this.zoomToActual());
    find("larger").addEventListener("click", () => this.zoomTo(this.scale * STEP));
    find("smaller").addEventListener("click", () => this.zoomTo(this.scale / STEP));
    find("wipe").addEventListener("keydown", (event) => this.onWipeKey(event));
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || usesSpace(event.target)) return;
      event.preventDefault(); // it would scroll
      this.hold(true);
    });
    document.addEventListener("keyup", (event) => event.key === " " && this.hold(false));
    window.addEventListener("blur", () => this.hold(false));
  }

  at(event) {
    const box = this.node.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  onWheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    // A pinch on a touchpad comes as a wheel with small steps and the control key.
    this.zoomTo(this.scale * Math.exp(-pixels * WHEEL * (event.ctrlKey ? 6 : 1)), ...this.at(event));
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.node.setPointerCapture(event.pointerId);
    this.dragsWipe = event.target === find("wipe");
    this.pointers.set(event.pointerId, this.at(event));
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    if (this.dragsWipe) {
      this.setWipe(now[0] / this.node.clientWidth);
    } else if (this.pointers.size === 1) {
      this.panBy(now[0] - before[0], now[1] - before[1]);
    } else {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const apart = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
      this.panBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      this.zoomTo((this.scale * apart(now)) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    this.pointers.set(event.pointerId, now);
  }

  onDoubleClick(event) {
    if (this.dragsWipe) return;
    if (Math.abs(this.scale / this.actualScale - 1) < 1e-3) this.fit();
    else this.zoomToActual(...this.at(event));
  }

  onKey(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => this.panBy(PAN, 0),
      ArrowRight: () => this.panBy(-PAN, 0),
      ArrowUp: () => this.panBy(0, PAN),
      ArrowDown: () => this.panBy(0, -PAN),
      "+": () => this.zoomTo(this.scale * STEP),
      "=": () => this.zoomTo(this.scale * STEP),
      "-": () => this.zoomTo(this.scale / STEP),
      0: () => this.fit(),
      1: () => this.zoomToActual(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  onWipeKey(event) {
    const steps = { ArrowLeft: -0.01, ArrowDown: -0.01, ArrowRight: 0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.setWipe(Math.round((this.wipe + steps[event.key]) * 1000) / 1000);
  }
}

// Whether a press of space already means something there.
function usesSpace(node) {
  if (node.matches('input[type="range"]')) return false;
  return Boolean(node.closest("input, select, textarea, button, a, summary, dialog"));
}
