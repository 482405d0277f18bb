// Five small pictures along the chosen slider: the middle of the view, so that grain and edges are to be seen.

import { find, make, short } from "./dom.js";

const COUNT = 5;
const CROP_PX = 128;

export class Strip {
  constructor(controls) {
    Object.assign(this, { controls, key: "", items: [] });
  }

  // The part of the picture that is shown.
  static crop({ x, y, width, height }, picture) {
    const place = (start, length, whole) => {
      const size = Math.min(CROP_PX, whole);
      return [Math.round(Math.min(whole - size, Math.max(0, start + (length - size) / 2))), size];
    };
    const [left, cropWidth] = place(x, width, picture.width);
    const [top, cropHeight] = place(y, height, picture.height);
    return { x: left, y: top, width: cropWidth, height: cropHeight };
  }

  // Show the strip of a slider, of pictures with this key; those of another are thrown away.
  aim(slider, key) {
    const { controls } = this;
    find("strip").hidden = !slider;
    if (!slider) return;
    find("strip").ariaLabel = `${slider.name} at five values`;
    const values = Array.from({ length: COUNT }, (_, index) =>
      slider.low + ((slider.high - slider.low) * index) / (COUNT - 1));
    // The nodes stay while the slider does, so that a press that changes the rest keeps the focus.
    const same = this.items.length && this.slider === slider;
    if (!same) {
      this.slider = slider;
      this.items = values.map((value) => this.makeItem(slider, value));
      find("strip").replaceChildren(...this.items.map(({ node }) => node));
    }
    if (key !== this.key) {
      this.key = key;
      for (const item of this.items) {
        item.done = false;
        item.node.classList.add("old");
      }
    }
    const current = controls.values[slider.name];
    for (const { value, node } of this.items) node.ariaPressed = String(Math.abs(value - current) < 1e-6 * (slider.high - slider.low));
  }

  // Show nothing of an earlier picture.
  clear() {
    this.key = "";
    for (const { canvas } of this.items) Object.assign(canvas, { width: 1, height: 1 });
  }

  makeItem(slider, value) {
    const canvas = make("canvas", { width: 1, height: 1 });
    const node = make("button", { type: "button", ariaLabel: `${slider.name} ${short(value)}` }, canvas, short(value));
    node.addEventListener("click", () => this.controls.set(slider, value));
    return { value, node, canvas, done: false };
  }

  get missing() {
    return this.items.find(({ done }) => !done);
  }

  fill(item, bitmap) {
    Object.assign(item.canvas, { width: bitmap.width, height: bitmap.height });
    item.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    item.done = true;
    item.node.classList.remove("old");
    bitmap.close();
  }
}
