// The sliders: their values, the exact numbers beside them, and sliders that share a sum.

import { find, make, short } from "./dom.js";

const round = (value) => Number(value.toPrecision(7));
const sum = (parts) => parts.reduce((total, part) => total + part, 0);
const shareOf = ({ low, high }, value) => (value - low) / (high - low);

export class Controls {
  // changed: called with every new setting
  constructor(changed) {
    Object.assign(this, { changed, card: null, values: {}, chosen: null });
    find("reset").addEventListener("click", () => this.setAll({}));
  }

  show(card, values = {}) {
    this.card = card;
    this.chosen = card.sliders[0] ?? null;
    find("simplex").hidden = card.space !== "simplex";
    find("sliders").replaceChildren(...card.sliders.map((slider) => this.makeSlider(slider)));
    this.setAll(values);
  }

  makeSlider(slider) {
    const { name, low, high, unit } = slider;
    const common = { min: low, max: high, step: (high - low) / 100 };
    const range = make("input", { type: "range", id: `range-${name}`, ...common });
    const number = make("input", { type: "number", ...common, step: "any", ariaLabel: `${name}, exact value` });
    range.addEventListener("input", () => this.set(slider, range.valueAsNumber));
    number.addEventListener("change", () =>
      this.set(slider, Number.isFinite(number.valueAsNumber) ? number.valueAsNumber : slider.default),
    );
    const note = slider.kind === "condition" ? " Set it to what your picture has." : "";
    const node = make(
      "div",
      { className: "slider" },
      make("label", { htmlFor: range.id }, name),
      make("span", {}, number, make("span", { className: "unit" }, unit && ` ${unit}`)),
      range,
      make("p", { id: `about-${name}` }, `${slider.description}${note}`),
    );
    range.setAttribute("aria-describedby", `about-${name}`);
    node.addEventListener("focusin", () => this.choose(slider));
    return node;
  }

  choose(slider) {
    if (this.chosen === slider) return;
    this.chosen = slider;
    this.changed();
  }

  // The setting with one slider elsewhere.
  withValue(slider, value) {
    const { name, low, high } = slider;
    const values = { ...this.values, [name]: round(Math.min(high, Math.max(low, value))) };
    return this.card.space === "simplex" ? this.divideRest(slider, values) : values;
  }

  set(slider, value) {
    this.chosen = slider;
    this.apply(this.withValue(slider, value));
  }

  // Set all sliders; those that are not given, and values that are no numbers, take the defaults.
  setAll(given) {
    const { sliders, space } = this.card;
    const limited = ({ name, low, high, default: standard }) =>
      Number.isFinite(given[name]) ? Math.min(high, Math.max(low, given[name])) : standard;
    const values = Object.fromEntries(sliders.map((slider) => [slider.name, round(limited(slider))]));
    const total = sum(sliders.map((slider) => shareOf(slider, values[slider.name])));
    if (space === "simplex" && Math.abs(total - 1) > 1e-6) {
      const kept = sliders.find(({ name }) => Number.isFinite(given[name])) ?? sliders[0];
      this.apply(this.divideRest(kept, values));
    } else {
      this.apply(values);
    }
  }

  apply(values) {
    this.values = values;
    this.card.sliders.forEach((slider, index) => {
      const [number, range] = find("sliders").children[index].querySelectorAll("input");
      range.value = values[slider.name];
      range.setAttribute("aria-valuetext", `${short(values[slider.name])} ${slider.unit}`.trim());
      number.value = short(values[slider.name]);
    });
    this.changed();
  }

  // On a simplex the other sliders take what this one leaves, in proportion to where they are, or to their defaults
  // if all of them are at the bottom.
  divideRest(slider, values) {
    const others = this.card.sliders.filter((other) => other !== slider);
    const rest = 1 - shareOf(slider, values[slider.name]);
    const present = others.map((other) => shareOf(other, values[other.name]));
    const standard = others.map((other) => shareOf(other, other.default));
    const parts = [present, standard, others.map(() => 1)].find((candidate) => sum(candidate) > 1e-6) ?? [];
    const divided = others.map(({ name, low, high }, index) => [
      name,
      round(low + ((rest * parts[index]) / sum(parts)) * (high - low)),
    ]);
    return { ...values, ...Object.fromEntries(divided) };
  }
}
