// Draws the picture in its window: before on the left of the wipe, the answers on the right.

import { find } from "./dom.js";

const HUGE_PX = 4e6; // beyond it, smooth reduction takes longer than a frame

export class Painter {
  constructor(view) {
    this.view = view;
    this.canvas = find("canvas");
    this.context = this.canvas.getContext("2d");
    this.waiting = false;
    this.painted = ""; // what is on the before side
    this.scratch = new OffscreenCanvas(1, 1);
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
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      this.painted = "";
    }
    find("wipe").style.left = `${view.wipe * 100}%`;
    if (!picture) return;

    const cut = Math.round(view.cut * width);
    const whole = { x: 0, y: 0, width: picture.width, height: picture.height };
    this.paintBefore(picture, whole, cut);
    this.clip(cut, width, () => {
      // Never the picture as it was sent: where no answer is, there is a hatching.
      this.hatch(whole);
      for (const { bitmap, region } of answers) this.drawBitmap(bitmap, region);
      if (preview) this.drawPreview(preview, values);
    });
  }

  // While a slider moves, the before side stays as it is.
  paintBefore(picture, whole, cut) {
    const { view } = this;
    const level = picture.bitmap && this.chooseLevel(picture);
    const key = [view.x, view.y, view.scale, view.ratio, cut].join();
    if (key === this.painted && level === this.level) return;
    Object.assign(this, { painted: key, level });
    this.clip(0, cut, () => level && this.drawBitmap(level, whole));
  }

  // Blended at the size of the corners, or of the screen if that is less: the frame must not wait for it.
  drawPreview(preview, values) {
    const { scratch } = this;
    const [, , across, down] = this.locate(preview.region);
    const { bitmap } = preview.corners[0];
    const width = Math.min(bitmap.width, across);
    const height = Math.min(bitmap.height, down);
    if (scratch.width !== width || scratch.height !== height) Object.assign(scratch, { width, height });
    const pen = scratch.getContext("2d");
    pen.clearRect(0, 0, width, height);
    preview.blend(pen, values, (corner) => pen.drawImage(corner, 0, 0, width, height));
    this.drawBitmap(scratch, preview.region, { quality: "medium" });
  }

  // Draw into a part of the canvas, from left to right, that is cleared before.
  clip(left, right, draw) {
    if (right <= left) return;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, this.canvas.height);
    context.clip();
    context.clearRect(left, 0, right - left, this.canvas.height);
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

  drawBitmap(bitmap, region, { quality = "high" } = {}) {
    const { context, view } = this;
    const box = this.locate(region);
    context.clearRect(...box); // no hatching through transparent pixels
    // Pixels that are large on the screen are to be seen as such.
    context.imageSmoothingEnabled = view.scale < 3 * view.actualScale;
    context.imageSmoothingQuality = bitmap.width * bitmap.height > HUGE_PX ? "low" : quality;
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
