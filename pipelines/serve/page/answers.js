// The exact answers that came for the picture at hand, so that going back to a setting or a place costs nothing.

import { area } from "./picture.js";

const MOST_PX = 16e6; // 64 MB of decoded pixels

export const contains = (outer, inner) =>
  outer.x <= inner.x &&
  outer.y <= inner.y &&
  outer.x + outer.width >= inner.x + inner.width &&
  outer.y + outer.height >= inner.y + inner.height;

const meets = (one, other) =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

export class Answers {
  constructor() {
    this.kept = []; // the oldest first
    this.shown = null; // setting of the newest, or of the one that was last in view
  }

  // Keep an answer: what was asked (setting, a key of model and values; key, of the request; region) and the pixels.
  add(answer) {
    answer.detail = answer.bitmap.width / answer.region.width;
    this.kept.push(answer);
    this.shown = answer.setting;
    const excess = () => this.kept.reduce((sum, { bitmap }) => sum + area(bitmap), 0) > MOST_PX;
    while (excess()) {
      const index = this.kept.findIndex(({ setting }) => setting !== answer.setting);
      if (index < 0 && this.kept.length < 3) break;
      const [old] = this.kept.splice(Math.max(0, index), 1);
      old.bitmap.close();
    }
  }

  clear() {
    for (const { bitmap } of this.kept) bitmap.close();
    this.kept = [];
    this.shown = null;
  }

  // Whether a request needs no sending: its answer is here, or one that shows as much.
  has({ key, setting, visible, detail }) {
    return this.kept.some(
      (answer) =>
        answer.key === key ||
        (answer.setting === setting && contains(answer.region, visible) && answer.detail >= 0.99 * detail),
    );
  }

  // Those of a setting that are in view, in the order to draw them: the finest last.
  of(setting, region) {
    return this.kept
      .filter((answer) => answer.setting === setting && meets(answer.region, region))
      .sort((one, other) => one.detail - other.detail);
  }
}
