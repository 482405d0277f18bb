// The page at /docs: choose a model and a picture, turn the sliders, compare. Addresses are relative, so that the page
// works behind a proxy that serves the endpoint below a prefix.

const find = (id) => document.getElementById(id);
const make = (tag, properties, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const TOKEN = "token";
const state = { cards: [], card: null, values: {}, file: null, request: null, stale: false };

const address = (path) => new URL(`../${path}`, location.href);
const applyPath = () => `v1/models/${state.card.name}:apply`;

// A request, with the token that an endpoint for others asks for; it is kept until the tab is closed.
async function send(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(address(path), { ...options, headers });
  if (response.status !== 401) return response;
  await askToken(Boolean(token));
  return send(path, options);
}

function askToken(again) {
  find("refused").hidden = !again;
  find("lock").showModal();
  return new Promise((done) => {
    find("unlock").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, find("token").value.trim());
      find("lock").close();
      done();
    };
  });
}

async function start() {
  const response = await send("v1/models");
  if (!response.ok) throw new Error(await reason(response));
  state.cards = (await response.json()).models;
  find("model").replaceChildren(
    ...state.cards.map((card) => make("option", { value: card.name }, `${card.name} ${card.version.slice(0, 8)}`)),
  );
  choose(state.cards[0].name);
}

function choose(name) {
  state.request?.abort();
  state.card = state.cards.find((card) => card.name === name);
  const { limits, description, space, scale, task } = state.card;
  find("description").textContent = description;
  find("task").textContent = scale > 1 ? `${task}, ${scale} times as large` : task;
  find("limits").textContent =
    `up to ${Number((limits.max_pixels / 1e6).toPrecision(2))} megapixels and ${(limits.max_body_bytes / 2 ** 20).toFixed(0)} MiB`;
  find("simplex").hidden = space !== "simplex";
  find("apply").textContent = `/${applyPath()}`;
  find("card").textContent = `/v1/models/${name}`;
  find("card").href = address(`v1/models/${name}`);
  find("fields").replaceChildren(
    row("image", "a file", "", "the picture: PNG, JPEG, WebP, TIFF"),
    ...state.card.sliders.map((s) => row(s.name, `${s.low} to ${s.high} ${s.unit}`, short(s.default), s.description)),
  );
  reset();
}

const row = (field, value, standard, meaning) =>
  make("tr", {}, make("td", {}, make("code", {}, field)), ...[value, standard, meaning].map((text) => make("td", {}, text)));

function reset() {
  state.values = Object.fromEntries(state.card.sliders.map((slider) => [slider.name, round(slider.default)]));
  find("sliders").replaceChildren(...state.card.sliders.map(sliderNode));
  changed();
}

function sliderNode(slider) {
  const { name, low, high, unit } = slider;
  const common = { min: low, max: high, step: (high - low) / 100, value: state.values[name] };
  const range = make("input", { type: "range", id: `range-${name}`, ...common });
  const number = make("input", {
    type: "number", ...common, value: short(state.values[name]), step: "any", ariaLabel: `${name}, exact value`,
  });
  range.addEventListener("input", () => set(slider, range.valueAsNumber));
  number.addEventListener("change", () => {
    const value = Number.isFinite(number.valueAsNumber) ? number.valueAsNumber : slider.default;
    set(slider, Math.min(high, Math.max(low, value)));
  });
  return make(
    "div",
    { className: "slider" },
    make("label", { htmlFor: range.id }, name),
    make("span", {}, number, make("span", { className: "unit" }, unit && ` ${unit}`)),
    range,
    make("div", { className: "ends" }, make("span", {}, short(low)), make("span", {}, short(high))),
    make("p", {}, slider.description),
    ...(slider.kind === "condition" ? [make("p", {}, "Set it to what your picture has.")] : []),
  );
}

function set({ name }, value) {
  const before = state.values;
  state.values = { ...before, [name]: round(value) };
  if (state.card.space === "simplex") share(name, before);
  state.card.sliders.forEach((slider, index) => {
    const [number, range] = find("sliders").children[index].querySelectorAll("input");
    range.value = state.values[slider.name];
    number.value = short(state.values[slider.name]);
  });
  changed();
}

// On a simplex the other sliders take what this one leaves, in proportion to where they stood, or to their defaults if
// all of them stood at the bottom.
function share(name, before) {
  const others = state.card.sliders.filter((slider) => slider.name !== name);
  const unit = (slider, value) => (value - slider.low) / (slider.high - slider.low);
  const turned = state.card.sliders.find((slider) => slider.name === name);
  const left = 1 - unit(turned, state.values[name]);
  const sum = (parts) => parts.reduce((total, part) => total + part, 0);
  const stood = others.map((slider) => unit(slider, before[slider.name]));
  const defaults = others.map((slider) => unit(slider, slider.default));
  const parts = [stood, defaults, others.map(() => 1)].find((candidate) => sum(candidate) > 1e-6);
  others.forEach((slider, index) => {
    const part = parts[index] / sum(parts);
    state.values[slider.name] = round(slider.low + left * part * (slider.high - slider.low));
  });
}

const round = (value) => Number(value.toPrecision(7));
const short = (value) => String(Number(value.toPrecision(4)));

function changed() {
  const fields = Object.entries(state.values).map(([name, value]) => ` -F ${name}=${value}`);
  find("curl").textContent = `curl -F image=@photo.png${fields.join("")} \\\n  -o restored.png ${address(applyPath())}`;
  if (state.file) restore();
}

// One request at a time, and the newest values next: the picture follows the hand as fast as the server does.
async function restore() {
  state.stale = Boolean(state.request);
  if (state.stale) return;
  const request = (state.request = new AbortController());
  const form = new FormData();
  form.append("image", state.file);
  for (const [name, value] of Object.entries(state.values)) form.append(name, value);
  find("compare").classList.add("busy");
  const begin = performance.now();
  try {
    const response = await send(applyPath(), { method: "POST", body: form, signal: request.signal });
    if (!response.ok) throw new Error(await reason(response));
    const blob = await response.blob();
    if (request.signal.aborted) return;
    await showResult(blob);
    say(`${sizes()}, ${((performance.now() - begin) / 1000).toFixed(2)} s`);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  } finally {
    state.request = null;
    if (state.stale) restore();
    else find("compare").classList.remove("busy");
  }
}

async function reason(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `${response.status}: ${text.slice(0, 200)}`;
  }
}

async function showResult(blob) {
  await load(find("after"), blob);
  find("after").hidden = false;
  find("compare").classList.add("done");
  const link = find("download");
  link.href = find("after").src;
  link.download = `${state.file.name.replace(/\.[^.]*$/, "") || "picture"}-${state.card.name}.png`;
  link.hidden = false;
}

function sizes() {
  const [before, after] = ["before", "after"].map((id) => `${find(id).naturalWidth} × ${find(id).naturalHeight}`);
  return before === after || find("compare").classList.contains("alone") ? after : `${before} to ${after}`;
}

function load(image, blob) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  return image.decode();
}

async function take(file) {
  if (!file) return;
  state.request?.abort();
  state.file = file;
  find("download").hidden = true;
  find("after").hidden = true;
  say("Restoring …");
  // What the browser cannot show, such as TIFF, the server may read; the result then stands alone.
  find("compare").classList.remove("done");
  const shown = await load(find("before"), file).then(() => true, () => false);
  find("compare").classList.toggle("alone", !shown);
  find("drop").hidden = true;
  find("view").hidden = find("tools").hidden = false;
  restore();
}

function say(text, wrong = false) {
  find("status").textContent = text;
  find("status").classList.toggle("wrong", wrong);
}

find("model").addEventListener("change", (event) => choose(event.target.value));
find("reset").addEventListener("click", reset);
find("file").addEventListener("change", (event) => take(event.target.files[0]));
find("wipe").addEventListener("input", (event) => find("compare").style.setProperty("--cut", `${event.target.value}%`));
find("actual").addEventListener("change", (event) => find("compare").classList.toggle("actual", event.target.checked));
// Browsers give the clipboard to pages from this machine or over https only.
find("copy").hidden = !navigator.clipboard;
find("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(find("curl").textContent);
  find("copy").textContent = "Copied";
  setTimeout(() => (find("copy").textContent = "Copy"), 1500);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("stage").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
start().catch((error) => say(`The list of models did not come: ${error.message}`, true));
