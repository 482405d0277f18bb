// The preview while a slider moves: answers at the corners of the slider space, blended by the values.
// A network between its corners is not the blend of its answers, but near enough to follow the hand.

const MOST_SLIDERS = 3; // 8 corners

export class Preview {
  constructor() {
    this.clear();
  }

  clear() {
    for (const { bitmap } of this.corners ?? []) bitmap?.close();
    Object.assign(this, { key: "", card: null, region: null, corners: [] });
  }

  // Have the corners of a model for a region; those of another are thrown away.
  aim(card, region, key) {
    if (key === this.key) return;
    this.clear();
    const corners = findCorners(card).map((values) => ({ values, bitmap: null }));
    Object.assign(this, { key, card, region, corners });
  }

  get missing() {
    return this.corners.find(({ bitmap }) => !bitmap);
  }

  get complete() {
    return this.corners.length > 0 && !this.missing;
  }

  // Add the corners up on a canvas.
  //   draw: puts a bitmap onto the context
  blend(context, values, draw) {
    const weights = findWeights(this.card, values);
    context.globalCompositeOperation = "lighter";
    this.corners.forEach(({ bitmap }, index) => {
      if (weights[index] < 1 / 512) return; // less than half a step of 8 bits
      context.globalAlpha = weights[index];
      draw(bitmap);
    });
    context.globalAlpha = 1;
    context.globalCompositeOperation = "source-over";
  }
}

// The settings that the preview is blended from: every slider at either end; on a simplex, one slider at its top.
export function findCorners({ space, sliders }) {
  if (sliders.length > MOST_SLIDERS) return [];
  if (space === "simplex") {
    return sliders.map((top) => Object.fromEntries(sliders.map((s) => [s.name, s === top ? s.high : s.low])));
  }
  return Array.from({ length: 2 ** sliders.length }, (_, corner) =>
    Object.fromEntries(sliders.map((s, bit) => [s.name, corner & (1 << bit) ? s.high : s.low])),
  );
}

// How much of each corner is in a setting: its share on a simplex, multilinear on a box. They sum to 1.
export function findWeights({ space, sliders }, values) {
  const shares = sliders.map(({ name, low, high }) => (values[name] - low) / (high - low));
  if (space === "simplex") return shares;
  return Array.from({ length: 2 ** sliders.length }, (_, corner) =>
    shares.reduce((weight, share, bit) => weight * (corner & (1 << bit) ? share : 1 - share), 1),
  );
}
