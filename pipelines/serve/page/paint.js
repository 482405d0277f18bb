// Draws the picture in its window: before on the left of the wipe, the answers on the right.

import { find } from "./dom.js";

const HUGE_PX = 4e6; // beyond it, smooth reduction takes longer than a frame

export class Painter {
  constructor(view) {
    this.view = view;
    this.canvas = find("canvas");
    this.context = this.canvas.getContext("2d");
    this.waiting = false;
  }

  // Paint with the next frame, however often this is called before it.
  request(scene) {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint(scene());
    });
  }

  // Paint a scene: the picture, the answers in drawing order, and the preview with its values, if it is shown.
  paint({ picture, answers, preview, values }) {
    const { canvas, context, view } = this;
    const width = Math.round(view.node.clientWidth * view.ratio);
    const height = Math.round(view.node.clientHeight * view.ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.clearRect(0, 0, width, height);
    find("wipe").style.left = `${view.wipe * 100}%`;
    if (!picture) return;

    const cut = Math.round(view.cut * width);
    const whole = { x: 0, y: 0, width: picture.width, height: picture.height };
    if (picture.bitmap) {
      this.clip(0, cut, () => this.drawBitmap(this.chooseLevel(picture), whole));
    }
    this.clip(cut, width, () => {
      // Never the picture as it was sent: where no answer is, there is a hatching.
      this.hatch(whole);
      for (const { bitmap, region } of answers) this.drawBitmap(bitmap, region, true);
      if (!preview) return;
      const box = this.locate(preview.region);
      context.fillStyle = "#000";
      context.fillRect(...box);
      preview.blend(context, values, (bitmap) => this.drawBitmap(bitmap, preview.region));
    });
  }

  clip(left, right, draw) {
    if (right <= left) return;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, this.canvas.height);
    context.clip();
    draw();
    context.restore();
  }

  // The rectangle of device pixels that a part of the picture fills.
  locate({ x, y, width, height }) {
    const { view } = this;
    const scale = view.scale * view.ratio;
    const across = (value) => Math.round(view.x * view.ratio + value * scale);
    const down = (value) => Math.round(view.y * view.ratio + value * scale);
    return [across(x), down(y), across(x + width) - across(x), down(y + height) - down(y)];
  }

  drawBitmap(bitmap, region, opaque = false) {
    const { context, view } = this;
    const box = this.locate(region);
    if (opaque) context.clearRect(...box); // no hatching through transparent pixels
    // Pixels that are large on the screen are to be seen as such.
    context.imageSmoothingEnabled = view.scale < 3 * view.actualScale;
    context.imageSmoothingQuality = bitmap.width * bitmap.height > HUGE_PX ? "low" : "high";
    context.drawImage(bitmap, ...box);
  }

  chooseLevel({ bitmap, level, width }) {
    const { view } = this;
    return level && level.width >= width * view.scale * view.ratio ? level : bitmap;
  }

  hatch(region) {
    const { context } = this;
    this.pattern ??= makeHatching(context);
    context.fillStyle = this.pattern;
    context.fillRect(...this.locate(region));
  }
}

function makeHatching(context) {
  const size = 16;
  const tile = new OffscreenCanvas(size, size);
  const pen = tile.getContext("2d");
  pen.fillStyle = "#3a3f45";
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = "#4b525a";
  pen.lineWidth = 4;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 4, size + 4);
    pen.lineTo(shift + size + 4, -4);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
