// The whole picture, exact and with its metadata, as a file.

import { announce, find, make, seconds, short } from "./dom.js";
import { apply, explain } from "./requests.js";

const SUFFIXES = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" };
const JPEG_QUALITY = 95;

const pause = (ms, signal) =>
  new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(signal.reason);
    });
  });

export class Download {
  // wanted: gives {card, picture, values, total}, total being the time it should take, if that is known
  // changed: called when it begins or ends; failed: with an explained error
  constructor(wanted, { changed, failed }) {
    Object.assign(this, { wanted, changed, failed, current: null, waits: "" });
    find("download").addEventListener("click", () => (this.current ? this.current.controller.abort() : this.run()));
  }

  get text() {
    if (!this.current) return "";
    const { begun, total } = this.current;
    const all = total ? ` of about ${seconds(total)}` : "";
    return this.waits || `Computing the whole picture: ${seconds(performance.now() - begun)}${all}`;
  }

  async run() {
    const { card, picture, values, total } = this.wanted();
    const accept = find("format").value;
    const controller = new AbortController();
    this.current = { controller, begun: performance.now(), total };
    setButton("Cancel", "Cancel download");
    this.changed();
    try {
      const options = { metadata: "keep", ...(accept === "image/jpeg" ? { quality: JPEG_QUALITY } : {}) };
      const blob = await this.fetchPatiently(card, picture, values, options, { accept, signal: controller.signal });
      save(blob, makeName(picture, card, values, SUFFIXES[accept]));
      announce("Download ready");
    } catch (error) {
      if (!controller.signal.aborted) this.failed({ ...explain(error, card.limits), retryAfter: undefined }, () => this.run());
    } finally {
      this.current = null;
      setButton("Download", "Download");
      this.changed();
    }
  }

  // A busy server is asked again, when it says so.
  async fetchPatiently(card, picture, values, options, { accept, signal }) {
    for (;;) {
      try {
        return await apply(card.name, picture, values, options, { accept, signal });
      } catch (error) {
        if (!error.retryAfter) throw error;
        this.waits = `The server is busy; the download is tried again in ${error.retryAfter} s`;
        await pause(error.retryAfter * 1000, signal).finally(() => (this.waits = ""));
      }
    }
  }
}

function setButton(text, meaning) {
  find("download").textContent = text;
  find("download").ariaLabel = meaning;
}

// "photo-denoise-noise=15.png"
function makeName({ file }, card, values, suffix) {
  const stem = file.name.replace(/\.[^.]*$/, "") || "picture";
  const settings = Object.entries(values).map(([name, value]) => `${name}=${short(value)}`);
  return `${[stem, card.name, ...settings].join("-")}.${suffix}`;
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // The browser has begun to save it by then; until it has, it needs the address.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
