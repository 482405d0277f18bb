// Short names for what every module does to the document.

export const find = (id) => document.getElementById(id);

export function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Two live regions would talk over each other; this is the only one, and it speaks when something is finished.
export function announce(text) {
  if (find("live").textContent !== text) find("live").textContent = text;
}

export const short = (value) => String(Number(value.toPrecision(4)));

// A setting in words: "noise 15, blur 0.5".
export const describe = (values) =>
  Object.entries(values).map(([name, value]) => `${name} ${short(value)}`).join(", ");

export const seconds = (ms) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);
