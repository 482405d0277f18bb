// Two sliders of a box, or three that share a sum, as one point on a plane: by pointer, beside the sliders, which do
// the same by keyboard and for screen readers.

import { find } from "./dom.js";

const HEIGHT = Math.sqrt(3) / 2; // of the triangle, with sides of 1

export class Plane {
  constructor(controls) {
    this.controls = controls;
    const pad = find("pad");
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      this.move(event);
    });
    pad.addEventListener("pointermove", (event) => pad.hasPointerCapture(event.pointerId) && this.move(event));
  }

  get isTriangle() {
    const { card } = this.controls;
    return card.space === "simplex" && card.sliders.length === 3;
  }

  get isSquare() {
    const { card } = this.controls;
    return card.space === "box" && card.sliders.length === 2;
  }

  show() {
    const { isTriangle, isSquare } = this;
    find("plane").hidden = !(isTriangle || isSquare);
    if (find("plane").hidden) return;
    const { sliders } = this.controls.card;
    const names = sliders.map(({ name }) => name);
    find("pad").className = isTriangle ? "triangle" : "square";
    find("plane").querySelector("figcaption").textContent = isTriangle
      ? `All three at once: left ${names[0]}, top ${names[1]}, right ${names[2]}`
      : `Both at once: ${names[0]} to the right, ${names[1]} upwards`;
    const [x, y] = this.locate();
    Object.assign(find("dot").style, { left: `${x * 100}%`, top: `${y * 100}%` });
  }

  shares() {
    const { card, values } = this.controls;
    return card.sliders.map(({ name, low, high }) => (values[name] - low) / (high - low));
  }

  // Where the setting is, in fractions of the pad, from its left and top.
  locate() {
    const [first, second, third] = this.shares();
    return this.isTriangle ? [third + second / 2, 1 - second] : [first, 1 - second];
  }

  move(event) {
    const box = find("pad").getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    const up = 1 - (event.clientY - box.top) / box.height;
    const shares = this.isTriangle ? nearestShares(across, up) : [across, up].map((share) => Math.min(1, Math.max(0, share)));
    const given = this.controls.card.sliders.map(({ name, low, high }, index) => [name, low + shares[index] * (high - low)]);
    this.controls.setAll(Object.fromEntries(given));
  }
}

// The point of a triangle that is nearest: shares of its left, top and right corner that sum to 1.
function nearestShares(across, up) {
  const [x, y] = [across, up * HEIGHT];
  const corners = [[0, 0], [0.5, HEIGHT], [1, 0]];
  const inside = [1 - across - up / 2, up, across - up / 2];
  if (inside.every((share) => share >= 0)) return inside;
  const onSides = [[0, 1], [1, 2], [2, 0]].map(([from, to]) => {
    const [ax, ay] = corners[from];
    const [bx, by] = corners[to];
    const along = Math.min(1, Math.max(0, (x - ax) * (bx - ax) + (y - ay) * (by - ay)));
    const shares = [0, 0, 0];
    shares[from] = 1 - along;
    shares[to] = along;
    return { shares, apart: Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) };
  });
  return onSides.reduce((best, side) => (side.apart < best.apart ? side : best)).shares;
}
