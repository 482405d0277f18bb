// What is computed for the picture in view, and what of it is shown: the exact answer, the preview's corners, the strip.

import { Answers, contains } from "./answers.js";
import { describe, short } from "./dom.js";
import { Jobs } from "./jobs.js";
import { area, reduce } from "./picture.js";
import { Preview } from "./preview.js";
import { apply, goesAlong, keep } from "./requests.js";
import { Strip } from "./strip.js";

const LARGE_PX = 1.5e6; // a larger region is previewed from a smaller picture, and answered as large as the screen
const SMALLER_PX = 0.5e6; // of that smaller picture
const MOST_RESULT_PX = 4e6; // a larger result is also answered as large as the screen
const REPEATED_BYTES = 2 ** 20; // of a file that may go with each small request, where the server keeps none
const GRID = 16; // regions are rounded to it, so that a small pan needs nothing new
const SETTLE_MS = 150; // after a pan or zoom

export class Restorer {
  // changed: called when there is something new to show; failed: with an error of the exact answer
  constructor(view, controls, { changed, failed }) {
    Object.assign(this, { view, controls, changed, failed });
    Object.assign(this, { card: null, picture: null, halted: null, paused: false, last: null });
    Object.assign(this, { notBefore: 0, aheadNotBefore: 0 }); // what a busy server said
    this.answers = new Answers();
    this.previews = { part: new Preview(), whole: new Preview() }; // of the region in view, and of the reduced picture
    this.strip = new Strip(controls);
    this.pace = new Map(); // ms a pixel, by model
    this.refused = new Set(); // keys of work in the background that failed
    this.pictures = 0;
    this.jobs = new Jobs(() => this.plan(), () => this.changed());
  }

  setPicture(picture) {
    this.answers.clear();
    this.strip.clear();
    for (const preview of Object.values(this.previews)) preview.clear();
    this.refused.clear();
    this.picture = picture;
    this.pictures += 1;
    this.halted = null;
  }

  setCard(card) {
    this.card = card;
    this.refused.clear();
    this.halted = null;
  }

  // Other pixels are in view: look for work once the hand rests, for each step of a wheel would be a request.
  moved() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLE_MS);
  }

  // Do not wait for the hand: the view was set by a new picture.
  settle() {
    clearTimeout(this.settling);
    this.settling = null;
    this.wake();
  }

  wake() {
    if (!this.card || !this.picture) return;
    this.jobs.wake();
    this.changed();
  }

  // Try again what failed or was cancelled.
  resume() {
    this.halted = null;
    this.notBefore = 0;
    this.wake();
  }

  cancel() {
    this.halted = this.makeRequest().key;
    this.jobs.stop();
    this.changed();
  }

  waitFor(seconds) {
    this.notBefore = performance.now() + seconds * 1000;
  }

  // The exact answer that the view wants.
  makeRequest() {
    const { card, picture, view } = this;
    const visible = view.region();
    const region = alignRegion(visible, picture);
    const large = area(region) > LARGE_PX;
    const shown = Math.ceil(Math.max(region.width, region.height) * view.scale * view.ratio);
    const reduced =
      (large || area(region) * card.scale ** 2 > MOST_RESULT_PX) &&
      shown < Math.max(region.width, region.height) * card.scale;
    const options = {};
    if (area(region) < area(picture)) options.region = [region.x, region.y, region.width, region.height].join();
    if (reduced) options.max_side = shown;
    const setting = `${card.name} ${JSON.stringify(this.controls.values)}`;
    const place = `${this.pictures} ${card.name} ${JSON.stringify(options)}`;
    const detail = reduced ? shown / Math.max(region.width, region.height) : card.scale;
    return { key: `${place} ${setting}`, place, setting, visible, region, detail, large, options };
  }

  plan() {
    const { card, picture, settling, notBefore, halted } = this;
    if (!card || !picture || settling || performance.now() < notBefore) return null;
    const request = this.makeRequest();
    if (request.key === halted) return null;
    const exact = this.planExact(request);
    // The preview of a large region comes in a fraction of the time.
    if (request.large) return this.planCorner(request) ?? exact ?? this.planStrip();
    return exact ?? this.planCorner(request) ?? this.planStrip();
  }

  planExact(request) {
    if (this.answers.has(request)) return null;
    const { card, picture } = this;
    const { values } = this.controls;
    const run = async (signal) => {
      await keep(picture); // not part of the time of an answer
      const begun = performance.now();
      const bitmap = await this.fetchBitmap(picture, values, request.options, signal);
      if (!bitmap) return;
      const ms = performance.now() - begun;
      this.notePace(card, ms / area(request.region));
      this.answers.add({ ...request, bitmap, title: `${card.name}, ${describe(values)}` });
      this.last = { ms, width: bitmap.width, height: bitmap.height };
    };
    const fail = (error) => this.failed(error, request.key);
    return { kind: "exact", key: request.key, place: request.place, patient: !request.large, run, fail };
  }

  planCorner({ large, region, visible, options }) {
    const { card, picture } = this;
    if (!this.worksAhead || (large && !picture.bitmap)) return null;
    const preview = large ? this.previews.whole : this.previews.part;
    const base = `${this.pictures} ${card.name}`;
    if (large) {
      preview.aim(card, { x: 0, y: 0, width: picture.width, height: picture.height }, `${base} whole`);
    } else if (!preview.key.startsWith(`${base} part`) || !contains(preview.region, visible)) {
      preview.aim(card, region, `${base} part ${JSON.stringify(options)}`);
    }
    const corner = preview.missing;
    const key = corner && `corner ${preview.key} ${JSON.stringify(corner.values)}`;
    if (!corner || this.refused.has(key)) return null;
    const limit = options.max_side ? { max_side: options.max_side } : {};
    const run = async (signal) => {
      const source = large ? await reduce(picture, SMALLER_PX) : picture;
      const bitmap = await this.fetchBitmap(source, corner.values, large ? limit : options, signal);
      if (bitmap) corner.bitmap = bitmap;
    };
    return { kind: "corner", key, place: key, run, fail: (error) => this.failAhead(error, key) };
  }

  planStrip() {
    const { picture, strip, controls } = this;
    if (!this.worksAhead || !controls.chosen) return null;
    const crop = this.aimStrip();
    const item = strip.missing;
    const key = item && `strip ${strip.key} ${item.value}`;
    if (!item || this.refused.has(key)) return null;
    const values = controls.withValue(controls.chosen, item.value);
    const options = { region: [crop.x, crop.y, crop.width, crop.height].join() };
    const run = async (signal) => {
      const bitmap = await this.fetchBitmap(picture, values, options, signal);
      if (bitmap) strip.fill(item, bitmap);
    };
    return { kind: "strip", key, place: key, run, fail: (error) => this.failAhead(error, key) };
  }

  // Have the strip show the chosen slider; returns the part of the picture that is in it.
  aimStrip() {
    const { card, picture, view, controls } = this;
    const crop = Strip.crop(view.region(), picture);
    const { chosen } = controls;
    // The pictures depend on the other sliders alone.
    const others = chosen && Object.values(controls.withValue(chosen, chosen.low)).map(short);
    this.strip.aim(chosen, JSON.stringify([this.pictures, card.name, others, crop]));
    return crop;
  }

  // Whether to ask for what may never be looked at.
  get worksAhead() {
    const { paused, aheadNotBefore, picture } = this;
    return !paused && performance.now() >= aheadNotBefore && (!goesAlong(picture) || picture.file.size <= REPEATED_BYTES);
  }

  async fetchBitmap(picture, values, options, signal) {
    const bitmap = await createImageBitmap(await apply(this.card.name, picture, values, options, { signal }));
    if (!signal.aborted) return bitmap;
    bitmap.close();
    return null;
  }

  failAhead(error, key) {
    if (error.retryAfter) {
      this.aheadNotBefore = performance.now() + error.retryAfter * 1000;
      setTimeout(() => this.wake(), error.retryAfter * 1000 + 1);
    } else {
      this.refused.add(key);
    }
  }

  notePace(card, msPerPixel) {
    const before = this.pace.get(card.name) ?? msPerPixel;
    this.pace.set(card.name, before + 0.5 * (msPerPixel - before));
  }

  // How long an answer takes, from earlier ones; undefined before the first.
  estimate(pixels) {
    const pace = this.pace.get(this.card.name);
    return pace && pace * pixels;
  }

  // The exact answer that is being computed: how long already, and in all.
  get progress() {
    const { current } = this.jobs;
    if (current?.job.kind !== "exact") return null;
    return { ms: performance.now() - current.begun, total: this.estimate(area(this.makeRequest().region)) };
  }

  findPreview(visible) {
    const { part, whole } = this.previews;
    return [part, whole].find(
      (preview) => preview.complete && preview.card === this.card && contains(preview.region, visible),
    );
  }

  // Whether the preview will follow a slider at once.
  get isReady() {
    return Boolean(this.findPreview(this.view.region()));
  }

  // Whether what is wanted now was cancelled, or failed.
  get isStopped() {
    return this.halted === this.makeRequest().key;
  }

  // What to draw on the after side, and its state:
  //   exact; coarse: exact, not as fine as the screen; preview; partial: exact, not all that is in view;
  //   previous: of an earlier setting; computing: nothing yet.
  scene() {
    const { card, picture, answers, controls } = this;
    if (!card || !picture) return { state: "empty", picture: null, answers: [] };
    const { setting, key, visible, detail } = this.makeRequest();
    const scene = { picture, answers: answers.of(setting, visible), preview: null, values: controls.values };
    const covering = scene.answers.filter((answer) => contains(answer.region, visible));
    const waits = this.halted !== key && performance.now() >= this.notBefore;
    if (covering.some((answer) => answer.key === key || answer.detail >= 0.99 * detail)) {
      answers.shown = setting;
      return { ...scene, state: "exact", label: "after" };
    }
    if (covering.length) return { ...scene, state: "coarse", label: waits ? "after, not yet sharp" : "after, not sharp" };
    const preview = this.findPreview(visible);
    if (preview) {
      return { ...scene, answers: [], preview, state: "preview", label: "preview" };
    }
    if (scene.answers.length) return { ...scene, state: "partial", label: waits ? "computing the rest…" : "after, in part" };
    const earlier = answers.of(answers.shown, visible);
    if (earlier.length) {
      const label = `still ${earlier[0].title}`;
      return { ...scene, answers: earlier, state: "previous", label: waits ? `${label}; computing…` : label };
    }
    return { ...scene, state: "computing", label: waits ? "computing…" : "no answer" };
  }
}

function alignRegion({ x, y, width, height }, picture) {
  const left = Math.floor(x / GRID) * GRID;
  const top = Math.floor(y / GRID) * GRID;
  const right = Math.min(picture.width, Math.ceil((x + width) / GRID) * GRID);
  const bottom = Math.min(picture.height, Math.ceil((y + height) / GRID) * GRID);
  return { x: left, y: top, width: right - left, height: bottom - top };
}
